"""CloudFormation custom resources that do to a service what its own resource types cannot.

`Custom::OneOffTask` runs a task to its end and fails, with the end of its log, when the task fails.
`Custom::MinimumTasks` lifts a new service to its minimum, and never lowers a count.
`Custom::CodeDeployRelease` starts the CodeDeploy deployment of a changed service, and does not wait: CloudFormation
cannot move a service with the CODE_DEPLOY controller to another task definition
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecs-service.html).
`Custom::LiveImage` and `Custom::LiveTraffic` answer what runs and where the requests go, so that a template keeps it.
`Custom::HealthCheckPath` refuses a path that the live version may not answer.

Lambda delivers an event at least once, and CloudFormation calls an update again with the old properties when a stack
rolls back: an event that comes again changes nothing, and what acts does nothing in a rollback.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import boto3
from botocore.exceptions import ClientError

_T = TypeVar("_T")
_POLL_SECONDS = 3.0
# Left of the function's own time limit to report the outcome.
_MARGIN_MILLISECONDS = 20_000
_LOG_LINES = 15
_UNDER_WAY = ("Created", "Queued", "InProgress", "Baking", "Ready")
# Lambda delivers no event that is older: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
_OLDEST_EVENT = timedelta(hours=6)
# What differs between two registrations of the same task.
_OF_THE_REVISION = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
        "requiresAttributes",
        "compatibilities",
        "tags",
    }
)
# Of CodeDeploy and of Elastic Load Balancing: what an answer tells, and what asks for the page after it.
_FOLLOWING = {"nextToken": "nextToken", "NextMarker": "Marker"}
_PATHS_LABEL = "release-check-paths"
# CloudFormation cuts reasons off above 4 KB of response.
_REASON_LENGTH = 1500

Record = Mapping[str, Any]


class OperationFailed(Exception):
    """The operation ended, and not well; the text is for the stack's events."""


def handler(event: Record, context: Any) -> None:
    """Answer CloudFormation whatever happens: an unanswered request blocks a stack for an hour."""
    status, reason, data = "SUCCESS", "", {}
    try:
        if event["RequestType"] != "Delete":
            data = dict(_OPERATIONS[event["ResourceType"]](event, context) or {})
    except Exception as error:
        status = "FAILED"
        reason = str(error) if isinstance(error, OperationFailed) else f"{type(error).__name__}: {error}"
        print(json.dumps({"level": "ERROR", "message": reason}))
    _respond(event, status, reason[:_REASON_LENGTH], data)


def run_one_off_task(event: Record, context: Any) -> None:
    """Run the task to its end, as `run_to_end` does; not in a rollback.

    What a task did, such as to a schema, is never taken back by an older one.
    """
    if not _rolls_back(event):
        run_to_end(event["ResourceProperties"], context, token=_digest(event["RequestId"]))


def run_to_end(properties: Record, context: Any, *, token: str) -> None:
    """Run the task definition once for a token; raises `OperationFailed` unless its container exits with 0 in time."""
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
        # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
        clientToken=token,
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


def lift_to_minimum(event: Record, context: Any) -> None:
    """Set the desired count to the minimum if it is lower, and wait until that many tasks run; not in a rollback."""
    if _rolls_back(event):
        return
    ecs: Any = boto3.client("ecs")
    properties = event["ResourceProperties"]
    cluster, service, minimum = properties["Cluster"], properties["Service"], int(properties["Minimum"])
    if _existing(cluster, service)["desiredCount"] < minimum:
        ecs.update_service(cluster=cluster, service=service, desiredCount=minimum)
    _wait(
        context,
        f"{service} did not reach {minimum} running tasks in time",
        lambda: True if _existing(cluster, service)["runningCount"] >= minimum else None,
    )


