"""Inline policies of CDK become managed ones, and what depended on them still does."""

from __future__ import annotations

import json
from typing import Any, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from platform_constructs.common.managed_policies import (
    manage_policies,
)
from tests.resources import of_type, only


def empty_stack() -> cdk.Stack:
    return cdk.Stack(cdk.App(builtin_cloud_formation_validation=False), "Stack")


def role_in(stack: cdk.Stack) -> iam.Role:
    return iam.Role(
        stack, "Role", assumed_by=cast(iam.IPrincipal, iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    )


def rendered(stack: cdk.Stack) -> dict[str, Any]:
    manage_policies(stack)
    return dict(Template.from_stack(stack).to_json())


def test_a_grant_becomes_a_managed_policy_of_the_same_role_and_document() -> None:
    stack = empty_stack()
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
    stack = empty_stack()
    role = role_in(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["sqs:ListQueues"], resources=["*"]))
    waiting = sqs.Queue(stack, "Waiting")
    waiting.node.add_dependency(role if waits_for == "role" else role.node.find_child("DefaultPolicy"))
    template = rendered(stack)
    (policy,) = of_type(template, "AWS::IAM::ManagedPolicy")
    (queue,) = (each for each in template["Resources"].values() if each["Type"] == "AWS::SQS::Queue")
    assert policy in queue["DependsOn"]


def test_a_statement_may_still_come_later() -> None:
    stack = empty_stack()
    role = role_in(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["sqs:ListQueues"], resources=["*"]))
    manage_policies(stack)
    role.add_to_policy(iam.PolicyStatement(actions=["sns:ListTopics"], resources=["*"]))
    template = dict(Template.from_stack(stack).to_json())
    assert "sns:ListTopics" in json.dumps(only(of_type(template, "AWS::IAM::ManagedPolicy")))


def test_a_policy_that_allows_nothing_or_belongs_to_nobody_is_left_out() -> None:
    stack = empty_stack()
    iam.Policy(stack, "Nothing", roles=[cast(iam.IRole, role_in(stack))])
    iam.Policy(stack, "Nobody", statements=[iam.PolicyStatement(actions=["sqs:ListQueues"], resources=["*"])])
    assert not of_type(rendered(stack), "AWS::IAM::ManagedPolicy")
