"""Stack policies: CloudFormation itself refuses to replace or remove what a protected environment keeps.

A template cannot hold one, and the CDK CLI sets none; they are set after each deployment. Unlike the
comparison before a deployment they also hold for those who deploy by other means.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from typing import Any

from ops.aws.clients import Clients
from ops.aws.refusals import told_by_aws
from ops.deployed import stacks
from ops.deployed.routes import Template
from ops.errors import OpsError
from ops.release.stateful import stateful_types
from settings import Environment

# The stacks that live as long as the data; the others are made anew from the sources.
PROTECTED_PARTS = ("network", "data")
_ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}


def policy(template: Template) -> dict[str, Any]:
    """Everything may change, but no resource of a stateful type in `template` may be replaced or deleted."""
    types = {resource["Type"] for resource in template["Resources"].values()} & stateful_types()
    return {
        "Statement": [
            _ALLOW,
            {
                "Effect": "Deny",
                "Action": ["Update:Replace", "Update:Delete"],
                "Principal": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"ResourceType": sorted(types)}},
            },
        ]
    }


@contextmanager
def enforced(
    clients: Clients, environment: Environment, accepted: Sequence[str], detail: Callable[[str], None]
) -> Iterator[None]:
    """Around a deployment: afterwards the policies are set, of a protected environment, however it ended.

    Until then a stack may change freely where a pattern in `accepted`, such as data/Name, is about it.
    """
    if not environment.protected:
        yield
        return
    touched = [part for part in PROTECTED_PARTS if _is_about(part, accepted)]
    for stack, cloudformation in _deployed(clients, environment, touched):
        cloudformation.set_stack_policy(StackName=stack, StackPolicyBody=json.dumps({"Statement": [_ALLOW]}))
    try:
        yield
    except BaseException:
        # What went wrong first is what the user must read.
        with suppress(OpsError):
            _protect(clients, environment, detail)
        raise
    _protect(clients, environment, detail)


def _protect(clients: Clients, environment: Environment, detail: Callable[[str], None]) -> None:
    for stack, cloudformation in _deployed(clients, environment, PROTECTED_PARTS):
        with told_by_aws(environment.name):
            document = policy(stacks.template(cloudformation, stack))
            cloudformation.set_stack_policy(StackName=stack, StackPolicyBody=json.dumps(document))
        types = document["Statement"][1]["Condition"]["StringEquals"]["ResourceType"]
        detail(f"{stack}: refuses to replace or delete {', '.join(types)}")


def _is_about(part: str, accepted: Sequence[str]) -> bool:
    return any(fnmatchcase(part, pattern.partition("/")[0]) for pattern in accepted)


def _deployed(clients: Clients, environment: Environment, parts: Sequence[str]) -> list[tuple[str, Any]]:
    cloudformation = clients.client("cloudformation")
    with told_by_aws(environment.name):
        return [
            (stack, cloudformation)
            for part in parts
            if stacks.status(cloudformation, stack := f"suppliers-{environment.name}-{part}")
            not in stacks.NOTHING_DEPLOYED
        ]
