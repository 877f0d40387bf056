from typing import cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_sam as sam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

# Characters that shells, URLs and JSON would have to escape.
EXCLUDED_CHARACTERS = " %+~`#$&*()|[]{}:;<>?!'/@\"\\"


class CredentialRotation(secretsmanager.SecretRotation):
    """A new password every 30 days, set in the database and in the secret by a function that only they see.

    With `administrator` the rotation alternates between two users of the same rights, so that a connection opened
    with the previous password goes on working until the rotation after the next.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        secret: secretsmanager.ISecret,
        administrator: secretsmanager.ISecret | None,
        database: ec2.Connections,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection,
        security_group: ec2.ISecurityGroup,
    ) -> None:
        applications = secretsmanager.SecretRotationApplication
        super().__init__(
            scope,
            construct_id,
            application=applications.MYSQL_ROTATION_MULTI_USER
            if administrator
            else applications.MYSQL_ROTATION_SINGLE_USER,
            secret=secret,
            master_secret=administrator,
            target=database,
            vpc=vpc,
            vpc_subnets=subnets,
            security_group=security_group,
            automatically_after=Duration.days(30),
            exclude_characters=EXCLUDED_CHARACTERS,
            # The users come into being with the first deployment of the services, after this.
            rotate_immediately_on_update=False,
        )
        # CDK names the function by its construct alone: two environments of one account would take one name.
        application = cast(sam.CfnApplication, self.node.default_child)
        self.name = name
        self._function_name = f"{Stack.of(self).stack_name}-{name}-rotation"
        application.add_property_override("Parameters.functionName", self._function_name)

    def metric_errors(self, period: Duration) -> cloudwatch.Metric:
        """Steps of a rotation that failed; Secrets Manager tries them again some times.

        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        """
        return cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions_map={"FunctionName": self._function_name},
            statistic="Sum",
            period=period,
        )
