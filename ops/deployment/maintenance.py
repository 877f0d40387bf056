"""The commands that hold templates against what is live, and what a release keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import settings
from ops import errors
from ops.deployment import deploy as deployment
from ops.deployment import inputs, leftovers
from ops.release import base_image, stateful
from ops.release import guard as swap_guard
from ops.terminal.options import AsJson, Env, Lose, Rehearse


def guard(
    env: Env = "local",
    template: Annotated[
        Path | None,
        typer.Option(
            show_default="those of all stacks with services or rules in cdk.out",
            help="Only this template of a synth, with the others beside it.",
        ),
    ] = None,
    rehearse: Rehearse = False,
    as_json: AsJson = False,
    lose: Lose = [],  # noqa: B006
) -> None:
    """Refuse templates that would undo a release or lose data: exit status 1, what is live, what would be, remedy.

    Example: python -m ops guard --env dev
    """
    environment = settings.load(env)
    clients = deployment.clients(environment, rehearse=rehearse)
    assembly = (template or swap_guard.TEMPLATE).parent
    compared = [template] if template else swap_guard.templates(assembly, env)
    plans = swap_guard.check_all(clients, environment, compared)
    beside = assembly / swap_guard.TEMPLATE.name
    lost = stateful.check(clients, environment, beside, accepted=lose)
    leaving, behind = inputs.check(clients, environment, beside)
    if as_json:
        print(swap_guard.as_json(plans, lost))
    else:
        told = [
            *(inputs.advice(env, each) for each in leaving),
            *(inputs.behind(env, each) for each in behind),
            *(leftovers.notice(each, environment) for each in leftovers.stacks_left(clients, environment)),
        ]
        safe = (line for plan in plans for line in swap_guard.report(plan))
        print(*safe, *stateful.report(lost, environment), *told, sep="\n")
    if any(plan.is_refused for plan in plans) or lost or leaving:
        raise typer.Exit(errors.WRONG)


def release_record(
    env: Env = "local",
    template: Annotated[
        Path,
        typer.Option(
            show_default="cdk.out/Compute.template.json",
            help="The Compute template of a synth, which wrote the others beside it.",
        ),
    ] = swap_guard.TEMPLATE,
    lose: Lose = [],  # noqa: B006
) -> None:
    """Record what a release keeps, for the test that refuses to lose it: `make record` synthesizes first.

    Example: python -m ops release-record --env prod
    """
    environment = settings.load(env)
    changed = stateful.release(env, stateful.synthesized(environment, template), accepted=lose)
    print(f"{env}: {'recorded' if changed else 'as recorded'}")


def pin_base() -> None:
    """Pin the base image of the services to the digest that the registry answers now.

    Example: python -m ops pin-base
    """
    print(base_image.pin())
