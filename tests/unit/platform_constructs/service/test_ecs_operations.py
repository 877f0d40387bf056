"""The custom resources' function against recorded answers of AWS; every path answers CloudFormation."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

import settings

SOURCE = settings.ROOT / "constructs/platform_constructs/handlers/ecs_operations/index.py"
CHECK = settings.ROOT / "constructs/platform_constructs/handlers/release_check/index.py"
STACK = "arn:aws:cloudformation:us-east-1:000000000000:stack/suppliers-dev-customer/1"
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


class CloudFormation:
    """A CloudFormation with one stack, which may have made its service."""

    def __init__(
        self, status: str = "UPDATE_IN_PROGRESS", *, service: str | None = "arn:service/customer"
    ) -> None:
        self.status = status
        self.resources = {"Service": {"PhysicalResourceId": service} if service is not None else {}}

    def describe_stacks(self, **request: Any) -> dict[str, Any]:
        assert request == {"StackName": STACK}
        return {"Stacks": [{"StackStatus": self.status}]}

    def describe_stack_resource(self, **request: Any) -> dict[str, Any]:
        assert request["StackName"] == STACK
        resource = self.resources.get(request["LogicalResourceId"])
        if resource is None:
            message = (
                f"Resource {request['LogicalResourceId']} does not exist for stack suppliers-dev-customer"
            )
            error: Any = {"Error": {"Code": "ValidationError", "Message": message}}
            raise ClientError(error, "DescribeStackResource")
        return {"StackResourceDetail": resource}


ROLLING_BACK = CloudFormation("UPDATE_ROLLBACK_IN_PROGRESS")


class Ecs:
    """An ECS whose tasks and services go through recorded states."""

    def __init__(
        self,
        *,
        tasks: list[dict[str, Any]] | None = None,
        counts: list[tuple[int, int]] | None = None,
        service: dict[str, Any] | None = None,
        definitions: dict[str, dict[str, Any]] | None = None,
    ):
        self.tasks = tasks or []
        self.counts = counts or []
        self.service = service or {}
        self.definitions = definitions or {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.started: dict[str, Any] = {"tasks": [{"taskArn": TASK}], "failures": []}

    def run_task(self, **request: Any) -> dict[str, Any]:
        self.calls.append(("run_task", request))
        return self.started

    def describe_tasks(self, **request: Any) -> dict[str, Any]:
        return {"tasks": [self.tasks.pop(0) if len(self.tasks) > 1 else self.tasks[0]]}

    def describe_services(self, **request: Any) -> dict[str, Any]:
        assert request["cluster"] == "suppliers"
        if self.service:
            return {"services": [self.service]}
        if not self.counts:
            return {"services": []}
        desired, running = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        return {"services": [{"desiredCount": desired, "runningCount": running}]}

    def describe_task_definition(self, **request: Any) -> dict[str, Any]:
        return {"taskDefinition": self.definitions[request["taskDefinition"]], "tags": []}

    def update_service(self, **request: Any) -> None:
        self.calls.append(("update_service", request))


FAMILY = "arn:aws:ecs:us-east-1:000000000000:task-definition/suppliers-dev-customer"
WANTED = f"{FAMILY}:8"
REPOSITORY = "suppliers-dev/customer"
REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
RELEASE = {
    "Cluster": "suppliers",
    "Service": "suppliers-dev-customer-Service-1",
    "Application": "app",
    "DeploymentGroup": "group",
    "TaskDefinition": WANTED,
    "ContainerName": "customer",
    "ContainerPort": "8080",
    "CheckFunction": "arn:aws:lambda:us-east-1:000000000000:function:check",
}


def definition(arn: str, **container: Any) -> dict[str, Any]:
    """A registered task definition, as ECS describes it."""
    return {
        "taskDefinitionArn": arn,
        "family": "suppliers-dev-customer",
        "revision": int(arn.rpartition(":")[2]),
        "status": "ACTIVE",
        "registeredAt": arn,
        "registeredBy": arn,
        "cpu": "256",
        "containerDefinitions": [
            {"name": "customer", "image": f"{REGISTRY}/{REPOSITORY}:{'1' * 64}", **container}
        ],
    }


def by_codedeploy(live: str, *, definitions: list[dict[str, Any]] | None = None) -> Ecs:
    """An ECS with a service of which one more version is being released than the live one."""
    task_sets = [
        {"status": "ACTIVE", "taskDefinition": f"{FAMILY}:99"},
        {"status": "PRIMARY", "taskDefinition": live},
    ]
    known = definitions or [definition(f"{FAMILY}:7"), definition(WANTED, image="other")]
    return Ecs(
        service={"status": "ACTIVE", "taskDefinition": f"{FAMILY}:1", "taskSets": task_sets},
        definitions={each["taskDefinitionArn"]: each for each in known},
    )


class LimitExceeded(Exception):
    pass


class CodeDeploy:
    """A CodeDeploy with recorded deployments, to which those are added that it is asked for."""

    exceptions = SimpleNamespace(DeploymentLimitExceededException=LimitExceeded)

    def __init__(self, *deployments: dict[str, Any], quicker: dict[str, Any] | None = None) -> None:
        self.deployments = list(deployments)
        self.quicker = quicker
        self.created: list[dict[str, Any]] = []

    def create_deployment(self, **request: Any) -> dict[str, str]:
        if self.quicker is not None:
            self.deployments.append(self.quicker)
            raise LimitExceeded("the group already has an active deployment")
        self.created.append(request)
        info = {
            "deploymentId": f"d-{len(self.created)}",
            "status": "Created",
            "description": request["description"],
            "revision": request["revision"],
        }
        self.deployments.append(info)
        return {"deploymentId": info["deploymentId"]}

    def list_deployments(self, **request: Any) -> dict[str, Any]:
        """One a page, as few as AWS may give."""
        assert (request["applicationName"], request["deploymentGroupName"]) == ("app", "group")
        statuses = request.get("includeOnlyStatuses")
        assert statuses or request["createTimeRange"]["start"]
        ids = [
            each["deploymentId"] for each in self.deployments if not statuses or each["status"] in statuses
        ]
        at = int(request.get("nextToken", 0))
        following = {"nextToken": str(at + 1)} if at + 1 < len(ids) else {}
        return {"deployments": ids[at : at + 1], **following}

    def get_deployment(self, **request: Any) -> dict[str, Any]:
        (info,) = (each for each in self.deployments if each["deploymentId"] == request["deploymentId"])
        return {"deploymentInfo": info}


def deployment(identifier: str, status: str, *, of: str, description: str = "a pipeline") -> dict[str, Any]:
    """A deployment as a pipeline starts it: its AppSpec is YAML."""
    content = f'version: 0.0\nResources:\n  - TargetService:\n      TaskDefinition: "{of}"\n'
    return {
        "deploymentId": identifier,
        "status": status,
        "description": description,
        "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
    }


class Logs:
    def get_log_events(self, **request: Any) -> dict[str, Any]:
        assert request["logStreamName"] == "employee/employee/0123456789abcdef"
        return {"events": [{"message": "connecting"}, {"message": "column phone is missing"}]}


def load(source: Path) -> ModuleType:
    """A handler by its file, since two have the same name."""
    spec = importlib.util.spec_from_file_location(f"{source.parent.name}_index", source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load(SOURCE)
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
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
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
    old: dict[str, Any] | None = None,
    context: Context | None = None,
    cloudformation: CloudFormation | None = None,
    **clients: Any,
) -> dict[str, Any]:
    index.boto3.client = {
        "ecs": ecs,
        "logs": Logs(),
        "cloudformation": cloudformation or CloudFormation(),
        **clients,
    }.__getitem__
    url, answers = stack
    event = {
        "RequestType": request,
        "ResourceType": kind,
        "ResourceProperties": properties,
        "ResponseURL": url,
        "StackId": STACK,
        "RequestId": "request",
        "LogicalResourceId": "Prepare",
    }
    if old is not None:
        event["OldResourceProperties"] = old
    index.handler(event, context or Context())
    answer = answers.pop()
    assert answers == []
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


def test_an_event_that_comes_again_asks_for_the_same_task(index: ModuleType, stack: Any) -> None:
    ecs = Ecs(tasks=[stopped(0)])
    for _ in range(2):
        ask(index, stack, ecs, "Custom::OneOffTask", ONE_OFF)
    first, second = (request["clientToken"] for _, request in ecs.calls)
    assert first == second
    assert re.fullmatch(r"[!-~]{1,64}", first)


@pytest.mark.parametrize(
    ("kind", "properties"), [("Custom::OneOffTask", ONE_OFF), ("Custom::MinimumTasks", MINIMUM)]
)
def test_a_stack_that_rolls_back_runs_and_lifts_nothing(
    index: ModuleType, stack: Any, kind: str, properties: dict[str, Any]
) -> None:
    ecs = Ecs(counts=[(0, 0)])
    answer = ask(index, stack, ecs, kind, properties, request="Update", cloudformation=ROLLING_BACK)
    assert answer["Status"] == "SUCCESS"
    assert ecs.calls == []


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


@pytest.mark.parametrize(
    "kind", ["OneOffTask", "MinimumTasks", "CodeDeployRelease", "LiveImage", "LiveTraffic", "HealthCheckPath"]
)
def test_deleting_the_stack_does_nothing(index: ModuleType, stack: Any, kind: str) -> None:
    ecs = Ecs()
    assert ask(index, stack, ecs, f"Custom::{kind}", {}, request="Delete")["Status"] == "SUCCESS"
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


def test_a_service_that_is_not_there_is_not_lifted(index: ModuleType, stack: Any) -> None:
    answer = ask(index, stack, Ecs(), "Custom::MinimumTasks", MINIMUM)
    assert answer["Reason"] == "there is no service customer"


def release(index: ModuleType, stack: Any, ecs: Ecs, codedeploy: CodeDeploy, **more: Any) -> dict[str, Any]:
    kind = "Custom::CodeDeployRelease"
    return ask(index, stack, ecs, kind, RELEASE, request="Update", codedeploy=codedeploy, **more)


def test_a_changed_service_is_released_and_not_waited_for(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy()
    answer = release(index, stack, by_codedeploy(f"{FAMILY}:7"), codedeploy)
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"DeploymentId": "d-1"})
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
                        "TaskDefinition": WANTED,
                        "LoadBalancerInfo": {"ContainerName": "customer", "ContainerPort": 8080},
                        "PlatformVersion": "LATEST",
                    },
                }
            }
        ],
        "Hooks": [
            {"BeforeInstall": RELEASE["CheckFunction"]},
            {"AfterAllowTestTraffic": RELEASE["CheckFunction"]},
        ],
    }


def test_a_stack_that_rolls_back_releases_nothing(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy()
    answer = release(index, stack, by_codedeploy(f"{FAMILY}:7"), codedeploy, cloudformation=ROLLING_BACK)
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"DeploymentId": ""})
    assert codedeploy.created == []


def test_a_new_service_runs_what_it_was_made_with(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy()
    ecs = Ecs(service={"status": "ACTIVE", "taskDefinition": WANTED})
    assert release(index, stack, ecs, codedeploy)["Data"] == {"DeploymentId": ""}
    assert codedeploy.created == []


def test_what_is_live_already_is_not_released_again(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy()
    assert release(index, stack, by_codedeploy(WANTED), codedeploy)["Data"] == {"DeploymentId": ""}
    assert codedeploy.created == []


VARIABLES = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]


@pytest.mark.parametrize(
    ("live", "wanted", "released"),
    [
        ({"environment": VARIABLES}, {"environment": VARIABLES[::-1]}, False),
        ({"secrets": []}, {}, False),
        ({"environment": VARIABLES}, {"environment": VARIABLES[:1]}, True),
        ({}, {"image": "other"}, True),
        ({"command": ["a", "b"]}, {"command": ["b", "a"]}, True),
    ],
)
def test_another_revision_is_released_where_it_is_another_task(
    index: ModuleType, stack: Any, live: dict[str, Any], wanted: dict[str, Any], released: bool
) -> None:
    codedeploy = CodeDeploy()
    definitions = [definition(f"{FAMILY}:7", **live), definition(WANTED, **wanted)]
    definitions[0]["deregisteredAt"] = "yesterday"
    definitions[0]["status"] = "INACTIVE"
    answer = release(index, stack, by_codedeploy(f"{FAMILY}:7", definitions=definitions), codedeploy)
    assert answer["Status"] == "SUCCESS"
    assert bool(codedeploy.created) is released


def test_a_changed_size_is_another_task(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy()
    definitions = [definition(f"{FAMILY}:7"), {**definition(WANTED), "cpu": "512"}]
    release(index, stack, by_codedeploy(f"{FAMILY}:7", definitions=definitions), codedeploy)
    assert len(codedeploy.created) == 1


def test_an_event_that_comes_again_starts_no_second_release(index: ModuleType, stack: Any) -> None:
    codedeploy, ecs = CodeDeploy(), by_codedeploy(f"{FAMILY}:7")
    for _ in range(2):
        assert release(index, stack, ecs, codedeploy)["Data"] == {"DeploymentId": "d-1"}
    assert len(codedeploy.created) == 1


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "Stopped"])
def test_an_event_that_comes_late_is_not_released_over_what_came_after(
    index: ModuleType, stack: Any, status: str
) -> None:
    codedeploy = CodeDeploy(deployment("d-9", "Succeeded", of=f"{FAMILY}:9"))
    release(index, stack, by_codedeploy(f"{FAMILY}:7"), codedeploy)
    codedeploy.deployments[-1]["status"] = status
    codedeploy.deployments.append(deployment("d-2", "Succeeded", of=f"{FAMILY}:10"))
    definitions = [definition(f"{FAMILY}:10"), definition(WANTED, image="other")]
    ecs = by_codedeploy(f"{FAMILY}:10", definitions=definitions)
    assert release(index, stack, ecs, codedeploy)["Data"] == {"DeploymentId": "d-1"}
    assert len(codedeploy.created) == 1


def test_who_releases_the_same_already_is_let_go_on(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy(deployment("d-5", "InProgress", of=WANTED))
    answer = release(index, stack, by_codedeploy(f"{FAMILY}:7"), codedeploy)
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"DeploymentId": "d-5"})
    assert codedeploy.created == []


@pytest.mark.parametrize("status", ["Created", "Queued", "InProgress", "Baking", "Ready"])
@pytest.mark.parametrize("of", [f"{FAMILY}:80", f"{FAMILY}:9"])
def test_another_release_under_way_is_not_disturbed(
    index: ModuleType, stack: Any, status: str, of: str
) -> None:
    codedeploy = CodeDeploy(deployment("d-5", status, of=of))
    answer = release(index, stack, by_codedeploy(f"{FAMILY}:7"), codedeploy)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        "release d-5 of customer is under way: wait for its end or end it (`suppliers release watch`, "
        "`suppliers rollback`), then deploy again"
    )
    assert codedeploy.created == []


def test_a_rollback_of_codedeploy_is_a_release_under_way(index: ModuleType, stack: Any) -> None:
    codedeploy = CodeDeploy({"deploymentId": "d-6", "status": "InProgress", "creator": "codeDeployRollback"})
    answer = release(index, stack, by_codedeploy(f"{FAMILY}:7"), codedeploy)
    assert answer["Reason"].startswith("release d-6 of customer is under way")


@pytest.mark.parametrize(
    ("quicker", "status", "says"),
    [
        (deployment("d-5", "Created", of=WANTED), "SUCCESS", ""),
        (deployment("d-5", "Created", of=f"{FAMILY}:9"), "FAILED", "release d-5 of customer is under way"),
        (deployment("d-5", "Stopped", of=f"{FAMILY}:9"), "FAILED", "LimitExceeded: the group already has"),
    ],
)
def test_somebody_who_is_quicker_wins(
    index: ModuleType, stack: Any, quicker: dict[str, Any], status: str, says: str
) -> None:
    codedeploy = CodeDeploy(quicker=quicker)
    answer = release(index, stack, by_codedeploy(f"{FAMILY}:7"), codedeploy)
    assert answer["Status"] == status
    assert answer["Reason"].startswith(says)
    if status == "SUCCESS":
        assert answer["Data"] == {"DeploymentId": "d-5"}


IMAGE = {
    "Image": f"{REGISTRY}/cdk-hnb659fds-container-assets-000000000000-us-east-1:abc",
    "Version": "2" * 64,
    "ShipCheckout": "",
    "PipelineRepository": REPOSITORY,
    "ServiceLogicalId": "Service",
    "Cluster": "suppliers",
    "Settings": {"Cpu": "256"},
}
CHECKOUT = {"Image": IMAGE["Image"], "Version": IMAGE["Version"]}


def running(**container: Any) -> Ecs:
    """An ECS whose service's live tasks are of that container."""
    return by_codedeploy(f"{FAMILY}:7", definitions=[definition(f"{FAMILY}:7", **container)])


