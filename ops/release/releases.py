"""`releases`: what was released when, and how one under way gets on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from ops.aws.clients import Clients, each, together
from ops.aws.refusals import says
from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live, stacks
from ops.deployed.deployment import DeployedService, Deployment
from ops.deployed.routes import Template
from ops.errors import OpsError
from ops.terminal.options import AsJson, Env, Rehearse, complete_services
from ops.terminal.text import Listing, coloured, moment

# In these a release has not ended; CodeDeploy counts its bake time as such too.
CODEDEPLOY_UNDER_WAY = frozenset({"Created", "Queued", "InProgress", "Baking", "Ready"})
ECS_UNDER_WAY = frozenset(
    {"PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"}
)
_SUCCEEDED = frozenset({"Succeeded", "SUCCESSFUL"})
# What one request takes: the API references of BatchGetDeployments, DescribeServiceDeployments and
# DescribeServiceRevisions.
_DEPLOYMENTS_PER_CALL = 25
_REVISIONS_PER_CALL = 20
_TASK_DEFINITION = re.compile(r"arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:task-definition/[\w-]+:\d+")


@dataclass(frozen=True)
class Release:
    """One release of a service; `task_definition` is None where AWS does not tell it any more."""

    id: str
    service: str
    controller: str
    status: str
    started: datetime
    ended: datetime | None
    by: str
    task_definition: str | None
    reason: str = ""
    version: str | None = None
    # Ids of CodeDeploy: the release that this one takes back, and the one that takes this one back.
    takes_back: str | None = None
    taken_back_by: str | None = None

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.status in CODEDEPLOY_UNDER_WAY or self.status in ECS_UNDER_WAY

    @property
    def succeeded(self) -> bool:
        """Whether its version took the traffic over."""
        return self.status in _SUCCEEDED


@dataclass(frozen=True)
class CodeDeployGroup:
    """What CodeDeploy releases a service by, and the task definition that the service's stack holds."""

    application: str
    group: str
    check: str | None
    wanted: str | None = None


@dataclass(frozen=True)
class Progress:
    """How a release gets on: its steps with their states, the traffic and the tasks of both versions."""

    release: Release
    steps: Sequence[tuple[str, str]]
    traffic: str
    tasks: Sequence[str] = field(default_factory=tuple)


