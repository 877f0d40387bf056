"""Inline policies of CDK become managed ones, and what depended on them still does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

import settings
from platform_constructs.managed_policies import (
    MANAGED_POLICIES_PER_ROLE,
    MANAGED_POLICY_CHARACTERS,
    manage_policies,
)
from tests.conftest import synthesize
from tests.resources import of_type, only


def role_in(stack: cdk.Stack) -> iam.Role:
    return iam.Role(
        stack, "Role", assumed_by=cast(iam.IPrincipal, iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    )


def rendered(stack: cdk.Stack) -> dict[str, Any]:
    manage_policies(stack)
    return dict(Template.from_stack(stack).to_json())


def test_a_grant_becomes_a_managed_policy_of_the_same_role_and_document() -> None:
    stack = cdk.Stack()
    queue = sqs.Queue(stack, "Queue")
    queue.grant_purge(role_in(stack))
    template = rendered(stack)
    policy = only(of_type(template, "AWS::IAM::ManagedPolicy"))
    assert policy["Roles"] == [{"Ref": next(iter(of_type(template, "AWS::IAM::Role")))}]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert "sqs:PurgeQueue" in statement["Action"]
    assert "ManagedPolicyName" not in policy
    assert not of_type(template, "AWS::IAM::Policy")


@pytest.mark.parametrize("waits_for", ["role", "policy"])
def test_what_waited_for_the_inline_policy_waits_for_the_managed_one(waits_for: str) -> None:
    stack = cdk.Stack()
    role = role_in(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["sqs:ListQueues"], resources=["*"]))
    waiting = sqs.Queue(stack, "Waiting")
    waiting.node.add_dependency(role if waits_for == "role" else role.node.find_child("DefaultPolicy"))
    template = rendered(stack)
    (policy,) = of_type(template, "AWS::IAM::ManagedPolicy")
    (queue,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::SQS::Queue")
    assert policy in queue["DependsOn"]


def test_a_statement_may_still_come_later() -> None:
    stack = cdk.Stack()
    role = role_in(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["sqs:ListQueues"], resources=["*"]))
    manage_policies(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["sns:ListTopics"], resources=["*"]))
    template = dict(Template.from_stack(stack).to_json())
    assert "sns:ListTopics" in json.dumps(only(of_type(template, "AWS::IAM::ManagedPolicy")))


def test_a_policy_that_allows_nothing_or_belongs_to_nobody_is_left_out() -> None:
    stack = cdk.Stack()
    iam.Policy(stack, "Nothing", roles=[cast(iam.IRole, role_in(stack))])
    iam.Policy(stack, "Nobody", statements=[iam.PolicyStatement(actions=["sqs:ListQueues"], resources=["*"])])
    assert not of_type(rendered(stack), "AWS::IAM::ManagedPolicy")


def length(document: Any) -> int:
    """Characters of a document with every name as long as CloudFormation makes them."""
    if isinstance(document, dict) and len(document) == 1:
        ((function, argument),) = document.items()
        match function:
            case "Ref":
                return 12 if argument.startswith("AWS::") else 100
            case "Fn::GetAtt" | "Fn::GetStackOutput":
                return 160
            case "Fn::Join":
                return sum(map(length, argument[1]))
    if isinstance(document, dict):
        return 2 + sum(len(key) + 4 + length(value) for key, value in document.items())
    if isinstance(document, list):
        return 2 + sum(1 + length(each) for each in document)
    return len(json.dumps(document))


def test_as_many_services_as_fit_keep_the_limits_of_iam(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = settings.COMPUTE_RESOURCES_PER_SERVICE + settings.COMPUTE_RESOURCES_PER_MIGRATION
    fit = (settings.RESOURCES_PER_STACK - settings.COMPUTE_RESOURCES_SHARED) // each
    present = len(settings.load("dev", project).services)
    for number in range(fit - present):
        folder = project / f"services/service-{number:08}"
        folder.mkdir()
        (folder / "Dockerfile").write_text("FROM scratch\n")
        (folder / "service.toml").write_text(
            f'path_patterns = ["/s{number}/*"]\npriority = {300 + number * 60}\n'
            f'health_check_path = "/s{number}/health"\ndatabase = "write"\nmigrations = true\n'
        )
    # The public service takes every path: it comes last.
    customer = project / "services/customer/service.toml"
    customer.write_text(customer.read_text().replace("priority = 200", "priority = 9000"))
    # Pipelines have a limit of their own, that of outputs.
    dev = project / "environments/dev.toml"
    dev.write_text(dev.read_text().partition("[delivery]")[0])
    monkeypatch.setattr("stacks.compute.ROOT", project)
    template = synthesize(settings.load("dev", project), tmp_path / "out")["Compute"]
    assert len(template["Resources"]) <= settings.RESOURCES_PER_STACK
    by_role: dict[str, list[int]] = {}
    for policy in of_type(template, "AWS::IAM::ManagedPolicy").values():
        (role,) = policy["Roles"]
        by_role.setdefault(role["Ref"], []).append(length(policy["PolicyDocument"]))
    assert len(by_role) > fit
    for role, lengths in by_role.items():
        assert len(lengths) <= MANAGED_POLICIES_PER_ROLE, role
        assert max(lengths) <= MANAGED_POLICY_CHARACTERS, (role, lengths)
