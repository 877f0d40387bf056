"""The command `doctor`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.console import Console
from rich.markup import escape

import settings
from ops import errors
from ops.aws.clients import once
from ops.aws.session import clients_of, emulator_instance, told_by_emulator
from ops.doctor.account import Account, without_credentials
from ops.doctor.findings import Finding, State, is_missing, run
from ops.doctor.machine import Machine
from ops.synthesis import templates
from ops.terminal.options import AsJson, Env

_STYLES = {State.OK: "green", State.MISSING: "bold red", State.WARNING: "yellow", State.UNCHECKED: "dim"}


def doctor(env: Env = "local", as_json: AsJson = False) -> None:
    """Tell what is missing on this machine or in the account, and the command that mends it.

    Exit status 1 if something needed is missing.

    Example: python -m ops doctor --env dev
    """
    environment = settings.load(env)
    with told_by_emulator():
        instance = emulator_instance(environment)
    account = (
        None
        if instance
        else Account(
            environment, clients_of(environment, None), once(lambda: templates.synthesized(environment))
        )
    )
    findings = examine(Machine(environment, instance), account)
    if as_json:
        print(json.dumps({"environment": env, "findings": [asdict(each) for each in findings]}, indent=2))
    else:
        show(findings, Console(highlight=False))
    if is_missing(findings):
        raise typer.Exit(errors.WRONG)


def examine(machine: Machine, account: Account | None) -> list[Finding]:
    """All findings: of the machine, and of the account where there is one and somebody is signed in."""
    name = machine.environment.name
    checks = machine.checks()
    if account is None:
        return run(checks, name)
    found = run({**checks, "credentials": account.credentials}, name)
    if found[-1].state is not State.OK:
        return [*found, *without_credentials(account)]
    return [*found, *run(account.checks(), name)]


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print a line for each finding."""
    width = max(len(each.name) for each in findings)
    for each in findings:
        remedy = f" [bold]Remedy:[/] {escape(each.remedy)}" if each.remedy else ""
        style = _STYLES[each.state]
        console.print(
            f"[{style}]{each.state:<11}[/] {escape(f'{each.name:<{width}}')}  {escape(each.detail)}{'.' if remedy else ''}{remedy}",
            soft_wrap=True,
        )