def release_by_codedeploy(event: Record, _context: Any) -> Record:
    """Start the deployment of the task definition and answer its id, or none where there is nothing to release.

    There is nothing in a rollback, which the release outlives, and where the live tasks are the same already. Raises
    `OperationFailed` if another version is being released.
    """
    properties = event["ResourceProperties"]
    if _rolls_back(event) or _runs_already(properties):
        return {"DeploymentId": ""}
    started = _started_before(event) or _under_way(properties)
    if started:
        return {"DeploymentId": started}
    codedeploy: Any = boto3.client("codedeploy")
    try:
        answer = codedeploy.create_deployment(
            applicationName=properties["Application"],
            deploymentGroupName=properties["DeploymentGroup"],
            revision={
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": json.dumps(app_spec(properties))},
            },
            description=_description(event),
        )
    except codedeploy.exceptions.DeploymentLimitExceededException:
        # Somebody was quicker, maybe the same event once more.
        started = _under_way(properties)
        if not started:
            raise
        return {"DeploymentId": started}
    return {"DeploymentId": answer["deploymentId"]}


def app_spec(properties: Record) -> dict[str, Any]:
    """What CodeDeploy is to release, and the function that watches its new tasks start and then tries them out.

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
        "Hooks": [
            {"BeforeInstall": properties["CheckFunction"]},
            {"AfterAllowTestTraffic": properties["CheckFunction"]},
        ],
    }


def live_image(event: Record, _context: Any) -> Record:
    """The image that the template's tasks run: the live one if a pipeline released it, else what the checkout builds.

    A version that `ShipCheckout` names (before an `@`) is shipped whatever is live, by the update that brings the word:
    the CDK CLI keeps the values of parameters, and a later update must not undo what was released in between.
    """
    properties = event["ResourceProperties"]
    checkout = {"Image": properties["Image"], "Version": properties["Version"]}
    told = properties["ShipCheckout"]
    before = (event.get("OldResourceProperties") or {}).get("ShipCheckout", "")
    ships = told != before and told.partition("@")[0] == properties["Version"]
    if ships or not properties["PipelineRepository"]:
        return checkout
    container = _live_container(event)
    if container is None or not is_of_repository(properties["PipelineRepository"], container["image"]):
        return checkout
    return {"Image": container["image"], "Version": running_version(container) or ""}


def running_version(container: Record) -> str | None:
    """The version that a container runs, as the check of a release tells it."""
    repository, _, tag = str(container["image"]).rpartition(":")
    if repository.rpartition("/")[2] == container["name"]:
        return tag
    label: str | None = (container.get("dockerLabels") or {}).get("version")
    return label


def live_traffic(event: Record, _context: Any) -> Record:
    """The weights with which the load balancer sends requests to either group now; all to blue where none does.

    Raises `OperationFailed` where an update would take the requests to groups made anew, which have no tasks.
    """
    properties = event["ResourceProperties"]
    blue, green = properties["BlueTargetGroupArn"], properties["GreenTargetGroupArn"]
    load_balancer, listener = properties["LoadBalancerArn"], properties["ListenerArn"]
    old = event.get("OldResourceProperties") or {}
    gone = {old.get("BlueTargetGroupArn"), old.get("GreenTargetGroupArn")} - {blue, green, None}
    if event["RequestType"] == "Update" and gone and not _rolls_back(event):
        for each in _listeners(load_balancer):
            if any(gone & _weights(rule).keys() for rule in _rules(each)):
                raise OperationFailed(
                    "the target groups are made anew by a change of port, protocol or network, and no task is in "
                    "them: leave these as they are, or bring the change as a service of its own"
                )
    sent = _sent(listener, blue, green)
    if sent is None:
        others = _listeners(load_balancer)
        sent = next((found for each in others if (found := _sent(each, blue, green))), None)
    return sent or {"Blue": 100, "Green": 0}


def check_health_check_path(event: Record, _context: Any) -> None:
    """Raise `OperationFailed` where a changed path would judge live tasks that were not released as answering it.

    A target group's path holds for the tasks in it at once:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
    """
    path = event["ResourceProperties"]["Path"]
    if event["RequestType"] != "Update" or event["OldResourceProperties"].get("Path") == path:
        return
    if _rolls_back(event):
        return
    container = _live_container(event)
    if container is None:
        return
    if path not in json.loads((container.get("dockerLabels") or {}).get(_PATHS_LABEL, "[]")):
        raise OperationFailed(
            f"health_check_path {path}: the live version was not released as answering it: add it to "
            "release_check_paths, release, then change it"
        )


_OPERATIONS: Mapping[str, Callable[[Record, Any], Record | None]] = {
    "Custom::OneOffTask": run_one_off_task,
    "Custom::MinimumTasks": lift_to_minimum,
    "Custom::CodeDeployRelease": release_by_codedeploy,
    "Custom::LiveImage": live_image,
    "Custom::LiveTraffic": live_traffic,
    "Custom::HealthCheckPath": check_health_check_path,
}


def _rolls_back(event: Record) -> bool:
    cloudformation: Any = boto3.client("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName=event["StackId"])["Stacks"]
    return "ROLLBACK" in stack["StackStatus"]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _service(cluster: str, service: str) -> Record | None:
    ecs: Any = boto3.client("ecs")
    found = ecs.describe_services(cluster=cluster, services=[service])["services"]
    return next((each for each in found if each.get("status") != "INACTIVE"), None)


def _existing(cluster: str, service: str) -> Record:
    found = _service(cluster, service)
    if found is None:
        raise OperationFailed(f"there is no service {service}")
    return found


def _live(service: Record) -> str:
    """The task definition whose tasks get the traffic, whoever releases the service."""
    for each in service.get("taskSets") or []:
        if each["status"] == "PRIMARY":
            return str(each["taskDefinition"])
    # The one being released is PRIMARY from its start; the one before is complete.
    deployments = sorted(service.get("deployments") or [], key=lambda each: each["status"] != "PRIMARY")
    for each in deployments:
        if each.get("rolloutState", "COMPLETED") == "COMPLETED":
            return str(each["taskDefinition"])
    return str(service["taskDefinition"])


def _live_container(event: Record) -> Record | None:
    """The container of the live tasks of the stack's service; None while there is no service."""
    properties = event["ResourceProperties"]
    cloudformation: Any = boto3.client("cloudformation")
    try:
        resource = cloudformation.describe_stack_resource(
            StackName=event["StackId"], LogicalResourceId=properties["ServiceLogicalId"]
        )["StackResourceDetail"]
    except ClientError as error:
        # So it answers for a resource that the stack does not have:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    identifier = resource.get("PhysicalResourceId")
    service = _service(properties["Cluster"], identifier) if identifier else None
    if service is None:
        return None
    container: Record = _task_definition(_live(service))["containerDefinitions"][0]
    return container


