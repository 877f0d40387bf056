"""The function that tries new tasks out, against a real server in the place of the test listener."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

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


class Aws:
    """Recorded answers of the services that the function asks."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.addresses = ["127.0.0.1"]
        self.image = (
            "000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-hnb659fds-container-assets-000000000000:abc"
        )
        self.label = NEW
        self.task_sets = [
            {"status": "PRIMARY", "taskDefinition": "old:7", "createdAt": 1},
            {"status": "ACTIVE", "taskDefinition": TASK_DEFINITION, "createdAt": 2},
        ]

    def __call__(self, service: str) -> Any:
        return self

    def get_deployment(self, **request: Any) -> Any:
        return {"deploymentInfo": {"applicationName": "app", "deploymentGroupName": "group"}}

    def get_deployment_group(self, **request: Any) -> Any:
        services = [{"clusterName": "suppliers", "serviceName": "customer"}]
        return {"deploymentGroupInfo": {"ecsServices": services}}

    def describe_services(self, **request: Any) -> Any:
        return {"services": [{"taskSets": self.task_sets}]}

    def describe_service_revisions(self, **request: Any) -> Any:
        assert request == {"serviceRevisionArns": ["revision"]}
        return {"serviceRevisions": [{"taskDefinition": TASK_DEFINITION}]}

    def describe_task_definition(self, **request: Any) -> Any:
        assert request == {"taskDefinition": TASK_DEFINITION}
        containers = [{"name": "customer", "image": self.image, "dockerLabels": {"version": self.label}}]
        return {"taskDefinition": {"family": "suppliers-dev-customer", "containerDefinitions": containers}}

    def describe_network_interfaces(self, **request: Any) -> Any:
        assert request["Filters"] == [{"Name": "description", "Values": ["ELB app/suppliers/1"]}]
        return {"NetworkInterfaces": [{"PrivateIpAddress": each} for each in self.addresses]}

    def put_lifecycle_event_hook_execution_status(self, **request: Any) -> None:
        self.told.append(request)


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
    Thread(target=server.serve_forever, daemon=True).start()
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
    aws = Aws()
    monkeypatch.setattr("boto3.client", aws)
    for name, value in {
        "LOAD_BALANCER": "app/suppliers/1",
        "SCHEME": "http",
        "HOST": HOST,
        "PORT": str(site[0]),
        "PATHS": json.dumps({"suppliers-dev-customer": ["/", "/suppliers"]}),
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
    aws.image, aws.label = f"000000000000.dkr.ecr.us-east-1.amazonaws.com/suppliers/customer:{NEW}", "0" * 64
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


def test_what_is_not_known_stops_the_release(
    check: tuple[ModuleType, Aws], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, aws = check
    monkeypatch.setenv("PATHS", "{}")
    assert module.handler(ECS_EVENT, None)["reason"] == "nothing is known about suppliers-dev-customer"
    aws.task_sets = aws.task_sets[:1]
    module.handler(CODEDEPLOY_EVENT, None)
    assert aws.told[0]["status"] == "Failed"


def test_a_service_without_paths_of_its_own_to_ask_passes_by_its_health_check_alone(
    check: tuple[ModuleType, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _ = check
    monkeypatch.setenv("PATHS", '{"suppliers-dev-customer": []}')
    assert module.handler(ECS_EVENT, None) == {"hookStatus": "SUCCEEDED", "reason": ""}
