from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_backup as backup
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct, IConstruct

from platform_constructs.common.compliance import acknowledge, readable_account
from platform_constructs.common.conventions import removal_policy
from platform_constructs.database.credential_rotation import EXCLUDED_CHARACTERS, CredentialRotation
from platform_constructs.database.database_user import DatabaseUser

# Neither the port nor the administrator's name is the engine's default (Security Hub RDS.23 to RDS.25).
DATABASE_PORT = 3307
ADMINISTRATOR = "directory_admin"
_DATABASE = "suppliers"
BACKUP_WINDOW = "01:00-02:00"
MAINTENANCE_WINDOW = "sun:02:30-sun:03:30"
# The major version: Amazon RDS takes a recent release of it for a new database and keeps a living one up to date. A
# release named here would be refused as a downgrade once the living one is newer, and for a new one once it is retired.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/MySQL.Concepts.VersionMgmt.html
_VERSION = "8.4"


@dataclass(frozen=True, kw_only=True)
class DatabaseProps:
    """What is asked of a database: the memory of `instance_class` bounds `max_connections`, storage in GiB."""

    instance_class: str
    storage_gib: int
    max_connections: int
    multi_az: bool
    backup: Duration
    deletion_protection: bool
    read_replica: bool
    insights: bool
    """Database Insights is offered for the instance class."""
    keep: bool
    """Leave a last snapshot, and the credentials, when the stack is deleted."""


@dataclass(frozen=True, kw_only=True)
class DatabaseServer:
    """One server of a database that takes writes, or would after a failover."""

    name: str
    """What its alarms are called after."""
    title: str
    instance: rds.IDatabaseInstance

    def metric_lag(self, period: Duration) -> cloudwatch.Metric:
        """Seconds that it is behind the server that takes writes, at most within a period; none of that one itself.

        https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/multi-az-db-clusters-concepts.html#multi-az-db-clusters-concepts-replica-lag
        """
        return self.instance.metric("ReplicaLag", statistic="Maximum", period=period)


class RelationalDatabase(Construct):
    """A MySQL 8.4 database that refuses plain connections, with its clients, its users and their rotation.

    What serves it, one instance or a cluster, is the business of the subclasses, and of nobody who uses it.
    """

    identifier: str
    arn: str
    source_type: Literal["db-instance", "db-cluster"]
    """What Amazon RDS calls it in its events."""
    serving: IConstruct
    """What holds the data: what is said of it in the checks is said here."""
    endpoint: rds.Endpoint
    """Where writes go, whoever takes them."""
    reader: rds.Endpoint | None
    """Where to read what may be some moments old, if there is such a place."""
    servers: Sequence[DatabaseServer]
    replica: rds.IDatabaseInstance | None
    administrator_secret: secretsmanager.ISecret
    """Credentials of the administrator, who makes the other users and serves no request."""
    _target: secretsmanager.ISecretAttachmentTarget
    _rotations: Construct

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
        super().__init__(scope, construct_id)
        self.name = _DATABASE
        self._made_rotations: list[CredentialRotation] = []
        self._encryption_key = encryption_key
        self._vpc = vpc
        self._rotation_subnets = rotation_subnets
        self._credentials_policy = removal_policy(protected=props.keep)
        self._engine = rds.DatabaseInstanceEngine.mysql(version=rds.MysqlEngineVersion.of(_VERSION, _VERSION))
        self._subnets = ec2.SubnetSelection(subnet_group_name="Data")
        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, description="The database", allow_all_outbound=False
        )
        # The server's own port is known when it exists only; a number can be checked before.
        self._connections = ec2.Connections(
            security_groups=[self.security_group], default_port=ec2.Port.tcp(DATABASE_PORT)
        )
        self.client_security_group = ec2.SecurityGroup(
            self,
            "ClientSecurityGroup",
            vpc=vpc,
            description="Clients of the database",
            allow_all_outbound=False,
        )
        self.client_security_group.connections.allow_to(
            self._connections, ec2.Port.tcp(DATABASE_PORT), "Clients of the database only"
        )
        self.rotation_security_group = ec2.SecurityGroup(
            self,
            "RotationSecurityGroup",
            vpc=vpc,
            description="Functions that rotate the credentials of the database",
            allow_all_outbound=False,
        )
        self.rotation_security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTPS, "AWS APIs")
        self._administrator = rds.DatabaseSecret(
            self,
            "Administrator",
            username=ADMINISTRATOR,
            encryption_key=encryption_key,
            exclude_characters=EXCLUDED_CHARACTERS,
        )
        self._administrator.apply_removal_policy(self._credentials_policy)
        self._parameter_group = self._parameters(props.max_connections)

    @property
    def backup_resource(self) -> backup.BackupResource:
        """What AWS Backup is to take snapshots of."""
        return backup.BackupResource.from_arn(self.arn)

    @property
    def proxy_target(self) -> rds.ProxyTarget:
        """What a proxy connects to; using it lets the proxy in. Settings allow a proxy of one instance only."""
        raise NotImplementedError

    def add_user(self, username: str) -> secretsmanager.ISecret:
        """The secret of a new database user; the user itself is made by the prepare task."""
        user = DatabaseUser(
            self,
            f"{''.join(part.capitalize() for part in username.replace('-', '_').split('_'))}User",
            username=username.replace("-", "_"),
            administrator=self.administrator_secret,
            database=self._target,
            encryption_key=self._encryption_key,
            removal_policy=self._credentials_policy,
        )
        self._rotate(f"{user.node.id}Rotation", username, user.secret, self.administrator_secret)
        return user.secret

    def _rotate_administrator(self) -> None:
        self._rotate("RotationSingleUser", "administrator", self.administrator_secret)

    def _rotate(
        self,
        construct_id: str,
        name: str,
        secret: secretsmanager.ISecret,
        administrator: secretsmanager.ISecret | None = None,
    ) -> None:
        self._made_rotations.append(
            CredentialRotation(
                self._rotations,
                construct_id,
                name=name,
                secret=secret,
                administrator=administrator,
                database=self._connections,
                vpc=self._vpc,
                subnets=self._rotation_subnets,
                security_group=self.rotation_security_group,
            )
        )

    def _track_version(self, server: IConstruct) -> None:
        """Accept that validators know exact versions only, as CDK itself has `MysqlEngineVersion.VER_8_0`."""
        acknowledge(
            server,
            ("CloudFormation-Validate::E9006", "cdk-preflight::E9006", "cfn-lint::E3691"),
            "The major version alone: Amazon RDS chooses a recent release of it and upgrades by itself.",
        )

    @property
    def rotations(self) -> Sequence[CredentialRotation]:
        """What gives the users their new passwords."""
        return tuple(self._made_rotations)

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

    def _parameters(self, max_connections: int) -> rds.ParameterGroup:
        return rds.ParameterGroup(
            self,
            "Parameters",
            engine=self._engine,
            description="Encrypted connections only; slow statements are logged",
            parameters={
                "require_secure_transport": "1",
                "slow_query_log": "1",
                "long_query_time": "1",
                "log_output": "FILE",
                "max_connections": str(max_connections),
            },
        )
