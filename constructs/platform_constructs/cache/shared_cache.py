from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from platform_constructs.common.compliance import acknowledge

# Not the engine's default (AwsSolutions-AEC5).
CACHE_PORT = 6380
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/engine-versions.html
_VERSION = "9.1"
_COMMANDS = ("del", "get", "getdel", "getex", "mget", "ping", "set")
_LOGS = {"EngineLog": ("engine-log", "engine"), "SlowLog": ("slow-log", "slow-commands")}


@dataclass(frozen=True, kw_only=True)
class CacheUser:
    """A service's user of the cache: the tables whose lists it shares, and whether it changes them."""

    service: str
    tables: Sequence[str]
    writes: bool

    @property
    def access_string(self) -> str:
        """Its own keys, and the versions of its tables, which only those who change a table write.

        https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html#Access-string
        """
        versions = [f"{'~' if self.writes else '%R~'}table:{table}:version" for table in self.tables]
        return " ".join(["on", f"~{self.service}:*", *versions, "-@all", *(f"+{each}" for each in _COMMANDS)])


class SharedCache(Construct):
    """A Valkey cache in isolated subnets, encrypted with a customer key, that its users reach over TLS by their roles.

    It keeps nothing: what is in it is made again from the database. With replicas it is spread over the zones and
    fails over by itself. There is no user but one a service, no password, and no user named `default`, which Valkey's
    groups do not need.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        vpc: ec2.IVpc,
        node_type: str,
        replicas: int,
        users: Sequence[CacheUser],
        encryption_key: kms.IKey,
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self.nodes = replicas + 1
        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, description="The cache", allow_all_outbound=False
        )
        subnets = elasticache.CfnSubnetGroup(
            self,
            "Subnets",
            description="The isolated subnets",
            subnet_ids=vpc.select_subnets(subnet_group_name="Data").subnet_ids,
        )
        self.users = {each.service: self._user(name, each) for each in users}
        group = elasticache.CfnUserGroup(
            self,
            "UserGroup",
            engine="valkey",
            user_group_id=name,
            user_ids=[user.ref for user in self.users.values()],
        )
        # No L2 exists for a cache of nodes: aws-elasticache-alpha has the serverless kind only.
        self._group = elasticache.CfnReplicationGroup(
            self,
            "Group",
            replication_group_description=f"Lists and sessions that the tasks of {name} share",
            engine="valkey",
            engine_version=_VERSION,
            cluster_mode="disabled",
            cache_node_type=node_type,
            num_cache_clusters=self.nodes,
            automatic_failover_enabled=replicas > 0,
            multi_az_enabled=replicas > 0,
            port=CACHE_PORT,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[self.security_group.security_group_id],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=encryption_key.key_arn,
            user_group_ids=[group.ref],
            auto_minor_version_upgrade=True,
            preferred_maintenance_window="sun:03:30-sun:04:30",
            snapshot_retention_limit=0,
            log_delivery_configurations=self._log_delivery(logs_key, removal_policy),
        )
        self._group.apply_removal_policy(RemovalPolicy.DESTROY)
        acknowledge(
            self._group,
            "ElastiCacheRedisClusterAutomaticBackup",
            "Nothing in it must be kept: lists are read again from the database, sessions begin anew. A backup would hold "
            "what is meant to end.",
        )
        acknowledge(
            self._group,
            "AEC6",
            "Users sign in by their IAM roles, each with rights of its own, which excludes the one password for all that "
            "the rule looks for (AuthToken): https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html",
        )
        if replicas == 0:
            acknowledge(
                self._group,
                "AEC4",
                "By setting (cache.replicas = 0): while the one node is away the services do without it, slower and "
                "correct.",
            )

    @property
    def host(self) -> str:
        """The name of whichever node is the primary."""
        return self._group.attr_primary_end_point_address

    @property
    def name(self) -> str:
        """What clients sign in to."""
        return self._group.ref

    @property
    def arn(self) -> str:
        """What a role needs leave to connect to, besides its user."""
        return Stack.of(self).format_arn(
            service="elasticache",
            resource="replicationgroup",
            resource_name=self.name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    def metric_of_nodes(self, metric_name: str, statistic: str, label: str) -> Sequence[cloudwatch.Metric]:
        """A metric of each node, whichever is the primary."""
        return [
            cloudwatch.Metric(
                namespace="AWS/ElastiCache",
                metric_name=metric_name,
                dimensions_map={"CacheClusterId": f"{self.name}-{number:03}", "CacheNodeId": "0001"},
                statistic=statistic,
                label=f"{label} {number}",
            )
            for number in range(1, self.nodes + 1)
        ]

    def _user(self, name: str, user: CacheUser) -> elasticache.CfnUser:
        # For a user that signs in by IAM both are the same: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
        identifier = f"{name}-{user.service}"
        return elasticache.CfnUser(
            self,
            f"{''.join(part.capitalize() for part in user.service.split('-'))}User",
            engine="valkey",
            user_id=identifier,
            user_name=identifier,
            access_string=user.access_string,
            authentication_mode={"Type": "iam"},
        )

    def _log_delivery(
        self, key: kms.IKey, removal_policy: RemovalPolicy
    ) -> list[elasticache.CfnReplicationGroup.LogDeliveryConfigurationRequestProperty]:
        delivered = []
        for construct_id, (log_type, name) in _LOGS.items():
            group = logs.LogGroup(
                self,
                construct_id,
                log_group_name=f"/{Stack.of(self).stack_name}/cache-{name}",
                encryption_key=key,
                retention=logs.RetentionDays.ONE_YEAR,
                removal_policy=removal_policy,
            )
            delivered.append(
                elasticache.CfnReplicationGroup.LogDeliveryConfigurationRequestProperty(
                    destination_type="cloudwatch-logs",
                    destination_details=elasticache.CfnReplicationGroup.DestinationDetailsProperty(
                        cloud_watch_logs_details=elasticache.CfnReplicationGroup.CloudWatchLogsDestinationDetailsProperty(
                            log_group=group.log_group_name
                        )
                    ),
                    log_format="json",
                    log_type=log_type,
                )
            )
        return delivered
