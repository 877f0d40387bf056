"""The custom resources' function against recorded answers of ECS; every path answers CloudFormation."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import settings

SOURCE = settings.ROOT / "constructs/platform_constructs/handlers/ecs_operations/index.py"
TASK = "arn:aws:ecs:us-east-1:000000000000:task/suppliers/0123456789abcdef"
ONE_OFF = {
    "Cluster": "suppliers",
    "TaskDefinition": "prepare:3",
    "Subnets": ["subnet-1"],
    "SecurityGroups": ["sg-1"],
    "LogGroup": "/logs/employee",
    "LogPrefix": "employee",
}
MINIMUM = {"Cluster": "suppliers", "Services": [{"Service": "customer", "Minimum": "2"}]}


class Context:
    """The time a function has left, less with every question."""

    def __init__(self, questions: int = 50) -> None:
        self._left = 20_000 + questions * 1_000

    def get_remaining_time_in_millis(self) -> int:
        self._left -= 1_000
        return self._left


class Ecs:
    """An ECS whose tasks and services go through recorded states."""

    def __init__(
        self, *, tasks: list[dict[str, Any]] | None = None, counts: list[tuple[int, int]] | None = None
    ):
        self.tasks = tasks or []
        self.counts = counts or []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.started: dict[str, Any] = {"tasks": [{"taskArn": TASK}], "failures": []}

    def run_task(self, **request: Any) -> dict[str, Any]:
        self.calls.append(("run_task", request))
        return self.started

    def describe_tasks(self, **request: Any) -> dict[str, Any]:
        return {"tasks": [self.tasks.pop(0) if len(self.tasks) > 1 else self.tasks[0]]}

    def describe_services(self, **request: Any) -> dict[str, Any]:
        if not self.counts:
            return {"services": []}
        desired, running = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        return {"services": [{"desiredCount": desired, "runningCount": running}]}

    def update_service(self, **request: Any) -> None:
        self.calls.append(("update_service", request))


RELEASE = {
    "Cluster": "suppliers",
    "Service": "customer",
    "Application": "app",
    "DeploymentGroup": "group",
    "TaskDefinition": "customer:8",
    "ContainerName": "customer",
    "ContainerPort": "8080",
    "CheckFunction": "arn:aws:lambda:us-east-1:000000000000:function:check",
}


class LimitExceeded(Exception):
    pass


class CodeDeploy:
    """A CodeDeploy whose one deployment goes through recorded states."""

    exceptions = SimpleNamespace(DeploymentLimitExceededException=LimitExceeded)

    def __init__(self, *states: dict[str, Any], busy: bool = False) -> None:
        self.states = list(states)
        self.busy = busy
        self.created: list[dict[str, Any]] = []

    def create_deployment(self, **request: Any) -> dict[str, str]:
        if self.busy:
            raise LimitExceeded("d-OTHER is under way")
        self.created.append(request)
        return {"deploymentId": "d-1"}

    def get_deployment(self, **request: Any) -> dict[str, Any]:
        assert request == {"deploymentId": "d-1"}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"deploymentInfo": {"deploymentId": "d-1", **state}}

    def list_deployment_targets(self, **request: Any) -> dict[str, list[str]]:
        return {"targetIds": ["suppliers:customer"]}

    def batch_get_deployment_targets(self, **request: Any) -> dict[str, Any]:
        events = [
            {"lifecycleEventName": "Install", "status": "Succeeded"},
            {
                "lifecycleEventName": "AfterAllowTestTraffic",
                "status": "Failed",
                "diagnostics": {"message": "503"},
            },
        ]
        return {"deploymentTargets": [{"ecsTarget": {"lifecycleEvents": events}}]}


class Lambda:
    def __init__(self) -> None:
        self.invoked: list[dict[str, Any]] = []

    def invoke(self, **request: Any) -> None:
        self.invoked.append(request)


class Logs:
    def get_log_events(self, **request: Any) -> dict[str, Any]:
        assert request["logStreamName"] == "employee/employee/0123456789abcdef"
        return {"events": [{"message": "connecting"}, {"message": "column phone is missing"}]}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ecs_operations_index", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_POLL_SECONDS", 0)
    return module


@pytest.fixture
def stack() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes answers as CloudFormation does, and those that came."""
    answers: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/answer", answers
    server.shutdown()
    server.server_close()


