import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from emulator import releases
from emulator.errors import EmulatorError
from emulator.releases import AppSpec, Deployment, Failure, Hook, Refusal

BLUE, GREEN, OTHER = "arn:blue", "arn:green", "arn:other"
PAIR = (BLUE, GREEN)


def content(**changes: Any) -> dict[str, Any]:
    properties = {
        "TaskDefinition": "customer:7",
        "LoadBalancerInfo": {"ContainerName": "customer", "ContainerPort": 8080},
        **changes,
    }
    target = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
    return {
        "version": 0.0,
        "Resources": [target],
        "Hooks": [{"AfterAllowTestTraffic": "arn:f"}, {"AfterAllowTraffic": "g"}],
    }


def revision(document: object, **more: str) -> dict[str, Any]:
    return {
        "revisionType": "AppSpecContent",
        "appSpecContent": {"content": json.dumps(document), **more},
    }


def test_an_appspec_says_what_to_run_and_who_judges_it() -> None:
    network = {"AwsvpcConfiguration": {"Subnets": ["s-1"], "SecurityGroups": ["sg-1"]}}
    spec = releases.app_spec(revision(content(PlatformVersion="1.4.0", NetworkConfiguration=network)))
    assert spec == AppSpec(
        task_definition="customer:7",
        container_name="customer",
        container_port=8080,
        hooks={"AfterAllowTestTraffic": "arn:f", "AfterAllowTraffic": "g"},
        platform_version="1.4.0",
        network={
            "awsvpcConfiguration": {
                "subnets": ["s-1"],
                "securityGroups": ["sg-1"],
                "assignPublicIp": "DISABLED",
            }
        },
    )


def test_an_appspec_may_spell_its_sections_in_lower_case_and_leave_hooks_out() -> None:
    document = content()
    spec = releases.app_spec(revision({"version": 0.0, "resources": document["Resources"]}))
    assert (spec.task_definition, spec.hooks) == ("customer:7", {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"revisionType": "S3", "s3Location": {"bucket": "b"}}, "as appSpecContent is needed, not S3"),
        (revision({}), "not the JSON of an ECS service"),
        (revision([]), "not the JSON of an ECS service"),
        (revision({**content(), "Hooks": [{"AfterLunch": "f"}]}), "a hook of the AppSpec is none of After"),
        (revision(content(), sha256="0" * 64), "sha256 is not the digest"),
        ({"revisionType": "AppSpecContent", "appSpecContent": {"content": "a: 1"}}, "not the JSON"),
    ],
)
def test_an_appspec_that_cannot_be_released_is_refused_by_codedeploys_name(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refusal, match=said) as refused:
        releases.app_spec(given)
    assert refused.value.exception == "InvalidRevisionException"


def test_the_digest_of_an_appspec_is_checked() -> None:
    text = json.dumps(content())
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert releases.app_spec(revision(content(), sha256=digest)).container_port == 8080


@pytest.mark.parametrize(
    ("config", "routing", "steps"),
    [
        ("CodeDeployDefault.ECSAllAtOnce", None, [(100, 0)]),
        ("CodeDeployDefault.ECSCanary10Percent5Minutes", None, [(10, 5), (100, 0)]),
        (
            "CodeDeployDefault.ECSLinear10PercentEvery3Minutes",
            None,
            [*((share, 3) for share in range(10, 100, 10)), (100, 0)],
        ),
        (
            "own",
            {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 40, "linearInterval": 2}},
            [(40, 2), (80, 2), (100, 0)],
        ),
        (
            "own",
            {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 5, "canaryInterval": 9}},
            [(5, 9), (100, 0)],
        ),
        ("own", {"type": "AllAtOnce"}, [(100, 0)]),
    ],
)
def test_traffic_moves_in_the_steps_of_the_configuration(
    config: str, routing: dict[str, Any] | None, steps: list[tuple[int, float]]
) -> None:
    assert releases.traffic_steps(config, routing) == steps


@pytest.mark.parametrize("config", ["CodeDeployDefault.OneAtATime", "unknown", ""])
def test_a_configuration_that_is_none_of_ecs_is_refused(config: str) -> None:
    with pytest.raises(Refusal, match="there is no configuration"):
        releases.traffic_steps(config)


