"""The commands that deploy, remove and save an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import settings
from ops.aws.session import operating
from ops.deployed import deployment as deployed
from ops.deployment import backup as backups
from ops.deployment import deploy as deployment
from ops.deployment import smoke as smoke_test
from ops.terminal.options import Env, Lose, Rehearse, Yes, complete_services


def deploy(
    env: Env = "local",
    rehearse: Annotated[
        bool, typer.Option(help="Deploy the environment's exact templates to the emulator, not to AWS.")
    ] = False,
    lose: Lose = [],  # noqa: B006 (typer makes a list of its own for each run)
    service: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_services, metavar="NAME", help="Deploy the stack of this service alone."
        ),
    ] = None,
    ship_checkout: Annotated[
        bool,
        typer.Option(
            "--ship-checkout", help="Ship the code of this checkout over what a pipeline has released."
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Deploy an environment, prepare its database and smoke-test it.

    What a pipeline has released stays; settings are deployed with it.

    Example: python -m ops deploy --env dev --service customer
    """
    deployment.deploy(
        settings.load(env),
        rehearse=rehearse,
        console=Console(),
        accepted=lose,
        wanted=deployment.Wanted(service=service, ship_checkout=ship_checkout),
        yes=yes,
    )


def destroy(env: Env = "local", yes: Yes = False) -> None:
    """Remove an environment; `local` removes everything the emulator made, rehearsals included.

    Example: python -m ops destroy --env local
    """
    deployment.destroy(settings.load(env), console=Console(), yes=yes)


def smoke(env: Env = "local", rehearse: Rehearse = False) -> None:
    """Check that a deployed environment answers as it should.

    Example: python -m ops smoke --env dev
    """
    with operating(env, rehearse=rehearse, checkout=True) as session:
        endpoint = deployed.endpoint(deployed.read(session), session.instance)
        smoke_test.run(endpoint, session.environment, detail=session.console.print)


def backup(env: Env = "local", rehearse: Rehearse = False) -> None:
    """Back the database up: a snapshot on AWS, a dump of the emulator's server; prints its name.

    Example: python -m ops backup --env prod
    """
    with operating(env, rehearse=rehearse) as session:
        print(backups.back_up(session))


def restore(
    file: Annotated[Path, typer.Argument(help="A dump that `backup` wrote.")],
    env: Env = "local",
    rehearse: Rehearse = False,
    yes: Yes = False,
) -> None:
    """Make the emulator's database what it was, after a backup of what it is; on AWS: docs/restore.md.

    Example: python -m ops restore .local/backups/local-20261122-101500.sql
    """
    with operating(env, rehearse=rehearse) as session:
        before = backups.restore(session, file, yes=yes)
        print(f"{env}: restored from {file}; what it held before is in {before}")
