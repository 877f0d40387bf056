"""What CloudFormation holds of a stack: its status and its template as it was deployed."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from ops.errors import OpsError
from ops.routes import Template

# A stack in one of these has no resources.
NOTHING_DEPLOYED = frozenset({"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_COMPLETE"})


def status(cloudformation: Any, stack: str) -> str:
    """The status of a stack; DELETE_COMPLETE where there is none."""
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        answer = error.response.get("Error", {})
        if answer.get("Code") == "ValidationError" and "does not exist" in answer.get("Message", ""):
            return "DELETE_COMPLETE"
        raise
    return str(found["StackStatus"])


def parameters(cloudformation: Any, stack: str) -> dict[str, str]:
    """The values of a stack's parameters; none where there is no stack."""
    if status(cloudformation, stack) == "DELETE_COMPLETE":
        return {}
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
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