def forward(*weights: tuple[str, int]) -> dict[str, Any]:
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights]
    return {"Type": "forward", "Order": 1, "ForwardConfig": {"TargetGroups": groups}}


def single(arn: str) -> dict[str, Any]:
    return {"Type": "forward", "Order": 1, "TargetGroupArn": arn}


@pytest.mark.parametrize("before", [single(BLUE), single(GREEN), forward((BLUE, 90), (GREEN, 10))])
def test_a_rule_of_the_pair_is_moved_whichever_group_it_forwards_to(before: dict[str, Any]) -> None:
    assert releases.forwards_to([before], PAIR)
    assert releases.moved([before], PAIR, {BLUE: 0, GREEN: 100}) == [single(GREEN)]
    shared = forward((BLUE, 90), (GREEN, 10))
    assert releases.moved([before], PAIR, {BLUE: 90, GREEN: 10}) == [shared]


def test_rules_of_other_services_and_other_actions_are_left_alone() -> None:
    login = {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {"Issuer": "i"}}
    refusal = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}
    assert not releases.forwards_to([single(OTHER)], PAIR)
    assert not releases.forwards_to([refusal], PAIR)
    assert releases.moved([login, single(BLUE)], PAIR, {GREEN: 100}) == [login, single(GREEN)]
    assert releases.moved([refusal, single(OTHER)], PAIR, {GREEN: 100}) == [refusal, single(OTHER)]


def test_a_deployment_group_of_a_template_is_shown_with_the_names_and_types_of_the_api() -> None:
    assert releases.group_properties(
        {
            "ECSServices": [{"ClusterName": "c", "ServiceName": "0123"}],
            "AlarmConfiguration": {"Enabled": "true", "Alarms": [{"Name": "a"}]},
            "BlueGreenDeploymentConfiguration": {
                "TerminateBlueInstancesOnDeploymentSuccess": {"TerminationWaitTimeInMinutes": "5"}
            },
            "Tags": [{"Key": "k", "Value": "v"}],
        }
    ) == {
        "ecsServices": [{"clusterName": "c", "serviceName": "0123"}],
        "alarmConfiguration": {"enabled": True, "alarms": [{"name": "a"}]},
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": {"terminationWaitTimeInMinutes": 5}
        },
    }


@pytest.mark.parametrize(("text", "seconds"), [(None, 1.0), ("", 1.0), ("60", 60.0), ("0.5", 0.5)])
def test_a_minute_takes_as_long_as_the_setting_says(text: str | None, seconds: float) -> None:
    variables = {} if text is None else {releases.MINUTE_VARIABLE: text}
    assert releases.minute_seconds(variables) == seconds


@pytest.mark.parametrize("text", ["a minute", "-1", "nan", "1e9"])
def test_a_minute_that_is_no_time_is_one_clear_line(text: str) -> None:
    with pytest.raises(EmulatorError, match=r"EMULATOR_MINUTE_SECONDS=.*: seconds that a minute shall take"):
        releases.minute_seconds({releases.MINUTE_VARIABLE: text})


@dataclass
class FakeWorld:
    """Does nothing but note what it was asked for; `on` lets a test act or raise at a step."""

    outcome: str | None = "Succeeded"
    on: dict[str, Callable[[], None]] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    firing: list[str] = field(default_factory=list)
    unhealthy_looks: int = 1

    def note(self, what: str) -> None:
        self.did.append(what)
        self.on.get(what, lambda: None)()

    def start_green(self) -> None:
        self.note("start green")

    def green_is_healthy(self) -> bool:
        self.note("look")
        self.unhealthy_looks -= 1
        return self.unhealthy_looks < 0

    def move_test_traffic(self) -> None:
        self.note("move test traffic")

    def move_traffic(self, percent: int) -> None:
        self.note(f"move {percent} %")

    def call_hook(self, function: str, hook: Hook) -> None:
        self.note(f"call {function}")
        if self.outcome:
            hook.close(self.outcome)

    def alarms(self) -> list[str]:
        return self.firing

    def stop_blue(self) -> None:
        self.note("stop blue")

    def take_back(self) -> None:
        self.note("take back")

    def stop_green(self) -> None:
        self.note("stop green")

    @property
    def done(self) -> list[str]:
        return [item for item in self.did if item != "look"]


