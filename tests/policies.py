"""The statements of every policy of an environment, as AWS sees them: with ARNs in place of intrinsic functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests import authorization
from tests.conftest import Template

ACCOUNT, PARTITION = "111122223333", "aws"
# What `Ref` gives of a resource, and attributes that are no ARN: its ARN where that is said, else its name.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/introduction.html, each under "Return values"
_REF_IS_ARN = frozenset(
    {
        "AWS::ECS::Service",
        "AWS::ECS::TaskDefinition",
        "AWS::SecretsManager::Secret",
        "AWS::SNS::Topic",
    }
)
# The resource types of the reference that these ARNs are of.
_ARNS = {
    "AWS::CloudFront::Distribution": ("cloudfront", "distribution"),
    "AWS::CodeBuild::Project": ("codebuild", "project"),
    "AWS::CodeCommit::Repository": ("codecommit", "repository"),
    "AWS::CodePipeline::Pipeline": ("codepipeline", "pipeline"),
    "AWS::ECR::Repository": ("ecr", "repository"),
    "AWS::ECS::Cluster": ("ecs", "cluster"),
    "AWS::ECS::Service": ("ecs", "service"),
    "AWS::ECS::TaskDefinition": ("ecs", "task-definition"),
    "AWS::ElastiCache::ReplicationGroup": ("elasticache", "replicationgroup"),
    "AWS::ElastiCache::User": ("elasticache", "user"),
    "AWS::Events::Rule": ("events", "rule"),
    "AWS::IAM::Role": ("iam", "role"),
    "AWS::KMS::Key": ("kms", "key"),
    "AWS::Lambda::Function": ("lambda", "function"),
    "AWS::Logs::LogGroup": ("logs", "log-group"),
    "AWS::RDS::DBCluster": ("rds", "cluster"),
    "AWS::RDS::DBInstance": ("rds", "db"),
    "AWS::S3::Bucket": ("s3", "bucket"),
    "AWS::SecretsManager::Secret": ("secretsmanager", "Secret"),
    "AWS::SNS::Topic": ("sns", "topic"),
}


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement; `where` is the path and `name` the name of the resource of type `kind` that holds it."""

    where: str
    name: str
    kind: str
    roles: frozenset[str]
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]]

    @property
    def condition_keys(self) -> frozenset[str]:
        """Of all its operators."""
        return frozenset(key for keys in self.conditions.values() for key in keys)


def statements(templates: Mapping[str, Template], region: str = "us-east-1") -> Iterator[Statement]:
    """All of them, of identities, resources and trust, wherever in a template a policy is."""
    for stack, template in templates.items():
        resolver = Resolver(templates, stack, region)
        for logical_id, resource in template["Resources"].items():
            properties = resource.get("Properties", {})
            where = resource.get("Metadata", {}).get("aws:cdk:path", f"{stack}/{logical_id}")
            holder = resource["Type"]
            roles = {resolver.text(each) for each in properties.get("Roles", [])}
            if holder == "AWS::IAM::Role":
                roles = {resolver.text({"Ref": logical_id})}
            # A policy in other words, of which there is none yet.
            assert holder != "AWS::Lambda::Permission", where
            if holder == "AWS::Logs::ResourcePolicy":
                properties = json.loads(resolver.text(properties["PolicyDocument"]))
            for document in _documents(properties):
                for statement in _listed(document["Statement"]):
                    yield _statement(
                        resolver,
                        statement,
                        where=where,
                        name=resolver.name(logical_id),
                        kind=holder,
                        roles=frozenset(roles),
                    )


def _documents(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict) and {"Version", "Statement"} <= value.keys():
        yield value
        return
    # One that is written as text is not seen in passing.
    assert not (isinstance(value, str) and '"Statement"' in value), value
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _documents(each)


def _statement(resolver: Resolver, statement: Mapping[str, Any], **holder: Any) -> Statement:
    assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys(), holder
    principals = statement.get("Principal", {})
    principals = {"AWS": "*"} if principals == "*" else principals
    return Statement(
        **holder,
        effect=statement["Effect"],
        actions=resolver.texts(statement["Action"]),
        resources=resolver.texts(statement.get("Resource", [])),
        principals={who: resolver.texts(each) for who, each in principals.items()},
        conditions={
            operator: {key: resolver.texts(values) for key, values in keys.items()}
            for operator, keys in statement.get("Condition", {}).items()
        },
    )


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Resolver:
    """What values of a stack's template will be, as far as their form goes."""

    templates: Mapping[str, Template]
    stack: str
    region: str

    def name(self, logical_id: str) -> str:
        """The name of a resource of the stack."""
        return f"{self.stack}-{logical_id}"

    def arn(self, logical_id: str) -> str:
        """The ARN of a resource of the stack, of a type that policies name."""
        kind = self.templates[self.stack]["Resources"][logical_id]["Type"]
        return authorization.arn(
            *_ARNS[kind], region=self.region, account=ACCOUNT, name=self.name(logical_id)
        )

    def texts(self, value: Any) -> tuple[str, ...]:
        return tuple(self.text(each) for each in _listed(value))

    def text(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        ((function, argument),) = value.items()
        match function:
            case "Ref":
                return self._pseudo(argument) or self._of(argument, "Ref")
            case "Fn::GetAtt":
                return self._of(argument[0], argument[1])
            case "Fn::Join":
                return str(argument[0]).join(self.texts(argument[1]))
            case "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda found: self.text({"Ref": found[1]}), argument)
            case "Fn::GetStackOutput":
                stack = argument["StackName"].rpartition("-")[2].capitalize()
                value = self.templates[stack]["Outputs"][argument["OutputName"]]["Value"]
                return Resolver(self.templates, stack, self.region).text(value)
        raise AssertionError(f"{function} in a policy of {self.stack}")

    def _pseudo(self, name: str) -> str | None:
        known = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": PARTITION,
            "AWS::Region": self.region,
            "AWS::StackId": f"arn:{PARTITION}:cloudformation:{self.region}:{ACCOUNT}:stack/{self.stack}/one",
            "AWS::URLSuffix": "amazonaws.com",
        }
        return known.get(name)

    def _of(self, logical_id: str, attribute: str) -> str:
        resource = self.templates[self.stack]["Resources"][logical_id]
        kind = resource["Type"]
        if kind == "AWS::SecretsManager::SecretTargetAttachment":
            return self.text(resource["Properties"]["SecretId"])
        if attribute == "Arn" or (attribute == "Ref" and kind in _REF_IS_ARN):
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-loggroup.html
            return f"{self.arn(logical_id)}:*" if kind == "AWS::Logs::LogGroup" else self.arn(logical_id)
        assert "Arn" not in attribute, f"{attribute} of {kind} in a policy of {self.stack}"
        return self.name(logical_id)
