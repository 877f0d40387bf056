"""What CloudFormation holds of a stack: its status and its template as it was deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from ops.deployed.routes import Template, reference
from ops.errors import OpsError

# A stack in one of these has no resources.
NOTHING_DEPLOYED = frozenset({"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_COMPLETE"})


def service_stack(environment: str, service: str) -> str:
    """The name of the stack of a service."""
    return f"suppliers-{environment}-{service}"


def status(cloudformation: Any, stack: str) -> str:
    """The status of a stack; DELETE_COMPLETE where there is none."""
    found = _described(cloudformation, stack)
    return str(found["StackStatus"]) if found else "DELETE_COMPLETE"


def parameters(cloudformation: Any, stack: str) -> dict[str, str]:
    """The values of a stack's parameters; none where there is no stack."""
    found = _described(cloudformation, stack) or {}
    return {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}


def template(cloudformation: Any, stack: str) -> Template:
    """The template of a deployed stack, as it was sent; raises `OpsError` where it is not JSON."""
    body = cloudformation.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            raise OpsError(
                f"{stack}: its template is not JSON: it was not deployed by this project"
            ) from None
    return dict(body)


def physical_ids(cloudformation: Any, stack: str) -> dict[str, str]:
    """By logical id, the resources that a stack has."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each.get("PhysicalResourceId") and each["ResourceStatus"] != "DELETE_COMPLETE"
    }


def resources_of_type(cloudformation: Any, stack: str, resource_type: str) -> dict[str, str]:
    """The physical ids of a stack's resources of a type, by their logical ids."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == resource_type and each["ResourceStatus"] != "DELETE_COMPLETE"
    }


def readable(logical_id: str) -> str:
    """A logical id without the digits with which CDK makes it unique."""
    return re.sub(r"[0-9A-F]{8}$", "", logical_id)


def resolved(cloudformation: Any, value: Any, ids: Mapping[str, str]) -> str | None:
    """What a value of a template is: of a resource its physical id, of another stack's output what that says."""
    asked = value.get("Fn::GetStackOutput") if isinstance(value, Mapping) else None
    if asked is None:
        name = reference(value)
        return name if isinstance(value, str) else ids.get(name)
    (found,) = cloudformation.describe_stacks(StackName=asked["StackName"])["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    return outputs.get(asked["OutputName"])


def rollback_failures(cloudformation: Any, stack: str) -> list[str]:
    """The logical ids that kept the last rollback of a stack from its end, which are those that may be skipped.

    One that was cancelled may not: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html
    """
    latest: dict[str, Mapping[str, Any]] = {}
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
        for event in page["StackEvents"]:
            name = event["LogicalResourceId"]
            if name == event["StackName"]:
                if event.get("ResourceStatus") == "UPDATE_ROLLBACK_IN_PROGRESS":
                    return sorted(each for each, last in latest.items() if _kept(last))
            else:
                latest.setdefault(name, event)
    return sorted(each for each, last in latest.items() if _kept(last))


def _described(cloudformation: Any, stack: str) -> Mapping[str, Any] | None:
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        answer = error.response.get("Error", {})
        if answer.get("Code") == "ValidationError" and "does not exist" in answer.get("Message", ""):
            return None
        raise
    return dict(found)


def _kept(event: Mapping[str, Any]) -> bool:
    reason = str(event.get("ResourceStatusReason", "")).lower()
    return event.get("ResourceStatus") == "UPDATE_FAILED" and "cancelled" not in reason