def deployment(
    *, bake: int = 0, ready: int | None = None, hooks: dict[str, str] | None = None, **more: Any
) -> Deployment:
    option = {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0}
    if ready is not None:
        option = {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": ready}
    return Deployment(
        id="d-1",
        application="a",
        group="g",
        revision={},
        spec=AppSpec("customer:7", "customer", 8080, hooks or {}),
        settings={
            "blueGreenDeploymentConfiguration": {
                "terminateBlueInstancesOnDeploymentSuccess": {"terminationWaitTimeInMinutes": bake},
                "deploymentReadyOption": option,
            }
        },
        **more,
    )


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "POLL_SECONDS", 0.005)


def run(subject: Deployment, world: FakeWorld, minute: float = 0.01) -> Deployment:
    """The rollback deployment."""
    rollback = Deployment("d-2", "a", "g", {}, subject.spec, subject.settings, creator="codeDeployRollback")
    releases.run(subject, world, minute=minute, start_rollback=lambda: rollback)
    return rollback


HOOK = {"AfterAllowTestTraffic": "judge"}


def states(subject: Deployment) -> dict[str, str]:
    return {event.name: event.status for event in subject.events}


def test_a_release_goes_through_its_lifecycle_in_order() -> None:
    subject, world = deployment(hooks=HOOK), FakeWorld()
    rollback = run(subject, world)
    assert world.done == ["start green", "move test traffic", "call judge", "move 100 %", "stop blue"]
    assert subject.status == "Succeeded"
    assert (subject.failure, subject.rollback, rollback.status) == (None, None, "Created")
    assert states(subject) == {
        "BeforeInstall": "Skipped",
        "Install": "Succeeded",
        "AfterInstall": "Skipped",
        "AllowTestTraffic": "Succeeded",
        "AfterAllowTestTraffic": "Succeeded",
        "BeforeAllowTraffic": "Skipped",
        "AllowTraffic": "Succeeded",
        "AfterAllowTraffic": "Skipped",
    }


def test_no_traffic_moves_before_the_new_tasks_are_healthy() -> None:
    world = FakeWorld(unhealthy_looks=3)
    run(deployment(), world)
    assert world.did[:6] == ["start green", "look", "look", "look", "look", "move test traffic"]


def test_production_moves_step_by_step_and_waits_between() -> None:
    times: list[float] = []
    world = FakeWorld(
        on={f"move {percent} %": lambda: times.append(time.monotonic()) for percent in (10, 60, 100)}
    )
    run(deployment(steps=[(10, 5), (60, 5), (100, 0)]), world, minute=0.01)
    assert [item for item in world.done if item.startswith("move ")][1:] == [
        "move 10 %",
        "move 60 %",
        "move 100 %",
    ]
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(times))


def test_the_old_tasks_are_kept_for_the_bake_time() -> None:
    times: list[float] = []
    world = FakeWorld(
        on={name: lambda: times.append(time.monotonic()) for name in ("move 100 %", "stop blue")}
    )
    run(deployment(bake=20), world, minute=0.01)
    assert times[1] - times[0] >= 0.2


def fail(code: str) -> Callable[[], None]:
    def raise_() -> None:
        raise Failure(code, "the reason")

    return raise_


@pytest.mark.parametrize("step", ["start green", "look", "move test traffic", "move 100 %"])
def test_whatever_fails_sends_requests_back_before_the_new_tasks_are_stopped(step: str) -> None:
    subject, world = deployment(), FakeWorld(on={step: fail("ECS_UPDATE_ERROR")})
    rollback = run(subject, world)
    assert world.done[-2:] == ["take back", "stop green"]
    assert "stop blue" not in world.done
    assert subject.failure is not None
    assert (subject.status, subject.failure.code) == ("Failed", "ECS_UPDATE_ERROR")
    assert (subject.rollback, rollback.triggered_by, rollback.status) == ("d-2", "d-1", "Succeeded")


