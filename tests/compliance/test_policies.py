"""Who may do what, read from the synthesized policies: every wildcard is one of few, each with a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.conftest import Synthesize, Template
from tests.resources import of_type

ENVIRONMENTS = ("dev", "prod")


@dataclass(frozen=True)
class Allowed:
    """Roles, by their path, that may do some actions on resources that a wildcard names."""

    roles: str
    resource: str
    actions: frozenset[str]
    reason: str


def _allowed(roles: str, resource: str, *actions: str, because: str) -> Allowed:
    return Allowed(roles, resource, frozenset(actions), because)


WILDCARDS = (
    _allowed(
        "Delivery*/Default/MigrateRole",
        "logs:log-group:/suppliers-*/*:log-stream:*/*",
        "logs:GetLogEvents",
        because="a stream is named after its task, which the build starts",
    ),
    _allowed(
        "*ExecutionRole",
        "*",
        "ecr:GetAuthorizationToken",
        because="signing in to the registry knows no resource",
    ),
    _allowed(
        "*/Operations/Role",
        "*",
        "ecs:DescribeServices",
        "ecs:DescribeTaskDefinition",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeRules",
        because="descriptions that know no resource; services are those of the cluster, by a condition",
    ),
    _allowed(
        "*/Operations",
        "*",
        "ecs:DescribeTasks",
        because="a task has no name before it exists; only in the cluster, by a condition",
    ),
    _allowed(
        "*/Operations",
        "ecs:task-definition/suppliers-*-prepare:*",
        "ecs:RunTask",
        because="rights that name the revision would change with each deployment, seconds before they are needed",
    ),
    _allowed(
        "Compute/ReleaseCheck/Role",
        "codedeploy:deploymentgroup:suppliers-*.*",
        "codedeploy:GetDeployment",
        "codedeploy:GetDeploymentGroup",
        because="a group waits for its service, which waits for the check; a dot ends the environment's name",
    ),
    _allowed(
        "Compute/ReleaseCheck/Role",
        "logs:log-group:/suppliers-*/*:log-stream:*",
        "logs:GetLogEvents",
        because="the end of the log of a task that does not start, of any service of the environment",
    ),
    _allowed(
        "Compute/ReleaseCheck/Role",
        "ecs:service/${Cluster}/*",
        "ecs:DescribeServices",
        "ecs:DescribeServiceRevisions",
        because="reads, of services that do not exist yet",
    ),
    _allowed(
        "Compute/ReleaseCheck/Role",
        "ecs:service-revision/${Cluster}/*",
        "ecs:DescribeServiceRevisions",
        because="reads, of revisions that a release makes",
    ),
    _allowed(
        "Compute/ReleaseCheck/Role",
        "*",
        "codedeploy:PutLifecycleEventHookExecutionStatus",
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
        "ecs:DescribeTaskDefinition",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
        "codedeploy:BatchGetDeploymentTargets",
        "codedeploy:ListDeploymentTargets",
        "codedeploy:StopDeployment",
        because="the network interfaces of a function in a VPC, descriptions and a report that know no resource; tasks are "
        "those of the cluster, by a condition",
    ),
    _allowed(
        "Data/Database/MonitoringRole",
        "logs:log-group:RDSOSMetrics:*",
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "logs:PutLogEvents",
        "logs:PutRetentionPolicy",
        because="the streams of the one log group that Amazon RDS delivers to",
    ),
    _allowed(
        "Delivery*/Default/*Role",
        "s3:${ArtifactBucketName}/*",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:PutObject",
        because="CodePipeline names the artifacts, and the bucket holds nothing else",
    ),
    _allowed(
        "Delivery*/Default/DeployRole",
        "*",
        "ecs:RegisterTaskDefinition",
        because="registering knows no resource; which roles a definition names is limited",
    ),
    _allowed(
        "Delivery*/Default/ImageRole",
        "*",
        "ecr:GetAuthorizationToken",
        "ecr-public:GetAuthorizationToken",
        "sts:GetServiceBearerToken",
        "ecs:DescribeTaskDefinition",
        because="signing in, to the public registry too, and definitions know no resource",
    ),
    _allowed(
        "Delivery*/Default/MigrateRole",
        "*",
        "ecs:DescribeTaskDefinition",
        "ecs:RegisterTaskDefinition",
        "ecs:DescribeTasks",
        because="definitions know no resource; tasks are those of the cluster, by a condition",
    ),
    _allowed(
        "Delivery*/Default/MigrateRole",
        "ecs:task-definition/suppliers-*-prepare:*",
        "ecs:RunTask",
        because="the revision is the one that the build has just registered",
    ),
)
# Policies that AWS maintains, each for a role that only one service can assume.
MAINTAINED = {
    "AWSCodeDeployRoleForECS",
    "service-role/AWSBackupServiceRolePolicyForBackup",
    "service-role/AWSLambdaBasicExecutionRole",
}


def plain(value: Any) -> str:
    """A text with intrinsic functions as people read it: without the hashes of logical ids."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    match function:
        case "Ref":
            return f"${{{_without_hash(argument)}}}"
        case "Fn::GetAtt":
            return f"${{{_without_hash(argument[0])}.{argument[1]}}}"
        case "Fn::Join":
            return str(argument[0]).join(plain(part) for part in argument[1])
        case "Fn::Sub":
            return str(argument)
        case "Fn::GetStackOutput":
            return f"${{{argument['OutputName']}}}"
        case _:
            return json.dumps(value)


