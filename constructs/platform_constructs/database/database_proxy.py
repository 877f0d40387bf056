from collections.abc import Sequence
from typing import cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

# All proxies for MySQL listen here, whatever the database's port is:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html#rds-proxy.limitations-my
PROXY_PORT = 3306

# What clients otherwise say to each of their connections (services/shared/directory/storage/mysql.py). Here the proxy says
# it to each of its own: said by a client it would split the pool.
SESSION = (
    "SET SESSION time_zone='+00:00', sql_mode='STRICT_TRANS_TABLES,NO_ZERO_DATE,"
    "NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
# Shorter than a client waits for a statement, so that it hears "away" and fails fast instead of timing out.
BORROW_TIMEOUT = Duration.seconds(3)
# Longer than clients keep a connection, so that they never write to one that has just been closed.
IDLE_TIMEOUT = Duration.minutes(10)
# The rest is for who goes to the database itself: preparations, rotations, people.
CONNECTIONS_PERCENT = 75


class DatabaseProxy(Construct):
    """A pool of connections to a MySQL database that its clients share: over TLS only, as the given users only."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        target: rds.ProxyTarget,
        secrets: Sequence[secretsmanager.ISecret],
        encryption_key: kms.IKey,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection,
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = name
        # By this name the proxy would make it itself, without a key and for ever.
        log_group = logs.LogGroup(
            self,
            "LogGroup",
            log_group_name=f"/aws/rds/proxy/{name}",
            encryption_key=logs_key,
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=removal_policy,
        )
        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, description="The proxy of the database", allow_all_outbound=False
        )
        role = self._role(encryption_key)
        proxy = rds.DatabaseProxy(
            self,
            "Proxy",
            db_proxy_name=name,
            proxy_target=target,
            secrets=self._without_key(secrets),
            role=role,
            vpc=vpc,
            vpc_subnets=subnets,
            security_groups=[self.security_group],
            require_tls=True,
            client_password_auth_type=rds.ClientPasswordAuthType.MYSQL_CACHING_SHA2_PASSWORD,
            iam_auth=False,
            init_query=SESSION,
            borrow_timeout=BORROW_TIMEOUT,
            idle_client_timeout=IDLE_TIMEOUT,
            max_connections_percent=CONNECTIONS_PERCENT,
            # It would write the text of statements, with the personal data in them.
            debug_logging=False,
        )
        # It reads its secrets from the start, so the role's rights come first.
        proxy.node.add_dependency(log_group, role)
        # The published schema knows no tags of it, to which CDK is ahead; the proxy itself has them.
        cast(
            rds.CfnDBProxyTargetGroup, proxy.node.find_child("ProxyTargetGroup")
        ).add_property_deletion_override("Tags")
        self.endpoint = proxy.endpoint

    def metric(self, metric_name: str, label: str, period: Duration, *, statistic: str) -> cloudwatch.Metric:
        """What the proxy reports of itself; counts are to be summed up, as each of its machines reports its own.

        https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.monitoring.html
        """
        return cloudwatch.Metric(
            namespace="AWS/RDS",
            metric_name=metric_name,
            dimensions_map={"ProxyName": self.name},
            statistic=statistic,
            period=period,
            label=label,
        )

    def metric_available(self, period: Duration) -> cloudwatch.Metric:
        """Percent of the time in which the proxy reached the database that takes writes."""
        return cloudwatch.Metric(
            namespace="AWS/RDS",
            metric_name="AvailabilityPercentage",
            dimensions_map={"ProxyName": self.name, "TargetGroup": "default", "TargetRole": "READ_WRITE"},
            statistic="Average",
            period=period,
            label="available",
        )

    def _role(self, key: kms.IKey) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            # Proxies send none of the conditions that guard against a confused deputy:
            # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html#rds-proxy.limitations
            assumed_by=iam.ServicePrincipal("rds.amazonaws.com"),
            description="Reads the credentials that the proxy of the database signs in with",
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt"],
                resources=[key.key_arn],
                conditions={
                    "StringEquals": {
                        "kms:ViaService": f"secretsmanager.{Stack.of(self).region}.amazonaws.com"
                    }
                },
            )
        )
        return role

    def _without_key(self, secrets: Sequence[secretsmanager.ISecret]) -> list[secretsmanager.ISecret]:
        """The secrets as references: with their key CDK lets the role decrypt whatever the key encrypts."""
        return [
            secretsmanager.Secret.from_secret_complete_arn(self, f"Secret{number}", secret.secret_arn)
            for number, secret in enumerate(secrets)
        ]
