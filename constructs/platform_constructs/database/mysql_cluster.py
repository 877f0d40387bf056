from aws_cdk import RemovalPolicy, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from platform_constructs.common.compliance import acknowledge
from platform_constructs.database.relational_database import (
    ADMINISTRATOR,
    BACKUP_WINDOW,
    DATABASE_PORT,
    MAINTENANCE_WINDOW,
    DatabaseProps,
    DatabaseServer,
    RelationalDatabase,
)

_INSTANCES = 3
# What gp3 has from 400 GiB on at no further cost. A cluster must be told; for less storage a number is refused.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
_IOPS = 12_000


class MysqlCluster(RelationalDatabase):
    """A MySQL 8.4 Multi-AZ DB cluster: one instance that takes writes, and two in other zones that are read.

    In isolated subnets, encrypted with a customer key. A write is answered when one of the others has it as well.
    When the first one is lost, one of the others takes its place behind the same address. Its storage does not grow
    by itself, and its automated backups go with it, but for the last snapshot. Not to be mistaken for Aurora, for which alone CDK has a higher construct.
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
        # At most 52 characters, to which Amazon RDS adds -instance-1 to 3; a name that CloudFormation makes up is longer.
        self.identifier = Stack.of(self).stack_name
        removal_policy = RemovalPolicy.SNAPSHOT if props.keep else RemovalPolicy.DESTROY
        monitoring_role = self._monitoring_role()
        cluster = rds.CfnDBCluster(
            self,
            "Cluster",
            db_cluster_identifier=self.identifier,
            engine="mysql",
            engine_version=self._engine.engine_version.full_version if self._engine.engine_version else None,
            db_cluster_instance_class=props.instance_class,
            storage_type="gp3",
            allocated_storage=props.storage_gib,
            iops=_IOPS,
            storage_encrypted=True,
            kms_key_id=encryption_key.key_arn,
            database_name=self.name,
            master_username=ADMINISTRATOR,
            master_user_password=self._administrator.secret_value_from_json("password").unsafe_unwrap(),
            port=DATABASE_PORT,
            db_subnet_group_name=self._subnet_group(),
            vpc_security_group_ids=[self.security_group.security_group_id],
            publicly_accessible=False,
            db_cluster_parameter_group_name=self._parameter_group.bind_to_cluster().parameter_group_name,
            # The engine's audit plugin would need an option group, which such a cluster cannot have.
            enable_cloudwatch_logs_exports=["error", "general", "slowquery"],
            monitoring_interval=60,
            monitoring_role_arn=monitoring_role.role_arn,
            performance_insights_enabled=True,
            performance_insights_kms_key_id=encryption_key.key_arn,
            performance_insights_retention_period=7,
            backup_retention_period=props.backup.to_days(),
            preferred_backup_window=BACKUP_WINDOW,
            preferred_maintenance_window=MAINTENANCE_WINDOW,
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            deletion_protection=props.deletion_protection,
        )
        cluster.apply_removal_policy(removal_policy)
        # Amazon RDS uses the role as soon as there is an instance, so its rights come first.
        cluster.node.add_dependency(monitoring_role)
        self._track_version(cluster)
        acknowledge(
            cluster,
            "CKV_AWS_162",
            "CloudFormation documents signing in by IAM for clusters of Aurora only, and its linter refuses it here; nobody "
            "signs in so: every user has a password of its own that rotates.",
        )
        if not props.deletion_protection:
            acknowledge(
                cluster,
                ("RDS10", "RDSInstanceDeletionProtectionEnabled"),
                "By setting (database.deletion_protection): an environment that holds sample data only and "
                "is destroyed and made again at will.",
            )
        port = Token.as_number(cluster.attr_endpoint_port)
        self.serving, self._rotations = cluster, self
        self.arn = cluster.attr_db_cluster_arn
        self.source_type = "db-cluster"
        self.endpoint = rds.Endpoint(cluster.attr_endpoint_address, port)
        self.reader = rds.Endpoint(cluster.attr_read_endpoint_address, port)
        self.servers = tuple(self._server(number) for number in range(1, _INSTANCES + 1))
        self.replica = None
        self._target = rds.DatabaseCluster.from_database_cluster_attributes(
            self, "Target", cluster_identifier=cluster.ref
        )
        self.administrator_secret = self._administrator.attach(self._target)
        self._rotate_administrator()

    def _subnet_group(self) -> str:
        return rds.SubnetGroup(
            self,
            "SubnetGroup",
            vpc=self._vpc,
            vpc_subnets=self._subnets,
            description="The database",
            removal_policy=RemovalPolicy.DESTROY,
        ).subnet_group_name

    def _server(self, number: int) -> DatabaseServer:
        return DatabaseServer(
            name=f"Instance{number}",
            title=f"Instance {number} of the database",
            instance=rds.DatabaseInstance.from_database_instance_attributes(
                self,
                f"Instance{number}",
                instance_identifier=f"{self.identifier}-instance-{number}",
                instance_endpoint_address="",
                port=DATABASE_PORT,
                security_groups=[self.security_group],
            ),
        )
