"""What CodeDeploy does in a blue/green release of an ECS service: pure logic, on its documented values.

A release is a `Deployment` that `run` takes through its lifecycle in a `World`, which starts tasks, moves
traffic and calls hooks.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from emulator.errors import EmulatorError

MINUTE_VARIABLE = "EMULATOR_MINUTE_SECONDS"
DEFAULT_MINUTE_SECONDS = 1.0
POLL_SECONDS = 0.1

# https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
LIFECYCLE = (
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
)
HOOKS = frozenset(LIFECYCLE) - {"Install", "AllowTestTraffic", "AllowTraffic"}
UNDER_WAY = frozenset({"Created", "Queued", "InProgress", "Baking", "Ready"})

ALL_AT_ONCE = "CodeDeployDefault.ECSAllAtOnce"
_SHIFTING = re.compile(
    r"CodeDeployDefault\.ECS(?P<kind>Canary|Linear)(?P<percent>\d+)Percent(?:Every)?(?P<minutes>\d+)Minutes?"
)

Record = Mapping[str, Any]


class Failure(Exception):
    """A deployment that does not succeed, with the code and the message of CodeDeploy's errorInformation."""

    def __init__(self, code: str, message: str, *, status: str = "Failed") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Refusal(Exception):
    """A request that CodeDeploy does not accept, by the name of its exception."""

    def __init__(self, exception: str, message: str) -> None:
        super().__init__(message)
        self.exception = exception
        self.message = message


