"""What a command works with: an environment, clients of where it runs, and somebody to talk to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer
from rich.console import Console

import settings
from emulator import lifecycle
from emulator.errors import EmulatorError
from emulator.instance import DEFAULT_ACCOUNT, Instance, from_environment
from ops.aws.clients import Clients, account
from ops.aws.refusals import told_by_aws
from ops.errors import OpsError
from ops.terminal.text import answers
from settings import Environment, SettingsError

# A rehearsal runs beside the local environment.
REHEARSAL_PORT = 4576


@dataclass(frozen=True)
class Session:
    """One run of a command on one environment; `instance` is the emulator where it stands for the account."""

    environment: Environment
    clients: Clients
    instance: Instance | None = None
    console: Console = field(default_factory=answers)
    # Beside the answer, so that the answer can be piped on.
    notes: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @property
    def name(self) -> str:
        """The environment as messages name it."""
        return self.environment.name

    def confirm(self, what: str, *, yes: bool, always: bool = False) -> None:
        """Ask before something disruptive in a protected environment, or `always`; raises `OpsError` unless it is wanted."""
        if yes or not (self.environment.protected or always):
            return
        who = f"{self.name} is protected" if self.environment.protected else self.name
        if not sys.stdin.isatty():
            raise OpsError(f"{who}, and nobody is there to ask: {what}? Repeat with --yes")
        if not typer.confirm(f"{who}: {what}?"):
            raise OpsError(f"{self.name}: nothing was done")

    def print_json(self, document: Any) -> None:
        """Print a document for programs; moments in ISO 8601."""
        print(json.dumps(document, indent=2, default=_text))

    def print_plan(self, steps: Sequence[str]) -> None:
        """Print what would be done."""
        for step in steps:
            self.console.print(f"would {step}", markup=False, soft_wrap=True)


@contextmanager
def operating(env: str, *, rehearse: bool = False, checkout: bool = False) -> Iterator[Session]:
    """A session on environment `env`; whatever AWS or the emulator refuse inside raises `OpsError` with one line.

    A mistake in a service's manifest is told, and stops only what is about the `checkout`: the others look at what is
    deployed.
    """
    environment, problems = settings.load_known(env)
    if problems and checkout:
        raise SettingsError(*problems)
    for problem in problems:
        print(f"{problem} (looking at what is deployed all the same)", file=sys.stderr)
    with told_by_emulator():
        instance = emulator_instance(environment, rehearse=rehearse)
        if instance is not None and lifecycle.ready(instance) is None:
            remedy = f"make {'rehearse' if rehearse else 'deploy'} ENV={env}"
            raise OpsError(f"{env}: no emulator of this checkout answers on port {instance.port}: `{remedy}`")
        clients = clients_of(environment, instance)
        with told_by_aws(environment.name):
            if environment.account is not None and instance is None:
                account(clients, environment)
            yield Session(environment, clients, instance)


def emulator_instance(environment: Environment, *, rehearse: bool = False) -> Instance | None:
    """The emulator that stands for the environment's account, or None where that is AWS itself."""
    if not (environment.emulator or rehearse):
        return None
    named = bool(os.environ.get("EMULATOR_PORT"))
    return from_environment(
        port=REHEARSAL_PORT if rehearse and not named else None,
        account=environment.account or DEFAULT_ACCOUNT,
        region=environment.region,
    )


def clients_of(environment: Environment, instance: Instance | None) -> Clients:
    """Clients of the environment's account, or of the emulator that stands for it."""
    return Clients(environment.region, lifecycle.environment(instance) if instance else {})


@contextmanager
def told_by_emulator() -> Iterator[None]:
    """Raise `OpsError` with the line for whatever the emulator refuses inside."""
    try:
        yield
    except EmulatorError as error:
        raise OpsError(f"emulator: {error}") from None


def _text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
