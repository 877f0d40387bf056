"""What the emulator did with each resource of the deployed stacks: ran it, described it or recorded it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LEGEND = {
    "running": "works here: it runs, holds data or decides about requests",
    "described": "created in the emulated API and answered by it, but nothing acts on it",
    "recorded": "only noted: the emulator does not know the type or does not run it",
}

# Types behind which something really acts. Whatever else ministack knows counts as described.
RUNNING_TYPES = frozenset(
    {
        "AWS::CloudFormation::Stack",
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentConfig",
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::DynamoDB::Table",
        "AWS::ECS::Cluster",
        "AWS::ECS::Service",
        "AWS::ECS::TaskDefinition",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::ElastiCache::User",
        "AWS::ElastiCache::UserGroup",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::KMS::Alias",
        "AWS::KMS::Key",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::Logs::LogStream",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBClusterParameterGroup",
        "AWS::RDS::DBInstance",
        "AWS::RDS::DBParameterGroup",
        "AWS::RDS::DBProxy",
        "AWS::RDS::DBProxyTargetGroup",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::Queue",
        "AWS::SSM::Parameter",
        "AWS::SecretsManager::ResourcePolicy",
        "AWS::SecretsManager::Secret",
        "AWS::SecretsManager::SecretTargetAttachment",
        "AWS::StepFunctions::StateMachine",
    }
)

_CUSTOM_RESOURCE = "AWS::CloudFormation::CustomResource"

# Nothing stands behind these on AWS either.
_NOT_RESOURCES = frozenset({"AWS::CDK::Metadata", "AWS::CloudFormation::WaitConditionHandle"})


@dataclass(frozen=True, order=True)
class Row:
    """How many resources of one type were running, described and recorded."""

    type: str
    running: int = 0
    described: int = 0
    recorded: int = 0


@dataclass(frozen=True)
class Entry:
    """One resource of a deployed stack."""

    stack: str
    logical_id: str
    type: str
    recorded: bool

    @property
    def outcome(self) -> str:
        if self.recorded:
            return "recorded"
        if self.type in RUNNING_TYPES or self.type.startswith(("Custom::", _CUSTOM_RESOURCE)):
            return "running"
        return "described"


def rows(entries: Iterable[Entry]) -> list[Row]:
    """The table of the ledger, a row a resource type."""
    counts: dict[str, dict[str, int]] = {}
    for entry in entries:
        if entry.type in _NOT_RESOURCES:
            continue
        row = counts.setdefault(entry.type, dict.fromkeys(LEGEND, 0))
        row[entry.outcome] += 1
    return [Row(type=name, **row) for name, row in sorted(counts.items())]


def document(entries: Iterable[Entry]) -> dict[str, Any]:
    """The ledger as it is served: rows, totals, and what the three words mean."""
    table = rows(entries)
    totals = {outcome: sum(getattr(row, outcome) for row in table) for outcome in LEGEND}
    return {
        "legend": LEGEND,
        "types": [
            {
                "type": row.type,
                "running": row.running,
                "described": row.described,
                "recorded": row.recorded,
                "created": row.running + row.described,
            }
            for row in table
        ],
        "totals": {**totals, "created": totals["running"] + totals["described"]},
    }


def entries_of_stack(
    name: str, resources: Mapping[str, Mapping[str, Any]], recorded_class: type
) -> list[Entry]:
    """The entries of one stack, from CloudFormation's own record of its resources."""
    return [
        Entry(
            stack=name,
            logical_id=logical_id,
            type=str(resource.get("ResourceType", "")),
            recorded=isinstance(resource.get("Attributes"), recorded_class),
        )
        for logical_id, resource in resources.items()
    ]
