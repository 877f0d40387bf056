"""A function for the tests: answers CloudFormation as a custom resource and CodeDeploy as a hook, and notes each call.

It is the text of a template: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-lambda-function-code.html
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3

ssm: Any = boto3.client("ssm")


def handler(event: Mapping[str, Any], context: object) -> None:
    if "DeploymentId" in event:
        answer_codedeploy(event)
    else:
        answer_cloudformation(event)


def answer_codedeploy(event: Mapping[str, Any]) -> None:
    note({"Function": os.environ["NAME"]})
    codedeploy: Any = boto3.client("codedeploy")
    codedeploy.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=os.environ["VERDICT"],
    )


def answer_cloudformation(event: Mapping[str, Any]) -> None:
    cloudformation: Any = boto3.client("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName=event["StackId"])["Stacks"]
    properties, old = event["ResourceProperties"], event.get("OldResourceProperties", {})
    note(
        {
            "Resource": event["LogicalResourceId"],
            "Request": event["RequestType"],
            "Path": properties.get("Path", ""),
            "OldPath": old.get("Path", ""),
            "Status": stack["StackStatus"],
        }
    )
    blue = int(ssm.get_parameter(Name="/blue")["Parameter"]["Value"])
    fails = properties.get("Fails") == "true"
    if fails:
        # While the update goes on, a release moves the requests.
        ssm.put_parameter(Name="/blue", Value="10", Type="String", Overwrite=True)
    answer = {
        "Status": "FAILED" if fails else "SUCCESS",
        "Reason": "the test says so",
        "PhysicalResourceId": event["LogicalResourceId"],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Blue": blue, "Green": 100 - blue},
    }
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10)


def note(call: Mapping[str, str]) -> None:
    calls = json.loads(ssm.get_parameter(Name="/calls")["Parameter"]["Value"])
    ssm.put_parameter(Name="/calls", Value=json.dumps([*calls, call]), Type="String", Overwrite=True)
