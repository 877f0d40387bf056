import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import jsii
from aws_cdk import (
    CfnCondition,
    CfnParameter,
    Duration,
    Fn,
    IAnyProducer,
    IResolveContext,
    Lazy,
    RemovalPolicy,
    Size,
    Stack,
)
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.compliance import acknowledge
from platform_constructs.entrance.public_load_balancer import PublicLoadBalancer
from platform_constructs.entrance.sign_in import SignIn
from platform_constructs.release.blue_green_release import BlueGreenRelease
from platform_constructs.release.release_rights import ReleaseRights
from platform_constructs.release.target_group_pair import TargetGroupPair
from platform_constructs.service.listener_rules import ListenerRules
from platform_constructs.service.service_image import ServiceImage
from platform_constructs.service.service_operations import ServiceOperations
from platform_constructs.service.service_scaling import ServiceScaling, ServiceScalingProps

# The server inside finishes requests under way within 25 s; the platform kills it after this.
# What the stack calls the service, for those who ask for it before it exists.
_SERVICE = "Service"
_STOP_TIMEOUT = Duration.seconds(30)
_USER = "10001:10001"
# Users come before log lines: a log that is not taken away must not stop a task. Said here, as the default is a setting
# of the account (`defaultLogDriverMode`), and was blocking until June 2025. What the buffer cannot hold is lost: 25 MiB
# are minutes of a busy task.
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html
_LOG_BUFFER = Size.mebibytes(25)
# Where the agent of ECS Exec writes: the rest of the file system stays read-only. AWS supports the agent on writable
# file systems only; this is how users run it nevertheless: https://github.com/aws/containers-roadmap/issues/1359
_AGENT_FOLDERS = {"agent-state": "/var/lib/amazon", "agent-log": "/var/log/amazon"}


@dataclass(frozen=True, kw_only=True)
class MicroserviceProps:
    name: str
    family: str
    log_group_name: str
    application_name: str
    pipeline_repository: str
    path_patterns: Sequence[str]
    priority: int
    source_cidrs: Sequence[str]
    test_source_cidrs: Sequence[str]
    required_header: tuple[str, str] | None
    sign_in: SignIn | None
    container_port: int
    cpu: int
    memory_mib: int
    architecture: Literal["arm64", "x86_64"]
    health_check_path: str
    release_check_paths: Sequence[str]
    health_check_grace: Duration
    spot_percent: int
    scaling: ServiceScalingProps
    controller: Literal["codedeploy", "ecs", "rolling"]
    strategy: Literal["all-at-once", "canary", "linear"]
    bake: Duration
    exec: bool
    response_limit: Duration


