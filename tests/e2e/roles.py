"""Roles for the tests."""

from __future__ import annotations

import json
from typing import Any

POLICY = "Rights"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(*actions: str, resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    """A statement that allows actions."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def trust(**principal: str) -> dict[str, Any]:
    """The policy of a role that the principal may take."""
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


# What Lambda needs for what a function prints.
WRITE_LOGS = allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")


def make_role(iam: Any, name: str, trusted: dict[str, Any], *statements: dict[str, Any]) -> str:
    """A role with one policy of these statements, by ARN."""
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trusted))["Role"]
    if statements:
        write_rights(iam, name, *statements)
    return str(role["Arn"])


def allow_pull(iam: Any, role_arn: str, image: str) -> None:
    """Let a role pull an image's repository, as the stack of a pipeline lets the execution role of its service."""
    registry, _, rest = image.partition("/")
    account, _, _, region, *_ = registry.split(".")
    name = rest.partition(":")[0]
    repository = f"arn:aws:ecr:{region}:{account}:repository/{name}"
    pull = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    iam.put_role_policy(
        RoleName=role_arn.rpartition("/")[2],
        PolicyName=f"Pull-{name.replace('/', '-')}",
        PolicyDocument=json.dumps(
            document(allow(*pull, resource=repository), allow("ecr:GetAuthorizationToken"))
        ),
    )


def write_rights(iam: Any, name: str, *statements: dict[str, Any]) -> None:
    """Have these statements be all that the role may do."""
    iam.put_role_policy(RoleName=name, PolicyName=POLICY, PolicyDocument=json.dumps(document(*statements)))
