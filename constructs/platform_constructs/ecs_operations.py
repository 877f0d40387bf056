from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, IDependable

from platform_constructs.alarm_topic import AlarmTopic
from platform_constructs.compliance import UNRESERVED_CONCURRENCY, acknowledge, readable_account

_CODE = Path(__file__).parent / "handlers" / "ecs_operations"
_TIME_LIMIT = Duration.minutes(15)
# CloudFormation waits no longer for a custom resource.
_RELEASE_TIME_LIMIT = Duration.hours(1)
# What a service needs takes some 600 characters of a policy's 6,144, and a role has 10 policies at most:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_SERVICES_PER_POLICY = 6


class EcsOperations(Construct):
    """What a deployment does to ECS beyond its resource types, by one function for all services of a cluster."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        subnets: ec2.SelectedSubnets,
        alarms: AlarmTopic,
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self._cluster = cluster
        self._subnets = subnets
        self._policies = Counter[str]()
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
            description="Runs one-off tasks and lifts new services to their minimum",
        )
        log_group.grant_write(self._role)
        # Named by the cluster: naming each service would make its task wait for itself.
        self._role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["ecs:DescribeServices", "ecs:UpdateService"],
                resources=[self._arn("service", f"{cluster.cluster_name}/*")],
            )
        )
        self._role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["ecs:DescribeTasks"], resources=[self._arn("task", f"{cluster.cluster_name}/*")]
            )
        )
        cluster_id = Stack.of(self).resolve(cast(ecs.CfnCluster, cluster.node.default_child).logical_id)
        for kind in ("service", "task"):
            acknowledge(
                self._role,
                f"IAM5[Resource::{self._readable_arn(kind, cluster_id)}]",
                f"The cluster holds nothing but this platform's {kind}s, and their names are not known "
                "before they exist.",
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
            description="Custom resources OneOffTask and MinimumTasks",
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
        rights = self._rights("TaskRights")
        task_definition.grant_run(rights)
        log_group.grant(rights, "logs:GetLogEvents")
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

    def lift_to_minimum(self, construct_id: str, *, minimums: Mapping[ecs.FargateService, int]) -> None:
        """Start new services, each with its minimum of tasks; one resource for all, as a stack has 500.

        A count in the template would do so too, and would take back what scaling did whenever
        CloudFormation updates the service: https://github.com/aws/aws-cdk/issues/3919
        """
        self._resource(
            construct_id,
            "Custom::MinimumTasks",
            {
                "Cluster": self._cluster.cluster_arn,
                "Services": [
                    {"Service": service.service_name, "Minimum": minimum}
                    for service, minimum in minimums.items()
                ],
            },
        )

    def release_by_codedeploy(
        self,
        construct_id: str,
        *,
        service: ecs.FargateService,
        task_definition: ecs.FargateTaskDefinition,
        container_name: str,
        container_port: int,
        deployment_group: codedeploy.EcsDeploymentGroup,
        check: lambda_.IFunction,
        after: Sequence[IDependable],
    ) -> None:
        """Release the task definition whenever it changes, once everything in `after` is done.

        The deployment of the stack waits for CodeDeploy's, and fails with its reason if that is taken back.
        """
        # Apart from the rights to prepare the database: the service waits for the database, and these name what
        # comes after the service.
        rights = self._rights("ReleaseRights")
        rights.add_statements(
            iam.PolicyStatement(
                actions=[
                    "codedeploy:CreateDeployment",
                    "codedeploy:GetApplicationRevision",
                    "codedeploy:GetDeployment",
                    "codedeploy:GetDeploymentConfig",
                    "codedeploy:RegisterApplicationRevision",
                ],
                resources=[
                    deployment_group.application.application_arn,
                    deployment_group.deployment_group_arn,
                    deployment_group.deployment_config.deployment_config_arn,
                ],
            ),
            # These know no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodedeploy.html
            iam.PolicyStatement(
                actions=["codedeploy:BatchGetDeploymentTargets", "codedeploy:ListDeploymentTargets"],
                resources=["*"],
            ),
            # A release outlasts one call of the function, which then calls itself.
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[self._function.function_arn]),
        )
        acknowledge(
            rights,
            "IAM5[Resource::*]",
            "Reads how far the releases of CodeDeploy are, which knows no resource.",
        )
        resource = self._resource(
            construct_id,
            "Custom::CodeDeployRelease",
            {
                "Cluster": self._cluster.cluster_name,
                "Service": service.service_name,
                "Application": deployment_group.application.application_name,
                "DeploymentGroup": deployment_group.deployment_group_name,
                "TaskDefinition": task_definition.task_definition_arn,
                "ContainerName": container_name,
                "ContainerPort": container_port,
                "CheckFunction": check.function_arn,
            },
            _RELEASE_TIME_LIMIT,
        )
        resource.node.add_dependency(rights, *after)

    def _rights(self, construct_id: str) -> iam.Policy:
        """The policy of the role that takes the rights of one more service."""
        number, place = divmod(self._policies[construct_id], _SERVICES_PER_POLICY)
        self._policies[construct_id] += 1
        if place:
            return cast(iam.Policy, self.node.find_child(f"{construct_id}{number or ''}"))
        return iam.Policy(self, f"{construct_id}{number or ''}", roles=[self._role])

    def _resource(
        self,
        construct_id: str,
        resource_type: str,
        properties: dict[str, object],
        time_limit: Duration = _TIME_LIMIT,
    ) -> CustomResource:
        resource = CustomResource(
            self,
            construct_id,
            service_token=self._function.function_arn,
            resource_type=resource_type,
            properties=properties,
            service_timeout=time_limit,
        )
        # The grants reach the role as a policy of its own; without it the first call would be refused.
        resource.node.add_dependency(self._role)
        return resource

    def _readable_arn(self, resource: str, cluster_id: str) -> str:
        """The ARN as cdk-nag writes it in the id of a finding."""
        stack = Stack.of(self)
        return f"arn:aws:ecs:{stack.region}:{readable_account(stack)}:{resource}/<{cluster_id}>/*"

    def _arn(self, resource: str, name: str) -> str:
        return Stack.of(self).format_arn(service="ecs", resource=resource, resource_name=name)