def test_a_rollback_is_a_deployment_that_starts_before_the_other_ends_and_takes_a_minute() -> None:
    subject = deployment()
    rollback = Deployment("d-2", "a", "g", {}, subject.spec, subject.settings)
    seen: list[tuple[str, str, str]] = []

    def note(step: str) -> None:
        seen.append((step, subject.status, rollback.status))

    def start() -> Deployment:
        note("start")
        return rollback

    steps = ("take back", "stop green")
    world = FakeWorld(on={"look": fail("ECS_UPDATE_ERROR"), **{step: partial(note, step) for step in steps}})
    releases.run(subject, world, minute=0.1, start_rollback=start)
    assert seen == [
        ("start", "InProgress", "Created"),
        ("take back", "Failed", "InProgress"),
        ("stop green", "Failed", "InProgress"),
    ]
    assert rollback.status == "Succeeded"
    assert rollback.started is not None
    assert rollback.completed is not None
    assert (rollback.completed - rollback.started).total_seconds() >= 0.1


def test_a_rollback_that_goes_wrong_says_so() -> None:
    subject, world = deployment(), FakeWorld(on={"look": fail("ECS_UPDATE_ERROR"), "take back": fail("X")})
    rollback = run(subject, world)
    assert (subject.status, rollback.status) == ("Failed", "Failed")


def test_all_hooks_are_called_in_the_order_of_the_lifecycle() -> None:
    subject = deployment(hooks={name: name for name in sorted(releases.HOOKS)})
    world = FakeWorld()
    run(subject, world)
    assert world.done == [
        "call BeforeInstall",
        "start green",
        "call AfterInstall",
        "move test traffic",
        "call AfterAllowTestTraffic",
        "call BeforeAllowTraffic",
        "move 100 %",
        "call AfterAllowTraffic",
        "stop blue",
    ]
    assert set(states(subject).values()) == {"Succeeded"}


@pytest.mark.parametrize("name", sorted(releases.HOOKS))
def test_a_hook_that_says_no_takes_everything_back_whenever_it_is_called(name: str) -> None:
    subject, world = deployment(hooks={name: "judge"}), FakeWorld(outcome="Failed")
    rollback = run(subject, world)
    assert world.done[-3:] == ["call judge", "take back", "stop green"]
    assert subject.failure is not None
    assert (subject.status, subject.failure.code) == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert ("move 100 %" in world.done) == (name == "AfterAllowTraffic")
    assert (states(subject)[name], rollback.status) == ("Failed", "Succeeded")


def test_an_alarm_that_fires_already_lets_no_event_start() -> None:
    subject, world = deployment(hooks={"BeforeInstall": "watch"}), FakeWorld(firing=["server-errors"])
    run(subject, world)
    assert world.done == ["take back", "stop green"]
    assert subject.failure is not None
    assert (subject.status, subject.failure.code) == ("Stopped", "ALARM_ACTIVE")
    assert set(states(subject).values()) == {"Skipped"}


def test_an_alarm_during_the_first_hook_starts_no_task() -> None:
    subject, world = deployment(hooks={"BeforeInstall": "watch"}), FakeWorld(outcome=None)
    world.on["call watch"] = lambda: world.firing.append("server-errors")
    run(subject, world)
    assert world.done == ["call watch", "take back", "stop green"]
    assert states(subject)["BeforeInstall"] == "Failed"


def test_the_event_that_failed_carries_the_reason_and_the_rest_is_skipped() -> None:
    subject = deployment(hooks=HOOK)
    run(subject, FakeWorld(outcome="Failed"))
    found = states(subject)
    assert (found["AfterAllowTestTraffic"], found["AllowTraffic"]) == ("Failed", "Skipped")
    event = next(item for item in subject.events if item.status == "Failed")
    assert "AfterAllowTestTraffic (judge) failed" in event.message


def test_a_hook_that_says_no_keeps_production_where_it_is() -> None:
    subject, world = deployment(hooks=HOOK), FakeWorld(outcome="Failed")
    run(subject, world)
    assert not [item for item in world.done if item.endswith("%")]
    assert subject.failure is not None
    assert subject.failure.code == "HOOK_EXECUTION_FAILURE"