def _task_definition(arn: str) -> Record:
    ecs: Any = boto3.client("ecs")
    found: Record = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    return found


def _runs_already(properties: Record) -> bool:
    live = _live(_existing(properties["Cluster"], properties["Service"]))
    wanted = properties["TaskDefinition"]
    return live == wanted or _content(live) == _content(wanted)


def _content(arn: str) -> Record:
    """What its tasks are, without what tells one registration from another; ECS keeps no order of variables."""
    found = {key: value for key, value in _task_definition(arn).items() if key not in _OF_THE_REVISION}
    containers = [
        {
            **container,
            **{
                key: sorted(container.get(key) or [], key=lambda each: str(each["name"]))
                for key in ("environment", "secrets")
            },
        }
        for container in found["containerDefinitions"]
    ]
    return {**found, "containerDefinitions": containers}


def _description(event: Record) -> str:
    return f"started by CloudFormation, request {_digest(event['RequestId'])[:8]}"


def _deployments(properties: Record, which: Record) -> Iterator[Record]:
    codedeploy: Any = boto3.client("codedeploy")
    group = {
        "applicationName": properties["Application"],
        "deploymentGroupName": properties["DeploymentGroup"],
        **which,
    }
    for each in _pages("deployments", lambda page: codedeploy.list_deployments(**group, **page)):
        yield codedeploy.get_deployment(deploymentId=each)["deploymentInfo"]


def _started_before(event: Record) -> str | None:
    """The deployment that the same event started, however it ended: it is not to be started over another."""
    recent = {"createTimeRange": {"start": datetime.now(UTC) - _OLDEST_EVENT}}
    for info in _deployments(event["ResourceProperties"], recent):
        if info.get("description") == _description(event):
            return str(info["deploymentId"])
    return None


