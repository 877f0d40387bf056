"""`rollback`: back to the version before, by ending a release that is under way or by releasing it once more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from delivery.task_definition import with_image
from ops import deployment as deployed
from ops import live, releases
from ops.aws import Clients
from ops.deployment import DeployedService, Deployment
from ops.errors import OpsError
from ops.options import DryRun, Env, Rehearse, Yes
from ops.releases import CodeDeployGroup, Release
from ops.session import Session, operating
from platform_constructs.handlers.ecs_operations.index import app_spec

_REVISIONS_LOOKED_AT = 20


@dataclass(frozen=True)
class Stop:
    """Ends a release that is under way, or still keeps the old tasks: the fastest way back."""

    release: Release

    def __str__(self) -> str:
        release = self.release
        return (
            f"stop release {release.id.rpartition('/')[2]} of {release.service} ({release.status}), which gives "
            "the traffic back to the version before"
        )

    def apply(self, clients: Clients) -> str:
        """Tell the controller; answers with what was stopped."""
        if self.release.controller == "codedeploy":
            clients.client("codedeploy").stop_deployment(
                deploymentId=self.release.id, autoRollbackEnabled=True
            )
        else:
            clients.client("ecs").stop_service_deployment(
                serviceDeploymentArn=self.release.id, stopType="ROLLBACK"
            )
        return self.release.id


@dataclass(frozen=True)
class ReleaseAgain:
    """Releases an earlier task definition, the same way as any version: tested before it gets traffic."""

    service: DeployedService
    cluster: str
    definition: live.Record
    version: str
    now: str
    evidence: str
    load_balancer: live.Record
    group: CodeDeployGroup | None

    def __str__(self) -> str:
        revision = f"{self.definition['family']}:{self.definition['revision']}"
        by = "CodeDeploy" if self.group else "ECS"
        copied = ", as a new revision since it is deregistered" if self._is_gone else ""
        return (
            f"release {self.service.name} {live.short(self.version)} ({revision}, {self.evidence}) by {by} in place "
            f"of {live.short(self.now)}{copied}"
        )

    @property
    def _is_gone(self) -> bool:
        return self.definition.get("status") != "ACTIVE"

    def apply(self, clients: Clients) -> str:
        """Start the release; answers with its id."""
        arn = self._registered(clients) if self._is_gone else self.definition["taskDefinitionArn"]
        if self.group is None:
            clients.client("ecs").update_service(
                cluster=self.cluster, service=self.service.service_name, taskDefinition=arn
            )
            return str(arn)
        specification = app_spec(
            {
                "TaskDefinition": arn,
                "ContainerName": self.load_balancer["containerName"],
                "ContainerPort": self.load_balancer["containerPort"],
                "CheckFunction": self.group.check,
            }
        )
        answer = clients.client("codedeploy").create_deployment(
            applicationName=self.group.application,
            deploymentGroupName=self.group.group,
            revision={
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": json.dumps(specification)},
            },
            description="rollback by an operator",
        )
        return str(answer["deploymentId"])

    def _registered(self, clients: Clients) -> str:
        """A copy: what is deregistered cannot be started."""
        container = self.definition["containerDefinitions"][0]
        copy = with_image(
            self.definition, container=container["name"], image=container["image"], version=self.version
        )
        answer = clients.client("ecs").register_task_definition(**copy)
        return str(answer["taskDefinition"]["taskDefinitionArn"])


def command(
    service: Annotated[str, typer.Argument(help="The service.")],
    env: Env = "local",
    rehearse: Rehearse = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take a service back to the version before; `release watch` follows it.

    A release that is under way or in its bake time is stopped, which gives the traffic back within seconds.
    Otherwise the last version that was released before is released again, with all its checks.

    Examples:

    \b
    suppliers rollback customer --env prod --dry-run
    suppliers rollback customer --env prod --yes && suppliers release watch customer --env prod
    """
    with operating(env, rehearse=rehearse) as session:
        deployment = deployed.read(session)
        found = plan(session, deployment, service)
        if dry_run:
            session.print_plan([str(found)])
            return
        if isinstance(found, ReleaseAgain):
            deployment.settled(service)
        session.confirm(str(found), yes=yes)
        done = found.apply(session.clients)
        session.console.print(f"started: {found} ({done.rpartition('/')[2]})", markup=False, soft_wrap=True)


def plan(session: Session, deployment: Deployment, name: str) -> Stop | ReleaseAgain:
    """The way back; raises `OpsError` where there is no version before."""
    service = deployment.service(name)
    record = live.service(session.clients, deployment, name)
    past = releases.history(session, deployment, [service], last=100)
    for release in past:
        if release.under_way:
            return Stop(release)
    versions = live.Versions(session.clients)
    serving = live.serving(record)
    now = versions.of(serving)
    definition, evidence = _before(session, versions, past, serving)
    codedeploy = releases.is_codedeploy(record)
    group = releases.codedeploy_groups(session.clients, deployment)[name] if codedeploy else None
    return ReleaseAgain(
        service=service,
        cluster=deployment.cluster,
        definition=definition,
        version=live.version(definition),
        now=now,
        evidence=evidence,
        load_balancer=_load_balancer(record),
        group=group,
    )


def _before(
    session: Session, versions: live.Versions, past: list[Release], serving: str
) -> tuple[live.Record, str]:
    """The task definition to go back to, and why it is the one."""
    now = versions.of(serving)
    for release in past:
        arn = release.task_definition
        if release.succeeded and arn not in (None, serving) and release.version != now:
            ended = release.ended or release.started
            return versions.definition(str(arn)), f"live from {ended:%Y-%m-%d %H:%M} UTC"
    # A service's first version comes with the service, by no release; a version that failed never served.
    failed = {release.task_definition for release in past if not release.succeeded}
    family = serving.rpartition("/")[2].partition(":")[0]
    for arn in _revisions(session, family, before=int(serving.rpartition(":")[2])):
        if arn not in failed and versions.of(arn) != now:
            return versions.definition(arn), "the revision before; no release is told of it"
    raise OpsError(
        f"{session.name}: {family} has run no version but {live.short(now)}: there is nothing to go back to"
    )


def _revisions(session: Session, family: str, *, before: int) -> list[str]:
    """The revisions of a family before one, the newest first."""
    ecs = session.clients.client("ecs")
    found: Mapping[str, Any] = {
        arn: None
        for status in ("ACTIVE", "INACTIVE")
        for arn in ecs.list_task_definitions(
            familyPrefix=family, status=status, sort="DESC", maxResults=_REVISIONS_LOOKED_AT
        )["taskDefinitionArns"]
        # The prefix also finds the one-off tasks' families.
        if arn.rpartition("/")[2].partition(":")[0] == family and int(arn.rpartition(":")[2]) < before
    }
    return sorted(found, key=lambda arn: int(arn.rpartition(":")[2]), reverse=True)


def _load_balancer(record: live.Record) -> live.Record:
    for holder in (*(record.get("taskSets") or []), record):
        for balancer in holder.get("loadBalancers") or []:
            return dict(balancer)
    raise OpsError(f"{record['serviceName']}: has no load balancer")