def image(index: ModuleType, stack: Any, ecs: Ecs, **more: Any) -> dict[str, Any]:
    properties = {**IMAGE, **more.pop("properties", {})}
    answer = ask(index, stack, ecs, "Custom::LiveImage", properties, request="Update", **more)
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    return dict(answer["Data"])


@pytest.mark.parametrize(
    ("container", "version"),
    [
        ({"image": f"{REGISTRY}/{REPOSITORY}:{'1' * 64}", "dockerLabels": {"version": "old"}}, "1" * 64),
        ({"image": f"localhost:4566/{REPOSITORY}:{'1' * 64}"}, "1" * 64),
        ({"image": f"{REGISTRY}/{REPOSITORY}@sha256:{'a' * 64}", "dockerLabels": {"version": "v"}}, "v"),
        ({"image": f"{REGISTRY}/{REPOSITORY}@sha256:{'a' * 64}"}, ""),
    ],
)
def test_what_a_pipeline_released_is_kept(
    index: ModuleType, stack: Any, container: dict[str, Any], version: str
) -> None:
    assert image(index, stack, running(**container)) == {"Image": container["image"], "Version": version}


def test_it_is_kept_in_a_rollback_as_well(index: ModuleType, stack: Any) -> None:
    found = image(index, stack, running(), cloudformation=ROLLING_BACK)
    assert found["Version"] == "1" * 64


