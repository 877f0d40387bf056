"""`release again`: what is live once more, which makes the other side live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from ops.aws.clients import Clients
from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live
from ops.deployed.deployment import DeployedService, Deployment
from ops.errors import OpsError
from ops.release import releases
from ops.release.rollback import ByCodeDeploy, load_balancer
from ops.terminal.options import DryRun, Env, Rehearse, Yes, complete_services


@dataclass(frozen=True)
class ByEcs:
    """Replaces the tasks of a service by new ones of the same task definition, as ECS releases any version.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
    """

    service: DeployedService
    cluster: str
    definition: live.Record

    def __str__(self) -> str:
        revision = f"{self.definition['family']}:{self.definition['revision']}"
        return f"release {self.service.name} {live.short(live.version(self.definition))} ({revision}, which is live) by ECS once more"

    def apply(self, clients: Clients) -> str:
        """Start the release; answers with the service's name, as ECS names the release a moment later."""
        clients.client("ecs").update_service(
            cluster=self.cluster, service=self.service.service_name, forceNewDeployment=True
        )
        return self.service.service_name


def command(
    service: Annotated[str, typer.Argument(autocompletion=complete_services, help="The service.")],
    env: Env = "local",
    rehearse: Rehearse = False,
    stack: Annotated[
        bool,
        typer.Option(
            "--stack",
            help="What the service's stack holds, where a release of it was taken back and may succeed now.",
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Release what is live once more: new tasks of the same version and settings; the other side becomes live.

    It is tested as any release, and alarms that fire block it; `rollback` is what goes on in spite of them.

    Examples:

    \b
    suppliers release again customer --env prod --dry-run
    suppliers release again customer --env prod && suppliers release watch customer --env prod
    suppliers release again customer --env dev --stack
    """
    with operating(env, rehearse=rehearse) as session:
        deployment = deployed.read(session)
        found = plan(session, deployment, service, stack=stack)
        if dry_run:
            session.print_plan([str(found)])
            return
        deployment.settled(service)
        session.confirm(str(found), yes=yes)
        done = found.apply(session.clients)
        session.console.print(f"started: {found} ({done})", markup=False, soft_wrap=True)


def plan(session: Session, deployment: Deployment, name: str, *, stack: bool) -> ByCodeDeploy | ByEcs:
    """What is to be released; raises `OpsError` while another release of the service is under way."""
    service = deployment.service(name)
    record = live.service(session.clients, deployment, name)
    for release in releases.history(session, deployment, [service], last=5):
        if release.under_way:
            raise OpsError(
                f"{session.name}: release {release.id.rpartition('/')[2]} of {name} is under way ({release.status}): "
                f"wait for its end (`suppliers release watch {name} --env {session.name}`) or end it (`suppliers "
                f"rollback {name} --env {session.name}`), then repeat"
            )
    versions = live.Versions(session.clients)
    serving = live.serving(record)
    if not releases.is_codedeploy(record):
        if stack:
            raise OpsError(
                f"{session.name}: {name} runs what its stack holds: the stack that releases it takes back its own "
                "changes with the release. Deploy again"
            )
        return ByEcs(service, deployment.cluster, versions.definition(serving))
    group = releases.codedeploy_groups(session.clients, deployment, [service])[name]
    if stack and group.wanted is None:
        raise OpsError(
            f"{session.name}: the stack of {name} holds no task definition: `make deploy ENV={session.name}`"
        )
    return ByCodeDeploy(
        service=service,
        definition=versions.definition(group.wanted if stack and group.wanted else serving),
        what="which its stack holds" if stack else "which is live",
        load_balancer=load_balancer(record),
        group=group,
        backwards=False,
    )
