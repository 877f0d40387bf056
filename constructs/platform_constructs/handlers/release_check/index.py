"""Watches the new tasks of a release start, and tries them out before anybody else is moved to them.

CodeDeploy calls it twice: before the new tasks are made (BeforeInstall) and after the test traffic has moved to them
(AfterAllowTestTraffic). ECS calls it as a lifecycle hook (POST_TEST_TRAFFIC_SHIFT). What is tried passes when every
path of the service answers 200 from the version being released. A release by CodeDeploy whose new tasks keep stopping
is stopped, since CodeDeploy waits an hour for them:
https://docs.aws.amazon.com/codedeploy/latest/userguide/troubleshooting-ecs.html
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

_ATTEMPTS = 5
_PAUSE_SECONDS = 2.0
_TIMEOUT_SECONDS = 5.0
_VERSION_HEADER = "X-Service-Version"
_PATHS_LABEL = "release-check-paths"
_HOOKS = ("BeforeInstall", "AfterAllowTestTraffic")
_UNDER_WAY = frozenset({"Created", "Queued", "InProgress", "Baking", "Ready"})
_NOT_ENDED = frozenset({"Pending", "InProgress", "Unknown"})
_WATCH_SECONDS = 600.0
_POLL_SECONDS = 5.0
_STOPPED_TASKS = 3
_LOG_LINES = 15
_LINE_LENGTH = 1000
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_SUBJECT_LENGTH = 99

Record = Mapping[str, Any]


class CheckFailed(Exception):
    """The new tasks do not answer as they should; the text says how."""


def handler(event: Record, context: object) -> dict[str, str]:
    """Watch or check, and tell whoever asked: CodeDeploy by a call, ECS by the returned status."""
    deployment_id = event.get("DeploymentId")
    problem, starting = "", False
    try:
        starting = bool(deployment_id) and _hook(str(deployment_id)) == "BeforeInstall"
        if not starting:
            check(_released_by_codedeploy(str(deployment_id)) if deployment_id else _released_by_ecs(event))
    except Exception as error:
        problem = str(error) if isinstance(error, CheckFailed) else f"{type(error).__name__}: {error}"
    answer = {"hookStatus": "FAILED" if problem else "SUCCEEDED", "reason": problem}
    if deployment_id and not _take("Failed" if problem else "Succeeded", event):
        return answer
    passed = "the new tasks may start" if starting else "the new tasks answer"
    _log("ERROR" if problem else "INFO", problem or passed)
    if starting:
        watch(str(deployment_id))
    return answer


def check(task_definition: str) -> None:
    """Request every path of the service from its new tasks; raises `CheckFailed` with the first that fails."""
    found = boto3.client("ecs").describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    container = found["containerDefinitions"][0]
    paths = (container.get("dockerLabels") or {}).get(_PATHS_LABEL)
    if paths is None:
        raise CheckFailed(f"{found['family']}: no label {_PATHS_LABEL} says which paths it answers")
    version = running_version(container)
    if version is None:
        raise CheckFailed(f"{found['family']}: neither tag nor label of its image says which version it is")
    addresses = _addresses()
    for path in json.loads(paths):
        _until_answered(addresses, path, version)


def watch(deployment_id: str) -> None:
    """Stop the release when three of its new tasks have stopped before all were ready, and tell why by mail.

    Ends when the new tasks are ready, the release has ended, or after ten minutes.
    """
    deadline = time.monotonic() + _WATCH_SECONDS
    stopped: list[Record] | None = []
    while stopped is not None and time.monotonic() < deadline:
        try:
            stopped = _stopped_while_starting(deployment_id)
        except (BotoCoreError, ClientError) as error:
            _log("ERROR", f"the new tasks of {deployment_id} cannot be watched: {error}")
        if stopped and len(stopped) >= _STOPPED_TASKS:
            _stop(deployment_id, stopped)
            return
        time.sleep(_POLL_SECONDS)


def running_version(container: Record) -> str | None:
    """The version that a container runs; the builds of the pipelines and the operators' commands ask here too.

    A pipeline's repository has the service's name, as the container has, and its tags are versions. `cdk deploy` names
    its images otherwise and labels the container. The label alone would not do: a release by ECS itself changes the
    image and leaves the label behind.
    """
    repository, _, tag = str(container["image"]).rpartition(":")
    if repository.rpartition("/")[2] == container["name"]:
        return tag
    label: str | None = (container.get("dockerLabels") or {}).get("version")
    return label


def _until_answered(addresses: Sequence[str], path: str, version: str) -> None:
    problem = "no answer"
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        try:
            status, answering = _request(addresses[attempt % len(addresses)], path)
        except (OSError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {error}"
            continue
        if status == 200 and answering == version:
            return
        problem = f"{status} from version {answering[:12] or 'unknown'}"
    raise CheckFailed(f"{path} gives {problem}, not 200 from version {version[:12]}")


def _request(address: str, path: str) -> tuple[int, str]:
    host, port = os.environ["HOST"], int(os.environ["PORT"])
    connection: http.client.HTTPConnection
    if os.environ["SCHEME"] == "https":
        connection = _SecureConnection(address, port, host)
    else:
        connection = http.client.HTTPConnection(address, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": host, "User-Agent": "release-check"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get(_VERSION_HEADER, "")
    finally:
        connection.close()


class _SecureConnection(http.client.HTTPSConnection):
    """A connection to an address whose certificate is checked for the name of the site."""

    def __init__(self, address: str, port: int, name: str) -> None:
        self._context_for_name = ssl.create_default_context()
        super().__init__(address, port, timeout=_TIMEOUT_SECONDS, context=self._context_for_name)
        self._name = name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._context_for_name.wrap_socket(self.sock, server_hostname=self._name)


def _addresses() -> list[str]:
    # From inside the VPC the load balancer's name leads out to its public addresses, where the test
    # listener is closed; its private ones are those of its network interfaces.
    description = f"ELB {os.environ['LOAD_BALANCER']}"
    found = boto3.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "description", "Values": [description]}]
    )["NetworkInterfaces"]
    addresses = sorted(each["PrivateIpAddress"] for each in found)
    if not addresses:
        raise CheckFailed(f"the load balancer {os.environ['LOAD_BALANCER']} has no network interface")
    return addresses


def _hook(deployment_id: str) -> str | None:
    """Which of the hooks CodeDeploy waits for: an event tells only that it does."""
    events = _lifecycle(deployment_id)
    for states in ({"InProgress"}, _NOT_ENDED):
        for hook in _HOOKS:
            if events.get(hook) in states:
                return hook
    return None


def _lifecycle(deployment_id: str) -> dict[str, str]:
    codedeploy: Any = boto3.client("codedeploy")
    targets = codedeploy.list_deployment_targets(deploymentId=deployment_id)["targetIds"]
    if not targets:
        return {}
    found = codedeploy.batch_get_deployment_targets(deploymentId=deployment_id, targetIds=targets)
    return {
        event["lifecycleEventName"]: event["status"]
        for target in found["deploymentTargets"]
        for event in target["ecsTarget"].get("lifecycleEvents", [])
    }


def _take(status: str, event: Record) -> bool:
    """Tell CodeDeploy; whether it had not been told before, as an event may come more than once."""
    codedeploy: Any = boto3.client("codedeploy")
    try:
        codedeploy.put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status=status,
        )
    except codedeploy.exceptions.LifecycleEventAlreadyCompletedException:
        return False
    return True


def _released_by_codedeploy(deployment_id: str) -> str:
    _, service = _service(_deployment(deployment_id))
    waiting = [each for each in service.get("taskSets", []) if each["status"] != "PRIMARY"]
    if not waiting:
        raise CheckFailed(f"{service['serviceName']} has no new tasks to check")
    return str(max(waiting, key=lambda each: each["createdAt"])["taskDefinition"])


def _deployment(deployment_id: str) -> Record:
    codedeploy: Any = boto3.client("codedeploy")
    info: Record = codedeploy.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
    return info


def _service(info: Record) -> tuple[str, Record]:
    """The cluster and the service of a deployment."""
    codedeploy: Any = boto3.client("codedeploy")
    group = codedeploy.get_deployment_group(
        applicationName=info["applicationName"], deploymentGroupName=info["deploymentGroupName"]
    )["deploymentGroupInfo"]
    (named,) = group["ecsServices"]
    ecs: Any = boto3.client("ecs")
    found = ecs.describe_services(cluster=named["clusterName"], services=[named["serviceName"]])["services"]
    return named["clusterName"], found[0]


def _stopped_while_starting(deployment_id: str) -> list[Record] | None:
    """The new tasks that stopped while others start; None where there is nothing more to watch."""
    info = _deployment(deployment_id)
    if info["status"] not in _UNDER_WAY:
        return None
    if _lifecycle(deployment_id).get("Install", "Pending") not in _NOT_ENDED:
        return None
    cluster, service = _service(info)
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskSet.html
    new = next(
        (each for each in service.get("taskSets", []) if each.get("externalId") == deployment_id), None
    )
    if new is None:
        return []
    if new["status"] == "PRIMARY" or _is_steady(new):
        return None
    return [
        task
        for task in _stopped_tasks(cluster, service["serviceName"])
        if task.get("startedBy") == new["id"] and not _is_scaled_in(task)
    ]


def _is_steady(task_set: Record) -> bool:
    """Whether all its tasks run and are healthy; tasks that end soon after their start run for a moment, too."""
    return task_set["stabilityStatus"] == "STEADY_STATE" and int(task_set["computedDesiredCount"]) > 0


def _is_scaled_in(task: Record) -> bool:
    return str(task.get("stoppedReason", "")).startswith("Scaling activity")


def _stopped_tasks(cluster: str, service: str) -> Iterator[Record]:
    ecs: Any = boto3.client("ecs")
    page: dict[str, str] = {}
    while True:
        found = ecs.list_tasks(cluster=cluster, serviceName=service, desiredStatus="STOPPED", **page)
        if found["taskArns"]:
            tasks = ecs.describe_tasks(cluster=cluster, tasks=found["taskArns"])["tasks"]
            yield from (task for task in tasks if task["lastStatus"] == "STOPPED")
        if not found.get("nextToken"):
            return
        page = {"nextToken": found["nextToken"]}


def _stop(deployment_id: str, tasks: Sequence[Record]) -> None:
    codedeploy: Any = boto3.client("codedeploy")
    outcome = "is stopped; the version before keeps the traffic"
    try:
        codedeploy.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True)
    except codedeploy.exceptions.DeploymentAlreadyCompletedException:
        return
    except ClientError as error:
        outcome = f"cannot be stopped ({error}); `suppliers rollback` ends it"
    task = max(tasks, key=lambda each: each["createdAt"])
    container = _failed_container(task)
    name = container["name"]
    reason = f"{len(tasks)} of its new tasks stopped before they were ready: {_ending(task)}"
    log = _end_of_log(task, name)
    _log("ERROR", f"release {deployment_id} of {name} {outcome}: {reason}\n{log}".rstrip())
    sns: Any = boto3.client("sns")
    sns.publish(
        TopicArn=os.environ["ALARM_TOPIC_ARN"],
        Subject=f"Release of {name}: its new tasks keep stopping"[:_SUBJECT_LENGTH],
        Message=(
            f"The release {deployment_id} of {name} in the cluster {task['clusterArn'].rpartition('/')[2]} {outcome}.\n\n"
            f"{reason}\n\n"
            f"The end of the log of task {task['taskArn'].rpartition('/')[2]}:\n{log or 'it wrote nothing'}\n\n"
            f"`suppliers tasks {name} --stopped` shows all of them. Mend the version and release it again."
        ),
    )


def _failed_container(task: Record) -> Record:
    """The container for which a task stopped, as far as exit statuses tell."""
    containers: Sequence[Record] = task["containers"]
    return next((each for each in containers if each.get("exitCode")), containers[0])


def _ending(task: Record) -> str:
    parts = [task.get("stoppedReason") or "no reason told"]
    for container in task["containers"]:
        if container.get("exitCode") is not None:
            parts.append(f"{container['name']}: exit status {container['exitCode']}")
        if container.get("reason"):
            parts.append(f"{container['name']}: {container['reason']}")
    return "; ".join(parts)


def _end_of_log(task: Record, container: str) -> str:
    """The last lines that a container wrote; what keeps them from being read, where it cannot be told more."""
    try:
        found = boto3.client("ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])
        definitions = found["taskDefinition"]["containerDefinitions"]
        (definition,) = (each for each in definitions if each["name"] == container)
        options = definition["logConfiguration"]["options"]
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
        stream = f"{options['awslogs-stream-prefix']}/{container}/{task['taskArn'].rpartition('/')[2]}"
        events = boto3.client("logs").get_log_events(
            logGroupName=options["awslogs-group"], logStreamName=stream, limit=_LOG_LINES, startFromHead=False
        )["events"]
    except Exception as error:  # the release is stopped whether or not its log can be read
        return f"the log cannot be read: {type(error).__name__}: {error}"
    return "\n".join(str(event.get("message", ""))[:_LINE_LENGTH] for event in events)


def _log(level: str, message: str) -> None:
    print(json.dumps({"level": level, "message": message}))


def _released_by_ecs(event: Record) -> str:
    revision = event["executionDetails"]["targetServiceRevisionArn"]
    found = boto3.client("ecs").describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    if not found:
        raise CheckFailed(f"there is no service revision {revision}")
    return str(found[0]["taskDefinition"])