@pytest.mark.parametrize(
    "live",
    [
        IMAGE["Image"],
        f"{REGISTRY}/other-suppliers-dev/customer:{'1' * 64}",
        f"{REGISTRY}/suppliers-dev/customer-old:{'1' * 64}",
        "customer:latest",
    ],
)
def test_what_no_pipeline_released_gives_way_to_the_checkout(
    index: ModuleType, stack: Any, live: str
) -> None:
    assert image(index, stack, running(image=live)) == CHECKOUT


@pytest.mark.parametrize("properties", [{"PipelineRepository": ""}, {"ShipCheckout": IMAGE["Version"]}])
def test_the_checkout_is_shipped_without_pipelines_and_where_it_is_asked_for(
    index: ModuleType, stack: Any, properties: dict[str, str]
) -> None:
    ecs = running()
    del ecs.definitions[f"{FAMILY}:7"]
    assert image(index, stack, ecs, properties=properties) == CHECKOUT


def test_the_checkout_is_shipped_by_the_update_that_brings_the_word_and_by_no_later_one(
    index: ModuleType, stack: Any
) -> None:
    """The stack keeps the word, and a pipeline may have released since."""
    told = {**IMAGE, "ShipCheckout": f"{IMAGE['Version']}@20261127T101500Z"}
    assert image(index, stack, running(), properties=told, old=IMAGE) == CHECKOUT
    assert image(index, stack, running(), properties=told, old=told)["Version"] == "1" * 64
    again = {**told, "ShipCheckout": f"{IMAGE['Version']}@20261127T111500Z"}
    assert image(index, stack, running(), properties=again, old=told) == CHECKOUT