class Microservice(Construct):
    """One service behind the load balancer: image, task, target groups, rules, scaling and release."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        image: ServiceImage,
        load_balancer: PublicLoadBalancer,
        subnets: ec2.SubnetSelection,
        logs_key: kms.IKey,
        alarms: AlarmTopic,
        environment: Mapping[str, str],
        operations: ServiceOperations,
        release_rights: ReleaseRights | None,
        removal_policy: RemovalPolicy,
        props: MicroserviceProps,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = props.name
        self.container_port = props.container_port
        self.architecture = props.architecture
        self.controller = props.controller
        self.scaling_bounds = (props.scaling.min_tasks, props.scaling.max_tasks)
        self.scaling_cpu_percents = (props.scaling.step_in_cpu_percent, props.scaling.step_out_cpu_percent)
        self.environment_name = environment["ENVIRONMENT"]
        self.task_role = iam.Role(
            self,
            "TaskRole",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description=f"What {props.name} may call",
        )
        self.log_group_name = props.log_group_name
        self.log_group = logs.LogGroup(
            self,
            "LogGroup",
            log_group_name=self.log_group_name,
            encryption_key=logs_key,
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=removal_policy,
        )
        self.log_prefix = props.name
        self.execution_role = iam.Role(
            self,
            "ExecutionRole",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description=f"Starts the containers of {props.name}: pulls their image, writes their log",
        )
        acknowledge(
            self.execution_role,
            "IAM5[Resource::*]",
            "Signing in to the image registry (ecr:GetAuthorizationToken) knows no resource; pulling is "
            "allowed for this service's repository only.",
        )
        self._props = props
        self._operations = operations
        image.repository.grant_pull(self.execution_role)
        self._task_definitions: list[ecs.FargateTaskDefinition] = []
        self._image, self._version = self._what_runs(image)
        self.task_definition = self.add_task_definition(
            "TaskDefinition", environment=environment, task_role=self.task_role, serves=True
        )
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=cluster.vpc,
            description=f"Tasks of {props.name}",
            allow_all_outbound=False,
        )
        self.security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTPS, "AWS APIs")
        self.security_group.connections.allow_from(
            load_balancer.security_group,
            ec2.Port.tcp(props.container_port),
            "Requests and health checks of the load balancer",
        )
        self.target_groups = TargetGroupPair(
            self,
            "TargetGroups",
            vpc=cluster.vpc,
            load_balancer=load_balancer.load_balancer,
            port=props.container_port,
            health_check_path=props.health_check_path,
        )
        path = operations.watch_health_check_path(
            "HealthCheckPath", path=props.health_check_path, service_logical_id=_SERVICE
        )
        self.target_groups.node.add_dependency(path)
        self.service = self._service(cluster, subnets)
        if props.exec:
            acknowledge(
                self.task_role,
                "IAM5[Resource::*]",
                "The channels of Session Manager, which ECS Exec goes through, know no resource.",
            )
        self.production_rules = self._rules(
            "ProductionRules",
            load_balancer.production_listener,
            props.source_cidrs,
            required_header=props.required_header,
        )
        self.test_rules = self._rules("TestRules", load_balancer.test_listener, props.test_source_cidrs)
        # The service is refused while its target group has no load balancer.
        for rule in (*self.production_rules.forwards, *self.test_rules.forwards):
            self.service.node.add_dependency(rule)
        self.release = BlueGreenRelease(
            self,
            "Release",
            service=self.service,
            container_name=props.name,
            container_port=props.container_port,
            target_groups=self.target_groups,
            production_listener=load_balancer.production_listener,
            test_listener=load_balancer.test_listener,
            production_rule=self.production_rules.forwards[0],
            test_rule=self.test_rules.forwards[0],
            controller=props.controller,
            strategy=props.strategy,
            bake=props.bake,
            application_name=props.application_name,
            rights=release_rights,
            response_limit=props.response_limit,
            topic=alarms,
        )
        scaling = ServiceScaling(
            self,
            "Scaling",
            service=self.service,
            requests_per_task=self.target_groups.metric_requests_per_task(),
            props=props.scaling,
        )
        self.parts: Sequence[Construct] = (
            self.target_groups,
            self.production_rules,
            self.test_rules,
            self.release,
            scaling,
        )
        """What a release comes after."""

    def _what_runs(self, image: ServiceImage) -> tuple[str, str]:
        """The image of the tasks and its version: what is live, or what the checkout builds where that is to be shipped.

        CloudFormation alone says what ECS runs, and pipelines by its parameters. What CodeDeploy releases is beside it
        (docs/decisions/0017-one-writer.md).
        """
        stack, props = Stack.of(self), self._props
        if props.controller == "codedeploy":
            ship = CfnParameter(
                stack,
                "ShipCheckout",
                default="",
                description="Version of the checkout that replaces what a pipeline has released, @ and another word each time",
            )
            return self._operations.live_image(
                "LiveImage",
                checkout=(image.image_uri, image.version),
                ship_checkout=ship.value_as_string,
                pipeline_repository=props.pipeline_repository,
                service_logical_id=_SERVICE,
                settings=Lazy.uncached_any(_Settings(self, self._task_definitions)),
            )
        what = "that a pipeline has released; empty: the checkout's"
        released = CfnParameter(stack, "Image", default="", description=f"The image {what}")
        version = CfnParameter(stack, "Version", default="", description=f"The version {what}")
        checkout = CfnCondition(
            stack, "Checkout", expression=Fn.condition_equals(released.value_as_string, "")
        )

        def ours_or(theirs: CfnParameter, ours: str) -> str:
            return Fn.condition_if(checkout.logical_id, ours, theirs.value_as_string).to_string()

        return ours_or(released, image.image_uri), ours_or(version, image.version)

    def add_task_definition(
        self,
        construct_id: str,
        *,
        environment: Mapping[str, str],
        task_role: iam.IRole,
        serves: bool = False,
        command: Sequence[str] | None = None,
    ) -> ecs.FargateTaskDefinition:
        """A task of this service's image: the service itself, or a one-off `command` with rights of its own."""
        props = self._props
        # What the check of a release asks belongs to the version that is to answer.
        checked = {"release-check-paths": json.dumps([*props.release_check_paths])} if serves else {}
        task_definition = ecs.FargateTaskDefinition(
            self,
            construct_id,
            family=props.family if serves else f"{props.family}-{construct_id.lower()}",
            cpu=props.cpu,
            memory_limit_mib=props.memory_mib,
            task_role=task_role,
            execution_role=self.execution_role,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64
                if props.architecture == "arm64"
                else ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        container = task_definition.add_container(
            props.name,
            container_name=props.name,
            image=ecs.ContainerImage.from_registry(self._image),
            command=list(command) if command else None,
            environment={**environment, "SERVICE_NAME": props.name},
            docker_labels={"version": self._version, **checked},
            logging=ecs.LogDrivers.aws_logs(
                log_group=self.log_group,
                stream_prefix=self.log_prefix,
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=_LOG_BUFFER,
            ),
            port_mappings=[ecs.PortMapping(container_port=props.container_port)] if serves else None,
            user=_USER,
            readonly_root_filesystem=True,
            privileged=False,
            linux_parameters=self._no_capabilities(f"{construct_id}Linux"),
            stop_timeout=_STOP_TIMEOUT,
        )
        container.add_environment("PORT", str(props.container_port))
        self._task_definitions.append(task_definition)
        if serves and props.exec:
            for volume, folder in _AGENT_FOLDERS.items():
                task_definition.add_volume(name=volume)
                container.add_mount_points(
                    ecs.MountPoint(source_volume=volume, container_path=folder, read_only=False)
                )
        acknowledge(
            task_definition,
            "ECS2",
            "The variables say where things are and which secret to read; the secrets themselves are read "
            "from Secrets Manager by the task, so that a rotation needs no restart.",
        )
        return task_definition

    def metric_used(
        self,
        metric_name: Literal["CPUUtilization", "MemoryUtilization"],
        period: Duration,
        *,
        label: str | None = None,
    ) -> cloudwatch.Metric:
        """Percent of the reservation that the tasks use, on average."""
        return cloudwatch.Metric(
            namespace="AWS/ECS",
            metric_name=metric_name,
            dimensions_map=self._dimensions,
            period=period,
            label=label,
        )

    def metric_running_tasks(self, period: Duration) -> cloudwatch.Metric:
        """Tasks that run, of all releases under way, the fewest within a period."""
        return self.metric_tasks("RunningTaskCount", "running", period, statistic="Minimum")

    def metric_tasks(
        self, metric_name: str, label: str, period: Duration, *, statistic: str = "Average"
    ) -> cloudwatch.Metric:
        """A count of Container Insights: `DesiredTaskCount`, `RunningTaskCount` or `PendingTaskCount`."""
        return cloudwatch.Metric(
            namespace="ECS/ContainerInsights",
            metric_name=metric_name,
            dimensions_map=self._dimensions,
            statistic=statistic,
            period=period,
            label=label,
        )

    def metric_idle_cpu(self, min_tasks: int, period: Duration) -> cloudwatch.MathExpression:
        """Percent of the CPU in use while more than `min_tasks` run; 100 with no more than these, which may idle."""
        return cloudwatch.MathExpression(
            # One that is late beside one that is there would be taken for 0.
            expression=f"IF(used_cpu >= 0 AND running_tasks >= 0, IF(running_tasks > {min_tasks}, used_cpu, 100))",
            label="CPU above the minimum of tasks (%)",
            period=period,
            using_metrics={
                "running_tasks": self.metric_running_tasks(period),
                "used_cpu": self.metric_used("CPUUtilization", period),
            },
        )

    def metric_application(
        self, metric_name: str, label: str, period: Duration, *, statistic: str
    ) -> cloudwatch.Metric:
        """What the service measures itself and writes to its log: `Latency` (ms), `Requests`, `Errors`, ..."""
        return cloudwatch.Metric(
            namespace="Directory",
            metric_name=metric_name,
            dimensions_map={"Environment": self.environment_name, "Service": self.name},
            statistic=statistic,
            period=period,
            label=label,
        )

    @cached_property
    def _dimensions(self) -> dict[str, str]:
        return {"ClusterName": self.service.cluster.cluster_name, "ServiceName": self.service.service_name}

    def _no_capabilities(self, construct_id: str) -> ecs.LinuxParameters:
        parameters = ecs.LinuxParameters(self, construct_id)
        parameters.drop_capabilities(ecs.Capability.ALL)
        return parameters

    def _service(
        self,
        cluster: ecs.ICluster,
        subnets: ec2.SubnetSelection,
    ) -> ecs.FargateService:
        props = self._props
        native = props.controller == "ecs"
        # As CodeDeploy's own configurations shift.
        minutes = {"canary": 5, "linear": 1}.get(props.strategy)
        shift = (
            ecs.TrafficShiftConfig(step_percent=10, step_bake_time=Duration.minutes(minutes))
            if native and minutes
            else None
        )
        strategies = {
            "all-at-once": ecs.DeploymentStrategy.BLUE_GREEN,
            "canary": ecs.DeploymentStrategy.CANARY,
            "linear": ecs.DeploymentStrategy.LINEAR,
        }
        codedeploy = props.controller == "codedeploy"
        service = ecs.FargateService(
            self,
            "Service",
            cluster=cluster,
            task_definition=self.task_definition,
            platform_version=ecs.FargatePlatformVersion.LATEST,
            capacity_provider_strategies=self._capacity(),
            assign_public_ip=False,
            vpc_subnets=subnets,
            security_groups=[self.security_group],
            health_check_grace_period=props.health_check_grace,
            enable_execute_command=True if props.exec else None,
            min_healthy_percent=100,
            max_healthy_percent=200,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            # ECS decides for a service with the CODE_DEPLOY controller: an update must not name it
            # (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html).
            availability_zone_rebalancing=None if codedeploy else ecs.AvailabilityZoneRebalancing.ENABLED,
            deployment_controller=ecs.DeploymentController(
                type=ecs.DeploymentControllerType.CODE_DEPLOY
                if codedeploy
                else ecs.DeploymentControllerType.ECS
            ),
            circuit_breaker=None if codedeploy else ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            deployment_strategy=strategies[props.strategy] if native else None,
            canary_configuration=shift if props.strategy == "canary" else None,
            linear_configuration=shift if props.strategy == "linear" else None,
            bake_time=props.bake if native else None,
        )
        cast(ecs.CfnService, service.node.find_child("Service")).override_logical_id(_SERVICE)
        return service

    def _capacity(self) -> list[ecs.CapacityProviderStrategy] | None:
        """The minimum on demand, and of the tasks beyond it the share of Spot, which AWS may take back."""
        props = self._props
        if not props.spot_percent:
            return None
        return [
            ecs.CapacityProviderStrategy(
                capacity_provider="FARGATE", base=props.scaling.min_tasks, weight=100 - props.spot_percent
            ),
            ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT", weight=props.spot_percent),
        ]

    def _rules(
        self,
        construct_id: str,
        listener: elbv2.IApplicationListener,
        source_cidrs: Sequence[str],
        *,
        required_header: tuple[str, str] | None = None,
    ) -> ListenerRules:
        props = self._props
        return ListenerRules(
            self,
            construct_id,
            listener=listener,
            priority=props.priority,
            path_patterns=props.path_patterns,
            source_cidrs=source_cidrs,
            required_header=required_header,
            sign_in=props.sign_in,
            target_groups=self.target_groups,
            operations=self._operations if props.controller != "rolling" else None,
        )


@jsii.implements(IAnyProducer)
class _Settings:
    """All that task definitions are made of but image and version."""

    def __init__(self, scope: Construct, task_definitions: Sequence[ecs.FargateTaskDefinition]) -> None:
        self._scope = scope
        self._task_definitions = task_definitions

    def produce(self, context: IResolveContext) -> object:
        return [self._settings(each) for each in self._task_definitions]

    def _settings(self, task_definition: ecs.FargateTaskDefinition) -> Mapping[str, object]:
        made = cast(ecs.CfnTaskDefinition, task_definition.node.default_child)
        containers = Stack.of(self._scope).resolve(made.container_definitions)
        for container in containers:
            container.pop("Image" if "Image" in container else "image")
            container.get("DockerLabels", container.get("dockerLabels", {})).pop("version", None)
        return {"Cpu": made.cpu, "Memory": made.memory, "Containers": containers}
