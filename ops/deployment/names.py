"""Names that are fixed in the templates: which are taken already, and what frees each.

A resource with a fixed name that is left over, from a creation that failed or by a stack that is gone, keeps
CloudFormation from creating it again: "already exists", after what else the stack holds was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.aws.clients import Clients, each
from ops.aws.refusals import told_by_aws
from ops.deployed import stacks
from ops.deployed.deployment import stack_names
from ops.errors import OpsError
from ops.synthesis.templates import Template, Templates
from settings import Environment

# By type, the property that holds the name, which is unique in an account and Region, or in an account.
NAMED: Mapping[str, str] = {
    "AWS::Backup::BackupVault": "BackupVaultName",
    "AWS::CloudFront::CachePolicy": "CachePolicyConfig.Name",
    "AWS::CloudFront::Function": "Name",
    "AWS::CloudFront::OriginRequestPolicy": "OriginRequestPolicyConfig.Name",
    "AWS::CloudFront::ResponseHeadersPolicy": "ResponseHeadersPolicyConfig.Name",
    "AWS::CloudFront::VpcOrigin": "VpcOriginEndpointConfig.Name",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CodeCommit::Repository": "RepositoryName",
    "AWS::CodeDeploy::Application": "ApplicationName",
    "AWS::CodePipeline::Pipeline": "Name",
    "AWS::CodeStarNotifications::NotificationRule": "Name",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::ElastiCache::User": "UserId",
    "AWS::ElastiCache::UserGroup": "UserGroupId",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::ResourcePolicy": "PolicyName",
    "AWS::RDS::DBCluster": "DBClusterIdentifier",
    "AWS::RDS::DBProxy": "DBProxyName",
    # The functions that rotate passwords, which nested stacks make.
    "AWS::Serverless::Application": "Parameters.functionName",
    "AWS::SSM::Parameter": "Name",
    "AWS::Synthetics::Canary": "Name",
    "AWS::WAFv2::WebACL": "Name",
}


@dataclass(frozen=True)
class Fixed:
    """A resource of a stack that has a fixed name; `kept` where it outlives the stack."""

    stack: str
    resource_type: str
    name: str
    kept: bool


@dataclass(frozen=True)
class Listing:
    """How resources of a type are listed by their names, and the command that removes one of them."""

    service: str
    operation: str
    result: str
    key: str
    removal: str
    # The parameter by which a list is narrowed to a beginning of names.
    prefix: str | None = None
    more: tuple[tuple[str, Any], ...] = ()


# Of the types in NAMED those that can be left over: they are kept, or protected from deletion, or take long to delete.
# What a failed creation deletes again without conditions is not asked for.
LISTINGS: Mapping[str, Listing] = {
    "AWS::Backup::BackupVault": Listing(
        "backup",
        "list_backup_vaults",
        "BackupVaultList",
        "BackupVaultName",
        # https://docs.aws.amazon.com/aws-backup/latest/devguide/create-a-vault.html: one that holds backups is not deleted
        "aws backup delete-backup-vault --backup-vault-name {}",
    ),
    "AWS::CloudWatch::Alarm": Listing(
        "cloudwatch",
        "describe_alarms",
        "MetricAlarms",
        "AlarmName",
        "aws cloudwatch delete-alarms --alarm-names {}",
        "AlarmNamePrefix",
    ),
    "AWS::CloudWatch::CompositeAlarm": Listing(
        "cloudwatch",
        "describe_alarms",
        "CompositeAlarms",
        "AlarmName",
        "aws cloudwatch delete-alarms --alarm-names {}",
        "AlarmNamePrefix",
        (("AlarmTypes", ["CompositeAlarm"]),),
    ),
    "AWS::CloudWatch::Dashboard": Listing(
        "cloudwatch",
        "list_dashboards",
        "DashboardEntries",
        "DashboardName",
        "aws cloudwatch delete-dashboards --dashboard-names {}",
        "DashboardNamePrefix",
    ),
    "AWS::CodeCommit::Repository": Listing(
        "codecommit",
        "list_repositories",
        "repositories",
        "repositoryName",
        # Never deleted: it holds what people made.
        "set delivery.create_repository = false, which uses it",
    ),
    "AWS::CodePipeline::Pipeline": Listing(
        "codepipeline", "list_pipelines", "pipelines", "name", "aws codepipeline delete-pipeline --name {}"
    ),
    "AWS::ECR::Repository": Listing(
        "ecr",
        "describe_repositories",
        "repositories",
        "repositoryName",
        "aws ecr delete-repository --force --repository-name {}",
    ),
    "AWS::ElastiCache::User": Listing(
        "elasticache", "describe_users", "Users", "UserId", "aws elasticache delete-user --user-id {}"
    ),
    "AWS::ElastiCache::UserGroup": Listing(
        "elasticache",
        "describe_user_groups",
        "UserGroups",
        "UserGroupId",
        "aws elasticache delete-user-group --user-group-id {}",
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Listing(
        "elbv2",
        "describe_load_balancers",
        "LoadBalancers",
        "LoadBalancerName",
        "ARN=$(aws elbv2 describe-load-balancers --names {} --query LoadBalancers[0].LoadBalancerArn --output text); "
        "aws elbv2 modify-load-balancer-attributes --load-balancer-arn $ARN --attributes "
        "Key=deletion_protection.enabled,Value=false && aws elbv2 delete-load-balancer --load-balancer-arn $ARN",
    ),
    "AWS::Logs::LogGroup": Listing(
        "logs",
        "describe_log_groups",
        "logGroups",
        "logGroupName",
        "aws logs delete-log-group --log-group-name {}",
        "logGroupNamePrefix",
    ),
    "AWS::RDS::DBCluster": Listing(
        "rds",
        "describe_db_clusters",
        "DBClusters",
        "DBClusterIdentifier",
        "aws rds modify-db-cluster --apply-immediately --no-deletion-protection --db-cluster-identifier {0} && "
        "aws rds delete-db-cluster --db-cluster-identifier {0} --final-db-snapshot-identifier {0}-left",
    ),
    "AWS::RDS::DBProxy": Listing(
        "rds", "describe_db_proxies", "DBProxies", "DBProxyName", "aws rds delete-db-proxy --db-proxy-name {}"
    ),
}
# Kept, and a stack can take them in again with what they hold; what it needs for that is in the templates:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html
_ADOPTABLE = frozenset({"AWS::Backup::BackupVault", "AWS::ECR::Repository", "AWS::Logs::LogGroup"})


def fixed(templates: Templates) -> list[Fixed]:
    """All resources with fixed names in templates."""
    return [
        Fixed(stack, resource["Type"], name, "Retain" in resource.get("DeletionPolicy", "Delete"))
        for stack, template in templates.items()
        for resource in template["Resources"].values()
        if (name := _name(resource)) is not None
    ]


def taken(clients: Clients, environment: Environment, templates: Templates) -> list[Fixed]:
    """What the templates would create under a name that something else in the account has."""
    held = {(each.resource_type, each.name) for each in fixed(_deployed(clients, environment, templates))}
    new: dict[str, list[Fixed]] = {}
    for resource in fixed(templates):
        if (resource.resource_type, resource.name) not in held and resource.resource_type in LISTINGS:
            new.setdefault(resource.resource_type, []).append(resource)

    def existing(resource_type: str) -> list[Fixed]:
        names = {each.name for each in new[resource_type]}
        there = set(_listed(clients, LISTINGS[resource_type], names))
        return [each for each in new[resource_type] if each.name in there]

    return [resource for found in each(existing, sorted(new)) for resource in found]


def report(found: Iterable[Fixed], environment: Environment) -> Iterator[str]:
    """A line for each name that is taken, with what frees it."""
    for resource in found:
        kind = resource.resource_type.removeprefix("AWS::").replace("::", " ")
        yield f"{resource.stack}: {kind} {resource.name} exists already. {remedy(resource, environment)}"


def remedy(resource: Fixed, environment: Environment) -> str:
    """The command that frees a name, or what else to do."""
    freed = LISTINGS[resource.resource_type].removal.format(resource.name)
    if resource.resource_type == "AWS::CodeCommit::Repository":
        return f"environments/{environment.name}.toml: {freed}"
    if resource.kept and resource.resource_type in _ADOPTABLE:
        return (
            f"{freed}; or keep what it holds: npx cdk deploy {resource.stack} -c env={environment.name} "
            "--import-existing-resources"
        )
    return freed


def refuse(found: Iterable[Fixed], environment: Environment) -> None:
    """Raise `OpsError` with a line for each name that is taken."""
    lines = list(report(found, environment))
    if lines:
        raise OpsError("\n".join(lines))


def _deployed(clients: Clients, environment: Environment, templates: Templates) -> Templates:
    cloudformation = clients.client("cloudformation")
    found: dict[str, Template] = {}
    with told_by_aws(environment.name):
        for stack, name in stack_names(environment).items():
            if stack in templates and stacks.status(cloudformation, name) not in stacks.NOTHING_DEPLOYED:
                found[stack] = stacks.template(cloudformation, name)
    return found


def _listed(clients: Clients, listing: Listing, names: set[str]) -> Iterator[str]:
    pages = clients.client(listing.service).get_paginator(listing.operation)
    for narrowed in _narrowed(listing, names):
        for page in pages.paginate(**dict(listing.more), **narrowed):
            for resource in page.get(listing.result, ()):
                yield str(resource[listing.key])


def _narrowed(listing: Listing, names: set[str]) -> list[dict[str, str]]:
    if listing.prefix is None:
        return [{}]
    if all(name.startswith("suppliers-") for name in names):
        names = {"suppliers-"}
    return [{listing.prefix: name} for name in sorted(names)]


def _name(resource: Mapping[str, Any]) -> str | None:
    path = NAMED.get(resource["Type"])
    value: Any = resource.get("Properties", {})
    for part in path.split(".") if path else ("",):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None