def test_the_checkout_of_another_day_is_not_shipped(index: ModuleType, stack: Any) -> None:
    found = image(index, stack, running(), properties={"ShipCheckout": "3" * 64})
    assert found["Version"] == "1" * 64


@pytest.mark.parametrize(
    "cloudformation", [CloudFormation(service=None), CloudFormation(service="")], ids=["not yet", "no id"]
)
def test_a_service_that_is_still_to_be_made_runs_the_checkout(
    index: ModuleType, stack: Any, cloudformation: CloudFormation
) -> None:
    assert image(index, stack, running(), cloudformation=cloudformation) == CHECKOUT


def test_a_stack_that_has_no_such_resource_yet_runs_the_checkout(index: ModuleType, stack: Any) -> None:
    assert image(index, stack, running(), properties={"ServiceLogicalId": "Other"}) == CHECKOUT


@pytest.mark.parametrize("status", ["INACTIVE", None])
def test_a_service_that_is_gone_runs_the_checkout(index: ModuleType, stack: Any, status: str | None) -> None:
    ecs = Ecs(service={"status": status, "taskDefinition": WANTED} if status else None)
    assert image(index, stack, ecs) == CHECKOUT


def test_a_question_that_is_refused_fails_the_stack(index: ModuleType, stack: Any) -> None:
    class Denied(CloudFormation):
        def describe_stack_resource(self, **request: Any) -> dict[str, Any]:
            error: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}}
            raise ClientError(error, "DescribeStackResource")

    answer = ask(index, stack, running(), "Custom::LiveImage", IMAGE, cloudformation=Denied())
    assert answer["Status"] == "FAILED"
    assert "AccessDenied" in answer["Reason"]


