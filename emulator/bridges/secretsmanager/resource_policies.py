"""CloudFormation attaches policies to secrets.

Why: ministack's CloudFormation does not know `AWS::SecretsManager::ResourcePolicy`, so that nothing of what a secret's
own policy forbids would be refused. Unnecessary when it does.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import json
from typing import Any

from emulator.bridges import Context

TYPE = "AWS::SecretsManager::ResourcePolicy"


def install(context: Context) -> None:
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": _create, "update": _update, "delete": _delete}


def _create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    from ministack.services import secretsmanager

    policy = properties["ResourcePolicy"]
    text = policy if isinstance(policy, str) else json.dumps(policy)
    status, _, body = secretsmanager._put_resource_policy(
        {"SecretId": properties["SecretId"], "ResourcePolicy": text}
    )
    if status != 200:
        raise ValueError(f"{TYPE} {logical_id}: {body.decode()}")
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-resourcepolicy.html
    arn = json.loads(body)["ARN"]
    return arn, {"Id": arn}


def _update(
    identifier: str, old: dict[str, Any], new: dict[str, Any], stack: str
) -> tuple[str, dict[str, str]]:
    if old["SecretId"] != new["SecretId"]:
        _delete(identifier, old)
    return _create(identifier, new, stack)


def _delete(identifier: str, properties: dict[str, Any]) -> None:
    from ministack.services import secretsmanager

    secretsmanager._resource_policies.pop(identifier, None)