def _under_way(properties: Record) -> str | None:
    """The deployment under way that releases the same; raises `OperationFailed` if it releases something else."""
    for info in _deployments(properties, {"includeOnlyStatuses": list(_UNDER_WAY)}):
        revision = info.get("revision") or {}
        content = (revision.get("appSpecContent") or revision.get("string") or {}).get("content") or ""
        # JSON from here, YAML from a pipeline.
        if re.search(re.escape(properties["TaskDefinition"]) + r"(?!\d)", content):
            return str(info["deploymentId"])
        raise OperationFailed(
            f"release {info['deploymentId']} of {properties['ContainerName']} is under way: wait for its end or end "
            "it (`suppliers release watch`, `suppliers rollback`), then deploy again"
        )
    return None


def is_of_repository(repository: str, image: str) -> bool:
    """Whether an image, by tag or by digest, is in the repository of that name, in any registry."""
    path, _, name = image.partition("@")[0].rpartition("/")
    return f"/{path}/{name.partition(':')[0]}".endswith(f"/{repository}")


def _listeners(load_balancer: str) -> list[str]:
    """All of a load balancer's, those on the standard ports first: production's before the test listener."""
    elbv2: Any = boto3.client("elbv2")
    found = _pages("Listeners", lambda page: elbv2.describe_listeners(LoadBalancerArn=load_balancer, **page))
    return [each["ListenerArn"] for each in sorted(found, key=lambda each: int(each["Port"]))]


def _rules(listener: str) -> list[Record]:
    """A listener's rules as they are asked, its default last; none of a listener that is gone."""
    elbv2: Any = boto3.client("elbv2")
    try:
        found = list(_pages("Rules", lambda page: elbv2.describe_rules(ListenerArn=listener, **page)))
    except elbv2.exceptions.ListenerNotFoundException:
        return []
    return sorted(
        found, key=lambda rule: int(rule["Priority"]) if rule["Priority"].isdecimal() else float("inf")
    )


def _weights(rule: Record) -> Mapping[str, int]:
    """The target groups to which a rule forwards, with their weights; a single group gets everything."""
    for action in rule["Actions"]:
        groups: Sequence[Record] = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        if len(groups) > 1:
            return {each["TargetGroupArn"]: int(each.get("Weight", 1)) for each in groups}
        for each in groups or [action]:
            if each.get("TargetGroupArn"):
                return {each["TargetGroupArn"]: 100}
    return {}


def _sent(listener: str, blue: str, green: str) -> Record | None:
    for rule in _rules(listener):
        weights = _weights(rule)
        if weights.keys() & {blue, green}:
            return {"Blue": weights.get(blue, 0), "Green": weights.get(green, 0)}
    return None


def _pages(name: str, ask: Callable[[Record], Record]) -> Iterator[Any]:
    page: Record | None = {}
    while page is not None:
        answer = ask(page)
        yield from answer[name]
        page = next(
            ({asked: answer[told]} for told, asked in _FOLLOWING.items() if answer.get(told)),
            None,
        )


def _stopped(tasks: list[dict[str, Any]]) -> dict[str, Any] | None:
    return tasks[0] if tasks and tasks[0]["lastStatus"] == "STOPPED" else None


def _wait(context: Any, late: str, poll: Callable[[], _T | None]) -> _T:
    while context.get_remaining_time_in_millis() > _MARGIN_MILLISECONDS:
        result = poll()
        if result is not None:
            return result
        time.sleep(_POLL_SECONDS)
    raise OperationFailed(late)


def _end_of_log(group: str, prefix: str, container: str, task_arn: str) -> str:
    stream = f"{prefix}/{container}/{task_arn.rsplit('/', 1)[-1]}"
    try:
        events = boto3.client("logs").get_log_events(
            logGroupName=group, logStreamName=stream, limit=_LOG_LINES, startFromHead=False
        )["events"]
    except Exception as error:  # the log explains a failure; without it the failure still counts
        return f"log {group} {stream} cannot be read: {error}"
    return "\n".join(str(event.get("message", "")) for event in events)


def _respond(event: Record, status: str, reason: str, data: Record) -> None:
    body = json.dumps(
        {
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": event.get("PhysicalResourceId", event["LogicalResourceId"]),
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            "Data": data,
        }
    ).encode()
    # CloudFormation gives the address: a presigned one of its own bucket.
    request = urllib.request.Request(  # noqa: S310
        event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""}
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass
