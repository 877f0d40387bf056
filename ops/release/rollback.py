"""`rollback`: back to the version before, by ending a release that is under way or by releasing it once more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from delivery import stack_release
from delivery.errors import DeliveryError
from delivery.task_definition import running_version, with_image
from ops.aws.clients import Clients
from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live, stacks
from ops.deployed.deployment import DeployedService, Deployment
from ops.errors import OpsError
from ops.release import releases
from ops.release.releases import CodeDeployGroup, Release
from ops.terminal.options import DryRun, Env, Rehearse, Yes, complete_services
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
class ByCodeDeploy:
    """Releases a task definition there is, the same way as any version: tested before it gets traffic.

    One backwards goes on though alarms of its group fire: an alarm in ALARM blocks every deployment of the group, and
    is the reason to go back. It needs codedeploy:UpdateDeploymentGroup:
    https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_CreateDeployment.html
    """

    service: DeployedService
    definition: live.Record
    what: str
    load_balancer: live.Record
    group: CodeDeployGroup
    backwards: bool

    def __str__(self) -> str:
        revision = f"{self.definition['family']}:{self.definition['revision']}"
        copied = ", as a new revision since it is deregistered" if self._is_gone else ""
        alarms = ", whatever its alarms say" if self.backwards else ""
        version = live.short(live.version(self.definition))
        return (
            f"release {self.service.name} {version} ({revision}, {self.what}) by CodeDeploy{copied}{alarms}"
        )

    @property
    def _is_gone(self) -> bool:
        return self.definition.get("status") != "ACTIVE"

    def apply(self, clients: Clients) -> str:
        """Start the release; answers with its id."""
        arn = self._registered(clients) if self._is_gone else self.definition["taskDefinitionArn"]
        specification = app_spec(
            {
                "TaskDefinition": arn,
                "ContainerName": self.load_balancer["containerName"],
                "ContainerPort": self.load_balancer["containerPort"],
                "CheckFunction": self.group.check,
            }
        )
        override = {"overrideAlarmConfiguration": {"enabled": False}} if self.backwards else {}
        answer = clients.client("codedeploy").create_deployment(
            applicationName=self.group.application,
            deploymentGroupName=self.group.group,
            revision={
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": json.dumps(specification)},
            },
            description="rollback by an operator" if self.backwards else "released again by an operator",
            **override,
        )
        return str(answer["deploymentId"])

    def _registered(self, clients: Clients) -> str:
        """A copy: what is deregistered cannot be started."""
        container = self.definition["containerDefinitions"][0]
        copy = with_image(
            self.definition,
            container=container["name"],
            image=container["image"],
            version=live.version(self.definition),
        )
        answer = clients.client("ecs").register_task_definition(**copy)
        return str(answer["taskDefinition"]["taskDefinitionArn"])


@dataclass(frozen=True)
class ByStack:
    """Releases an earlier image with the settings of now, by the service's stack: the one writer with ECS."""

    service: DeployedService
    stack: str
    image: str
    version: str
    now: str
    evidence: str

    def __str__(self) -> str:
        return (
            f"release {self.service.name} {live.short(self.version)} ({self.evidence}) by its stack {self.stack} in "
            f"place of {live.short(self.now)}, with its settings as they are"
        )

    def release(self, session: Session) -> None:
        """Update the stack and wait for its end; raises `OpsError` with the stack's reason if it failed."""
        cloudformation = session.clients.client("cloudformation")
        try:
            update = stack_release.start(cloudformation, self.stack, self.image, self.version)
            if update is None:
                raise OpsError(
                    f"{self.stack}: holds {self.image} already, though ECS runs another: `suppliers releases "
                    f"{self.service.name}` tells by whom it was released, and a deployment from a checkout mends it"
                )
            session.console.print(f"started: {self}", markup=False, soft_wrap=True)
            stack_release.follow(
                cloudformation,
                update,
                lambda line: session.console.print(line, markup=False, soft_wrap=True),
            )
        except DeliveryError as error:
            raise OpsError(f"{session.name}: {error}") from None


def command(
    service: Annotated[str, typer.Argument(autocompletion=complete_services, help="The service.")],
    env: Env = "local",
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="To this version, or the one that begins so."),
    ] = None,
    rehearse: Rehearse = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take a service back to the version before; `release watch` follows it.

    A release that is under way or in its bake time is stopped, which gives the traffic back within seconds.
    Otherwise the last version that was released before is released again, with all its checks but the alarms: by
    CodeDeploy its whole task definition; by the service's stack, where ECS releases it, its image with the settings of
    now, and then the command waits for the end.
    After a rollback, before is what was live before the version that is live again: what was left is not offered.

    Examples:

    \b
    suppliers rollback customer --env prod --dry-run
    suppliers rollback customer --env prod --to 3f2c1ab
    suppliers rollback customer --env prod --yes && suppliers release watch customer --env prod
    """
    with operating(env, rehearse=rehearse) as session:
        deployment = deployed.read(session)
        found = plan(session, deployment, service, to=to)
        if dry_run:
            session.print_plan([str(found)])
            return
        if not isinstance(found, Stop):
            deployment.settled(service)
        session.confirm(str(found), yes=yes)
        if isinstance(found, ByStack):
            found.release(session)
            session.console.print(f"done: {found}", markup=False, soft_wrap=True)
            return
        done = found.apply(session.clients)
        session.console.print(f"started: {found} ({done.rpartition('/')[2]})", markup=False, soft_wrap=True)


def plan(
    session: Session, deployment: Deployment, name: str, *, to: str | None = None
) -> Stop | ByCodeDeploy | ByStack:
    """The way back; raises `OpsError` where there is no version before, or none that begins with `to`.

    While a release is under way there is one version to go back to, and another one is refused.
    """
    service = deployment.service(name)
    record = live.service(session.clients, deployment, name)
    past = releases.history(session, deployment, [service], last=100)
    for release in past:
        if release.under_way and to is None:
            return Stop(release)
        if release.under_way:
            raise OpsError(
                f"{session.name}: release {release.id.rpartition('/')[2]} of {name} is under way ({release.status}): "
                "`suppliers rollback` without --to ends it; wait for that, then repeat"
            )
    versions = live.Versions(session.clients)
    serving = live.serving(record)
    now = versions.of(serving)
    definition, evidence = _before(session, versions, past, serving, to)
    if not releases.is_codedeploy(record):
        container = definition["containerDefinitions"][0]
        version = running_version(definition, container=container["name"])
        if version is None:
            raise OpsError(
                f"{session.name}: {definition['family']}:{definition['revision']} does not say which version it "
                "runs, so the stack cannot be told: check the version out and `make deploy`"
            )
        stack = stacks.service_stack(session.name, name)
        return ByStack(service, stack, container["image"], version, now, evidence)
    return ByCodeDeploy(
        service=service,
        definition=definition,
        what=f"{evidence}, in place of {live.short(now)}",
        load_balancer=load_balancer(record),
        group=releases.codedeploy_groups(session.clients, deployment, [service])[name],
        backwards=True,
    )


def _before(
    session: Session, versions: live.Versions, past: list[Release], serving: str, to: str | None
) -> tuple[live.Record, str]:
    """The task definition to go back to, and why it is the one."""
    now = versions.of(serving)
    served = [release for release in past if release.succeeded and release.task_definition is not None]
    # What came between was left for what is live again.
    since = max((place for place, each in enumerate(served) if each.version == now), default=-1)
    for release in served if to is not None else served[since + 1 :]:
        if _is_wanted(release.version, now, to):
            ended = release.ended or release.started
            return versions.definition(str(release.task_definition)), f"live from {ended:%Y-%m-%d %H:%M} UTC"
    # A service's first version comes with the service, by no release; a version that failed never served.
    failed = {release.task_definition for release in past if not release.succeeded}
    left = {release.version for release in served[: since + 1]} if to is None else set()
    family = serving.rpartition("/")[2].partition(":")[0]
    for arn in _revisions(session, family, before=int(serving.rpartition(":")[2])):
        version = versions.of(arn)
        if arn not in failed and version not in left and _is_wanted(version, now, to):
            return versions.definition(arn), "the revision before; no release is told of it"
    others = ", ".join(
        dict.fromkeys(live.short(each.version) for each in served if each.version not in (None, now))
    )
    if to is not None:
        raise OpsError(
            f"{session.name}: {family} has run no version that begins with {to!r} and is not live"
            + (f"; released were {others}" if others else "")
        )
    raise OpsError(
        f"{session.name}: {family} has run no version before {live.short(now)}: there is nothing to go back to"
        + (f"; `--to VERSION` takes one that was left: {others}" if others else "")
    )


def _is_wanted(version: str | None, now: str, to: str | None) -> bool:
    return version is not None and version != now and (to is None or version.startswith(to))


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


def load_balancer(record: live.Record) -> live.Record:
    """How the load balancer reaches a service: its container and port."""
    for holder in (*(record.get("taskSets") or []), record):
        for balancer in holder.get("loadBalancers") or []:
            return dict(balancer)
    raise OpsError(f"{record['serviceName']}: has no load balancer")
