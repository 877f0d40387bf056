"""Stacks that stopped half-way, with the exact commands that lead on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.aws.clients import Clients
from ops.aws.refusals import told_by_aws
from ops.errors import OpsError
from settings import Environment, environment_names

# Deleting any of these fails while it is protected, and with it the rollback of its creation and the deletion of its stack:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html#troubleshooting-errors-delete-stack-fails
_UNPROTECT: Mapping[str, str] = {
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (
        "aws elbv2 modify-load-balancer-attributes --load-balancer-arn {} "
        "--attributes Key=deletion_protection.enabled,Value=false"
    ),
    "AWS::RDS::DBCluster": (
        "aws rds modify-db-cluster --apply-immediately --no-deletion-protection --db-cluster-identifier {}"
    ),
    "AWS::RDS::DBInstance": (
        "aws rds modify-db-instance --apply-immediately --no-deletion-protection --db-instance-identifier {}"
    ),
}
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html#cfn-console-view-stack-data-resources-status-codes
_TO_BE_DELETED = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"})


@dataclass(frozen=True)
class Stuck:
    """A stack that nothing was finished of; `blocks` where a deployment cannot go on from there."""

    stack: str
    status: str
    remedy: str
    blocks: bool


def of_environment(clients: Clients, environment: Environment) -> dict[str, str]:
    """The status of each stack of an environment that exists, and of no environment whose name begins with its name."""
    prefix = f"suppliers-{environment.name}-"
    others = tuple(
        f"suppliers-{name}-"
        for name in environment_names()
        if f"suppliers-{name}-".startswith(prefix) and name != environment.name
    )
    pages = clients.client("cloudformation").get_paginator("describe_stacks").paginate()
    return {
        stack["StackName"]: stack["StackStatus"]
        for page in pages
        for stack in page["Stacks"]
        # Nested stacks begin with the name of theirs, and go where it goes.
        if stack["StackName"].startswith(prefix)
        and not stack["StackName"].startswith(others or (" ",))
        and not stack.get("ParentId")
    }


def find(clients: Clients, environment: Environment) -> list[Stuck]:
    """The stacks of an environment that are stuck."""
    found = of_environment(clients, environment)
    return [
        stuck
        for stack, status in sorted(found.items())
        if (stuck := _stuck(clients, environment, stack, status))
    ]


def refuse(clients: Clients, environment: Environment) -> None:
    """Raise `OpsError` with a line for each stack that no deployment can go on from."""
    with told_by_aws(environment.name):
        found = find(clients, environment)
    lines = [f"{each.stack} is {each.status}: {each.remedy}" for each in found if each.blocks]
    if lines:
        raise OpsError("\n".join(lines))


def _stuck(clients: Clients, environment: Environment, stack: str, status: str) -> Stuck | None:
    if status in _TO_BE_DELETED:
        # The CDK CLI deletes what a rollback left and begins anew, which the protection of the stack forbids as well.
        blocks = environment.protected or status != "ROLLBACK_COMPLETE"
        return Stuck(stack, status, " && ".join(_deletion(clients, environment, stack, status)), blocks)
    if status == "CREATE_FAILED":
        # What exists stays, and creation goes on behind it:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
        events = f"aws cloudformation describe-stack-events --stack-name {stack}"
        return Stuck(
            stack, status, f"mend what failed ({events}), then make deploy ENV={environment.name}", False
        )
    if status == "REVIEW_IN_PROGRESS":
        return Stuck(stack, status, f"it holds nothing; make deploy ENV={environment.name}", False)
    if status == "UPDATE_ROLLBACK_FAILED":
        return Stuck(stack, status, f"aws cloudformation continue-update-rollback --stack-name {stack}", True)
    if status == "UPDATE_FAILED":
        return Stuck(stack, status, f"aws cloudformation rollback-stack --stack-name {stack}", True)
    return None


def _deletion(clients: Clients, environment: Environment, stack: str, status: str) -> Iterator[str]:
    if status != "ROLLBACK_COMPLETE":
        for resource in _left(clients, stack):
            yield _UNPROTECT[resource["ResourceType"]].format(resource["PhysicalResourceId"])
    if environment.protected:
        yield f"aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name {stack}"
    yield f"aws cloudformation delete-stack --stack-name {stack}"


def _left(clients: Clients, stack: str) -> Sequence[Any]:
    pages = clients.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    return [
        resource
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] in _UNPROTECT and resource["ResourceStatus"] == "DELETE_FAILED"
    ]
