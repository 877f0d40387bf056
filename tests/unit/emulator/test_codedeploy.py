import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.bridges.codedeploy import deployments as codedeploy
from emulator.bridges.ecs import task_sets
from emulator.releases import AppSpec, Deployment, Failure, Hook


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What CodeDeploy keeps, with one application and one group."""
    kept = SimpleNamespace(
        applications={"app": {"applicationName": "app"}},
        groups={"app/group": {"applicationName": "app", "deploymentGroupName": "group"}},
        configs={},
        deployments={},
        worlds={},
    )
    monkeypatch.setattr(codedeploy, "_stores", [kept])
    return kept


def ask(operation: str, **params: Any) -> tuple[int, dict[str, Any]]:
    headers = {"x-amz-target": f"{codedeploy.TARGET_PREFIX}.{operation}"}
    body = json.dumps(params).encode()
    status, _, answer = asyncio.run(codedeploy.handle_request("POST", "/", headers, body, {}))
    return status, json.loads(answer)


def add(store: Any, identifier: str = "d-1", **more: Any) -> Deployment:
    made = Deployment(
        id=identifier,
        application="app",
        group="group",
        revision={"revisionType": "AppSpecContent"},
        spec=AppSpec("customer:7", "customer", 8080),
        settings={"ecsServices": [{"clusterName": "c", "serviceName": "s"}]},
    )
    for name, value in more.items():
        setattr(made, name, value)
    store.deployments[identifier] = made
    return made


@pytest.mark.parametrize(
    ("operation", "params", "exception"),
    [
        ("GetDeployment", {"deploymentId": "d-9"}, "DeploymentDoesNotExistException"),
        ("GetDeployment", {}, "DeploymentIdRequiredException"),
        ("CreateDeployment", {"deploymentGroupName": "group"}, "ApplicationNameRequiredException"),
        (
            "CreateDeployment",
            {"applicationName": "x", "deploymentGroupName": "group"},
            "ApplicationDoesNotExistException",
        ),
        (
            "CreateDeployment",
            {"applicationName": "app", "deploymentGroupName": "x"},
            "DeploymentGroupDoesNotExistException",
        ),
        (
            "CreateDeployment",
            {"applicationName": "app", "deploymentGroupName": "group"},
            "RevisionRequiredException",
        ),
        ("GetDeploymentTarget", {"deploymentId": "d-9", "targetId": "t"}, "DeploymentDoesNotExistException"),
        ("CreateApplication", {}, "UnknownOperationException"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_codedeploys_name(
    store: Any, operation: str, params: dict[str, Any], exception: str
) -> None:
    status, answer = ask(operation, **params)
    assert (status, answer["__type"]) == (400, exception)
    assert answer["message"]


def test_a_group_has_one_deployment_at_a_time(store: Any) -> None:
    add(store, status="InProgress")
    document = {
        "Resources": [
            {
                "TargetService": {
                    "Properties": {
                        "TaskDefinition": "t",
                        "LoadBalancerInfo": {"ContainerName": "c", "ContainerPort": 80},
                    }
                }
            }
        ]
    }
    revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(document)}}
    status, answer = ask(
        "CreateDeployment", applicationName="app", deploymentGroupName="group", revision=revision
    )
    assert (status, answer["__type"]) == (400, "DeploymentLimitExceededException")
    assert "already has an active Deployment 'd-1'" in answer["message"]


def test_a_deployment_shows_its_outcome_and_its_rollback(store: Any) -> None:
    add(store).finish(Failure("ALARM_ACTIVE", "server-errors fires", status="Stopped"))
    store.deployments["d-1"].rollback = "d-2"
    _, answer = ask("GetDeployment", deploymentId="d-1")
    info = answer["deploymentInfo"]
    assert info["status"] == "Stopped"
    assert info["errorInformation"] == {"code": "ALARM_ACTIVE", "message": "server-errors fires"}
    assert info["rollbackInfo"]["rollbackDeploymentId"] == "d-2"
    assert info["completeTime"] >= info["createTime"] > 1_700_000_000


def test_deployments_are_listed_newest_first_by_group_and_state(store: Any) -> None:
    add(store, "d-1").finish()
    add(store, "d-2", status="InProgress")
    assert ask("ListDeployments", applicationName="app", deploymentGroupName="group")[1] == {
        "deployments": ["d-2", "d-1"]
    }
    assert ask("ListDeployments", includeOnlyStatuses=["Succeeded"])[1] == {"deployments": ["d-1"]}
    assert ask("ListDeployments", applicationName="app", deploymentGroupName="x")[1] == {"deployments": []}


def test_a_group_shows_its_last_deployments(store: Any) -> None:
    add(store, "d-1").finish()
    add(store, "d-2").finish(Failure("MANUAL_STOP", "stopped", status="Stopped"))
    _, answer = ask("GetDeploymentGroup", applicationName="app", deploymentGroupName="group")
    group = answer["deploymentGroupInfo"]
    assert group["lastAttemptedDeployment"]["deploymentId"] == "d-2"
    assert group["lastSuccessfulDeployment"]["deploymentId"] == "d-1"


def test_a_hook_is_answered_once(store: Any) -> None:
    hook = Hook("h-1")
    add(store, status="InProgress", hooks={"h-1": hook})
    answer = {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "h-1"}
    put = "PutLifecycleEventHookExecutionStatus"
    assert ask(put, **answer, status="Whatever")[1]["__type"] == (
        "InvalidLifecycleEventHookExecutionStatusException"
    )
    assert ask(put, **answer, status="Failed") == (200, {"lifecycleEventHookExecutionId": "h-1"})
    assert hook.outcome == "Failed"
    assert ask(put, **answer, status="Succeeded")[1]["__type"] == "LifecycleEventAlreadyCompletedException"
    assert ask(put, **{**answer, "lifecycleEventHookExecutionId": "h-2"}, status="Failed")[1]["__type"] == (
        "InvalidLifecycleEventHookExecutionIdException"
    )


def test_only_a_deployment_under_way_is_stopped(store: Any) -> None:
    made = add(store, status="InProgress")
    assert ask("StopDeployment", deploymentId="d-1", autoRollbackEnabled=True)[1]["status"] == "Pending"
    assert made.stop_requested
    made.finish()
    assert ask("StopDeployment", deploymentId="d-1")[1]["__type"] == "DeploymentAlreadyCompletedException"


def test_only_a_deployment_that_waits_is_continued(store: Any) -> None:
    made = add(store, status="InProgress")
    kind = "DeploymentIsNotInReadyStateException"
    assert ask("ContinueDeployment", deploymentId="d-1")[1]["__type"] == kind
    wait = {"deploymentId": "d-1", "deploymentWaitType": "TERMINATION_WAIT"}
    assert ask("ContinueDeployment", **wait)[1]["__type"] == kind
    made.bakes = True
    assert ask("ContinueDeployment", **wait) == (200, {})
    made.status = "Ready"
    assert ask("ContinueDeployment", deploymentId="d-1") == (200, {})
    assert made.goes_on == {"READY_WAIT", "TERMINATION_WAIT"}


def record(**more: Any) -> dict[str, Any]:
    return {
        "serviceName": "customer@123",
        "taskDefinition": "customer:7",
        "desiredCount": 2,
        "runningCount": 2,
        "createdAt": "2026-01-01T00:00:00Z",
        "deployments": [{"rolloutState": "COMPLETED"}],
        **more,
    }


SERVICE = {"serviceArn": "arn:aws:ecs:r:1:service/c/customer", "clusterArn": "arn:aws:ecs:r:1:cluster/c"}


@pytest.mark.parametrize(
    ("more", "status", "stability"),
    [
        ({"_primary": True}, "PRIMARY", "STEADY_STATE"),
        ({}, "ACTIVE", "STEADY_STATE"),
        ({"_primary": True, "_draining": True}, "DRAINING", "STEADY_STATE"),
        ({"runningCount": 1}, "ACTIVE", "STABILIZING"),
        ({"deployments": [{"rolloutState": "IN_PROGRESS"}]}, "ACTIVE", "STABILIZING"),
    ],
)
def test_a_task_set_shows_its_part_and_whether_it_is_steady(
    more: dict[str, Any], status: str, stability: str
) -> None:
    shown = task_sets.shown(record(**more), SERVICE)
    assert (shown["status"], shown["stabilityStatus"]) == (status, stability)
    assert shown["id"] == "ecs-svc/123"
    assert shown["taskSetArn"] == "arn:aws:ecs:r:1:task-set/c/customer/ecs-svc/123"
    assert shown["taskDefinition"] == "customer:7"


def test_tasks_show_the_service_rather_than_its_task_set() -> None:
    show = task_sets._showing(lambda value: dict(value))
    shown = show({"group": "service:customer@123", "startedBy": "customer@123"})
    assert shown == {"group": "service:customer", "startedBy": "ecs-svc/123"}
    other = {"group": "service:employee", "startedBy": "employee"}
    assert show(other) == other


CONTROLLER = (
    " on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment."
)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"taskDefinition": "customer:8"}, "Unable to update task definition"),
        ({"taskDefinition": "customer:8", "forceNewDeployment": True}, "Unable to update task definition"),
        ({"networkConfiguration": {}, "taskDefinition": "customer:7"}, "Unable to update network parameters"),
        ({"loadBalancers": [], "desiredCount": 2}, "Unable to update load balancers"),
        ({"platformVersion": "LATEST"}, "Unable to update platform version"),
        ({"capacityProviderStrategy": []}, "Cannot force a new deployment"),
        ({"forceNewDeployment": True}, "Cannot force a new deployment"),
        ({"serviceConnectConfiguration": {"enabled": False}}, "Unable to update serviceConnectConfiguration"),
    ],
)
def test_a_service_of_codedeploy_is_not_updated_in_what_a_deployment_decides(
    request_: dict[str, Any], words: str
) -> None:
    assert task_sets.refusal({"cluster": "c", "service": "s", **request_}) == words + CONTROLLER


def test_a_service_of_codedeploy_is_updated_in_what_leaves_its_tasks_as_they_are() -> None:
    assert (
        task_sets.refusal(
            {
                "cluster": "c",
                "service": "s",
                "desiredCount": 2,
                "deploymentConfiguration": {"maximumPercent": 150},
                "healthCheckGracePeriodSeconds": 60,
                "placementConstraints": [],
                "placementStrategy": [],
                "enableECSManagedTags": True,
                "propagateTags": "SERVICE",
                "forceNewDeployment": False,
                "taskDefinition": None,
            }
        )
        is None
    )


def test_the_rollback_is_a_deployment_of_the_group_with_the_revision_released_last(store: Any) -> None:
    for number, status in enumerate(("Succeeded", "Succeeded", "Failed"), start=1):
        add(store, f"d-{number}", status=status, revision={"number": number})
    subject = add(store, "d-4", status="InProgress")
    world: Any = SimpleNamespace(task_sets_info=list)
    rollback = codedeploy._start_rollback(subject, world)
    assert (rollback.creator, rollback.revision, rollback.under_way) == (
        "codeDeployRollback",
        {"number": 2},
        True,
    )
    rollback.triggered_by = subject.id
    _, answer = ask("GetDeployment", deploymentId=rollback.id)
    assert answer["deploymentInfo"]["rollbackInfo"] == {"rollbackTriggeringDeploymentId": "d-4"}
    assert ask("ListDeployments", applicationName="app", deploymentGroupName="group")[1]["deployments"][
        0
    ] == (rollback.id)
