"""`scale`: how many tasks a service runs, until scaling decides otherwise."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import typer

from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live
from ops.deployed.deployment import Deployment
from ops.errors import OpsError
from ops.service import scaling
from ops.terminal.options import DryRun, Env, Rehearse, Yes, complete_services

_POLL_SECONDS = 2.0
_LIMIT_SECONDS = 15 * 60


@dataclass(frozen=True)
class Plan:
    """How many tasks there shall be, and the bounds within which scaling moves that."""

    service: str
    service_name: str
    cluster: str
    before: int
    count: int
    bounds: scaling.Bounds

    def __str__(self) -> str:
        low, high = self.bounds.minimum, self.bounds.maximum
        return f"set {self.service} from {self.before} to {self.count} tasks, of {low} to {high}"


def command(
    service: Annotated[str, typer.Argument(autocompletion=complete_services, help="The service.")],
    count: Annotated[int, typer.Argument(min=0, help="How many tasks.")],
    env: Env = "local",
    rehearse: Rehearse = False,
    wait: Annotated[bool, typer.Option(help="Return when they run.")] = True,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Set how many tasks a service runs, within the bounds of its scaling, which may move it again.

    The bounds themselves are min_tasks and max_tasks of the service's \\[scaling] section.

    Examples:

    \b
    suppliers scale customer 4
    suppliers scale customer 2 --env prod --dry-run
    """
    with operating(env, rehearse=rehearse) as session:
        deployment = deployed.read(session)
        deployment.settled(service)
        found = plan(session, deployment, service, count)
        if dry_run:
            session.print_plan([str(found)])
            return
        if count < found.before:
            session.confirm(str(found), yes=yes)
        apply(session, found)
        session.console.print(
            f"{service}: {count} tasks wanted. Scaling goes on from there: it adds and removes tasks by itself, "
            f"from {found.bounds.minimum} to {found.bounds.maximum}."
        )
        if wait:
            _wait(session, deployment, found)


def plan(session: Session, deployment: Deployment, name: str, count: int) -> Plan:
    """What is to be done; raises `OpsError` for a count that scaling would take back at once."""
    service = deployment.service(name)
    record = live.service(session.clients, deployment, name)
    bounds = scaling.bounds(session, deployment, [service])[name]
    if bounds is None:
        raise OpsError(
            f"{session.name}: {name} has no scalable target: somebody removed it by hand; "
            f"`make deploy ENV={session.name}` after a change of its bounds brings it back"
        )
    if not bounds.minimum <= count <= bounds.maximum:
        raise OpsError(
            f"{session.name}: {name}: {count} tasks is outside of {bounds.minimum} to {bounds.maximum}, and "
            f"scaling would take it back; change min_tasks or max_tasks in services/{name}/service.toml (or "
            f"[services.{name}.scaling] in environments/{session.name}.toml) and deploy"
        )
    return Plan(name, service.service_name, deployment.cluster, record["desiredCount"], count, bounds)


def apply(session: Session, found: Plan) -> None:
    """Tell ECS."""
    session.clients.client("ecs").update_service(
        cluster=found.cluster, service=found.service_name, desiredCount=found.count
    )


def _wait(session: Session, deployment: Deployment, found: Plan) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    with session.console.status(f"{found.service}: waiting for {found.count} tasks") as display:
        while True:
            record = live.service(session.clients, deployment, found.service)
            running, desired = record["runningCount"], record["desiredCount"]
            display.update(f"{found.service}: {running} of {desired} tasks run")
            if running == desired and not record["pendingCount"]:
                break
            if time.monotonic() > deadline:
                raise OpsError(
                    f"{session.name}: {found.service}: {running} of {desired} tasks run after "
                    f"{_LIMIT_SECONDS // 60} minutes: `suppliers tasks {found.service} --stopped` says why"
                )
            time.sleep(_POLL_SECONDS)
    session.console.print(f"{found.service}: {running} of {desired} tasks run")