@pytest.mark.parametrize(
    "container",
    [
        {"name": "customer", "image": f"{REGISTRY}/{REPOSITORY}:abc", "dockerLabels": {"version": "old"}},
        {
            "name": "customer",
            "image": f"{REGISTRY}/{REPOSITORY}@sha256:abc",
            "dockerLabels": {"version": "v"},
        },
        {"name": "customer", "image": "assets:abc", "dockerLabels": {"version": "v"}},
        {"name": "customer", "image": "assets:abc", "dockerLabels": {}},
        {"name": "customer", "image": "assets:abc"},
        {"name": "customer", "image": "localhost:4566/customer:abc"},
    ],
)
def test_both_functions_tell_the_same_version(index: ModuleType, container: dict[str, Any]) -> None:
    assert index.running_version(container) == load(CHECK).running_version(container)


class Elb:
    """A load balancer with recorded rules by listener: each a priority and the weights of its groups."""

    exceptions = SimpleNamespace(ListenerNotFoundException=KeyError)

    def __init__(self, rules: dict[str, dict[str, Any]], ports: dict[str, int] | None = None) -> None:
        self.rules = rules
        self.ports = ports or {"http": 80, "https": 443, "test": 9000}

    def describe_listeners(self, **request: Any) -> dict[str, Any]:
        assert request.pop("LoadBalancerArn") == "alb"
        found = [{"ListenerArn": name, "Port": port} for name, port in self.ports.items()][::-1]
        return self._page("Listeners", found, **request)

    def describe_rules(self, *, ListenerArn: str, **request: Any) -> dict[str, Any]:
        if ListenerArn not in self.ports:
            raise KeyError(ListenerArn)
        found = [
            {"Priority": priority, "Actions": actions}
            for priority, actions in self.rules.get(ListenerArn, {}).items()
        ]
        return self._page("Rules", found, **request)

    def _page(self, name: str, found: list[Any], Marker: str = "0") -> dict[str, Any]:
        at = int(Marker)
        following = {"NextMarker": str(at + 1)} if at + 1 < len(found) else {}
        return {name: found[at : at + 1], **following}


