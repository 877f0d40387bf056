from collections.abc import Mapping
from typing import Any, cast

from aws_cdk import CfnResource, Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from platform_constructs.common.compliance import acknowledge
from platform_constructs.database.relational_database import (
    BACKUP_WINDOW,
    DATABASE_PORT,
    MAINTENANCE_WINDOW,
    DatabaseProps,
    DatabaseServer,
    RelationalDatabase,
)


class MysqlDatabase(RelationalDatabase):
    """A MySQL 8.4 instance in isolated subnets, encrypted with a customer key, that refuses plain connections.

    A read replica of it is the same in all of that, takes the same clients, and has the same users.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        rotation_subnets: ec2.SubnetSelection,
        encryption_key: kms.IKey,
        props: DatabaseProps,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            vpc=vpc,
            rotation_subnets=rotation_subnets,
            encryption_key=encryption_key,
            props=props,
        )
        monitoring_role = self._monitoring_role()
        server: dict[str, Any] = {
            "instance_type": ec2.InstanceType(props.instance_class.removeprefix("db.")),
            "vpc": vpc,
            "vpc_subnets": self._subnets,
            "security_groups": [self.security_group],
            "port": DATABASE_PORT,
            "parameter_group": self._parameter_group,
            "ca_certificate": rds.CaCertificate.RDS_CA_RSA2048_G1,
            "max_allocated_storage": min(props.storage_gib * 5, 65536),
            "storage_type": rds.StorageType.GP3,
            "storage_encrypted": True,
            "storage_encryption_key": encryption_key,
            "iam_authentication": True,
            "publicly_accessible": False,
            "auto_minor_version_upgrade": True,
            "copy_tags_to_snapshot": True,
            "preferred_maintenance_window": MAINTENANCE_WINDOW,
            "cloudwatch_logs_exports": ["error", "general", "slowquery", "audit"],
            "monitoring_role": monitoring_role,
            "monitoring_interval": Duration.seconds(60),
        }
        if props.insights:
            server |= {
                "enable_performance_insights": True,
                "performance_insight_encryption_key": encryption_key,
                "performance_insight_retention": rds.PerformanceInsightRetention.DEFAULT,
            }
        instance = rds.DatabaseInstance(
            self,
            "Instance",
            engine=self._engine,
            database_name=self.name,
            credentials=rds.Credentials.from_secret(self._administrator),
            multi_az=props.multi_az,
            allocated_storage=props.storage_gib,
            backup_retention=props.backup,
            preferred_backup_window=BACKUP_WINDOW,
            delete_automated_backups=not props.keep,
            deletion_protection=props.deletion_protection,
            removal_policy=RemovalPolicy.SNAPSHOT if props.keep else RemovalPolicy.DESTROY,
            **server,
        )
        self._track_version(instance)
        replica = self._replica(instance, server) if props.read_replica else None
        for each in filter(None, (instance, replica)):
            # Amazon RDS uses the role as soon as there is an instance, so its rights come first.
            each.node.add_dependency(monitoring_role)
        if not props.deletion_protection:
            acknowledge(
                instance,
                ("RDS10", "RDSInstanceDeletionProtectionEnabled"),
                "By setting (database.deletion_protection): an environment that holds sample data only and "
                "is destroyed and made again at will.",
            )
        self.serving = self._rotations = self._target = instance
        self.identifier, self.arn = instance.instance_identifier, instance.instance_arn
        self.source_type = "db-instance"
        self.endpoint = instance.instance_endpoint
        self.reader = replica.instance_endpoint if replica else None
        self.servers = (DatabaseServer(name="Database", title="The database", instance=instance),)
        self.replica = replica
        self.administrator_secret = cast(secretsmanager.ISecret, instance.secret)
        self._rotate_administrator()

    @property
    def proxy_target(self) -> rds.ProxyTarget:
        """What a proxy connects to; using it lets the proxy in."""
        instance = rds.DatabaseInstance.from_database_instance_attributes(
            self,
            "ProxyTarget",
            instance_identifier=self.identifier,
            instance_endpoint_address=self.endpoint.hostname,
            # The instance's own port is known when it exists only; a number can be checked before.
            port=DATABASE_PORT,
            security_groups=[self.security_group],
            engine=self._engine,
        )
        return rds.ProxyTarget.from_instance(instance)

    def _replica(
        self, instance: rds.DatabaseInstance, server: Mapping[str, Any]
    ) -> rds.DatabaseInstanceReadReplica:
        # Without a size of its own it begins with the one that the instance's storage has grown to.
        replica = rds.DatabaseInstanceReadReplica(
            self,
            "Replica",
            source_database_instance=instance,
            multi_az=False,
            # Holds nothing that the instance does not, and Amazon RDS takes no last snapshot of a replica.
            removal_policy=RemovalPolicy.DESTROY,
            # Or it could not be switched off again where the instance is protected.
            deletion_protection=False,
            **server,
        )
        # What a replica in the same region has from its source must not be said of it:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
        inherits = cast(CfnResource, replica.node.default_child)
        for name in ("KmsKeyId", "StorageEncrypted"):
            inherits.add_property_deletion_override(name)
        acknowledge(
            replica,
            "CKV_AWS_16",
            "A replica in the same region is encrypted as its instance is, with the same key; CloudFormation refuses to "
            "have it said again.",
        )
        acknowledge(
            replica,
            "RDS11",
            f"The rule knows a port's default by the engine, which a replica has from its instance; the port is {DATABASE_PORT}, "
            "no engine's default.",
        )
        acknowledge(
            replica,
            ("RDS3", "RDSMultiAZSupport", "CKV_AWS_157"),
            "A further copy of an instance that has its standby: while this one is away, its readers are served by the "
            "instance.",
        )
        acknowledge(
            replica,
            ("RDS10", "RDSInstanceDeletionProtectionEnabled"),
            "It holds nothing that the instance does not, which is protected by setting; switching it off "
            "(database.read_replicas) must delete it.",
        )
        acknowledge(
            replica,
            "RDSInBackupPlan",
            "It holds nothing that the instance does not, which is backed up; a lost replica is made anew from the instance.",
        )
        return replica
