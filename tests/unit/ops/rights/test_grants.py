"""What templates grant to whom."""

from __future__ import annotations

from typing import Any

from ops.rights.grants import Grant, grants

TRUST = {"Statement": [{"Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}


def stack(**resources: Any) -> dict[str, Any]:
    return {"Resources": resources}


def role(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST, **properties}}


def policy(kind: str, name: str, *statements: dict[str, Any], **more: Any) -> dict[str, Any]:
    properties = {"Roles": [{"Ref": name}], "PolicyDocument": {"Statement": list(statements)}, **more}
    return {"Type": f"AWS::IAM::{kind}", "Properties": properties}


READ: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["s3:GetObject", "s3:GetObjectVersion"],
    "Resource": {"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket0123ABCD", "Arn"]}, "/*"]]},
    "Condition": {"StringEquals": {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.amazonaws.com"}}},
}
NEVER: dict[str, Any] = {
    "Sid": "Keep",
    "Effect": "Deny",
    "Action": "logs:Delete*",
    "Resource": "arn:aws:logs:us-east-1:1:x",
}


def what(found: list[Grant]) -> list[tuple[Any, ...]]:
    return [
        (each.role.name, each.policy, each.inline, each.statement, each.allows, each.action, each.resources)
        for each in found
    ]


def test_each_action_of_each_statement_is_a_grant() -> None:
    found = grants(
        {"App": stack(Task01234567=role(), Rights=policy("ManagedPolicy", "Task01234567", READ, NEVER))}
    )
    assert what(found) == [
        ("AppTask", "AppRights", "", "1", True, "s3:GetObject", ("<Bucket>/*",)),
        ("AppTask", "AppRights", "", "1", True, "s3:GetObjectVersion", ("<Bucket>/*",)),
        ("AppTask", "AppRights", "", "Keep", False, "logs:Delete*", ("x",)),
    ]
    assert found[0].role.trusted == ("ecs-tasks",)
    assert found[0].conditions == ("kms:ViaService StringEquals s3.region.amazonaws.com",)


def test_policies_are_named_as_iam_keeps_them() -> None:
    inline = [{"PolicyName": "Own", "PolicyDocument": {"Statement": [NEVER]}}]
    aws = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::aws:policy/ReadOnlyAccess"]]}
    found = grants(
        {
            "App": stack(
                Task=role(Policies=inline, ManagedPolicyArns=[aws, {"Ref": "Rights"}]),
                Beside=policy("Policy", "Task", NEVER, PolicyName="Beside"),
            )
        }
    )
    assert [(each.policy, each.inline) for each in found] == [
        ("AppBeside", "Beside"),
        ("AppTask", "Own"),
        ("arn:aws:iam::aws:policy/ReadOnlyAccess", ""),
    ]
    assert [each.managed_by_aws for each in found] == [False, False, True]


def test_a_stack_grants_to_a_role_of_another_one() -> None:
    output = {"Fn::GetStackOutput": {"StackName": "suppliers-dev-customer", "OutputName": "Role"}}
    found = grants(
        {
            "Customer": {**stack(Task=role()), "Outputs": {"Role": {"Value": {"Ref": "Task"}}}},
            "Delivery": stack(Rights=policy("ManagedPolicy", "", NEVER, Roles=[output])),
        }
    )
    assert [(each.role.name, each.policy) for each in found] == [("CustomerTask", "DeliveryRights")]
