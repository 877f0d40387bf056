import json
from pathlib import Path

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_synthetics as synthetics
from constructs import Construct

from platform_constructs.common.access_log_bucket import AccessLogBucket
from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.compliance import acknowledge, readable_account
from platform_constructs.common.encryption_key import EncryptionKey
from platform_constructs.common.operator_alarm import OperatorAlarm
from platform_constructs.common.permissions import allow
from platform_constructs.delivery.artifact_bucket import ArtifactBucket
from platform_constructs.entrance.public_distribution import PublicDistribution
from platform_constructs.entrance.public_load_balancer import PublicLoadBalancer
from platform_constructs.entrance.viewer_network import ADMIN, HEADER

# Newer than CDK knows: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Synthetics_Library_python_selenium.html
_RUNTIME = synthetics.Runtime("syn-python-selenium-14.0", synthetics.RuntimeFamily.PYTHON)
_CODE = Path(__file__).parents[1] / "handlers" / "canary"


class SyntheticCanary(Construct):
    """A visitor that is a machine: home and list by every zone, then add a supplier and delete it.

    With an edge in front, home and list also by that, as everybody. It runs in the VPC, because only from there the
    administration is open to it. CloudWatch Synthetics makes the
    log group of its function (`/aws/lambda/cwsyn-...`) by itself, so that one has neither our key nor our retention.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection,
        load_balancer: PublicLoadBalancer,
        edge: PublicDistribution | None,
        interval: Duration,
        topic: AlarmTopic,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self._name = name
        key = EncryptionKey(
            self, "Key", description=f"Results of the canary {name}", removal_policy=removal_policy
        )
        bucket = ArtifactBucket(
            self,
            "Results",
            encryption_key=key,
            access_logs=AccessLogBucket(self, "AccessLogs", removal_policy=removal_policy),
            removal_policy=removal_policy,
        )
        port = 443 if load_balancer.secure else 80
        security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, description="The canary", allow_all_outbound=False
        )
        security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTPS, "AWS APIs, and the site")
        if not load_balancer.secure:
            security_group.add_egress_rule(
                ec2.Peer.ipv4(vpc.vpc_cidr_block), ec2.Port.tcp(port), "The load balancer, from inside"
            )
        environment = {
            "SCHEME": "https" if load_balancer.secure else "http",
            "HOST": load_balancer.host,
            "PORT": str(port),
            "LOAD_BALANCER": load_balancer.load_balancer.load_balancer_full_name,
        }
        if edge is not None:
            load_balancer.admit(self, security_group, "The canary")
            # From inside it may say so itself: only CloudFront and the canary reach the listener.
            environment |= {"EDGE": edge.host, "HEADERS": json.dumps({HEADER: ADMIN})}
        role = self._role(bucket)
        self.canary = synthetics.Canary(
            self,
            "Canary",
            canary_name=name,
            runtime=_RUNTIME,
            test=synthetics.Test.custom(
                code=synthetics.Code.from_asset(str(_CODE), exclude=["__pycache__", "*.pyc"]),
                handler="directory_canary.handler",
            ),
            schedule=synthetics.Schedule.rate(interval),
            timeout=Duration.minutes(1),
            environment_variables=environment,
            role=role,
            vpc=vpc,
            vpc_subnets=subnets,
            security_groups=[security_group],
            artifacts_bucket_location=synthetics.ArtifactsBucketLocation(bucket=bucket),
            success_retention_period=Duration.days(7),
            failure_retention_period=Duration.days(31),
            provisioned_resource_cleanup=True,
        )
        # Its first visit is at once, so the role's rights come first.
        self.canary.node.add_dependency(role)
        self.alarm = OperatorAlarm(
            self,
            "CanaryFailed",
            metric=self.metric_success(
                max(interval, Duration.minutes(5), key=lambda each: each.to_minutes())
            ),
            says="The canary could not see the home page or the list, or not add and delete a supplier, "
            "twice in a row",
            comparison="below",
            threshold=100,
            periods=2,
            # It begins with the alarm, which must not fire before the first visit.
            missing="told",
            topic=topic,
        )

    def metric_success(self, period: Duration) -> cloudwatch.Metric:
        """Visits that went well, in percent."""
        return self.canary.metric_success_percent(period=period, statistic="Average", label="success (%)")

    def _role(self, bucket: ArtifactBucket) -> iam.Role:
        stack = Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Runs the canary {self._name} and keeps its results",
        )
        bucket.grant_artifacts(role, write=True)
        log_groups = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"/aws/lambda/cwsyn-{self._name}-*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(role, "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", on=log_groups)
        allow(
            role,
            "cloudwatch:PutMetricData",
            on="*",
            when={"StringEquals": {"cloudwatch:namespace": "CloudWatchSynthetics"}},
        )
        # None of these knows resources; the network interfaces are those of a function in a VPC and the
        # load balancer's.
        allow(
            role,
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "s3:ListAllMyBuckets",
            on="*",
        )
        acknowledge(
            role,
            "IAM5[Resource::*]",
            "Metrics of one namespace, network interfaces of a function in a VPC and the names of buckets, which "
            "know no resource.",
        )
        acknowledge(
            role,
            f"IAM5[Resource::arn:aws:logs:{stack.region}:{readable_account(stack)}:log-group:"
            f"/aws/lambda/cwsyn-{self._name}-*]",
            "CloudWatch Synthetics makes the log group and ends its name with an id of its own.",
        )
        return role