def forward(**weights: int) -> list[dict[str, Any]]:
    """A rule's action as the load balancer tells it: a single group is told in both ways, with the weight 1."""
    groups = [{"TargetGroupArn": name, "Weight": weight} for name, weight in weights.items()]
    action: dict[str, Any] = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
    if len(groups) == 1:
        action["TargetGroupArn"] = groups[0]["TargetGroupArn"]
    return [action]


REFUSED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
SIGN_IN = [{"Type": "authenticate-oidc", "AuthenticateOidcConfig": {}}]
TRAFFIC = {
    "LoadBalancerArn": "alb",
    "ListenerArn": "https",
    "BlueTargetGroupArn": "blue",
    "GreenTargetGroupArn": "green",
    "Rules": [{"Priority": "10"}],
}


def traffic(index: ModuleType, stack: Any, rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    elb = Elb(rules, more.pop("ports", None))
    properties = {**TRAFFIC, **more.pop("properties", {})}
    return ask(index, stack, Ecs(), "Custom::LiveTraffic", properties, elbv2=elb, **more)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"https": {"10": forward(blue=100, green=0)}}, (100, 0)),
        ({"https": {"10": forward(blue=0, green=100)}}, (0, 100)),
        ({"https": {"10": forward(green=10, blue=90)}}, (90, 10)),
        ({"https": {"10": forward(green=1)}}, (0, 100)),
        ({"https": {"10": [{"Type": "forward", "TargetGroupArn": "green"}]}}, (0, 100)),
        ({"https": {"10": [*SIGN_IN, *forward(green=1)]}}, (0, 100)),
        # The first by number, whatever the order of the answer and of the texts.
        ({"https": {"default": forward(blue=1), "100": forward(blue=1), "20": forward(green=1)}}, (0, 100)),
        ({"https": {"5": forward(other=1), "6": REFUSED, "default": forward(green=1)}}, (0, 100)),
    ],
)
def test_a_rule_is_written_as_it_sends_requests_now(
    index: ModuleType, stack: Any, rules: dict[str, Any], expected: tuple[int, int]
) -> None:
    answer = traffic(index, stack, rules, request="Update", old=TRAFFIC)
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert answer["Data"] == {"Blue": expected[0], "Green": expected[1]}
    assert all(type(weight) is int for weight in answer["Data"].values())


