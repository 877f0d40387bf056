"""The custom resources' function against recorded answers of ECS; every path answers CloudFormation."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import ModuleType
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
MINIMUM = {"Cluster": "suppliers", "Service": "customer", "Minimum": "2"}


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
) -> dict[str, Any]:
    index.boto3.client = {"ecs": ecs, "logs": Logs()}.__getitem__
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


def test_whatever_goes_wrong_is_answered(index: ModuleType, stack: Any) -> None:
    answer = ask(index, stack, Ecs(), "Custom::Unheard", {})
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "KeyError: 'Custom::Unheard'"
