"""What the CDK CLI leaves behind: stacks that an app has no more, and log groups that AWS services make by themselves.

`cdk deploy --all` and `cdk destroy --all` are about the stacks that are synthesized; one whose option was switched off
stays, with all that it does: https://docs.aws.amazon.com/cdk/v2/guide/ref-cli-cmd-destroy.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError

from ops.aws.clients import Clients
from ops.aws.refusals import told_by_aws
from ops.deployed import stacks
from ops.deployed.deployment import stack_names
from ops.errors import OpsError
from settings import SHARED_STACKS, Environment

# By resource type, what the groups of one resource are named or begin with, after its physical id. Enhanced
# monitoring is not here: its one group, RDSOSMetrics, belongs to all databases of an account.
_GROUPS = {
    "AWS::CodeBuild::Project": "/aws/codebuild/{}",
    "AWS::ECS::Cluster": "/aws/ecs/containerinsights/{}/",
    "AWS::Lambda::Function": "/aws/lambda/{}",
    "AWS::RDS::DBCluster": "/aws/rds/cluster/{}/",
    "AWS::RDS::DBInstance": "/aws/rds/instance/{}/",
}
_NESTED = ("AWS::CloudFormation::Stack", "AWS::Serverless::Application")


def stacks_left(clients: Clients, environment: Environment) -> list[str]:
    """The deployed stacks of an environment that its settings no longer ask for, in the order in which they may go."""
    with told_by_aws(environment.name):
        left = {*_deployed(clients, environment)} - {*stack_names(environment).values()}
    # Pipelines go before what they share, and before what they release.
    return sorted(
        left, key=lambda stack: (not _releases(stack, environment), not _shared(stack, environment), stack)
    )


def _deployed(clients: Clients, environment: Environment) -> Iterator[str]:
    """The stacks that an environment has.

    The name alone does not tell: suppliers-dev-eu-customer may be of `dev` or of an environment `dev-eu` that is not
    here. What a service's stack reads of Compute does.
    """
    prefix = f"suppliers-{environment.name}-"
    known = {*(f"{prefix}{part}" for part in SHARED_STACKS), *stack_names(environment).values()}
    cloudformation = clients.client("cloudformation")
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            name = str(stack["StackName"])
            if not name.startswith(prefix) or stack.get("ParentId") is not None:
                continue
            if name in known or f'"{prefix}compute"' in json.dumps(stacks.template(cloudformation, name)):
                yield name


def notice(stack: str, environment: Environment) -> str:
    """One line about a stack that is left: what it goes on doing, and how to end that."""
    remove = f"`aws cloudformation delete-stack --stack-name {stack}`"
    if _releases(stack, environment):
        what = "service" if environment.delivery else "section"
        return (
            f"{stack}: is still there, though its {what} is no longer in the settings, and its pipeline goes on releasing. "
            f"When no task runs an image of its repository any more (`suppliers tasks`): {remove}; or put the {what} back"
        )
    if _shared(stack, environment):
        return (
            f"{stack}: is still there, though its section is no longer in the settings, and holds the key of the pipelines' "
            f"images. When no stack of a pipeline is left: {remove}; or put the section back"
        )
    return (
        f"{stack}: is still there, though its service is no longer in the settings, and takes the requests of its paths: "
        f"{remove}; or put the service back"
    )


def services_left(clients: Clients, environment: Environment) -> dict[str, list[str]]:
    """By service that is no longer in the settings, its stacks, of which that of its pipeline goes first."""
    prefix = f"suppliers-{environment.name}-"
    shared = {f"{prefix}{part}" for part in SHARED_STACKS}
    left = stacks_left(clients, environment)
    return {
        service: [stack for stack in (f"{prefix}delivery-{service}", each) if stack in left]
        for each in left
        if each not in shared and not _releases(each, environment)
        for service in (each.removeprefix(prefix),)
    }


def services_to_go(clients: Clients, environment: Environment, accepted: Sequence[str] | None) -> list[str]:
    """The stacks of services that are no longer in the settings, which go before what they use does.

    Raises `OpsError` for one that no pattern in `accepted` names; None accepts all.
    """
    left = services_left(clients, environment)
    for service, names in left.items():
        if accepted is not None and not any(fnmatchcase(f"{service}/*", each) for each in accepted):
            what = "all its logs and images" if len(names) > 1 else "all its logs"
            raise OpsError(
                f"{environment.name}: {names[-1]} is of a service that is no longer in the settings: put {service} back, "
                f"or let it go with {what}: `python -m ops deploy --env {environment.name} --lose '{service}/*'`"
            )
    return [name for names in left.values() for name in names]


def _shared(stack: str, environment: Environment) -> bool:
    return stack == f"suppliers-{environment.name}-delivery"


def _releases(stack: str, environment: Environment) -> bool:
    return stack.startswith(f"suppliers-{environment.name}-delivery-")


def remove_stacks(
    clients: Clients, environment: Environment, names: list[str], say: Callable[[str], None]
) -> None:
    """Delete the stacks that `stacks_left` or `services_to_go` found."""
    cloudformation = clients.client("cloudformation")
    with told_by_aws(environment.name):
        for stack in names:
            cloudformation.delete_stack(StackName=stack)
            cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack)
            say(f"{stack}: destroyed")


def find(clients: Clients, environment: Environment) -> list[str]:
    """The log groups, or beginnings of their names, that the environment's resources may have made so."""
    cloudformation = clients.client("cloudformation")
    with told_by_aws(environment.name):
        return sorted(
            _GROUPS[resource["ResourceType"]].format(resource["PhysicalResourceId"])
            for stack in _deployed(clients, environment)
            for resource in _resources(cloudformation, stack)
            if resource["ResourceType"] in _GROUPS and resource.get("PhysicalResourceId")
        )


def remove(clients: Clients, environment: Environment, names: list[str], say: Callable[[str], None]) -> None:
    """Delete the log groups that `find` found before the stacks were deleted."""
    logs = clients.client("logs")
    with told_by_aws(environment.name):
        for name in names:
            for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name):
                for group in page["logGroups"]:
                    found = str(group["logGroupName"])
                    # Without the slash at its end a name is whole: another resource's may begin with it.
                    if found == name or name.endswith("/"):
                        logs.delete_log_group(logGroupName=found)
                        say(f"log group {found}: deleted")


def _resources(cloudformation: Any, stack: str) -> Iterator[dict[str, Any]]:
    if stacks.status(cloudformation, stack) == "DELETE_COMPLETE":
        return
    try:
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
            for resource in page["StackResourceSummaries"]:
                yield resource
                if resource["ResourceType"] in _NESTED and resource.get("PhysicalResourceId"):
                    yield from _resources(cloudformation, resource["PhysicalResourceId"])
    except ClientError as error:
        # Deleted in between.
        if error.response.get("Error", {}).get("Code") != "ValidationError":
            raise
