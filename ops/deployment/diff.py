"""`diff`: what a deployment would change, as the CDK CLI tells it."""

from __future__ import annotations

from typing import Annotated

import typer

from emulator import lifecycle
from ops.aws.session import operating
from ops.errors import OpsError
from ops.synthesis import cdk
from ops.terminal.options import Env, Rehearse


def command(
    stacks: Annotated[
        list[str] | None, typer.Argument(help="Stacks by their ids, such as Customer; all without one.")
    ] = None,
    env: Env = "local",
    rehearse: Rehearse = False,
) -> None:
    """Compare what is deployed with what the checkout would deploy; nothing changes.

    Example: python -m ops diff Customer --env prod
    """
    with operating(env, rehearse=rehearse, checkout=True) as session:
        variables = lifecycle.child_environment(session.instance) if session.instance else None
        # By the templates alone: a change set is made in the account, and kept by what interrupts this.
        status = cdk.show(["diff", *(stacks or []), "--method", "template", "-c", f"env={env}"], variables)
        if status:
            raise OpsError(f"{env}: cdk diff failed")
