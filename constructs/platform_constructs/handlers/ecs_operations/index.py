"""CloudFormation custom resources that do to ECS what its own resource types cannot.

`Custom::OneOffTask` runs a task to its end and fails, with the end of its log, when the task fails.
`Custom::MinimumTasks` lifts new services to their minimums, and never lowers a count.
`Custom::CodeDeployRelease` makes `cdk deploy` of a changed service a CodeDeploy deployment: CloudFormation cannot
move a service with the CODE_DEPLOY controller to another task definition
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecs-service.html). The stack
waits for the deployment's end and fails with CodeDeploy's reason if it was taken back.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import boto3

_T = TypeVar("_T")
_POLL_SECONDS = 3.0
# Left of the function's own time limit to report the outcome.
_MARGIN_MILLISECONDS = 20_000
_LOG_LINES = 15
_UNDER_WAY = frozenset({"Created", "Queued", "InProgress", "Baking", "Ready"})
# CloudFormation cuts reasons off above 4 KB of response.
_REASON_LENGTH = 1500


class OperationFailed(Exception):
    """The operation ended, and not well; the text is for the stack's events."""


class OutOfTime(OperationFailed):
    """The function may not run longer, and what it waited for has not happened."""


class Unfinished(Exception):
    """The operation goes on longer than this call may: the next one continues it from `state`."""

    def __init__(self, state: Mapping[str, str]) -> None:
        super().__init__("goes on")
        self.state = state


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Answer CloudFormation whatever happens: an unanswered request blocks a stack for an hour.

    What takes longer than a function may run goes on in another call of the same function.
    """
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] != "Delete":
            properties = {**event["ResourceProperties"], **event.get("Continued", {})}
            _OPERATIONS[event["ResourceType"]](properties, context)
    except Unfinished as unfinished:
        payload = json.dumps({**event, "Continued": unfinished.state})
        boto3.client("lambda").invoke(
            FunctionName=context.invoked_function_arn, InvocationType="Event", Payload=payload
        )
        return
    except Exception as error:
        status = "FAILED"
        reason = str(error) if isinstance(error, OperationFailed) else f"{type(error).__name__}: {error}"
        print(json.dumps({"level": "ERROR", "message": reason}))
    _respond(event, status, reason[:_REASON_LENGTH])


def run_one_off_task(properties: Mapping[str, Any], context: Any) -> None:
    """Run the task definition once; raises `OperationFailed` unless its container exits with 0 in time."""
    ecs: Any = boto3.client("ecs")
    answer = ecs.run_task(
        cluster=properties["Cluster"],
        taskDefinition=properties["TaskDefinition"],
        launchType="FARGATE",
        count=1,
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": properties["Subnets"],
                "securityGroups": properties["SecurityGroups"],
                "assignPublicIp": "DISABLED",
            }
        },
    )
    if not answer["tasks"]:
        reasons = ", ".join(failure.get("reason", "unknown") for failure in answer.get("failures", []))
        raise OperationFailed(f"the task could not be started: {reasons}")
    task_arn = answer["tasks"][0]["taskArn"]
    task = _wait(
        context,
        f"the task {task_arn} did not end in time",
        lambda: _stopped(ecs.describe_tasks(cluster=properties["Cluster"], tasks=[task_arn])["tasks"]),
    )
    container = task["containers"][0]
    if container.get("exitCode") != 0:
        reason = container.get("reason") or task.get("stoppedReason") or ""
        log = _end_of_log(properties["LogGroup"], properties["LogPrefix"], container["name"], task_arn)
        raise OperationFailed(f"exit status {container.get('exitCode', 'none')}. {reason}\n{log}".strip())


def lift_to_minimum(properties: Mapping[str, Any], context: Any) -> None:
    """Set each desired count to its minimum if it is lower, and wait until that many tasks run of all services."""
    ecs: Any = boto3.client("ecs")
    cluster = properties["Cluster"]
    minimums = {each["Service"]: int(each["Minimum"]) for each in properties["Services"]}

    def described(service: str) -> Mapping[str, Any]:
        found = ecs.describe_services(cluster=cluster, services=[service])["services"]
        if not found:
            raise OperationFailed(f"there is no service {service}")
        return dict(found[0])

    def reached(service: str, minimum: int) -> bool | None:
        return True if described(service)["runningCount"] >= minimum else None

    for service, minimum in minimums.items():
        if described(service)["desiredCount"] < minimum:
            ecs.update_service(cluster=cluster, service=service, desiredCount=minimum)
    for service, minimum in minimums.items():
        _wait(
            context,
            f"{service} did not reach {minimum} running tasks in time",
            partial(reached, service, minimum),
        )


def release_by_codedeploy(properties: Mapping[str, Any], context: Any) -> None:
    """Deploy the task definition unless the service runs it already; raises `OperationFailed` if it is taken back."""
    deployment_id = properties.get("DeploymentId")
    if not deployment_id:
        if _live(properties) == properties["TaskDefinition"]:
            return
        deployment_id = _start_deployment(properties)
    try:
        info = _wait(context, "", lambda: _ended(deployment_id))
    except OutOfTime:
        raise Unfinished({"DeploymentId": deployment_id}) from None
    if info["status"] != "Succeeded":
        raise OperationFailed(_reason(info))


def _start_deployment(properties: Mapping[str, Any]) -> str:
    codedeploy: Any = boto3.client("codedeploy")
    try:
        answer = codedeploy.create_deployment(
            applicationName=properties["Application"],
            deploymentGroupName=properties["DeploymentGroup"],
            revision={
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": json.dumps(app_spec(properties))},
            },
            description="started by CloudFormation",
        )
    except codedeploy.exceptions.DeploymentLimitExceededException as error:
        raise OperationFailed(f"another deployment of this service is under way: {error}") from None
    return str(answer["deploymentId"])


def _ended(deployment_id: str) -> dict[str, Any] | None:
    info = boto3.client("codedeploy").get_deployment(deploymentId=deployment_id)["deploymentInfo"]
    return None if info["status"] in _UNDER_WAY else dict(info)


def app_spec(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What CodeDeploy is to release, and the function that tries it out after the test traffic has moved.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
    """
    return {
        "version": 0.0,
        "Resources": [
            {
                "TargetService": {
                    "Type": "AWS::ECS::Service",
                    "Properties": {
                        "TaskDefinition": properties["TaskDefinition"],
                        "LoadBalancerInfo": {
                            "ContainerName": properties["ContainerName"],
                            "ContainerPort": int(properties["ContainerPort"]),
                        },
                        "PlatformVersion": "LATEST",
                    },
                }
            }
        ],
        "Hooks": [{"AfterAllowTestTraffic": properties["CheckFunction"]}],
    }


