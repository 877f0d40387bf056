"""Tries the new tasks out through the test listener before a release moves anybody else to them.

Called by CodeDeploy after the test traffic has moved (AfterAllowTestTraffic) and by ECS as a lifecycle hook
(POST_TEST_TRAFFIC_SHIFT). Passes when every path of the service answers 200 from the version being released.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any

import boto3

_ATTEMPTS = 5
_PAUSE_SECONDS = 2.0
_TIMEOUT_SECONDS = 5.0
_VERSION_HEADER = "X-Service-Version"


class CheckFailed(Exception):
    """The new tasks do not answer as they should; the text says how."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, str]:
    """Check, and tell whoever asked: CodeDeploy by a call, ECS by the returned status."""
    problem = ""
    try:
        check(_released_by_codedeploy(event) if "DeploymentId" in event else _released_by_ecs(event))
    except Exception as error:
        problem = str(error) if isinstance(error, CheckFailed) else f"{type(error).__name__}: {error}"
    print(json.dumps({"level": "ERROR" if problem else "INFO", "message": problem or "the new tasks answer"}))
    if "DeploymentId" in event:
        boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status="Failed" if problem else "Succeeded",
        )
    return {"hookStatus": "FAILED" if problem else "SUCCEEDED", "reason": problem}


def check(task_definition: str) -> None:
    """Request every path of the service from its new tasks; raises `CheckFailed` with the first that fails."""
    found = boto3.client("ecs").describe_task_definition(taskDefinition=task_definition)["taskDefinition"]
    paths = json.loads(os.environ["PATHS"]).get(found["family"])
    if paths is None:
        raise CheckFailed(f"nothing is known about {found['family']}")
    version = running_version(found["containerDefinitions"][0])
    if version is None:
        raise CheckFailed(f"{found['family']}: neither tag nor label of its image says which version it is")
    addresses = _addresses()
    for path in paths:
        _until_answered(addresses, path, version)


def running_version(container: Mapping[str, Any]) -> str | None:
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


def _released_by_codedeploy(event: Mapping[str, Any]) -> str:
    codedeploy: Any = boto3.client("codedeploy")
    info = codedeploy.get_deployment(deploymentId=event["DeploymentId"])["deploymentInfo"]
    group = codedeploy.get_deployment_group(
        applicationName=info["applicationName"], deploymentGroupName=info["deploymentGroupName"]
    )["deploymentGroupInfo"]
    (service,) = group["ecsServices"]
    found = boto3.client("ecs").describe_services(
        cluster=service["clusterName"], services=[service["serviceName"]]
    )["services"][0]
    waiting = [each for each in found.get("taskSets", []) if each["status"] != "PRIMARY"]
    if not waiting:
        raise CheckFailed(f"{service['serviceName']} has no new tasks to check")
    return str(max(waiting, key=lambda each: each["createdAt"])["taskDefinition"])


def _released_by_ecs(event: Mapping[str, Any]) -> str:
    revision = event["executionDetails"]["targetServiceRevisionArn"]
    found = boto3.client("ecs").describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    if not found:
        raise CheckFailed(f"there is no service revision {revision}")
    return str(found[0]["taskDefinition"])