def minute_seconds(variables: Mapping[str, str]) -> float:
    """How long a minute of waiting takes here."""
    text = variables.get(MINUTE_VARIABLE) or str(DEFAULT_MINUTE_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise EmulatorError(f"{MINUTE_VARIABLE}={text}: seconds that a minute shall take, from 0 to 3600")
    return seconds


@dataclass(frozen=True)
class AppSpec:
    """What a revision asks for: the tasks of the new version, and the functions that judge them."""

    task_definition: str
    container_name: str
    container_port: int
    hooks: Mapping[str, str] = field(default_factory=dict)
    platform_version: str | None = None
    network: Record | None = None


def app_spec(revision: Record) -> AppSpec:
    """The AppSpec of a revision that carries it as JSON; raises `Refusal`.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
    """
    kind = revision.get("revisionType")
    carried = revision.get({"AppSpecContent": "appSpecContent", "String": "string"}.get(str(kind), ""))
    if not isinstance(carried, Mapping) or not carried.get("content"):
        raise Refusal("InvalidRevisionException", f"an AppSpec as appSpecContent is needed, not {kind}")
    content = str(carried["content"])
    expected = carried.get("sha256")
    if expected and hashlib.sha256(content.encode()).hexdigest() != str(expected).lower():
        raise Refusal("InvalidRevisionException", "sha256 is not the digest of the AppSpec's content")
    try:
        document = _lower(json.loads(content))
        properties = next(iter(document["resources"][0].values()))["properties"]
        balancer = properties["loadbalancerinfo"]
        hooks = {
            next(name for name in HOOKS if name.lower() == event): str(function)
            for hook in document.get("hooks") or []
            for event, function in hook.items()
        }
        return AppSpec(
            task_definition=str(properties["taskdefinition"]),
            container_name=str(balancer["containername"]),
            container_port=int(balancer["containerport"]),
            hooks=hooks,
            platform_version=properties.get("platformversion"),
            network=_network(properties.get("networkconfiguration")),
        )
    except StopIteration:
        raise Refusal(
            "InvalidRevisionException", f"a hook of the AppSpec is none of {', '.join(sorted(HOOKS))}"
        ) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise Refusal(
            "InvalidRevisionException", f"the AppSpec is not the JSON of an ECS service: {error!r}"
        ) from None


def _lower(value: Any) -> Any:
    """Names in lower case: the documentation spells `hooks` and `Hooks`."""
    if isinstance(value, list):
        return [_lower(item) for item in value]
    if isinstance(value, dict):
        return {str(key).lower(): _lower(item) for key, item in value.items()}
    return value


def _network(value: Any) -> Record | None:
    config = (value or {}).get("awsvpcconfiguration")
    if not config:
        return None
    return {
        "awsvpcConfiguration": {
            "subnets": list(config.get("subnets") or []),
            "securityGroups": list(config.get("securitygroups") or []),
            "assignPublicIp": config.get("assignpublicip", "DISABLED"),
        }
    }


def group_properties(properties: Record) -> dict[str, Any]:
    """A deployment group as the API shows it, of the properties in a template."""
    return {_api_name(name): _api(value) for name, value in properties.items() if name != "Tags"}


def _api(value: Any) -> Any:
    if isinstance(value, list):
        return [_api(item) for item in value]
    if isinstance(value, Mapping):
        return {_api_name(name): _typed(_api_name(name), _api(item)) for name, item in value.items()}
    return value


def _api_name(name: str) -> str:
    return "ecsServices" if name == "ECSServices" else name[:1].lower() + name[1:]


def _typed(name: str, value: Any) -> Any:
    """Templates may write numbers and truths as text."""
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if value.isdigit() and name.endswith(("InMinutes", "Percentage", "Interval")) else value


def traffic_steps(config: str, routing: Record | None = None) -> list[tuple[int, float]]:
    """How production traffic moves: percent on the new tasks, and the minutes until the next step.

    `config` names a configuration of CodeDeploy; `routing` is the TrafficRoutingConfig of one's own.
    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
    """
    known = _SHIFTING.fullmatch(config)
    if known:
        kind, percent, minutes = known["kind"], int(known["percent"]), float(known["minutes"])
    elif routing and routing.get("type") in ("TimeBasedCanary", "TimeBasedLinear"):
        kind = str(routing["type"]).removeprefix("TimeBased")
        values = routing.get(f"timeBased{kind}") or {}
        percent = int(values.get(f"{kind.lower()}Percentage", 100))
        minutes = float(values.get(f"{kind.lower()}Interval", 0))
    elif config == ALL_AT_ONCE or (routing and routing.get("type") == "AllAtOnce"):
        return [(100, 0.0)]
    else:
        raise Refusal("DeploymentConfigDoesNotExistException", f"there is no configuration {config} for ECS")
    if not 1 <= percent <= 99:
        return [(100, 0.0)]
    if kind == "Canary":
        return [(percent, minutes), (100, 0.0)]
    return [(share, minutes) for share in range(percent, 100, percent)] + [(100, 0.0)]


def forwards_to(actions: Sequence[Record], pair: Sequence[str]) -> bool:
    """Whether a rule sends requests to a target group of the pair."""
    return any(action.get("Type") == "forward" and _groups(action) & set(pair) for action in actions)


def moved(actions: Sequence[Record], pair: Sequence[str], weights: Mapping[str, int]) -> list[dict[str, Any]]:
    """A rule's actions with the forward to the pair by these weights; one group alone takes all."""
    taking = {arn: weight for arn, weight in weights.items() if weight > 0}
    result = []
    for action in actions:
        if not forwards_to([action], pair):
            result.append(dict(action))
            continue
        changed = {
            name: value for name, value in action.items() if name not in ("TargetGroupArn", "ForwardConfig")
        }
        if len(taking) == 1:
            changed["TargetGroupArn"] = next(iter(taking))
        else:
            changed["ForwardConfig"] = {
                "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in taking.items()]
            }
        result.append(changed)
    return result


def _groups(action: Record) -> set[str]:
    weighted = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    return {str(item["TargetGroupArn"]) for item in weighted} | {str(action.get("TargetGroupArn"))}


class World(Protocol):
    """What a deployment acts on. Everything but `alarms` may raise `Failure`."""

    def start_green(self) -> None:
        """Start the tasks of the new version behind the idle target group."""

    def green_is_healthy(self) -> bool:
        """Whether all of them run and pass their checks."""
        ...

    def move_test_traffic(self) -> None:
        """Send the test listener's requests to the new tasks."""

    def move_traffic(self, percent: int) -> None:
        """Send this share of the production requests to the new tasks."""

    def call_hook(self, function: str, hook: Hook) -> None:
        """Start the function, which answers to the hook."""

    def alarms(self) -> list[str]:
        """The deployment group's alarms that fire."""
        ...

    def stop_blue(self) -> None:
        """Stop the old tasks, which get no request any more."""

    def take_back(self) -> None:
        """Send all requests to the old tasks."""

    def stop_green(self) -> None:
        """Stop the new tasks, which get no request any more."""


@dataclass
class Hook:
    """A call of a hook function, open until its status is put."""

    execution_id: str
    outcome: str | None = None
    message: str = ""

    def close(self, outcome: str, message: str = "") -> None:
        """Settle the call by its first outcome."""
        if self.outcome is None:
            self.outcome, self.message = outcome, message


@dataclass
class Event:
    """A lifecycle event of a deployment."""

    name: str
    status: str = "Pending"
    started: datetime | None = None
    ended: datetime | None = None
    message: str = ""


@dataclass
class Deployment:
    """A deployment of one ECS service, from its creation to its end."""

    id: str
    application: str
    group: str
    revision: Record
    spec: AppSpec
    settings: Record
    config: str = ALL_AT_ONCE
    steps: Sequence[tuple[int, float]] = ((100, 0.0),)
    description: str = ""
    creator: str = "user"
    status: str = "Created"
    created: datetime = field(default_factory=lambda: now())
    started: datetime | None = None
    completed: datetime | None = None
    failure: Failure | None = None
    rollback: str | None = None
    triggered_by: str | None = None
    bakes: bool = False
    events: list[Event] = field(default_factory=lambda: [Event(name) for name in LIFECYCLE])
    hooks: dict[str, Hook] = field(default_factory=dict)
    stop_requested: bool = False
    goes_on: set[str] = field(default_factory=set)

    @property
    def under_way(self) -> bool:
        return self.status in UNDER_WAY

    @property
    def bake_minutes(self) -> float:
        """How long the old tasks are kept after the traffic moved."""
        blue_green = self.settings.get("blueGreenDeploymentConfiguration") or {}
        ending = blue_green.get("terminateBlueInstancesOnDeploymentSuccess") or {}
        return float(ending.get("terminationWaitTimeInMinutes") or 0)

    @property
    def approval_minutes(self) -> float | None:
        """How long it waits for somebody to continue it, or None where it goes on by itself."""
        blue_green = self.settings.get("blueGreenDeploymentConfiguration") or {}
        ready = blue_green.get("deploymentReadyOption") or {}
        if ready.get("actionOnTimeout") != "STOP_DEPLOYMENT":
            return None
        return float(ready.get("waitTimeInMinutes") or 0)

    @property
    def alarm_names(self) -> list[str]:
        config = self.settings.get("alarmConfiguration") or {}
        if config.get("enabled") is False:
            return []
        return [str(alarm["name"]) for alarm in config.get("alarms") or []]

    def finish(self, failure: Failure | None = None) -> None:
        """Set the outcome; a failure also ends the event that was under way."""
        self.failure = failure
        for event in self.events:
            if event.status == "InProgress":
                event.status, event.ended = "Failed", now()
                event.message = failure.message if failure else ""
            elif event.status == "Pending":
                event.status = "Skipped"
        self.completed = now()
        self.status = failure.status if failure else "Succeeded"


def now() -> datetime:
    return datetime.now(UTC)


# The hour that a hook function has for its answer, and the one that tasks have to become healthy.
PATIENCE_MINUTES = 60.0
# However short a minute is: containers start at their own speed.
LEAST_PATIENCE_SECONDS = 120.0


@dataclass
class _Run:
    deployment: Deployment
    world: World
    minute: float

    def forward(self) -> None:
        deployment = self.deployment
        for name in LIFECYCLE:
            # One that fires already stops a deployment before its first event.
            # https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-create-alarms.html
            self._check()
            if name in HOOKS:
                self._hook(name)
            else:
                with self._event(name):
                    {
                        "Install": self._install,
                        "AllowTestTraffic": self.world.move_test_traffic,
                        "AllowTraffic": self._shift,
                    }[name]()
            if name == "AfterAllowTestTraffic":
                self._await_approval()
        deployment.bakes = True
        self._pause(deployment.bake_minutes, unless="TERMINATION_WAIT")

    def _install(self) -> None:
        self.world.start_green()
        deadline = self._deadline()
        while not self.world.green_is_healthy():
            self._check()
            if time.monotonic() > deadline:
                raise Failure(
                    "ECS_UPDATE_ERROR",
                    "The deployment timed out while waiting for the replacement task set to become healthy.",
                )
            time.sleep(POLL_SECONDS)
        self._check()

    def _shift(self) -> None:
        for percent, minutes in self.deployment.steps:
            self.world.move_traffic(percent)
            self._pause(minutes)

    def _hook(self, name: str) -> None:
        function = self.deployment.spec.hooks.get(name)
        if function is None:
            self._named(name).status = "Skipped"
            return
        with self._event(name):
            hook = Hook(hook_id(self.deployment.id, name))
            self.deployment.hooks[hook.execution_id] = hook
            self.world.call_hook(function, hook)
            deadline = self._deadline()
            while hook.outcome is None:
                self._check()
                if time.monotonic() > deadline:
                    hook.close("Failed", "it did not answer in time")
                time.sleep(POLL_SECONDS)
            if hook.outcome not in ("Succeeded", "Skipped"):
                reason = f": {hook.message}" if hook.message else ""
                raise Failure(
                    "HOOK_EXECUTION_FAILURE",
                    f"The deployment failed because the lifecycle event hook {name} ({function}) failed{reason}",
                )

    def _await_approval(self) -> None:
        minutes = self.deployment.approval_minutes
        if minutes is None:
            return
        self.deployment.status = "Ready"
        if not self._pause(minutes, unless="READY_WAIT"):
            raise Failure(
                "TIMEOUT", "The deployment was not continued in time and was stopped.", status="Stopped"
            )
        self.deployment.status = "InProgress"

    def _pause(self, minutes: float, *, unless: str = "") -> bool:
        """Wait; True when somebody ended the wait."""
        deadline = time.monotonic() + minutes * self.minute
        while True:
            self._check()
            if unless in self.deployment.goes_on:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_SECONDS, left))

    def _check(self) -> None:
        if self.deployment.stop_requested:
            raise Failure("MANUAL_STOP", "The deployment was stopped by a user.", status="Stopped")
        firing = self.world.alarms()
        if firing:
            raise Failure(
                "ALARM_ACTIVE",
                "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, "
                f"and the affected deployments have been stopped. Activated alarms: {', '.join(firing)}",
                status="Stopped",
            )

    def _deadline(self) -> float:
        return time.monotonic() + max(PATIENCE_MINUTES * self.minute, LEAST_PATIENCE_SECONDS)

    def _named(self, name: str) -> Event:
        return next(event for event in self.deployment.events if event.name == name)

    @contextmanager
    def _event(self, name: str) -> Iterator[None]:
        event = self._named(name)
        event.status, event.started = "InProgress", now()
        yield
        event.status, event.ended = "Succeeded", now()


