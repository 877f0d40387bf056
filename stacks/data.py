from collections.abc import Sequence
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from platform_constructs.cache.shared_cache import CACHE_PORT, CacheUser, SharedCache
from platform_constructs.common.compliance import acknowledge
from platform_constructs.common.conventions import removal_policy
from platform_constructs.common.encryption_key import EncryptionKey
from platform_constructs.common.operator_alarm import OperatorAlarm
from platform_constructs.database.database_access import SECURITY_GROUP_OUTPUT
from platform_constructs.database.database_backup import DatabaseBackup
from platform_constructs.database.database_proxy import DatabaseProxy
from platform_constructs.database.mysql_cluster import MysqlCluster
from platform_constructs.database.mysql_database import MysqlDatabase
from platform_constructs.database.relational_database import DatabaseProps, RelationalDatabase
from settings import Backup, Cache, Database, Service
from stacks.network import NetworkStack


class DataStack(Stack):
    """The database, the credentials of everybody who uses it, and the cache before it where there is one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: NetworkStack,
        database: Database,
        backup: Backup | None,
        cache: Cache | None,
        services: Sequence[Service],
        users: Sequence[str],
        prefix: str,
        protected: bool,
        **stack: Any,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{prefix}-data",
            termination_protection=protected,
            **stack,
        )
        keep = removal_policy(protected=protected)
        self.storage_gib = database.storage_gib
        self.max_connections = database.connection_limit
        self.key = EncryptionKey(
            self, "Key", description=f"Database and credentials of {self.stack_name}", removal_policy=keep
        )
        kind = MysqlCluster if database.cluster else MysqlDatabase
        self.database: RelationalDatabase = kind(
            self,
            "Database",
            vpc=network.vpc,
            rotation_subnets=ec2.SubnetSelection(subnet_group_name="Application"),
            encryption_key=self.key,
            props=DatabaseProps(
                instance_class=database.instance_class,
                storage_gib=database.storage_gib,
                max_connections=database.connection_limit,
                multi_az=database.multi_az,
                backup=Duration.days(database.backup_days),
                deletion_protection=database.deletion_protection,
                read_replica=database.read_replicas > 0,
                insights=database.uses_insights,
                keep=protected,
            ),
        )
        network.endpoints.admit(self.database.rotation_security_group)
        self.alarms: list[OperatorAlarm] = []
        if backup is not None:
            kept = DatabaseBackup(
                self,
                "Backup",
                name=prefix,
                database=self.database.backup_resource,
                encryption_key=self.key,
                retention=Duration.days(backup.retention_days),
                topic=network.alarm_topic,
                removal_policy=keep,
            )
            self.alarms += kept.alarms
        else:
            acknowledge(
                self.database.serving,
                "RDSInBackupPlan",
                "By setting (no [backup]): an environment that holds sample data only; the database's own backups go back "
                "to any second of the last days.",
            )
        self.migrator_secret = self.database.add_user("migrator")
        self.user_secrets = {user: self.database.add_user(user) for user in users}
        logs_key = kms.Key.from_key_arn(self, "LogsKey", network.logs_key.key_arn)
        self.proxy: DatabaseProxy | None = None
        if database.proxy:
            self.proxy = DatabaseProxy(
                self,
                "Proxy",
                name=prefix,
                target=self.database.proxy_target,
                secrets=list(self.user_secrets.values()),
                encryption_key=self.key,
                vpc=network.vpc,
                # From there the data subnets are reached, and addresses are plenty: a proxy takes up to 215.
                subnets=ec2.SubnetSelection(subnet_group_name="Application"),
                logs_key=logs_key,
                removal_policy=keep,
            )
        self.cache = None
        if cache is not None:
            self.cache = SharedCache(
                self,
                "Cache",
                name=prefix,
                vpc=network.vpc,
                node_type=cache.node_type,
                replicas=cache.replicas,
                users=[
                    CacheUser(service=each.name, tables=each.tables, writes=each.database == "write")
                    for each in services
                    if each.name in users
                ],
                encryption_key=self.key,
                logs_key=logs_key,
                removal_policy=keep,
            )
            CfnOutput(self, "CacheEndpoint", value=f"{self.cache.host}:{CACHE_PORT}")
        CfnOutput(self, "DatabaseIdentifier", value=self.database.identifier)
        CfnOutput(self, "DatabaseEndpoint", value=self.database.endpoint.socket_address)
        CfnOutput(self, "DatabaseName", value=self.database.name)
        CfnOutput(self, SECURITY_GROUP_OUTPUT, value=self.database.security_group.security_group_id)
        CfnOutput(self, "AdministratorSecretArn", value=self.database.administrator_secret.secret_arn)
