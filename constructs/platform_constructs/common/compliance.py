import re
from collections.abc import Sequence
from typing import cast

from aws_cdk import Acknowledgment, CfnResource, Stack, Token, Validations
from constructs import IConstruct

_NUMBERED = ("AwsSolutions",)
# The built-in validator, and cdk-preflight, which runs it with rules of its own.
_VALIDATORS = ("CloudFormation-Validate::", "cdk-preflight::")
_NAMED = ("NIST.800.53.R5", "PCI.DSS.321", "HIPAA.Security")

# For a function that only a deployment calls.
UNRESERVED_CONCURRENCY = (
    ("LambdaConcurrency", "CKV_AWS_115"),
    "Only deployments call the function, a few times each. Reserving a share of the account's concurrency for that would "
    "take it from others, and fails in a new account, whose quota leaves nothing to reserve.",
)


def acknowledge(scope: IConstruct, rule: str | Sequence[str], reason: str) -> None:
    """Accept the findings of one rule below `scope`, for a reason a stranger can judge, in every pack that knows it.

    The rule is its exact id without the pack: AwsSolutions numbers its rules (`EC23`), the other packs of cdk-nag share
    names (`S3BucketReplicationEnabled`), Checkov's are of the resource itself (`CKV_AWS_18`), and so are cfn-lint's
    (`cfn-lint::E3691`), another pack is named with the rule (`CloudFormation-Validate::E9006`); several where they are
    names of the same. A finding about a part is named with it (`IAM5[Resource::*]`). Call it on the smallest
    construct, beside the code that causes the finding; one that meets no finding fails the tests.
    """
    for name in [rule] if isinstance(rule, str) else rule:
        if name.startswith("CKV_"):
            _skip(scope, name, reason)
            continue
        if name.startswith("cfn-lint::"):
            _ignore(scope, name.removeprefix("cfn-lint::"))
            continue
        if name.startswith(_VALIDATORS):
            Validations.of(scope).acknowledge(Acknowledgment(id=name, reason=reason))
            continue
        packs = _NUMBERED if re.fullmatch(r"[A-Z]+\d+", name.partition("[")[0]) else _NAMED
        Validations.of(scope).acknowledge(
            *(Acknowledgment(id=f"{pack}::{pack}-{name}", reason=reason) for pack in packs)
        )


def acknowledge_provider(scope: IConstruct, name: str) -> None:
    """Accept how CDK makes the function behind its custom resource `Custom::<name>` in the stack of `scope`."""
    provider = Stack.of(scope).node.find_child(f"Custom::{name}CustomResourceProvider")
    acknowledge(
        provider.node.find_child("Handler"),
        ("CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117"),
        "CDK's own function: CloudFormation calls it when a stack changes, waits for its answer and fails with it. It "
        "calls AWS APIs only and reaches nothing inside the VPC.",
    )


def readable_account(stack: Stack) -> str:
    """The account as cdk-nag writes it in the id of a finding."""
    return "<AWS::AccountId>" if Token.is_unresolved(stack.account) else stack.account


def _ignore(scope: IConstruct, rule: str) -> None:
    # https://github.com/aws-cloudformation/cfn-lint#resource-based-metadata
    resource = _resource(scope)
    resource.add_metadata("cfn-lint", {"config": {"ignore_checks": [rule]}})


def _skip(scope: IConstruct, rule: str, reason: str) -> None:
    # https://www.checkov.io/2.Basics/Suppressing%20and%20Skipping%20Policies.html
    resource = _resource(scope)
    others = [each for each in (resource.get_metadata("checkov") or {}).get("skip", []) if each["id"] != rule]
    resource.add_metadata("checkov", {"skip": [*others, {"id": rule, "comment": reason}]})


def _resource(scope: IConstruct) -> CfnResource:
    return scope if isinstance(scope, CfnResource) else cast(CfnResource, scope.node.default_child)