def test_a_rollback_writes_it_so_as_well(index: ModuleType, stack: Any) -> None:
    rules = {"https": {"10": forward(blue=0, green=100)}}
    answer = traffic(index, stack, rules, request="Update", old=TRAFFIC, cloudformation=ROLLING_BACK)
    assert answer["Data"] == {"Blue": 0, "Green": 100}


@pytest.mark.parametrize("ports", [{"http": 80, "https": 443, "test": 9000}, {"http": 80, "test": 9000}])
def test_a_listener_that_is_new_or_gone_sends_as_the_others_do(
    index: ModuleType, stack: Any, ports: dict[str, int]
) -> None:
    rules = {
        "http": {"10": forward(blue=0, green=100)},
        "https": {"default": REFUSED},
        "test": {"10": forward(blue=100, green=0)},
    }
    assert traffic(index, stack, rules, ports=ports)["Data"] == {"Blue": 0, "Green": 100}


def test_a_new_service_gets_everything_in_blue(index: ModuleType, stack: Any) -> None:
    rules = {"https": {"default": REFUSED}, "http": {"10": forward(other=1)}}
    assert traffic(index, stack, rules)["Data"] == {"Blue": 100, "Green": 0}


@pytest.mark.parametrize(
    "old",
    [
        {"BlueTargetGroupArn": "blue-before", "GreenTargetGroupArn": "green-before"},
        {"GreenTargetGroupArn": "green-before"},
    ],
)
@pytest.mark.parametrize("listener", ["https", "test"])
def test_groups_made_anew_are_refused_while_requests_go_to_the_old_ones(
    index: ModuleType, stack: Any, old: dict[str, str], listener: str
) -> None:
    rules = {listener: {"10": forward(**{"blue-before": 0, "green-before": 100})}}
    answer = traffic(index, stack, rules, request="Update", old={**TRAFFIC, **old})
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        "the target groups are made anew by a change of port, protocol or network, and no task is in them: leave "
        "these as they are, or bring the change as a service of its own"
    )


def test_groups_made_anew_are_fine_where_no_request_goes_to_the_old_ones(
    index: ModuleType, stack: Any
) -> None:
    old = {**TRAFFIC, "BlueTargetGroupArn": "blue-before", "GreenTargetGroupArn": "green-before"}
    answer = traffic(index, stack, {"https": {"default": REFUSED}}, request="Update", old=old)
    assert answer["Data"] == {"Blue": 100, "Green": 0}


def test_the_way_back_from_groups_made_anew_is_free(index: ModuleType, stack: Any) -> None:
    old = {**TRAFFIC, "BlueTargetGroupArn": "blue-anew", "GreenTargetGroupArn": "green-anew"}
    rules = {"https": {"10": forward(blue=0, green=100), "20": forward(**{"blue-anew": 1})}}
    answer = traffic(index, stack, rules, request="Update", old=old, cloudformation=ROLLING_BACK)
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"Blue": 0, "Green": 100})


PATH = {"Path": "/ready", "Cluster": "suppliers", "ServiceLogicalId": "Service"}
OLD_PATH = {**PATH, "Path": "/"}


def answering(*paths: str) -> dict[str, Any]:
    """What a container says that it was released as answering."""
    return {"dockerLabels": {"release-check-paths": json.dumps(paths)}}


def path(index: ModuleType, stack: Any, ecs: Ecs, **more: Any) -> dict[str, Any]:
    more = {"request": "Update", "old": OLD_PATH, **more}
    return ask(index, stack, ecs, "Custom::HealthCheckPath", PATH, **more)


@pytest.mark.parametrize("container", [{}, {"dockerLabels": {"version": "1"}}, answering("/", "/read")])
def test_a_path_that_the_live_version_may_not_answer_is_refused(
    index: ModuleType, stack: Any, container: dict[str, Any]
) -> None:
    answer = path(index, stack, running(**container))
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        "health_check_path /ready: the live version was not released as answering it: add it to "
        "release_check_paths, release, then change it"
    )


@pytest.mark.parametrize(
    ("container", "more"),
    [
        (answering("/", "/ready"), {}),
        ({}, {"request": "Create", "old": None}),
        ({}, {"old": PATH}),
        ({}, {"cloudformation": ROLLING_BACK}),
        ({}, {"cloudformation": CloudFormation(service=None)}),
    ],
    ids=["checked", "new", "unchanged", "rollback", "no service"],
)
def test_a_path_that_judges_nobody_wrongly_is_taken(
    index: ModuleType, stack: Any, container: dict[str, Any], more: dict[str, Any]
) -> None:
    assert path(index, stack, running(**container), **more)["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("deployments", "refused"),
    [
        ([("PRIMARY", 8, "COMPLETED")], False),
        ([("PRIMARY", 8, None)], False),
        ([("PRIMARY", 8, "IN_PROGRESS"), ("ACTIVE", 7, "COMPLETED")], True),
        ([("ACTIVE", 7, "COMPLETED"), ("PRIMARY", 8, "COMPLETED")], False),
        ([("PRIMARY", 7, "FAILED")], False),
    ],
)
def test_ecs_has_released_what_is_complete(
    index: ModuleType, stack: Any, deployments: list[tuple[str, int, str | None]], refused: bool
) -> None:
    records = [
        {
            "status": status,
            "taskDefinition": f"{FAMILY}:{revision}",
            **({"rolloutState": state} if state else {}),
        }
        for status, revision, state in deployments
    ]
    known = [definition(f"{FAMILY}:7"), definition(WANTED, **answering("/ready"))]
    ecs = Ecs(
        service={"status": "ACTIVE", "taskDefinition": WANTED, "deployments": records},
        definitions={each["taskDefinitionArn"]: each for each in known},
    )
    assert path(index, stack, ecs)["Status"] == ("FAILED" if refused else "SUCCESS")


def test_whatever_goes_wrong_is_answered(index: ModuleType, stack: Any) -> None:
    answer = ask(index, stack, Ecs(), "Custom::Unheard", {})
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "KeyError: 'Custom::Unheard'"
