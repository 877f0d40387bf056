from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from aws_cdk import ArnFormat, CfnResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from platform_constructs.compliance import acknowledge, readable_account
from platform_constructs.credential_rotation import EXCLUDED_CHARACTERS, CredentialRotation
from platform_constructs.database_user import DatabaseUser

# Neither the port nor the administrator's name is the engine's default (Security Hub RDS.23, RDS.25).
DATABASE_PORT = 3307
_ADMINISTRATOR = "directory_admin"
_DATABASE = "suppliers"


@dataclass(frozen=True, kw_only=True)
class MysqlDatabaseProps:
    instance_class: str
    storage_gib: int
    max_connections: int
    multi_az: bool
    backup: Duration
    deletion_protection: bool
    read_replica: bool
    keep: bool
    """Leave a last snapshot, and the credentials, when the stack is deleted."""


class MysqlDatabase(Construct):
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
        props: MysqlDatabaseProps,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = _DATABASE
        self._encryption_key = encryption_key
        self._vpc = vpc
        self._rotation_subnets = rotation_subnets
        self._credentials_policy = RemovalPolicy.RETAIN if props.keep else RemovalPolicy.DESTROY
        engine = rds.DatabaseInstanceEngine.mysql(version=rds.MysqlEngineVersion.VER_8_4_9)
        security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, description="The database", allow_all_outbound=False
        )
        administrator = rds.DatabaseSecret(
            self,
            "Administrator",
            username=_ADMINISTRATOR,
            encryption_key=encryption_key,
            exclude_characters=EXCLUDED_CHARACTERS,
        )
        administrator.apply_removal_policy(self._credentials_policy)
        server: dict[str, Any] = {
            "instance_type": ec2.InstanceType(props.instance_class.removeprefix("db.")),
            "vpc": vpc,
            "vpc_subnets": ec2.SubnetSelection(subnet_group_name="Data"),
            "security_groups": [security_group],
            "port": DATABASE_PORT,
            "parameter_group": self._parameters(engine, props.max_connections),
            "ca_certificate": rds.CaCertificate.RDS_CA_RSA2048_G1,
            "max_allocated_storage": min(props.storage_gib * 5, 65536),
            "storage_type": rds.StorageType.GP3,
            "storage_encrypted": True,
            "storage_encryption_key": encryption_key,
            "iam_authentication": True,
            "publicly_accessible": False,
            "auto_minor_version_upgrade": True,
            "copy_tags_to_snapshot": True,
            "preferred_maintenance_window": "sun:02:30-sun:03:30",
            "deletion_protection": props.deletion_protection,
            "cloudwatch_logs_exports": ["error", "general", "slowquery", "audit"],
            "monitoring_role": self._monitoring_role(),
            "monitoring_interval": Duration.seconds(60),
            "enable_performance_insights": True,
            "performance_insight_encryption_key": encryption_key,
            "performance_insight_retention": rds.PerformanceInsightRetention.DEFAULT,
        }
        self.instance = rds.DatabaseInstance(
            self,
            "Instance",
            engine=engine,
            database_name=_DATABASE,
            credentials=rds.Credentials.from_secret(administrator),
            multi_az=props.multi_az,
            allocated_storage=props.storage_gib,
            backup_retention=props.backup,
            preferred_backup_window="01:00-02:00",
            delete_automated_backups=not props.keep,
            removal_policy=RemovalPolicy.SNAPSHOT if props.keep else RemovalPolicy.DESTROY,
            **server,
        )
        self.replica = self._replica(server) if props.read_replica else None
        for each in filter(None, (self.instance, self.replica)):
            if props.deletion_protection:
                continue
            acknowledge(
                each,
                ("RDS10", "RDSInstanceDeletionProtectionEnabled"),
                "By setting (database.deletion_protection): an environment that holds sample data only and "
                "is destroyed and made again at will.",
            )
        self.client_security_group = ec2.SecurityGroup(
            self,
            "ClientSecurityGroup",
            vpc=vpc,
            description="Clients of the database",
            allow_all_outbound=False,
        )
        self.client_security_group.connections.allow_to(
            self.instance, ec2.Port.tcp(DATABASE_PORT), "Clients of the database only"
        )
        # The instance's own default port is known when it exists only; a number can be checked before.
        self._connections = ec2.Connections(
            security_groups=[security_group], default_port=ec2.Port.tcp(DATABASE_PORT)
        )
        self.rotation_security_group = ec2.SecurityGroup(
            self,
            "RotationSecurityGroup",
            vpc=vpc,
            description="Functions that rotate the credentials of the database",
            allow_all_outbound=False,
        )
        self.rotation_security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTPS, "AWS APIs")
        self._rotate("RotationSingleUser", "administrator", self.administrator_secret)

    @property
    def administrator_secret(self) -> secretsmanager.ISecret:
        """Credentials of the administrator, who makes the other users and serves no request."""
        return cast(secretsmanager.ISecret, self.instance.secret)

    def add_user(self, username: str) -> secretsmanager.ISecret:
        """The secret of a new database user; the user itself is made by the prepare task."""
        user = DatabaseUser(
            self,
            f"{''.join(part.capitalize() for part in username.replace('-', '_').split('_'))}User",
            username=username.replace("-", "_"),
            instance=self.instance,
            encryption_key=self._encryption_key,
            removal_policy=self._credentials_policy,
        )
        self._rotate(f"{user.node.id}Rotation", username, user.secret, self.administrator_secret)
        return user.secret

    def _replica(self, server: Mapping[str, Any]) -> rds.DatabaseInstanceReadReplica:
        # Without a size of its own it begins with the one that the instance's storage has grown to.
        replica = rds.DatabaseInstanceReadReplica(
            self,
            "Replica",
            source_database_instance=self.instance,
            multi_az=False,
            # Holds nothing that the instance does not, and Amazon RDS takes no last snapshot of a replica.
            removal_policy=RemovalPolicy.DESTROY,
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
            "RDSInBackupPlan",
            "It holds nothing that the instance does not, which is backed up; a lost replica is made anew from the instance.",
        )
        return replica

    def _rotate(
        self,
        construct_id: str,
        name: str,
        secret: secretsmanager.ISecret,
        administrator: secretsmanager.ISecret | None = None,
    ) -> None:
        CredentialRotation(
            self.instance,
            construct_id,
            name=name,
            secret=secret,
            administrator=administrator,
            database=self._connections,
            vpc=self._vpc,
            subnets=self._rotation_subnets,
            security_group=self.rotation_security_group,
        )

    def _monitoring_role(self) -> iam.Role:
        # What AmazonRDSEnhancedMonitoringRole allows, for the one log group that it is for.
        stack = Stack.of(self)
        group = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name="RDSOSMetrics:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        role = iam.Role(
            self,
            "MonitoringRole",
            assumed_by=iam.ServicePrincipal("monitoring.rds.amazonaws.com"),
            description="Delivers the metrics of the operating system",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:GetLogEvents",
                    "logs:PutLogEvents",
                    "logs:PutRetentionPolicy",
                ],
                resources=[group],
            )
        )
        acknowledge(
            role,
            f"IAM5[Resource::arn:aws:logs:{stack.region}:{readable_account(stack)}:log-group:RDSOSMetrics:*]",
            "The streams of the one log group that Amazon RDS delivers operating-system metrics to; it "
            "names them after the instance.",
        )
        return role

    def _parameters(self, engine: rds.IInstanceEngine, max_connections: int) -> rds.ParameterGroup:
        return rds.ParameterGroup(
            self,
            "Parameters",
            engine=engine,
            description="Encrypted connections only; slow statements are logged",
            parameters={
                "require_secure_transport": "1",
                "slow_query_log": "1",
                "long_query_time": "1",
                "log_output": "FILE",
                "max_connections": str(max_connections),
            },
        )