def _live(properties: Mapping[str, Any]) -> str:
    ecs: Any = boto3.client("ecs")
    found = ecs.describe_services(cluster=properties["Cluster"], services=[properties["Service"]])["services"]
    if not found:
        raise OperationFailed(f"there is no service {properties['Service']}")
    primary = [each["taskDefinition"] for each in found[0].get("taskSets", []) if each["status"] == "PRIMARY"]
    return str(primary[0] if primary else found[0]["taskDefinition"])


def _reason(info: Mapping[str, Any]) -> str:
    error = info.get("errorInformation") or {}
    parts = [f"CodeDeploy deployment {info['deploymentId']} ended {info['status'].lower()}"]
    parts += [text for text in (error.get("code"), error.get("message")) if text]
    parts += _failed_events(info["deploymentId"])
    rollback = (info.get("rollbackInfo") or {}).get("rollbackMessage")
    return ": ".join(parts) + (f" ({rollback})" if rollback else "")


def _failed_events(deployment_id: str) -> list[str]:
    codedeploy: Any = boto3.client("codedeploy")
    targets = codedeploy.list_deployment_targets(deploymentId=deployment_id)["targetIds"]
    if not targets:
        return []
    found = codedeploy.batch_get_deployment_targets(deploymentId=deployment_id, targetIds=targets)
    return [
        f"{event['lifecycleEventName']}: {(event.get('diagnostics') or {}).get('message') or 'failed'}"
        for target in found["deploymentTargets"]
        for event in target["ecsTarget"].get("lifecycleEvents", [])
        if event["status"] == "Failed"
    ]


_OPERATIONS: Mapping[str, Callable[[Mapping[str, Any], Any], None]] = {
    "Custom::OneOffTask": run_one_off_task,
    "Custom::MinimumTasks": lift_to_minimum,
    "Custom::CodeDeployRelease": release_by_codedeploy,
}


def _stopped(tasks: list[dict[str, Any]]) -> dict[str, Any] | None:
    return tasks[0] if tasks and tasks[0]["lastStatus"] == "STOPPED" else None


def _wait(context: Any, late: str, poll: Callable[[], _T | None]) -> _T:
    while context.get_remaining_time_in_millis() > _MARGIN_MILLISECONDS:
        result = poll()
        if result is not None:
            return result
        time.sleep(_POLL_SECONDS)
    raise OutOfTime(late)


def _end_of_log(group: str, prefix: str, container: str, task_arn: str) -> str:
    stream = f"{prefix}/{container}/{task_arn.rsplit('/', 1)[-1]}"
    try:
        events = boto3.client("logs").get_log_events(
            logGroupName=group, logStreamName=stream, limit=_LOG_LINES, startFromHead=False
        )["events"]
    except Exception as error:  # the log explains a failure; without it the failure still counts
        return f"log {group} {stream} cannot be read: {error}"
    return "\n".join(str(event.get("message", "")) for event in events)


def _respond(event: Mapping[str, Any], status: str, reason: str) -> None:
    body = json.dumps(
        {
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": event.get("PhysicalResourceId", event["LogicalResourceId"]),
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
        }
    ).encode()
    # CloudFormation gives the address: a presigned one of its own bucket.
    request = urllib.request.Request(  # noqa: S310
        event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""}
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass
