"""A hook function for the tests: asks the new tasks through the test listener, and passes its verdict on."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3


def handler(event: Mapping[str, str], context: object) -> None:
    outcome = "Succeeded"
    try:
        check(event["DeploymentId"])
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        outcome = "Failed"
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=outcome,
    )


def check(deployment: str) -> None:
    """Raise unless the home page and the list are answered by the version that is being released."""
    expected = version_of(deployment)
    for path in ("/", "/suppliers"):
        request = urllib.request.Request(os.environ["URL"] + path, headers={"Host": os.environ["HOST"]})
        # Raises for any status that is not a success.
        with urllib.request.urlopen(request, timeout=5) as answer:
            found = answer.headers["X-Service-Version"]
        if found != expected:
            raise AssertionError(f"{path} is answered by {found}, not by {expected}")


def version_of(deployment: str) -> str:
    ecs: Any = boto3.client("ecs")
    info = boto3.client("codedeploy").get_deployment(deploymentId=deployment)["deploymentInfo"]
    if info["status"] != "InProgress":
        raise AssertionError(f"the deployment is {info['status']}")
    (service,) = ecs.describe_services(cluster=os.environ["CLUSTER"], services=[os.environ["SERVICE"]])[
        "services"
    ]
    (green,) = (item for item in service["taskSets"] if item["status"] == "ACTIVE")
    definition = ecs.describe_task_definition(taskDefinition=green["taskDefinition"])["taskDefinition"]
    labels = definition["containerDefinitions"][0]["dockerLabels"]
    return str(labels["version"])