def test_a_hook_that_never_answers_fails_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "LEAST_PATIENCE_SECONDS", 0.05)
    subject = deployment(hooks=HOOK)
    run(subject, FakeWorld(outcome=None), minute=0.0)
    assert subject.failure is not None
    assert "did not answer in time" in subject.failure.message


def test_tasks_that_never_become_healthy_fail_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "LEAST_PATIENCE_SECONDS", 0.05)
    subject, world = deployment(), FakeWorld(unhealthy_looks=10_000)
    run(subject, world, minute=0.0)
    assert subject.failure is not None
    assert "timed out while waiting" in subject.failure.message
    assert world.done == ["start green", "take back", "stop green"]


def test_only_the_first_outcome_of_a_hook_counts() -> None:
    hook = Hook("id")
    hook.close("Failed", "broken")
    hook.close("Succeeded")
    assert (hook.outcome, hook.message) == ("Failed", "broken")


@pytest.mark.parametrize("moment", ["start green", "move test traffic", "call judge", "move 100 %"])
def test_an_alarm_stops_a_deployment_at_any_moment(moment: str) -> None:
    world = FakeWorld()
    world.on[moment] = lambda: world.firing.append("server-errors")
    subject = deployment(bake=1, hooks=HOOK)
    run(subject, world)
    assert subject.failure is not None
    assert (subject.status, subject.failure.code) == ("Stopped", "ALARM_ACTIVE")
    assert "Activated alarms: server-errors" in subject.failure.message
    assert world.done[-2:] == ["take back", "stop green"]


def test_a_stop_during_the_bake_sends_the_requests_back() -> None:
    subject = deployment(bake=1000)
    world = FakeWorld()

    def stop() -> None:
        subject.stop_requested = True

    world.on["move 100 %"] = stop
    run(subject, world, minute=0.05)
    assert subject.failure is not None
    assert (subject.status, subject.failure.code) == ("Stopped", "MANUAL_STOP")
    assert world.done[-3:] == ["move 100 %", "take back", "stop green"]


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_bake_ends_early_for_somebody_who_continues() -> None:
    subject, world = deployment(bake=1000), FakeWorld()
    thread = threading.Thread(target=run, args=(subject, world, 60.0))
    thread.start()
    eventually(lambda: subject.bakes)
    assert subject.status == "InProgress"
    subject.goes_on.add("TERMINATION_WAIT")
    thread.join(5)
    assert (subject.status, world.done[-1]) == ("Succeeded", "stop blue")


def test_a_group_may_wait_for_somebody_before_traffic_moves() -> None:
    subject, world = deployment(ready=1000), FakeWorld()
    thread = threading.Thread(target=run, args=(subject, world, 60.0))
    thread.start()
    eventually(lambda: subject.status == "Ready")
    assert world.done[-1] == "move test traffic"
    subject.goes_on.add("READY_WAIT")
    thread.join(5)
    assert (subject.status, world.done[-1]) == ("Succeeded", "stop blue")


def test_a_deployment_that_nobody_continues_is_stopped() -> None:
    subject, world = deployment(ready=1), FakeWorld()
    run(subject, world)
    assert (subject.status, world.done[-1]) == ("Stopped", "stop green")


def test_a_defect_of_the_emulator_ends_the_deployment_too() -> None:
    def defect() -> None:
        raise KeyError("listener")

    subject, world = deployment(), FakeWorld(on={"move test traffic": defect})
    run(subject, world)
    assert subject.failure is not None
    assert (subject.status, subject.failure.code) == ("Failed", "INTERNAL_ERROR")
    assert world.done[-1] == "stop green"


def test_alarms_of_a_group_count_unless_they_are_switched_off() -> None:
    subject = deployment()
    alarms = [{"name": "a"}, {"name": "b"}]
    subject.settings = {"alarmConfiguration": {"enabled": True, "alarms": alarms}}
    assert subject.alarm_names == ["a", "b"]
    subject.settings = {"alarmConfiguration": {"enabled": False, "alarms": alarms}}
    assert subject.alarm_names == []
