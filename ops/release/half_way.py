"""Where a release and its service's stack stopped half-way, and the exact way on; docs/runbook.md has the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.aws.clients import each
from ops.aws.session import Session
from ops.deployed import live, stacks
from ops.deployed.deployment import DeployedService, Deployment
from ops.release import releases
from ops.release.releases import CodeDeployGroup, Release

# CodeDeploy waits this long for new tasks, and nothing else of a release but its bake time takes as long:
# https://docs.aws.amazon.com/codedeploy/latest/userguide/troubleshooting-ecs.html
_LONG = timedelta(hours=1)
_LAST = 5
# What one request takes: the API reference of DescribeAlarms.
_ALARMS_PER_CALL = 100


@dataclass(frozen=True)
class State:
    """A service, its stack and its latest releases as they are at a moment.

    `kept_rollback` are the logical ids for which the stack's rollback failed, `alarms` those of its CodeDeploy group
    that are in ALARM, `wanted` the task definition that the stack holds and `serving` the one that gets the traffic.
    """

    environment: str
    service: str
    status: str
    at: datetime
    bake: timedelta = timedelta()
    kept_rollback: Sequence[str] = ()
    under_way: Release | None = None
    latest: Release | None = None
    wanted: str | None = None
    serving: str | None = None
    alarms: Sequence[str] = ()

    @property
    def stack(self) -> str:
        """The name of the service's stack."""
        return stacks.service_stack(self.environment, self.service)


@dataclass(frozen=True)
class WayOn:
    """What is half-way, by the title of its section in the runbook, and the command that leads on."""

    title: str
    text: str
    command: str

    def __str__(self) -> str:
        return f"{self.text}: `{self.command}`"


def ways_on(state: State) -> Iterator[WayOn]:
    """The ways on from where a service is; none where nothing is half-way."""
    name, env = state.service, state.environment
    if state.status == "UPDATE_ROLLBACK_FAILED":
        skipped = f" --resources-to-skip {' '.join(state.kept_rollback)}" if state.kept_rollback else ""
        yield WayOn(
            "Stack rollback failed",
            f"{name}: {state.stack} could not take its last update back and takes no other; what is live stayed. Mend "
            "what its events say, then go on, without those that still cannot be taken back, and deploy",
            f"aws cloudformation continue-update-rollback --stack-name {state.stack}{skipped}",
        )
    if state.status == "UPDATE_ROLLBACK_COMPLETE":
        yield WayOn(
            "Stack rolled back",
            f"{name}: {state.stack} took its last update back, and what is live stayed: nothing is to be done but to "
            "mend what its events say and deploy again",
            f"make deploy ENV={env}",
        )
    if state.under_way is not None:
        yield from _under_way(state, state.under_way)
    elif state.latest is not None and not state.latest.succeeded and _is_of_stack(state, state.latest):
        yield WayOn(
            "Release taken back",
            f"{name}: release {_short(state.latest)} of what {state.stack} holds ({_revision(state.wanted)}) was taken "
            f"back, and {_revision(state.serving)} is live with its own settings. The next deployment that changes "
            "the service releases it with all new settings, one that changes nothing releases nothing; what the stack "
            "holds is released once more by",
            f"suppliers release again {name} --stack --env {env}",
        )
    if state.alarms:
        yield WayOn(
            "Alarms block releases",
            f"{name}: in ALARM: {', '.join(state.alarms)}; CodeDeploy ends every release of it at once but one "
            "backwards. Wait until they are over, or go back",
            f"suppliers rollback {name} --env {env}",
        )


def read(session: Session, deployment: Deployment, services: Sequence[DeployedService]) -> list[State]:
    """Where the services are now."""
    records = live.services(session.clients, deployment)
    codedeploy = [service for service in services if releases.is_codedeploy(records[service.name])]
    groups = releases.codedeploy_groups(session.clients, deployment, codedeploy)
    history = releases.history(session, deployment, services, last=_LAST)

    def of(service: DeployedService) -> State:
        past = [release for release in history if release.service == service.name]
        return _state(session, service, past, records[service.name], groups.get(service.name))

    return each(of, services)


def lines(session: Session, deployment: Deployment, services: Sequence[DeployedService]) -> list[str]:
    """The ways on from where the services are now, for people."""
    return [str(way) for state in read(session, deployment, services) for way in ways_on(state)]


def _under_way(state: State, release: Release) -> Iterator[WayOn]:
    name, env = state.service, state.environment
    if state.at - release.started > _LONG + state.bake:
        yield WayOn(
            "Release does not end",
            f"{name}: release {_short(release)} has been {release.status} since {release.started:%Y-%m-%d %H:%M} UTC, "
            "longer than any release takes. End it; a stack that waits for it then takes its own update back",
            f"suppliers rollback {name} --env {env}",
        )
    elif not state.status.endswith("_IN_PROGRESS"):
        yield WayOn(
            "Release under way",
            f"{name}: release {_short(release)} ({release.status}) is under way though {state.stack} is done, which "
            "does not wait for it. Follow it; until its end nothing else of the service is to be deployed",
            f"suppliers release watch {name} --env {env}",
        )


def _is_of_stack(state: State, release: Release) -> bool:
    """Whether a release was of what the stack holds, and that is not live: a pipeline's releases are of its own."""
    return state.wanted is not None and release.task_definition == state.wanted != state.serving


def _state(
    session: Session,
    service: DeployedService,
    past: Sequence[Release],
    record: live.Record,
    group: CodeDeployGroup | None,
) -> State:
    cloudformation = session.clients.client("cloudformation")
    stack = stacks.service_stack(session.name, service.name)
    status = stacks.status(cloudformation, stack)
    failed = status == "UPDATE_ROLLBACK_FAILED"
    return State(
        environment=session.name,
        service=service.name,
        status=status,
        at=datetime.now(UTC),
        bake=timedelta(minutes=session.environment.release.bake_minutes),
        kept_rollback=stacks.rollback_failures(cloudformation, stack) if failed else (),
        under_way=next((release for release in past if release.under_way), None),
        # What takes another one back says nothing of what was wanted.
        latest=next((release for release in past if not release.takes_back), None),
        wanted=group.wanted if group else None,
        serving=live.serving(record),
        alarms=_in_alarm(session, group) if group else (),
    )


def _in_alarm(session: Session, group: CodeDeployGroup) -> list[str]:
    found = session.clients.client("codedeploy").get_deployment_group(
        applicationName=group.application, deploymentGroupName=group.group
    )["deploymentGroupInfo"]
    configuration: Mapping[str, Any] = found.get("alarmConfiguration") or {}
    names = (
        [alarm["name"] for alarm in configuration.get("alarms", [])] if configuration.get("enabled") else []
    )
    cloudwatch = session.clients.client("cloudwatch")
    batches = [names[at : at + _ALARMS_PER_CALL] for at in range(0, len(names), _ALARMS_PER_CALL)]
    return sorted(
        alarm["AlarmName"]
        for batch in batches
        for kind, alarms in cloudwatch.describe_alarms(
            AlarmNames=batch, StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        ).items()
        if kind in ("MetricAlarms", "CompositeAlarms")
        for alarm in alarms
    )


def _short(release: Release) -> str:
    return release.id.rpartition("/")[2]


def _revision(task_definition: str | None) -> str:
    return (task_definition or "an unknown revision").rpartition("/")[2]
