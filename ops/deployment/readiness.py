"""Whether an account of AWS is ready for a deployment, asked before anything is changed in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ops.aws.clients import Clients
from ops.aws.refusals import told_by_aws
from ops.deployed import stacks
from ops.deployment import names, service_roles, stuck
from ops.synthesis import templates
from settings import Environment

# No creation of the environment ever got this far: the last of its stacks is not there.
_UNFINISHED = stacks.NOTHING_DEPLOYED | {"CREATE_FAILED", "ROLLBACK_FAILED"}


def ensure(clients: Clients, environment: Environment, assembly: Path, say: Callable[[str], None]) -> None:
    """Raise `OpsError` for what would let the deployment fail half-way; make the service-linked roles it needs."""
    synthesized = templates.in_folder(assembly, environment)
    stuck.refuse(clients, environment)
    with told_by_aws(environment.name):
        taken = names.taken(clients, environment, synthesized)
    names.refuse(taken, environment)
    service_roles.ensure(clients, environment, synthesized, say)


def rollback(clients: Clients, environment: Environment) -> list[str]:
    """The option of `cdk deploy` for an environment that has never been complete: what was made stays, if something fails.

    A rollback would delete it, which databases and load balancers that are protected refuse, so that the stack could
    neither go on nor go away; and a database takes long to be made. The next deployment goes on where this one stopped:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
    """
    last = f"suppliers-{environment.name}-observability"
    with told_by_aws(environment.name):
        unfinished = stacks.status(clients.client("cloudformation"), last) in _UNFINISHED
    return ["--no-rollback"] if unfinished else []
