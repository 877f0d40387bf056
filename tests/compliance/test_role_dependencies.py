"""Whoever is given a role during a deployment may be using it at once, so the role's rights come first.

CloudFormation makes what refers to a role as soon as the role itself is there; policies that are resources of their own
may come later: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.conftest import Template
from tests.options import OPTIONS, templates


def referred(value: Any) -> Iterator[str]:
    """Logical ids that a value refers to."""
    if isinstance(value, Mapping):
        if "Ref" in value:
            yield str(value["Ref"])
        if "Fn::GetAtt" in value:
            yield str(value["Fn::GetAtt"][0])
        for each in value.values():
            yield from referred(each)
    elif isinstance(value, list):
        for each in value:
            yield from referred(each)


def before(template: Template, logical_id: str) -> set[str]:
    """All that exists before a resource does."""
    found: set[str] = set()
    ahead = [logical_id]
    while ahead:
        resource = template["Resources"].get(ahead.pop(), {})
        depends = resource.get("DependsOn", [])
        for each in (
            *([depends] if isinstance(depends, str) else depends),
            *referred(resource.get("Properties")),
        ):
            if each in template["Resources"] and each not in found:
                found.add(each)
                ahead.append(each)
    return found


def late(template: Template) -> Iterator[str]:
    """Each resource that has a role and may exist before a policy of that role, and the policy."""
    resources = template["Resources"]
    policies = {
        logical_id: set(referred(resource["Properties"].get("Roles")))
        for logical_id, resource in resources.items()
        if resource["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")
    }
    for logical_id, resource in resources.items():
        # A task definition, a permission and another role's trust only name it.
        if resource["Type"].startswith("AWS::IAM::") or resource["Type"] in NAMING:
            continue
        given = {
            each
            for each in referred(resource.get("Properties"))
            if resources.get(each, {}).get("Type") == "AWS::IAM::Role"
        }
        ahead = before(template, logical_id)
        for policy, roles in policies.items():
            if policy.startswith(AWAITED):
                continue
            if roles & given and policy not in ahead and logical_id not in before(template, policy):
                yield f"{logical_id} ({resource['Type']}) before {policy}"


# They name a role that only what comes after them uses; a rule does nothing before its first event.
NAMING = frozenset(
    {
        *("AWS::ECS::TaskDefinition", "AWS::Events::Rule", "AWS::KMS::Key"),
        *("AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy"),
    }
)
# Rights of the function behind custom resources, for which those wait that need them.
AWAITED = ("OperationsTaskRights", "OperationsReleaseRights")


@pytest.mark.parametrize("option", OPTIONS)
def test_who_is_given_a_role_waits_for_its_rights(option: str) -> None:
    found = {stack: list(late(template)) for stack, template in templates(option).items()}
    assert not any(found.values()), json.dumps({k: v for k, v in found.items() if v}, indent=1)
