from pathlib import Path
from typing import cast

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.compliance import UNRESERVED_CONCURRENCY, acknowledge, readable_account
from platform_constructs.common.permissions import allow
from platform_constructs.entrance.public_load_balancer import PublicLoadBalancer

_CODE = Path(__file__).parents[1] / "handlers" / "release_check"


class ReleaseCheck(Construct):
    """Requests a release's new tasks through the test listener, from inside, before anybody else gets them."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        subnets: ec2.SubnetSelection,
        load_balancer: PublicLoadBalancer,
        applications: str,
        logs_of_services: str,
        alarms: AlarmTopic,
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        port = load_balancer.test_port
        log_group = logs.LogGroup(
            self,
            "LogGroup",
            encryption_key=logs_key,
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=removal_policy,
        )
        security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=cluster.vpc,
            description="The check of new tasks",
            allow_all_outbound=False,
        )
        security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTPS, "AWS APIs")
        load_balancer.security_group.connections.allow_from(
            security_group, ec2.Port.tcp(port), "The check of new tasks"
        )
        role = self._role(cluster, log_group, alarms, applications, logs_of_services)
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(_CODE), exclude=["__pycache__"]),
            handler="index.handler",
            timeout=Duration.minutes(15),
            memory_size=256,
            role=role,
            log_group=log_group,
            dead_letter_topic=alarms.take_failed_calls(role),
            vpc=cluster.vpc,
            vpc_subnets=subnets,
            security_groups=[security_group],
            description="Tries new tasks out through the test listener",
            environment={
                "LOAD_BALANCER": load_balancer.load_balancer.load_balancer_full_name,
                "SCHEME": "https" if load_balancer.secure else "http",
                "HOST": load_balancer.host,
                "PORT": str(port),
                "ALARM_TOPIC_ARN": alarms.topic.topic_arn,
            },
        )

        acknowledge(self.function, *UNRESERVED_CONCURRENCY)
        acknowledge(
            self.function,
            "CKV_AWS_173",
            "The variables name the load balancer and the paths to request; none is secret, and Lambda encrypts them at rest.",
        )
        acknowledge(
            cast(iam.Policy, role.node.find_child("DefaultPolicy")),
            "CKV_AWS_111",
            "Lambda makes and removes the network interfaces of a function in a VPC in the name of its role, before there "
            "is anything to name: the actions are those of AWSLambdaVPCAccessExecutionRole.",
        )

    def _role(
        self,
        cluster: ecs.ICluster,
        log_group: logs.LogGroup,
        alarms: AlarmTopic,
        applications: str,
        logs_of_services: str,
    ) -> iam.Role:
        cluster_id = Stack.of(self).resolve(cast(ecs.CfnCluster, cluster.node.default_child).logical_id)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Tries new tasks out and tells CodeDeploy or ECS",
        )
        log_group.grant_write(role)
        stack = Stack.of(self)
        for finding, reason in (
            (
                f"arn:aws:codedeploy:{stack.region}:{readable_account(stack)}:deploymentgroup:{applications}*",
                "The groups of this environment's services, and of no other; naming each would make it wait for itself.",
            ),
            (
                f"arn:aws:ecs:{stack.region}:{readable_account(stack)}:service/<{cluster_id}>/*",
                "Reads descriptions only, of services that do not exist yet.",
            ),
            (
                f"arn:aws:ecs:{stack.region}:{readable_account(stack)}:service-revision/<{cluster_id}>/*",
                "Reads descriptions only, of revisions that a release makes.",
            ),
            (
                f"arn:aws:logs:{stack.region}:{readable_account(stack)}:log-group:{logs_of_services}*:log-stream:*",
                "Reads the end of the log of a task that does not start, of this environment's services.",
            ),
            (
                "*",
                "Network interfaces of a function in a VPC, descriptions, the report to CodeDeploy and the end of a release, which "
                "know no resource; "
                "tasks, whose names are not known before they exist, only in this cluster.",
            ),
        ):
            acknowledge(role, f"IAM5[Resource::{finding}]", reason)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "codedeploy:GetDeployment",
                    "codedeploy:GetDeploymentGroup",
                ],
                resources=[
                    stack.format_arn(
                        service="codedeploy",
                        resource="deploymentgroup",
                        resource_name=f"{applications}*",
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                ],
            )
        )
        allow(
            role,
            "logs:GetLogEvents",
            on=stack.format_arn(
                service="logs",
                resource="log-group",
                resource_name=f"{logs_of_services}*:log-stream:*",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            ),
        )
        in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
        allow(role, "ecs:DescribeTasks", "ecs:ListTasks", on="*", when=in_cluster)
        allow(role, "sns:Publish", on=alarms.topic.topic_arn)
        # A revision is described with the right on its service as well:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
        for resource, actions in (
            ("service", ["ecs:DescribeServices", "ecs:DescribeServiceRevisions"]),
            ("service-revision", ["ecs:DescribeServiceRevisions"]),
        ):
            name = f"{cluster.cluster_name}/*"
            allow(role, *actions, on=stack.format_arn(service="ecs", resource=resource, resource_name=name))
        # None of these knows resources; the network interfaces are those of a function in a VPC and the
        # load balancer's:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodedeploy.html
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "codedeploy:BatchGetDeploymentTargets",
                    "codedeploy:ListDeploymentTargets",
                    "codedeploy:PutLifecycleEventHookExecutionStatus",
                    "codedeploy:StopDeployment",
                    "ec2:AssignPrivateIpAddresses",
                    "ec2:CreateNetworkInterface",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSubnets",
                    "ec2:UnassignPrivateIpAddresses",
                    "ecs:DescribeTaskDefinition",
                ],
                resources=["*"],
            )
        )
        return role
