"""A second resource of a name that is taken is refused, as AWS refuses it.

Why: ministack lets two stacks have resources of one name, and a stack make one that an earlier one has left behind, so
that environments which cannot live in one account do so here.
Unnecessary when ministack's CloudFormation answers AlreadyExists by itself.
"""

from __future__ import annotations

import threading
from typing import Any

# Type -> the property whose value is unique among the resources of a type in an account and region. Of others the name
# is AWS's, or several may have one.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-identifier.html
NAMES = {
    "AWS::Backup::BackupVault": "BackupVaultName",
    "AWS::CloudFront::Function": "Name",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CodeBuild::Project": "Name",
    "AWS::CodeCommit::Repository": "RepositoryName",
    "AWS::CodeDeploy::Application": "ApplicationName",
    "AWS::CodePipeline::Pipeline": "Name",
    "AWS::CodeStarNotifications::NotificationRule": "Name",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ElastiCache::ReplicationGroup": "ReplicationGroupId",
    "AWS::ElastiCache::User": "UserId",
    "AWS::ElastiCache::UserGroup": "UserGroupId",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::RDS::DBCluster": "DBClusterIdentifier",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::RDS::DBProxy": "DBProxyName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SSM::Parameter": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::Synthetics::Canary": "Name",
    "AWS::WAFv2::WebACL": "Name",
}

_lock = threading.Lock()


class TakenNames:
    """The names that resources have, by type; what a stack leaves behind keeps its own."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], str] = {}

    def refusing(self, resource_type: str, handler: dict[str, Any]) -> dict[str, Any]:
        """The handler of a type that refuses to create what exists, in CloudFormation's words."""
        key = NAMES.get(resource_type)
        if key is None or "create" not in handler:
            return handler
        result = dict(handler)

        def create(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
            name = properties.get(key)
            taken = (resource_type, str(name))
            with _lock:
                if name and taken in self._holders:
                    raise ValueError(
                        f"Resource of type '{resource_type}' with identifier '{name}' already exists. "
                        "(HandlerErrorCode: AlreadyExists)"
                    )
                if name:
                    self._holders[taken] = ""
            try:
                identifier, attributes = handler["create"](logical_id, properties, stack)
            except Exception:
                with _lock:
                    self._holders.pop(taken, None)
                raise
            if name:
                with _lock:
                    self._holders[taken] = str(identifier)
            return identifier, attributes

        def delete(identifier: str, *others: Any) -> Any:
            done = handler["delete"](identifier, *others)
            with _lock:
                for taken in [each for each, held in self._holders.items() if held == str(identifier)]:
                    if taken[0] == resource_type:
                        del self._holders[taken]
            return done

        result.update(create=create)
        if "delete" in handler:
            result.update(delete=delete)
        return result