def hook_id(deployment: str, event: str) -> str:
    """The id by which a hook function answers."""
    return hashlib.sha256(f"{deployment}/{event}".encode()).hexdigest()


def run(
    deployment: Deployment, world: World, *, minute: float, start_rollback: Callable[[], Deployment]
) -> None:
    """Take a deployment to its end, and the one that rolls it back to its end where it does not succeed.

    The rollback is a deployment of its own, which `start_rollback` creates, of whom everybody may know from then on:
    it exists before the first one has ended, sends all requests back to the old tasks, stops the new ones and
    takes at least a minute, so that the group always has an active deployment until it has ended. Raises nothing.
    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployments-rollback-and-redeploy.html
    """
    deployment.status, deployment.started = "InProgress", now()
    failure: Failure | None = None
    try:
        _Run(deployment, world, minute).forward()
    except Failure as reason:
        failure = reason
    except Exception as error:
        failure = Failure("INTERNAL_ERROR", f"{type(error).__name__}: {error}")
    if failure is not None:
        _go_back(deployment, world, failure, minute, start_rollback())
        return
    trouble: Failure | None = None
    try:
        world.stop_blue()
    except Exception as error:
        trouble = Failure("INTERNAL_ERROR", f"{type(error).__name__}: {error}")
    deployment.finish(trouble)


def _go_back(
    deployment: Deployment, world: World, failure: Failure, minute: float, rollback: Deployment
) -> None:
    rollback.triggered_by, deployment.rollback = deployment.id, rollback.id
    deployment.finish(failure)
    rollback.status, rollback.started = "InProgress", now()
    ends = time.monotonic() + minute
    trouble: Failure | None = None
    try:
        world.take_back()
        world.stop_green()
    except Exception as error:
        trouble = Failure("INTERNAL_ERROR", f"{type(error).__name__}: {error}")
    time.sleep(max(0.0, ends - time.monotonic()))
    rollback.finish(trouble)
