"""Whoever may read or write something under a customer key may use that key, as AWS documents it for the service.

A right on the thing alone passes every deployment and fails at the first use. CDK grants the key's with the thing's,
except for a key that it knows by its ARN only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest

from platform_constructs.common.encryption_key import KEY_USER
from tests import authorization
from tests.options import OPTIONS, templates
from tests.policies import ACCOUNT, Resolver, Statement, statements
from tests.resources import of_type

REGION = "us-east-1"
_READS = frozenset({"kms:Decrypt"})
_WRITES = frozenset({"kms:Decrypt", "kms:GenerateDataKey"})

# By action on the thing, what its caller must be allowed on the key. Images are not here: Amazon ECR has a grant of its
# own from when the repository was made (https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html).
CALLER_NEEDS: Mapping[str, frozenset[str]] = {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    "s3:GetObject": _READS,
    "s3:PutObject": _WRITES,
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    "sns:Publish": _WRITES,
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    "secretsmanager:GetSecretValue": _READS,
}
# Services that keep artifacts in the name of a role of theirs:
# https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-kms.html
# https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-create-cross-account.html
KEEPERS = {"codebuild.amazonaws.com", "codepipeline.amazonaws.com"}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
LOGS_NEED = frozenset(
    {"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKey", "kms:DescribeKey"}
)


@dataclass(frozen=True)
class Platform:
    """The statements of an environment, and the keys of what is under one: both by ARN."""

    statements: Sequence[Statement]
    keys: Mapping[str, str]

    def key_of(self, resource: str) -> str | None:
        """The key of what a policy's resource names, or of what it names a part of."""
        return next(
            (key for arn, key in self.keys.items() if resource == arn or resource.startswith(f"{arn}/")), None
        )

    def may(self, role: str, key: str, service: str) -> set[str]:
        """What of a key a role may use when the service calls in its name."""
        return {
            action.name
            for each in self.statements
            if role in each.roles
            and each.effect == "Allow"
            and any(fnmatchcase(key, resource) for resource in each.resources)
            and _holds(each, service)
            for name in each.actions
            if name.startswith("kms:")
            for action in authorization.actions(name)
        }

    def key_policy_allows(self, key: str, principal: str) -> set[str]:
        """What the policy of a key allows a service."""
        return {
            action.name
            for each in self.statements
            if each.kind == "AWS::KMS::Key" and key.endswith(f"/{each.name}")
            if principal in each.principals.get("Service", ())
            for name in each.actions
            for action in authorization.actions(name)
        }


def _holds(statement: Statement, service: str) -> bool:
    via = {"StringEquals": {"kms:ViaService": (f"{service}.{REGION}.amazonaws.com",)}}
    return statement.conditions in ({}, via)


def _keys(option: str) -> Iterator[tuple[str, str]]:
    for stack, template in templates(option).items():
        resolver = Resolver(templates(option), stack, REGION)
        for kind in (
            "AWS::SNS::Topic",
            "AWS::SecretsManager::Secret",
            "AWS::Logs::LogGroup",
            "AWS::S3::Bucket",
        ):
            for logical_id, properties in of_type(template, kind).items():
                key = _key(properties)
                if key is not None:
                    name = resolver.text(key).rpartition("/")[2]
                    arn = authorization.arn("kms", "key", region=REGION, account=ACCOUNT, name=name)
                    yield resolver.arn(logical_id), arn


def _key(properties: Mapping[str, Any]) -> Any:
    encryption = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [{}])
    by_default = encryption[0].get("ServerSideEncryptionByDefault", {})
    return properties.get("KmsKeyId") or properties.get("KmsMasterKeyId") or by_default.get("KMSMasterKeyID")


@pytest.fixture(scope="module", params=OPTIONS)
def platform(request: pytest.FixtureRequest) -> Platform:
    option = request.param
    return Platform(tuple(statements(templates(option))), dict(_keys(option)))


def test_a_role_may_use_the_key_of_what_it_may_use(platform: Platform) -> None:
    lacking, seen = {}, 0
    for statement in platform.statements:
        for action in set(statement.actions) & CALLER_NEEDS.keys():
            service = action.partition(":")[0]
            keys = {key for each in statement.resources if (key := platform.key_of(each))}
            for role in statement.roles:
                for key in keys:
                    seen += 1
                    missing = CALLER_NEEDS[action] - platform.may(role, key, service)
                    if missing:
                        lacking[role, action, key] = missing
    assert seen
    assert lacking == {}


def test_who_keeps_artifacts_has_all_that_its_service_asks_for(platform: Platform) -> None:
    keepers = {
        role
        for each in platform.statements
        if KEEPERS & set(each.principals.get("Service", ()))
        for role in each.roles
    }
    for statement in platform.statements:
        if "s3:PutObject" in statement.actions:
            for role in statement.roles & keepers:
                for key in filter(None, map(platform.key_of, statement.resources)):
                    assert set(KEY_USER) <= platform.may(role, key, "s3"), role


def test_a_service_that_publishes_to_the_topic_may_use_its_key(platform: Platform) -> None:
    publishers = [
        (principal, key)
        for statement in platform.statements
        if statement.kind == "AWS::SNS::TopicPolicy"
        for principal in statement.principals.get("Service", ())
        for key in filter(None, map(platform.key_of, statement.resources))
    ]
    assert len(publishers) == 4
    for principal, key in publishers:
        assert platform.key_policy_allows(key, principal) >= _WRITES, principal


def test_cloudwatch_logs_may_use_the_key_of_every_log_group(platform: Platform) -> None:
    keys = {key for arn, key in platform.keys.items() if ":logs:" in arn}
    assert keys
    for key in keys:
        assert platform.key_policy_allows(key, f"logs.{REGION}.amazonaws.com") >= LOGS_NEED