def _without_hash(logical_id: str) -> str:
    return logical_id if logical_id.startswith("AWS::") else logical_id[:-8]


def _short(resource: str) -> str:
    return re.sub(r"^arn:[^:]+:([a-z0-9-]+):[^:]*:(\$\{AWS::AccountId\}|\d*):", r"\1:", resource)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def path_of(template: Template, logical_id: str) -> str:
    return str(template["Resources"][logical_id]["Metadata"]["aws:cdk:path"])


def identity_statements(
    templates: Mapping[str, Template],
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The statements of every role, with its path."""
    for template in templates.values():
        for logical_id, policy in of_type(template, "AWS::IAM::ManagedPolicy").items():
            role = path_of(template, logical_id).rpartition("/")[0].rpartition("/")[0]
            for statement in policy["PolicyDocument"]["Statement"]:
                yield role, statement
        for logical_id, role in of_type(template, "AWS::IAM::Role").items():
            for policy in role.get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield path_of(template, logical_id).removesuffix("/Resource"), statement


def wildcards(templates: Mapping[str, Template]) -> set[tuple[str, str, str]]:
    """Role, resource and action of whatever a wildcard names."""
    return {
        (role, resource, action)
        for role, statement in identity_statements(templates)
        for resource in (_short(plain(each)) for each in _listed(statement["Resource"]))
        for action in _listed(statement["Action"])
        if "*" in resource or "*" in action
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_wildcard_is_allowed_for_a_reason(templates: Synthesize, name: str) -> None:
    for role, resource, action in sorted(wildcards(templates(name))):
        assert "*" not in action, f"{role} may {action}"
        assert any(
            fnmatchcase(role, each.roles) and fnmatchcase(resource, each.resource) and action in each.actions
            for each in WILDCARDS
        ), f"{role} may {action} on {resource}"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_allowance_is_wider_than_what_is_used(templates: Synthesize, name: str) -> None:
    used = wildcards(templates(name))
    for each in WILDCARDS:
        actions = {
            action
            for role, resource, action in used
            if fnmatchcase(role, each.roles) and fnmatchcase(resource, each.resource)
        }
        assert each.actions <= actions, each


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_role_has_an_inline_policy_or_another_maintained_one(templates: Synthesize, name: str) -> None:
    for template in templates(name).values():
        assert not of_type(template, "AWS::IAM::Policy")
        for role in of_type(template, "AWS::IAM::Role").values():
            for arn in role.get("ManagedPolicyArns", []):
                assert plain(arn).partition(":policy/")[2] in MAINTAINED


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_service_reads_its_own_credentials_and_nothing_else(templates: Synthesize, name: str) -> None:
    for service in ("Customer", "Employee"):
        statements = [
            statement
            for role, statement in identity_statements(templates(name))
            if role == f"{service}/Default/TaskRole"
        ]
        assert {action for each in statements for action in _listed(each["Action"])} == {
            "secretsmanager:GetSecretValue",
            "kms:Decrypt",
        }
        for statement in statements:
            (resource,) = _listed(statement["Resource"])
            assert f"{service}User" in plain(resource) or "Key" in plain(resource)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_starts_a_task_pulls_images_and_writes_its_own_log(templates: Synthesize, name: str) -> None:
    for service in ("Customer", "Employee"):
        found = {
            (action, plain(resource))
            for role, statement in identity_statements(templates(name))
            if role == f"{service}/Default/ExecutionRole"
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        }
        assert {action for action, _ in found} == {
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetAuthorizationToken",
            "ecr:GetDownloadUrlForLayer",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        }
        for action, resource in found:
            if action.startswith("logs:"):
                assert resource == "${LogGroup.Arn}"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_keys_are_used_by_the_account_and_by_named_services_under_conditions(
    templates: Synthesize, name: str
) -> None:
    for template in templates(name).values():
        for logical_id, key in of_type(template, "AWS::KMS::Key").items():
            assert key["EnableKeyRotation"] is True
            account, *services = key["KeyPolicy"]["Statement"]
            assert plain(account["Principal"]["AWS"]) == "arn:aws:iam::${AWS::AccountId}:root"
            for statement in services:
                assert statement["Condition"], logical_id
                assert set(statement["Principal"]) == {"Service"} or statement["Principal"]["AWS"] != "*"
                assert "kms:*" not in _listed(statement["Action"])


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_resource_lets_everybody_in(templates: Synthesize, name: str) -> None:
    kinds = {
        "AWS::S3::BucketPolicy": "PolicyDocument",
        "AWS::SNS::TopicPolicy": "PolicyDocument",
        "AWS::KMS::Key": "KeyPolicy",
        "AWS::SecretsManager::ResourcePolicy": "ResourcePolicy",
        "AWS::Backup::BackupVault": "AccessPolicy",
        "AWS::ECR::Repository": "RepositoryPolicyText",
    }
    seen = 0
    for template in templates(name).values():
        for kind, document in kinds.items():
            for logical_id, resource in of_type(template, kind).items():
                for statement in resource.get(document, {}).get("Statement", []):
                    seen += 1
                    anybody = statement["Principal"] in ("*", {"AWS": "*"})
                    assert statement["Effect"] == "Deny" or not anybody, logical_id
    assert seen > 10