def ask(
    index: ModuleType,
    stack: tuple[str, list[dict[str, Any]]],
    ecs: Ecs,
    kind: str,
    properties: dict[str, Any],
    *,
    request: str = "Create",
    context: Context | None = None,
    codedeploy: CodeDeploy | None = None,
) -> dict[str, Any]:
    index.boto3.client = {"ecs": ecs, "logs": Logs(), "codedeploy": codedeploy}.__getitem__
    url, answers = stack
    event = {
        "RequestType": request,
        "ResourceType": kind,
        "ResourceProperties": properties,
        "ResponseURL": url,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Prepare",
    }
    index.handler(event, context or Context())
    (answer,) = answers
    assert answer["PhysicalResourceId"] == "Prepare"
    return answer


@pytest.fixture(autouse=True)
def _restore_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boto3.client", None)


def stopped(code: int | None, reason: str = "") -> dict[str, Any]:
    container: dict[str, Any] = {"name": "employee"}
    if code is not None:
        container["exitCode"] = code
    return {"lastStatus": "STOPPED", "stoppedReason": reason, "containers": [container]}


def test_a_task_that_ends_well_lets_the_stack_go_on(index: ModuleType, stack: Any) -> None:
    ecs = Ecs(tasks=[{"lastStatus": "PENDING"}, {"lastStatus": "RUNNING"}, stopped(0)])
    assert ask(index, stack, ecs, "Custom::OneOffTask", ONE_OFF)["Status"] == "SUCCESS"
    (call,) = ecs.calls
    assert call[1]["taskDefinition"] == "prepare:3"
    assert call[1]["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"


def test_a_task_that_fails_fails_the_stack_with_the_end_of_its_log(index: ModuleType, stack: Any) -> None:
    answer = ask(index, stack, Ecs(tasks=[stopped(3)]), "Custom::OneOffTask", ONE_OFF)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("exit status 3.")
    assert answer["Reason"].endswith("column phone is missing")


def test_a_task_that_never_started_tells_why(index: ModuleType, stack: Any) -> None:
    ecs = Ecs(tasks=[stopped(None, "CannotPullContainerError")])
    answer = ask(index, stack, ecs, "Custom::OneOffTask", ONE_OFF)
    assert answer["Status"] == "FAILED"
    assert "exit status none. CannotPullContainerError" in answer["Reason"]


def test_a_cluster_without_room_tells_why(index: ModuleType, stack: Any) -> None:
    ecs = Ecs()
    ecs.started = {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time"}]}
    answer = ask(index, stack, ecs, "Custom::OneOffTask", ONE_OFF)
    assert answer["Reason"] == "the task could not be started: Capacity is unavailable at this time"


def test_a_task_that_does_not_end_is_given_up_before_the_function_is_killed(
    index: ModuleType, stack: Any
) -> None:
    ecs = Ecs(tasks=[{"lastStatus": "RUNNING"}])
    answer = ask(index, stack, ecs, "Custom::OneOffTask", ONE_OFF, context=Context(questions=5))
    assert answer["Status"] == "FAILED"
    assert "did not end in time" in answer["Reason"]


def test_deleting_the_stack_runs_nothing(index: ModuleType, stack: Any) -> None:
    ecs = Ecs()
    assert ask(index, stack, ecs, "Custom::OneOffTask", ONE_OFF, request="Delete")["Status"] == "SUCCESS"
    assert ecs.calls == []


def test_a_new_service_is_lifted_to_its_minimum_and_waited_for(index: ModuleType, stack: Any) -> None:
    ecs = Ecs(counts=[(1, 1), (2, 1), (2, 2)])
    assert ask(index, stack, ecs, "Custom::MinimumTasks", MINIMUM)["Status"] == "SUCCESS"
    assert ecs.calls == [
        ("update_service", {"cluster": "suppliers", "service": "customer", "desiredCount": 2})
    ]


def test_a_service_that_scaled_out_is_left_alone(index: ModuleType, stack: Any) -> None:
    ecs = Ecs(counts=[(4, 4)])
    assert ask(index, stack, ecs, "Custom::MinimumTasks", MINIMUM)["Status"] == "SUCCESS"
    assert ecs.calls == []


def test_a_service_that_does_not_reach_its_minimum_fails_the_stack(index: ModuleType, stack: Any) -> None:
    ecs = Ecs(counts=[(2, 1)])
    answer = ask(index, stack, ecs, "Custom::MinimumTasks", MINIMUM, context=Context(questions=5))
    assert answer["Reason"] == "customer did not reach 2 running tasks in time"


def running(task_definition: str, *, primary: str | None = None) -> Ecs:
    ecs = Ecs(counts=[(2, 2)])
    described = ecs.describe_services

    def with_task_sets(**request: Any) -> dict[str, Any]:
        answer = described(**request)
        answer["services"][0]["taskDefinition"] = task_definition
        if primary:
            answer["services"][0]["taskSets"] = [
                {"status": "ACTIVE", "taskDefinition": "customer:9"},
                {"status": "PRIMARY", "taskDefinition": primary},
            ]
        return answer

    ecs.describe_services = with_task_sets  # type: ignore[method-assign]
    return ecs


def test_a_changed_service_is_deployed_and_waited_for(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy({"status": "Created"}, {"status": "InProgress"}, {"status": "Succeeded"})
    ecs = running("customer:1", primary="customer:7")
    answer = ask(index, stack, ecs, "Custom::CodeDeployRelease", RELEASE, codedeploy=codedeploy)
    assert answer["Status"] == "SUCCESS"
    (request,) = codedeploy.created
    assert (request["applicationName"], request["deploymentGroupName"]) == ("app", "group")
    content = json.loads(request["revision"]["appSpecContent"]["content"])
    assert content == {
        "version": 0.0,
        "Resources": [
            {
                "TargetService": {
                    "Type": "AWS::ECS::Service",
                    "Properties": {
                        "TaskDefinition": "customer:8",
                        "LoadBalancerInfo": {"ContainerName": "customer", "ContainerPort": 8080},
                        "PlatformVersion": "LATEST",
                    },
                }
            }
        ],
        "Hooks": [{"AfterAllowTestTraffic": RELEASE["CheckFunction"]}],
    }


@pytest.mark.parametrize("primary", [None, "customer:8"])
def test_a_service_that_runs_the_task_definition_already_is_left_alone(
    index: ModuleType, stack: Any, primary: str | None
) -> None:
    codedeploy = CodeDeploy()
    ecs = running("customer:8", primary=primary)
    answer = ask(index, stack, ecs, "Custom::CodeDeployRelease", RELEASE, codedeploy=codedeploy)
    assert answer["Status"] == "SUCCESS"
    assert codedeploy.created == []


def test_a_release_that_is_taken_back_fails_the_stack_with_its_reason(index: ModuleType, stack: Any) -> None:
    state = {
        "status": "Failed",
        "errorInformation": {"code": "HEALTH_CONSTRAINTS", "message": "the hook failed"},
        "rollbackInfo": {"rollbackMessage": "rolled back by d-2"},
    }
    answer = ask(
        index,
        stack,
        running("customer:7"),
        "Custom::CodeDeployRelease",
        RELEASE,
        codedeploy=CodeDeploy(state),
    )
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        "CodeDeploy deployment d-1 ended failed: HEALTH_CONSTRAINTS: the hook failed: "
        "AfterAllowTestTraffic: 503 (rolled back by d-2)"
    )


def test_a_second_release_of_a_service_is_refused_with_the_reason(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy(busy=True)
    answer = ask(
        index, stack, running("customer:7"), "Custom::CodeDeployRelease", RELEASE, codedeploy=codedeploy
    )
    assert answer["Reason"] == "another deployment of this service is under way: d-OTHER is under way"


def test_a_release_that_outlasts_the_function_is_followed_by_the_next_call(
    index: ModuleType, stack: tuple[str, list[dict[str, Any]]]
) -> None:
    codedeploy, lambda_ = CodeDeploy({"status": "InProgress"}), Lambda()
    index.boto3.client = {
        "ecs": running("customer:7"),
        "codedeploy": codedeploy,
        "lambda": lambda_,
    }.__getitem__
    context: Any = Context(questions=5)
    context.invoked_function_arn = "arn:function"
    url, answers = stack
    event = {
        "RequestType": "Update",
        "ResourceType": "Custom::CodeDeployRelease",
        "ResourceProperties": RELEASE,
        "ResponseURL": url,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Release",
    }
    index.handler(event, context)
    assert answers == []
    (call,) = lambda_.invoked
    assert (call["FunctionName"], call["InvocationType"]) == ("arn:function", "Event")
    codedeploy.states = [{"status": "Succeeded"}]
    index.handler(json.loads(call["Payload"]), Context())
    assert [answer["Status"] for answer in answers] == ["SUCCESS"]
    assert len(codedeploy.created) == 1


def test_whatever_goes_wrong_is_answered(index: ModuleType, stack: Any) -> None:
    answer = ask(index, stack, Ecs(), "Custom::Unheard", {})
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "KeyError: 'Custom::Unheard'"