def command(
    service: Annotated[
        str | None,
        typer.Argument(autocompletion=complete_services, help="Only the releases of this service."),
    ] = None,
    env: Env = "local",
    rehearse: Rehearse = False,
    last: Annotated[int, typer.Option(min=1, max=100, help="How many of each service.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the latest releases of each service: when, which version, by what, how it ended.

    Examples:

    \b
    suppliers releases --env prod
    suppliers releases customer --env prod --last 30
    """
    with operating(env, rehearse=rehearse) as session:
        deployment = deployed.read(session)
        wanted = [deployment.service(service)] if service else list(deployment.services)
        found = history(session, deployment, wanted, last=last)
        if as_json:
            session.print_json([asdict(release) for release in found])
        else:
            _show(session, found)


def history(
    session: Session, deployment: Deployment, services: Sequence[DeployedService], *, last: int
) -> list[Release]:
    """The latest releases of the services, the newest first, each with its version."""
    records = live.services(session.clients, deployment)
    codedeploy = [each_one for each_one in services if is_codedeploy(records[each_one.name])]
    groups = codedeploy_groups(session.clients, deployment, codedeploy)

    def of(service: DeployedService) -> list[Release]:
        if service in codedeploy:
            return list(_by_codedeploy(session.clients, service.name, groups[service.name], last))
        return list(_by_ecs(session.clients, deployment, service, last))

    found = [release for releases in each(of, services) for release in releases]
    versions = live.Versions(session.clients)
    versions.learn(release.task_definition for release in found if release.task_definition)
    return sorted(
        (
            replace(release, version=versions.of(release.task_definition))
            if release.task_definition
            else release
            for release in found
        ),
        key=lambda release: release.started,
        reverse=True,
    )


def is_codedeploy(record: live.Record) -> bool:
    """Whether CodeDeploy releases a service, rather than ECS itself."""
    return (record.get("deploymentController") or {}).get("type") == "CODE_DEPLOY"


def codedeploy_groups(
    clients: Clients, deployment: Deployment, services: Sequence[DeployedService]
) -> dict[str, CodeDeployGroup]:
    """By service, what CodeDeploy releases it by: from the template and the resources of its stack."""
    cloudformation = clients.client("cloudformation")

    def of(service: DeployedService) -> CodeDeployGroup:
        stack = stacks.service_stack(deployment.environment.name, service.name)
        answers = together(
            template=lambda: stacks.template(cloudformation, stack),
            ids=lambda: stacks.physical_ids(cloudformation, stack),
        )
        release = _release_resource(answers["template"])
        if release is None:
            raise OpsError(
                f"{stack}: says of no CodeDeploy group that it releases {service.name}: "
                f"`make deploy ENV={deployment.environment.name}`"
            )
        application, group, check, definition = (
            stacks.resolved(cloudformation, release.get(name), answers["ids"])
            for name in ("Application", "DeploymentGroup", "CheckFunction", "TaskDefinition")
        )
        return CodeDeployGroup(str(application), str(group), check, definition)

    names = [service.name for service in services]
    return dict(zip(names, each(of, services), strict=True))


def _release_resource(template: Template) -> Mapping[str, Any] | None:
    for resource in template["Resources"].values():
        if resource["Type"] == "Custom::CodeDeployRelease":
            return dict(resource["Properties"])
    return None


def _by_codedeploy(clients: Clients, service: str, group: CodeDeployGroup, last: int) -> Iterator[Release]:
    codedeploy = clients.client("codedeploy")
    # One page holds the newest hundred.
    ids = codedeploy.list_deployments(applicationName=group.application, deploymentGroupName=group.group)[
        "deployments"
    ]
    batches = [ids[at : at + _DEPLOYMENTS_PER_CALL] for at in range(0, len(ids), _DEPLOYMENTS_PER_CALL)]
    infos = [
        info
        for answer in each(lambda batch: codedeploy.batch_get_deployments(deploymentIds=batch), batches)
        for info in answer["deploymentsInfo"]
    ]
    newest = sorted(infos, key=lambda info: info["createTime"], reverse=True)[:last]
    return (codedeploy_release(service, info) for info in newest)


def codedeploy_release(service: str, info: live.Record) -> Release:
    """A release as CodeDeploy describes its deployment; the version is not told."""
    error = info.get("errorInformation") or {}
    rollback = info.get("rollbackInfo") or {}
    back = rollback.get("rollbackTriggeringDeploymentId")
    return Release(
        id=info["deploymentId"],
        service=service,
        controller="codedeploy",
        status=info["status"],
        started=info["createTime"],
        ended=info.get("completeTime"),
        by=f"rollback of {back}" if back else str(info.get("description") or info.get("creator", "")),
        task_definition=_task_definition(info.get("revision") or {}),
        reason=" ".join(str(error[key]) for key in ("code", "message") if error.get(key)),
        takes_back=back,
        taken_back_by=rollback.get("rollbackDeploymentId"),
    )


def _task_definition(revision: live.Record) -> str | None:
    for key in ("appSpecContent", "string"):
        found = _TASK_DEFINITION.search(str((revision.get(key) or {}).get("content") or ""))
        if found:
            return found[0]
    return None


def _by_ecs(
    clients: Clients, deployment: Deployment, service: DeployedService, last: int
) -> Iterator[Release]:
    ecs = clients.client("ecs")
    briefs = ecs.list_service_deployments(
        cluster=deployment.cluster, service=service.service_name, maxResults=last
    )["serviceDeployments"]
    revisions = sorted({brief["targetServiceRevisionArn"] for brief in briefs})
    batches = [
        revisions[at : at + _REVISIONS_PER_CALL] for at in range(0, len(revisions), _REVISIONS_PER_CALL)
    ]
    definitions = {
        revision["serviceRevisionArn"]: revision["taskDefinition"]
        for answer in each(lambda batch: ecs.describe_service_revisions(serviceRevisionArns=batch), batches)
        for revision in answer["serviceRevisions"]
    }
    for brief in briefs:
        yield Release(
            id=brief["serviceDeploymentArn"],
            service=service.name,
            controller="ecs",
            status=brief["status"],
            started=brief.get("startedAt") or brief["createdAt"],
            ended=brief.get("finishedAt"),
            by="ECS",
            task_definition=definitions.get(brief["targetServiceRevisionArn"]),
            reason=brief.get("statusReason", ""),
        )


def _show(session: Session, found: Sequence[Release]) -> None:
    if not found:
        session.console.print("no releases")
        return
    made = Listing(
        *("started", "service", "version", "state", "took", "by", "release"),
        wraps=["by"],
        drops=["took", "release", "by"],
    )
    for release in found:
        made.add_row(
            moment(release.started),
            release.service,
            live.short(release.version or "not told"),
            coloured(release.status),
            _took(release),
            release.by + (f": {release.reason}" if release.reason and not release.succeeded else ""),
            release.id.rpartition("/")[2],
        )
    session.console.print(made)


def _took(release: Release) -> str:
    if release.ended is None:
        return ""
    seconds = int((release.ended - release.started).total_seconds())
    return f"{seconds // 60}:{seconds % 60:02d}"


def progress_of(
    clients: Clients, deployment: Deployment, service: DeployedService, release: Release
) -> Callable[[], Progress]:
    """A look at how the release gets on, to be taken again and again."""

    def traffic() -> str:
        rules = live.rules(clients, deployment, "Production")
        return live.shares_text(service, live.traffic_by_service(deployment, rules).get(service.name, {}))

    def by_codedeploy() -> Progress:
        codedeploy = clients.client("codedeploy")
        answers = together(
            info=lambda: codedeploy.get_deployment(deploymentId=release.id)["deploymentInfo"],
            targets=lambda: targets(codedeploy, release.id),
            traffic=traffic,
        )
        now = codedeploy_release(service.name, answers["info"])
        target = answers["targets"]
        return Progress(
            replace(now, version=release.version),
            [(event["lifecycleEventName"], event["status"]) for event in target.get("lifecycleEvents", [])],
            answers["traffic"],
            [
                f"{each_set.get('taskSetLabel', '')}: {each_set.get('runningCount', 0)} of "
                f"{each_set.get('desiredCount', 0)} tasks run"
                for each_set in target.get("taskSetsInfo", [])
            ],
        )

    def by_ecs() -> Progress:
        ecs = clients.client("ecs")
        answers = together(
            found=lambda: ecs.describe_service_deployments(serviceDeploymentArns=[release.id]),
            traffic=traffic,
        )
        (record,) = answers["found"]["serviceDeployments"]
        target = record.get("targetServiceRevision") or {}
        now = replace(
            release,
            status=record["status"],
            ended=record.get("finishedAt"),
            reason=record.get("statusReason", ""),
        )
        return Progress(
            now,
            [(record.get("lifecycleStage") or "ROLLING", record["status"])],
            answers["traffic"],
            [
                f"new version: {target.get('runningTaskCount', 0)} of "
                f"{target.get('requestedTaskCount', 0)} tasks run"
            ],
        )

    return by_codedeploy if release.controller == "codedeploy" else by_ecs


def targets(codedeploy: Any, deployment_id: str) -> live.Record:
    """What CodeDeploy tells of the service that a deployment changes: nothing before it has started."""
    try:
        ids = codedeploy.list_deployment_targets(deploymentId=deployment_id)["targetIds"]
    except ClientError as error:
        if says(error, "DeploymentNotStartedException"):
            return {}
        raise
    if not ids:
        return {}
    found = codedeploy.batch_get_deployment_targets(deploymentId=deployment_id, targetIds=ids)
    return dict(found["deploymentTargets"][0]["ecsTarget"])
