"""Every statement of every policy in the form in which AWS documents it, whatever options are set.

An action that AWS does not know, or allows on another kind of resource, is refused at the first call and at no
deployment: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from tests import authorization
from tests.authorization import Action, actions, fits, knows
from tests.options import OPTIONS, templates
from tests.policies import Statement, statements

# CloudWatch Logs, as AWS writes its statement. What describes a key has no encryption context and is allowed by none.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
AS_AWS_WRITES_IT = {("kms:Describe*", "kms:EncryptionContext:aws:logs:arn")}

# Two names of one service, each allowed on a connection whose ARN may have the other:
# https://docs.aws.amazon.com/dtconsole/latest/userguide/rename.html
RENAMED = {"codestar-connections:UseConnection", "codeconnections:UseConnection"}


@pytest.fixture(scope="module", params=OPTIONS)
def found(request: pytest.FixtureRequest) -> Sequence[Statement]:
    return tuple(statements(templates(request.param)))


def faults(statement: Statement) -> Iterator[str]:
    """What of a statement AWS would refuse, or would never apply."""
    known = {name: actions(name) for name in statement.actions if name != "*"}
    for name, matching in known.items():
        if not matching:
            yield f"{statement.where}: AWS knows no action {name}"
        # One of those that a wildcard stands for is enough.
        elif name not in RENAMED and not any(_has_a_resource(action, statement) for action in matching):
            yield f"{statement.where}: {name} {_expected(matching)}, not {', '.join(statement.resources)}"
        for key in statement.condition_keys:
            if (
                (name, key) not in AS_AWS_WRITES_IT
                and matching
                and not any(knows(each, key) for each in matching)
            ):
                yield f"{statement.where}: {name} has no condition key {key}"
    for resource in statement.resources:
        if known and not any(resource == "*" or fits(each, resource) for of in known.values() for each in of):
            yield f"{statement.where}: {resource} is of no type that {', '.join(known)} knows"


def _has_a_resource(action: Action, statement: Statement) -> bool:
    # A trust policy names none.
    if not statement.resources:
        return True
    return any(resource == "*" or fits(action, resource) for resource in statement.resources)


def _expected(matching: Sequence[Action]) -> str:
    types = sorted({each for action in matching for each in action.resource_types})
    return f"takes {', '.join(types)}" if types else "knows no resource but *"


def test_every_action_resource_and_condition_is_one_that_aws_documents(found: Sequence[Statement]) -> None:
    assert len(found) > 50
    assert [fault for statement in found for fault in faults(statement)] == []


def test_a_role_has_an_action_on_every_type_of_resource_that_the_action_must_have(
    found: Sequence[Statement],
) -> None:
    held: dict[tuple[str, Action], set[str]] = defaultdict(set)
    for statement in found:
        if statement.effect == "Allow":
            for action in (each for name in statement.actions if name != "*" for each in actions(name)):
                for role in statement.roles:
                    held[role, action].update(*(fits(action, each) for each in statement.resources))
    assert held
    lacking = {
        (role, action.name): set(action.required - types)
        for (role, action), types in held.items()
        # A trust policy says who, of the role that it belongs to.
        if action.required - types and action.name not in {"sts:AssumeRole", *RENAMED}
    }
    assert lacking == {}


ROLE = Statement(
    where="Compute/Role/DefaultPolicy",
    name="Policy",
    kind="AWS::IAM::ManagedPolicy",
    roles=frozenset({"Role"}),
    effect="Allow",
    actions=("elasticache:Connect",),
    resources=("arn:aws:elasticache:us-east-1:111122223333:replicationgroup:cache",),
    principals={},
    conditions={},
)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"actions": ("elasticache:SignIn",)}, "AWS knows no action elasticache:SignIn"),
        (
            {"resources": ("arn:aws:elasticache:us-east-1:111122223333:replicationgroup/cache",)},
            "replicationgroup/cache is of no type",
        ),
        ({"resources": ("arn:aws:elasticache:::replicationgroup:cache",)}, "is of no type"),
        ({"actions": ("codedeploy:ListDeploymentTargets",)}, "knows no resource but *"),
        (
            {"actions": ("kms:Decrypt",), "resources": ("arn:aws:kms:us-east-1:111122223333:alias/x",)},
            "takes key",
        ),
        ({"actions": ("codestar-connections:UseConnection",)}, "is of no type"),
        ({"conditions": {"StringEquals": {"ecs:cluster": ("x",)}}}, "has no condition key ecs:cluster"),
        (
            {"conditions": {"StringEquals": {"aws:RequestTag/x": ("x",)}}},
            "has no condition key aws:RequestTag/x",
        ),
    ],
)
def test_what_aws_does_not_document_is_found(changes: dict[str, object], fault: str) -> None:
    assert list(faults(ROLE)) == []
    assert any(fault in each for each in faults(replace(ROLE, **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "resource", "types"),
    [
        ("logs:PutLogEvents", "arn:aws:logs:us-east-1:111122223333:log-group:/a/b:*", {"log-stream"}),
        ("logs:PutLogEvents", "arn:aws:logs:us-east-1:111122223333:log-group:/a/b", set()),
        ("ecs:UpdateService", "arn:aws:ecs:us-east-1:111122223333:service/cluster/*", {"service"}),
        ("ecs:UpdateService", "arn:aws:ecs:us-east-1:111122223333:service/name", set()),
        ("s3:GetObject", "arn:aws:s3:::bucket/*", {"object"}),
        ("s3:GetObject", "arn:aws:s3:::bucket", set()),
        ("s3:GetBucketAcl", "arn:aws:s3:us-east-1:111122223333:bucket", set()),
    ],
)
def test_a_resource_fits_only_the_form_of_its_type(action: str, resource: str, types: set[str]) -> None:
    (known,) = actions(action)
    assert fits(known, resource) & types == types
    assert bool(fits(known, resource)) == bool(types)


def test_an_arn_is_made_as_the_reference_writes_it() -> None:
    made = authorization.arn("ecs", "cluster", region="eu-west-1", account="1", name="x")
    assert made == "arn:aws:ecs:eu-west-1:1:cluster/x"
