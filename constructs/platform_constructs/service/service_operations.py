from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import Aws, CustomResource, Duration, RemovalPolicy, Stack, Token
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.compliance import UNRESERVED_CONCURRENCY, acknowledge, readable_account
from platform_constructs.common.permissions import allow

_CODE = Path(__file__).parents[1] / "handlers" / "ecs_operations"
_TIME_LIMIT = Duration.minutes(15)


class ServiceOperations(Construct):
    """What a deployment of a service asks and does beyond CloudFormation's resource types, by one function.

    Its rights name this service and its cluster. What each resource does is in `handlers/ecs_operations`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        load_balancer: elbv2.IApplicationLoadBalancer,
        subnets: ec2.SelectedSubnets,
        alarms: AlarmTopic,
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self._cluster = cluster
        self._load_balancer = load_balancer
        self._subnets = subnets
        log_group = logs.LogGroup(
            self,
            "LogGroup",
            encryption_key=logs_key,
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=removal_policy,
        )
        self._role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Deploys a service: asks what is live, prepares its database, starts its release",
        )
        log_group.grant_write(self._role)
        # Whether the stack rolls back.
        allow(self._role, "cloudformation:DescribeStacks", on=Aws.STACK_ID)
        # By the cluster, which holds nothing but this platform's: naming the service would make it wait for itself.
        in_cluster = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
        allow(self._role, "ecs:DescribeServices", on="*", when=in_cluster)
        acknowledge(
            self._role,
            "IAM5[Resource::*]",
            "Task definitions, listeners and rules are described without a resource; services, whose names are not known "
            "before they exist, only in this cluster.",
        )
        self._function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(_CODE), exclude=["__pycache__"]),
            handler="index.handler",
            timeout=_TIME_LIMIT,
            memory_size=256,
            role=self._role,
            log_group=log_group,
            dead_letter_topic=alarms.take_failed_calls(self._role),
            description="Custom resources of a service's deployment",
        )
        acknowledge(self._function, *UNRESERVED_CONCURRENCY)
        acknowledge(
            self._function,
            ("LambdaInsideVPC", "CKV_AWS_117"),
            "Calls nothing but AWS APIs and reaches nothing inside the VPC. In there it would gain a way to the database "
            "that it has no use for, and deployments would depend on the network that they change.",
        )

    def run_to_completion(
        self,
        construct_id: str,
        *,
        task_definition: ecs.FargateTaskDefinition,
        security_groups: Sequence[ec2.ISecurityGroup],
        log_group: logs.ILogGroup,
        log_prefix: str,
    ) -> CustomResource:
        """Run the task at each deployment that changes it; the deployment fails if the task does."""
        rights = iam.Policy(self, "TaskRights", roles=[self._role])
        # By family: revisions come with each deployment, and rights take a while to be known everywhere.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
        stack = Stack.of(self)
        family = f"{task_definition.family}:*"
        in_cluster = {"ArnEquals": {"ecs:cluster": self._cluster.cluster_arn}}
        rights.add_statements(
            iam.PolicyStatement(
                actions=["ecs:RunTask"],
                resources=[stack.format_arn(service="ecs", resource="task-definition", resource_name=family)],
                conditions=in_cluster,
            ),
            iam.PolicyStatement(actions=["ecs:DescribeTasks"], resources=["*"], conditions=in_cluster),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[
                    task_definition.task_role.role_arn,
                    task_definition.obtain_execution_role().role_arn,
                ],
                conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
        )
        log_group.grant(rights, "logs:GetLogEvents")
        acknowledge(
            rights,
            f"IAM5[Resource::arn:aws:ecs:{stack.region}:{readable_account(stack)}:task-definition/{family}]",
            "The revision to run comes with the deployment that runs it.",
        )
        acknowledge(
            rights,
            "IAM5[Resource::*]",
            "Tasks have no names before they exist; only in this cluster.",
        )
        resource = self._resource(
            construct_id,
            "Custom::OneOffTask",
            {
                "Cluster": self._cluster.cluster_arn,
                "TaskDefinition": task_definition.task_definition_arn,
                "Subnets": self._subnets.subnet_ids,
                "SecurityGroups": [group.security_group_id for group in security_groups],
                "LogGroup": log_group.log_group_name,
                "LogPrefix": log_prefix,
            },
        )
        resource.node.add_dependency(rights, self._subnets.internet_connectivity_established)
        return resource

    def lift_to_minimum(self, construct_id: str, service: ecs.FargateService, minimum: int) -> CustomResource:
        """Start a new service with its minimum of tasks, and wait until they run.

        A count in the template would do so too, and would take back what scaling did whenever
        CloudFormation updates the service: https://github.com/aws/aws-cdk/issues/3919
        """
        rights = iam.Policy(self, "ScalingRights", roles=[self._role])
        rights.add_statements(
            iam.PolicyStatement(actions=["ecs:UpdateService"], resources=[service.service_arn])
        )
        resource = self._resource(
            construct_id,
            "Custom::MinimumTasks",
            {
                "Cluster": self._cluster.cluster_arn,
                "Service": service.service_name,
                "Minimum": minimum,
            },
        )
        resource.node.add_dependency(rights)
        return resource

    def _look_at_live_tasks(self) -> None:
        """Allow to ask what the stack's service is called, which does not exist at first, and what its tasks are."""
        allow(self._role, "cloudformation:DescribeStackResource", on=Aws.STACK_ID)
        allow(self._role, "ecs:DescribeTaskDefinition", on="*")

    def live_image(
        self,
        construct_id: str,
        *,
        checkout: tuple[str, str],
        ship_checkout: str,
        pipeline_repository: str,
        service_logical_id: str,
        settings: object,
    ) -> tuple[str, str]:
        """Image and version that a task is to run: what a pipeline has released, else the checkout's.

        `settings` is all else that the task is made of, so that the answer is of the moment at which it changes.
        """
        self._look_at_live_tasks()
        image, version = checkout
        answer = self._resource(
            construct_id,
            "Custom::LiveImage",
            {
                "Cluster": self._cluster.cluster_name,
                "ServiceLogicalId": service_logical_id,
                "Image": image,
                "Version": version,
                "ShipCheckout": ship_checkout,
                "PipelineRepository": pipeline_repository,
                "Settings": settings,
            },
        )
        return answer.get_att_string("Image"), answer.get_att_string("Version")

    def live_traffic(
        self,
        scope: Construct,
        *,
        listener: elbv2.IApplicationListener,
        blue: elbv2.IApplicationTargetGroup,
        green: elbv2.IApplicationTargetGroup,
        rules: object,
    ) -> tuple[float, float]:
        """The weights of blue and green on a listener, at the moment at which `rules`, which are to hold them, change."""
        allow(
            self._role,
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeRules",
            on="*",
        )
        answer = self._resource(
            "LiveTraffic",
            "Custom::LiveTraffic",
            {
                "LoadBalancerArn": self._load_balancer.load_balancer_arn,
                "ListenerArn": listener.listener_arn,
                "BlueTargetGroupArn": blue.target_group_arn,
                "GreenTargetGroupArn": green.target_group_arn,
                "Rules": rules,
            },
            scope=scope,
        )
        return Token.as_number(answer.get_att("Blue")), Token.as_number(answer.get_att("Green"))

    def watch_health_check_path(
        self, construct_id: str, *, path: str, service_logical_id: str
    ) -> CustomResource:
        """Fail a deployment that judges the live tasks by a path that they were not released as answering."""
        self._look_at_live_tasks()
        return self._resource(
            construct_id,
            "Custom::HealthCheckPath",
            {"Cluster": self._cluster.cluster_name, "ServiceLogicalId": service_logical_id, "Path": path},
        )

    def release_by_codedeploy(
        self,
        construct_id: str,
        *,
        service: ecs.IBaseService,
        task: ecs.TaskDefinition,
        group: codedeploy.IEcsDeploymentGroup,
        check: lambda_.IFunction,
    ) -> CustomResource:
        """Start a release of the task whenever it changes, behind the load balancer by the port that its container listens on.

        The deployment of the stack does not wait for it.
        """
        # It is not released anew where what is live is the same.
        allow(self._role, "ecs:DescribeTaskDefinition", on="*")
        rights = iam.Policy(self, "ReleaseRights", roles=[self._role])
        rights.add_statements(
            iam.PolicyStatement(
                actions=[
                    "codedeploy:CreateDeployment",
                    "codedeploy:GetApplicationRevision",
                    "codedeploy:GetDeployment",
                    "codedeploy:GetDeploymentConfig",
                    "codedeploy:ListDeployments",
                    "codedeploy:RegisterApplicationRevision",
                ],
                resources=[
                    group.application.application_arn,
                    group.deployment_group_arn,
                    group.deployment_config.deployment_config_arn,
                ],
            )
        )
        container = task.default_container
        if container is None:
            raise ValueError(f"{task.node.path} has no container that traffic could reach")
        resource = self._resource(
            construct_id,
            "Custom::CodeDeployRelease",
            {
                "Cluster": self._cluster.cluster_name,
                "Service": service.service_name,
                "Application": group.application.application_name,
                "DeploymentGroup": group.deployment_group_name,
                "TaskDefinition": task.task_definition_arn,
                "ContainerName": container.container_name,
                "ContainerPort": container.container_port,
                "CheckFunction": check.function_arn,
            },
        )
        resource.node.add_dependency(rights)
        return resource

    def _resource(
        self,
        construct_id: str,
        resource_type: str,
        properties: Mapping[str, object],
        *,
        scope: Construct | None = None,
    ) -> CustomResource:
        resource = CustomResource(
            scope or self,
            construct_id,
            service_token=self._function.function_arn,
            resource_type=resource_type,
            properties=dict(properties),
            service_timeout=_TIME_LIMIT,
        )
        # The grants reach the role as a policy of its own; without it the first call would be refused.
        resource.node.add_dependency(self._role)
        return resource
