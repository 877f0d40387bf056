"""The function that watches new tasks and tries them out, against a real server in the place of the test listener."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

import settings

SOURCE = settings.ROOT / "constructs/platform_constructs/handlers/release_check/index.py"
HOST = "suppliers.example.com"
NEW = "f" * 64
TASK_DEFINITION = "arn:aws:ecs:us-east-1:000000000000:task-definition/suppliers-dev-customer:8"
CODEDEPLOY_EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "hook-1"}
ECS_EVENT = {
    "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
    "executionDetails": {"targetServiceRevisionArn": "revision", "testTrafficWeights": {}},
}


TASK_SET = "ecs-svc/0123456789"


class AlreadyCompleted(Exception):
    pass


class Aws:
    """Recorded answers of the services that the function asks."""

    exceptions = SimpleNamespace(
        LifecycleEventAlreadyCompletedException=AlreadyCompleted,
        DeploymentAlreadyCompletedException=AlreadyCompleted,
    )

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.addresses = ["127.0.0.1"]
        self.image = (
            "000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-hnb659fds-container-assets-000000000000:abc"
        )
        self.labels = {"version": NEW, "release-check-paths": '["/", "/suppliers"]'}
        self.logging: dict[str, Any] = {
            "logDriver": "awslogs",
            "options": {"awslogs-group": "/suppliers/customer", "awslogs-stream-prefix": "ecs"},
        }
        self.task_sets: list[dict[str, Any]] = [
            {"status": "PRIMARY", "taskDefinition": "old:7", "createdAt": 1},
            {
                "id": TASK_SET,
                "externalId": "d-1",
                "status": "ACTIVE",
                "taskDefinition": TASK_DEFINITION,
                "createdAt": 2,
                "computedDesiredCount": 2,
                "stabilityStatus": "STABILIZING",
            },
        ]
        self.lifecycle = {
            "BeforeInstall": "Succeeded",
            "Install": "Succeeded",
            "AfterAllowTestTraffic": "InProgress",
        }
        self.status = "InProgress"
        # How many questions a release under way takes to its end.
        self.questions_left = 50
        self.stopped: list[dict[str, Any]] = []
        self.ended: list[dict[str, Any]] = []
        self.mails: list[dict[str, Any]] = []

    def __call__(self, service: str) -> Any:
        return self

    def get_deployment(self, **request: Any) -> Any:
        assert request == {"deploymentId": "d-1"}
        self.questions_left -= 1
        status = self.status if self.questions_left > 0 else "Succeeded"
        return {
            "deploymentInfo": {"applicationName": "app", "deploymentGroupName": "group", "status": status}
        }

    def get_deployment_group(self, **request: Any) -> Any:
        services = [{"clusterName": "suppliers", "serviceName": "suppliers-dev-customer-Service-1"}]
        return {"deploymentGroupInfo": {"ecsServices": services}}

    def list_deployment_targets(self, **request: Any) -> Any:
        assert request == {"deploymentId": "d-1"}
        return {"targetIds": ["suppliers:customer"] if self.lifecycle else []}

    def batch_get_deployment_targets(self, **request: Any) -> Any:
        assert request == {"deploymentId": "d-1", "targetIds": ["suppliers:customer"]}
        events = [{"lifecycleEventName": name, "status": state} for name, state in self.lifecycle.items()]
        return {
            "deploymentTargets": [
                {"deploymentTargetType": "ECSTarget", "ecsTarget": {"lifecycleEvents": events}}
            ]
        }

    def describe_services(self, **request: Any) -> Any:
        return {"services": [{"serviceName": request["services"][0], "taskSets": self.task_sets}]}

    def list_tasks(self, **request: Any) -> Any:
        """One a page, as few as AWS may give."""
        assert request["cluster"] == "suppliers"
        assert request["serviceName"] == "suppliers-dev-customer-Service-1"
        assert request["desiredStatus"] == "STOPPED"
        at = int(request.get("nextToken", 0))
        following = {"nextToken": str(at + 1)} if at + 1 < len(self.stopped) else {}
        return {"taskArns": [each["taskArn"] for each in self.stopped[at : at + 1]], **following}

    def describe_tasks(self, **request: Any) -> Any:
        return {"tasks": [each for each in self.stopped if each["taskArn"] in request["tasks"]]}

    def describe_service_revisions(self, **request: Any) -> Any:
        assert request == {"serviceRevisionArns": ["revision"]}
        return {"serviceRevisions": [{"taskDefinition": TASK_DEFINITION}]}

    def describe_task_definition(self, **request: Any) -> Any:
        assert request == {"taskDefinition": TASK_DEFINITION}
        container = {
            "name": "customer",
            "image": self.image,
            "dockerLabels": self.labels,
            "logConfiguration": self.logging,
        }
        return {
            "taskDefinition": {
                "family": "suppliers-dev-customer",
                "containerDefinitions": [container],
            }
        }

    def describe_network_interfaces(self, **request: Any) -> Any:
        assert request["Filters"] == [{"Name": "description", "Values": ["ELB app/suppliers/1"]}]
        return {"NetworkInterfaces": [{"PrivateIpAddress": each} for each in self.addresses]}

    def put_lifecycle_event_hook_execution_status(self, **request: Any) -> None:
        if request in self.told:
            raise AlreadyCompleted
        self.told.append(request)

    def stop_deployment(self, **request: Any) -> Any:
        self.ended.append(request)
        return {"status": "Pending"}

    def get_log_events(self, **request: Any) -> Any:
        assert request == {
            "logGroupName": "/suppliers/customer",
            "logStreamName": "ecs/customer/3",
            "limit": 15,
            "startFromHead": False,
        }
        return {"events": [{"message": "connecting"}, {"message": "column phone is missing"}]}

    def publish(self, **request: Any) -> None:
        self.mails.append(request)


@pytest.fixture
def site() -> Iterator[tuple[int, dict[str, tuple[int, str]]]]:
    """The test listener: what it answers to each path, and from which version."""
    answers = {"/": (200, NEW), "/suppliers": (200, NEW)}

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, version = answers[self.path] if self.headers["Host"] == HOST else (421, "")
            self.send_response(status)
            self.send_header("X-Service-Version", version)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server.server_port, answers
    server.shutdown()
    server.server_close()


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, site: tuple[int, Any]) -> tuple[ModuleType, Aws]:
    spec = importlib.util.spec_from_file_location("release_check_index", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(module, "_POLL_SECONDS", 0)
    aws = Aws()
    monkeypatch.setattr("boto3.client", aws)
    for name, value in {
        "LOAD_BALANCER": "app/suppliers/1",
        "SCHEME": "http",
        "HOST": HOST,
        "PORT": str(site[0]),
        "ALARM_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:alarms",
    }.items():
        monkeypatch.setenv(name, value)
    return module, aws


def test_new_tasks_that_answer_everything_let_codedeploy_go_on(check: tuple[ModuleType, Aws]) -> None:
    module, aws = check
    module.handler(CODEDEPLOY_EVENT, None)
    assert aws.told == [
        {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "hook-1", "status": "Succeeded"}
    ]


def test_new_tasks_that_answer_everything_let_ecs_go_on(check: tuple[ModuleType, Aws]) -> None:
    module, aws = check
    assert module.handler(ECS_EVENT, None) == {"hookStatus": "SUCCEEDED", "reason": ""}
    assert aws.told == []


def test_a_pipelines_image_is_known_by_its_tag_whatever_an_old_label_says(
    check: tuple[ModuleType, Aws],
) -> None:
    module, aws = check
    aws.image = f"000000000000.dkr.ecr.us-east-1.amazonaws.com/suppliers/customer:{NEW}"
    aws.labels["version"] = "0" * 64
    assert module.handler(ECS_EVENT, None)["hookStatus"] == "SUCCEEDED"
    aws.image = aws.image.replace(NEW, "0" * 64)
    assert module.handler(ECS_EVENT, None)["hookStatus"] == "FAILED"


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        (
            "/suppliers",
            (500, NEW),
            "/suppliers gives 500 from version ffffffffffff, not 200 from version ffffffffffff",
        ),
        ("/", (200, "0" * 64), "/ gives 200 from version 000000000000, not 200 from version ffffffffffff"),
        ("/", (200, ""), "/ gives 200 from version unknown, not 200 from version ffffffffffff"),
    ],
)
def test_a_wrong_answer_stops_the_release_with_the_reason(
    check: tuple[ModuleType, Aws],
    site: tuple[int, dict[str, tuple[int, str]]],
    path: str,
    answer: tuple[int, str],
    reason: str,
) -> None:
    module, aws = check
    site[1][path] = answer
    assert module.handler(ECS_EVENT, None) == {"hookStatus": "FAILED", "reason": reason}
    module.handler(CODEDEPLOY_EVENT, None)
    assert [each["status"] for each in aws.told] == ["Failed"]
    assert aws.ended == []


def test_a_listener_that_is_not_reached_stops_the_release(
    check: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _ = check
    monkeypatch.setenv("PORT", "9")
    answer = module.handler(ECS_EVENT, None)
    assert answer["hookStatus"] == "FAILED"
    assert "ConnectionRefusedError" in answer["reason"]


def test_one_address_that_does_not_answer_is_no_reason_to_stop(check: tuple[ModuleType, Aws]) -> None:
    module, aws = check
    # A closed port of this machine, and the one that answers.
    aws.addresses = ["127.0.0.2", "127.0.0.1"]
    assert module.handler(ECS_EVENT, None)["hookStatus"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (
            "release-check-paths",
            "suppliers-dev-customer: no label release-check-paths says which paths it answers",
        ),
        (
            "version",
            "suppliers-dev-customer: neither tag nor label of its image says which version it is",
        ),
    ],
)
def test_what_is_not_known_stops_the_release(
    check: tuple[ModuleType, Aws], missing: str, reason: str
) -> None:
    module, aws = check
    del aws.labels[missing]
    assert module.handler(ECS_EVENT, None)["reason"] == reason


def test_a_release_without_new_tasks_is_stopped(check: tuple[ModuleType, Aws]) -> None:
    module, aws = check
    aws.task_sets = aws.task_sets[:1]
    module.handler(CODEDEPLOY_EVENT, None)
    assert aws.told[0]["status"] == "Failed"


def test_a_service_without_paths_of_its_own_to_ask_passes_by_its_health_check_alone(
    check: tuple[ModuleType, Aws],
) -> None:
    module, aws = check
    aws.labels["release-check-paths"] = "[]"
    assert module.handler(ECS_EVENT, None) == {"hookStatus": "SUCCEEDED", "reason": ""}


STARTING = {"BeforeInstall": "InProgress", "Install": "Pending", "AfterAllowTestTraffic": "Pending"}


def task(number: int, **more: Any) -> dict[str, Any]:
    """A new task that ended by itself."""
    return {
        "taskArn": f"arn:aws:ecs:us-east-1:000000000000:task/suppliers/{number}",
        "clusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/suppliers",
        "taskDefinitionArn": TASK_DEFINITION,
        "startedBy": TASK_SET,
        "lastStatus": "STOPPED",
        "createdAt": number,
        "stoppedReason": "Essential container in task exited",
        "containers": [{"name": "customer", "exitCode": 1}],
        **more,
    }


@pytest.fixture
def starting(check: tuple[ModuleType, Aws]) -> tuple[ModuleType, Aws]:
    """A release whose new tasks are about to be made."""
    check[1].lifecycle = dict(STARTING)
    return check


def passed(aws: Aws) -> bool:
    """Whether CodeDeploy was told to go on, and nothing else happened."""
    return ([each["status"] for each in aws.told], aws.ended, aws.mails) == (["Succeeded"], [], [])


def test_new_tasks_that_keep_stopping_end_the_release_with_the_reason(
    starting: tuple[ModuleType, Aws], capsys: pytest.CaptureFixture[str]
) -> None:
    module, aws = starting
    aws.stopped = [task(3), task(1), task(2)]
    module.handler(CODEDEPLOY_EVENT, None)
    assert [each["status"] for each in aws.told] == ["Succeeded"]
    assert aws.ended == [{"deploymentId": "d-1", "autoRollbackEnabled": True}]
    reason = (
        "3 of its new tasks stopped before they were ready: Essential container in task exited; "
        "customer: exit status 1"
    )
    (mail,) = aws.mails
    assert mail["TopicArn"] == "arn:aws:sns:us-east-1:000000000000:alarms"
    assert mail["Subject"] == "Release of customer: its new tasks keep stopping"
    assert mail["Message"].startswith(
        "The release d-1 of customer in the cluster suppliers is stopped; the version before keeps the traffic."
    )
    assert reason in mail["Message"]
    assert "The end of the log of task 3:\nconnecting\ncolumn phone is missing" in mail["Message"]
    (said,) = [
        line
        for text in capsys.readouterr().out.splitlines()
        if (line := json.loads(text))["level"] == "ERROR"
    ]
    assert reason in said["message"]
    assert said["message"].endswith("connecting\ncolumn phone is missing")


def test_codedeploy_goes_on_before_the_new_tasks_are_watched(
    starting: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, aws = starting
    told: list[int] = []
    monkeypatch.setattr(module, "watch", lambda _: told.append(len(aws.told)))
    module.handler(CODEDEPLOY_EVENT, None)
    assert told == [1]


@pytest.mark.parametrize(
    "lifecycle",
    [
        STARTING,
        {**STARTING, "BeforeInstall": "Pending"},
        {"BeforeInstall": "InProgress"},
    ],
)
def test_the_hook_that_codedeploy_waits_for_is_told_by_its_lifecycle(
    check: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch, lifecycle: dict[str, str]
) -> None:
    module, aws = check
    watched: list[str] = []
    monkeypatch.setattr(module, "watch", watched.append)
    aws.lifecycle = dict(lifecycle)
    module.handler(CODEDEPLOY_EVENT, None)
    assert watched == ["d-1"]


@pytest.mark.parametrize(
    "lifecycle",
    [
        {"BeforeInstall": "Skipped", "Install": "Succeeded", "AfterAllowTestTraffic": "InProgress"},
        {"BeforeInstall": "Pending", "Install": "Succeeded", "AfterAllowTestTraffic": "InProgress"},
        {"BeforeInstall": "Succeeded", "Install": "Succeeded", "AfterAllowTestTraffic": "Pending"},
        {"AfterAllowTestTraffic": "InProgress"},
        {},
    ],
)
def test_the_other_hook_tries_the_new_tasks_out(
    check: tuple[ModuleType, Aws],
    monkeypatch: pytest.MonkeyPatch,
    site: tuple[int, dict[str, tuple[int, str]]],
    lifecycle: dict[str, str],
) -> None:
    module, aws = check
    monkeypatch.delattr(module, "watch")
    aws.lifecycle = dict(lifecycle)
    site[1]["/"] = (500, NEW)
    module.handler(CODEDEPLOY_EVENT, None)
    assert [each["status"] for each in aws.told] == ["Failed"]


def test_an_event_that_comes_again_is_neither_watched_nor_answered_twice(
    starting: tuple[ModuleType, Aws], capsys: pytest.CaptureFixture[str]
) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    for state in ("InProgress", "Succeeded"):
        aws.lifecycle["BeforeInstall"] = state
        module.handler(CODEDEPLOY_EVENT, None)
    assert len(aws.told) == len(aws.ended) == len(aws.mails) == 1
    assert capsys.readouterr().out.count("ERROR") == 1


def test_who_may_not_ask_for_the_hook_stops_the_release(
    check: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, aws = check
    monkeypatch.setattr(aws, "list_deployment_targets", refuse)
    module.handler(CODEDEPLOY_EVENT, None)
    assert [each["status"] for each in aws.told] == ["Failed"]


def refuse(**request: Any) -> Any:
    """How AWS answers who may not."""
    error: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
    raise ClientError(error, "Asked")


@pytest.mark.parametrize(
    "others",
    [
        {"startedBy": "ecs-svc/9"},
        {"lastStatus": "DEPROVISIONING"},
        {"stoppedReason": f"Scaling activity initiated by (deployment {TASK_SET})"},
    ],
    ids=["of the version before", "still stopping", "scaled in"],
)
def test_only_new_tasks_that_ended_by_themselves_count(
    starting: tuple[ModuleType, Aws], others: dict[str, Any]
) -> None:
    module, aws = starting
    aws.stopped = [task(1), task(2), *(task(number, **others) for number in range(3, 6))]
    module.handler(CODEDEPLOY_EVENT, None)
    assert passed(aws)


def test_the_watch_ends_with_the_release(starting: tuple[ModuleType, Aws]) -> None:
    module, aws = starting
    aws.stopped, aws.status = [task(each) for each in (1, 2, 3)], "Stopped"
    module.handler(CODEDEPLOY_EVENT, None)
    assert passed(aws)


@pytest.mark.parametrize(
    "ready",
    [
        {"stabilityStatus": "STEADY_STATE"},
        {"status": "PRIMARY"},
    ],
)
def test_the_watch_ends_when_all_new_tasks_are_ready(
    starting: tuple[ModuleType, Aws], ready: dict[str, str]
) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    aws.task_sets[1].update(ready)
    module.handler(CODEDEPLOY_EVENT, None)
    assert passed(aws)


@pytest.mark.parametrize("install", ["Succeeded", "Failed", "Skipped"])
def test_the_watch_ends_with_the_installation(starting: tuple[ModuleType, Aws], install: str) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    aws.lifecycle["Install"] = install
    module.handler(CODEDEPLOY_EVENT, None)
    assert passed(aws)


def test_tasks_that_run_for_a_moment_are_not_ready(starting: tuple[ModuleType, Aws]) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    aws.task_sets[1] |= {"runningCount": 2, "pendingCount": 0}
    module.handler(CODEDEPLOY_EVENT, None)
    assert len(aws.ended) == 1


def test_a_task_set_that_is_to_have_no_tasks_yet_is_not_ready(starting: tuple[ModuleType, Aws]) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    aws.task_sets[1] |= {"computedDesiredCount": 0, "stabilityStatus": "STEADY_STATE"}
    module.handler(CODEDEPLOY_EVENT, None)
    assert len(aws.ended) == 1


def test_the_task_set_may_be_made_later(
    starting: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    made = aws.task_sets.pop()
    answers = [[*aws.task_sets], [*aws.task_sets], [*aws.task_sets, made]]

    def described(**request: Any) -> Any:
        sets = answers.pop(0) if len(answers) > 1 else answers[0]
        return {"services": [{"serviceName": request["services"][0], "taskSets": sets}]}

    monkeypatch.setattr(aws, "describe_services", described)
    module.handler(CODEDEPLOY_EVENT, None)
    assert len(answers) == len(aws.ended) == 1


def test_nobody_is_watched_longer_than_the_function_may_run(
    starting: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, aws = starting
    now = iter(range(0, 10_000, 100))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    aws.questions_left = 1_000
    module.handler(CODEDEPLOY_EVENT, None)
    assert passed(aws)
    assert aws.questions_left == 1_000 - 5


def test_a_question_that_fails_once_ends_no_watch(
    starting: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    listed, failures = aws.list_tasks, [1, 1]

    def list_tasks(**request: Any) -> Any:
        return refuse() if failures and failures.pop() else listed(**request)

    monkeypatch.setattr(aws, "list_tasks", list_tasks)
    module.handler(CODEDEPLOY_EVENT, None)
    assert len(aws.ended) == 1
    assert capsys.readouterr().out.count("the new tasks of d-1 cannot be watched") == 2


def test_who_ended_the_release_first_is_not_spoken_over(
    starting: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]

    def ended(**request: Any) -> None:
        raise AlreadyCompleted

    monkeypatch.setattr(aws, "stop_deployment", ended)
    module.handler(CODEDEPLOY_EVENT, None)
    assert passed(aws)


def test_a_release_that_cannot_be_stopped_is_told_all_the_same(
    starting: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    monkeypatch.setattr(aws, "stop_deployment", refuse)
    module.handler(CODEDEPLOY_EVENT, None)
    (mail,) = aws.mails
    assert "cannot be stopped (An error occurred (AccessDeniedException)" in mail["Message"]
    assert "`suppliers rollback` ends it" in mail["Message"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {
                "stoppedReason": "CannotPullContainerError: not found",
                "containers": [{"name": "customer", "reason": "CannotPullContainerError"}],
            },
            "ready: CannotPullContainerError: not found; customer: CannotPullContainerError\n",
        ),
        (
            {
                "stoppedReason": "",
                "containers": [{"name": "agent", "exitCode": 0}, {"name": "customer", "exitCode": 137}],
            },
            "ready: no reason told; agent: exit status 0; customer: exit status 137\n",
        ),
    ],
)
def test_whatever_ecs_knows_of_the_end_is_told(
    starting: tuple[ModuleType, Aws], more: dict[str, Any], says: str
) -> None:
    module, aws = starting
    aws.stopped = [task(1), task(2), task(3, **more)]
    module.handler(CODEDEPLOY_EVENT, None)
    (mail,) = aws.mails
    assert says in mail["Message"]
    assert mail["Subject"].startswith("Release of customer:")


def test_a_log_that_cannot_be_read_keeps_nothing_from_being_told(
    starting: tuple[ModuleType, Aws],
) -> None:
    module, aws = starting
    aws.stopped = [task(each) for each in (1, 2, 3)]
    aws.logging = {"logDriver": "awsfirelens"}
    module.handler(CODEDEPLOY_EVENT, None)
    (mail,) = aws.mails
    assert "the log cannot be read: KeyError: 'options'" in mail["Message"]


def test_a_subject_is_one_that_sns_takes(starting: tuple[ModuleType, Aws]) -> None:
    module, aws = starting
    name = "a-service-with-a-very-long-name" * 4
    aws.stopped = [task(each, containers=[{"name": name, "exitCode": 1}]) for each in (1, 2, 3)]
    module.handler(CODEDEPLOY_EVENT, None)
    (mail,) = aws.mails
    assert len(mail["Subject"]) < 100
