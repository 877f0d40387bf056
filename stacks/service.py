from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from platform_constructs.cache.cache_access import CacheAccess
from platform_constructs.common.conventions import removal_policy
from platform_constructs.common.cron_expression import CronExpression
from platform_constructs.database.database_access import DatabaseAccess
from platform_constructs.entrance.sign_in import SignIn
from platform_constructs.entrance.viewer_network import ADMIN, HEADER
from platform_constructs.service.database_preparation import DatabasePreparation, UserRights
from platform_constructs.service.microservice import Microservice, MicroserviceProps
from platform_constructs.service.service_alarms import ServiceAlarms
from platform_constructs.service.service_image import ServiceImage
from platform_constructs.service.service_operations import ServiceOperations
from platform_constructs.service.service_scaling import ServiceScalingProps, TaskSchedule
from settings import ROOT, Alarms, Compute, Service
from stacks.compute import ComputeStack
from stacks.data import DataStack
from stacks.network import NetworkStack


class ServiceStack(Stack):
    """One microservice, whose failed deployment leaves the others as they are."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: Service,
        settings: Compute,
        alarms: Alarms,
        prefix: str,
        protected: bool,
        network: NetworkStack,
        data: DataStack,
        compute: ComputeStack,
        **stack: Any,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{prefix}-{service.name}",
            termination_protection=protected,
            **stack,
        )
        self._service, self._settings, self._prefix = service, settings, prefix
        self._prepared = settings.prepared_users(service) if service.migrations else ()
        topic, keep = network.alarm_topic, removal_policy(protected=protected)
        logs_key = kms.Key.from_key_arn(self, "LogsKey", network.logs_key.key_arn)
        self._database = (
            DatabaseAccess(
                self,
                "DatabaseAccess",
                database=data.database,
                key=data.key,
                migrator_secret=data.migrator_secret,
                # Its own, and those that it makes users of.
                user_secrets={
                    name: secret
                    for name, secret in data.user_secrets.items()
                    if name in {service.name, *(each.name for each in self._prepared)}
                },
                proxy=data.proxy,
            )
            if service.database != "none"
            else None
        )
        self._cache = (
            CacheAccess(self, "CacheAccess", cache=data.cache) if data.cache and self._database else None
        )
        operations = ServiceOperations(
            self,
            "Operations",
            cluster=compute.cluster,
            load_balancer=compute.entrance.load_balancer,
            subnets=network.application_subnets,
            alarms=topic,
            logs_key=logs_key,
            removal_policy=keep,
        )
        self.microservice = Microservice(
            self,
            "Default",
            cluster=compute.cluster,
            image=ServiceImage(
                self,
                "Build",
                services=ROOT / "services",
                service=service.name,
                architecture=service.architecture,
            ),
            load_balancer=compute.entrance,
            subnets=ec2.SubnetSelection(subnets=network.application_subnets.subnets),
            logs_key=logs_key,
            alarms=topic,
            environment=self._environment(),
            operations=operations,
            release_rights=compute.release_rights,
            removal_policy=keep,
            props=self._props(),
        )
        reached = [network.endpoints.admit(self.microservice.security_group)]
        if self._database:
            self._database.grant_connect(service.name, self.microservice.task_role)
            reached.append(
                self._database.admit(self.microservice.security_group, only_reads=self._only_reads)
            )
        if self._cache:
            self._cache.grant_connect(service.name, self.microservice.task_role)
            reached.append(self._cache.admit(self.microservice.security_group))
        self.preparation = (
            self._preparation(operations, self._database) if self._database and service.migrations else None
        )
        if self.preparation:
            self.preparation.done.node.add_dependency(*reached)
            reached.append(self.preparation.done)
        self.microservice.service.node.add_dependency(*reached)
        serving = operations.lift_to_minimum("Minimum", self.microservice.service, service.scaling.min_tasks)
        self.alarms = ServiceAlarms(
            self,
            "Alarms",
            microservice=self.microservice,
            server_errors=alarms.server_errors,
            server_error_percent=alarms.server_error_percent,
            topic=topic,
        )
        # That nothing is told of tasks is told to people; at first there are none.
        self.alarms.node.add_dependency(serving)
        release = self.microservice.release
        if release.deployment_group and release.hook_function:
            released = operations.release_by_codedeploy(
                "Released",
                service=self.microservice.service,
                task=self.microservice.task_definition,
                group=release.deployment_group,
                check=release.hook_function,
            )
            # What fails before it leaves the service at its version.
            released.node.add_dependency(*reached, self.alarms, *self.microservice.parts)
        self._add_outputs()

    @property
    def _only_reads(self) -> bool:
        return self._service.database == "read"

    def _environment(self) -> Mapping[str, str]:
        settings, name = self._settings, self._service.name
        variables = {"ENVIRONMENT": settings.environment, "PHONE_REGION": settings.phone_region}
        if settings.cdn:
            # What the service cannot see behind it: that viewers speak HTTPS, and that somebody keeps its pages.
            variables |= {
                "PUBLIC_SCHEME": "https",
                "SHARED_CACHE_SECONDS": str(settings.cdn.list_seconds),
            }
        if self._database:
            variables |= self._database.environment(name, only_reads=self._only_reads)
        if self._cache:
            variables |= self._cache.environment(name)
        return variables

    def _preparation(self, operations: ServiceOperations, database: DatabaseAccess) -> DatabasePreparation:
        settings = self._settings
        return DatabasePreparation(
            self,
            "Database",
            microservice=self.microservice,
            database=database,
            users={
                user.name: UserRights(access=user.database, tables=user.tables)
                for user in self._prepared
                if user.database != "none"
            },
            operations=operations,
            environment={"ENVIRONMENT": settings.environment, "PHONE_REGION": settings.phone_region},
            sample_data=settings.sample_data,
        )

    def _props(self) -> MicroserviceProps:
        service, settings = self._service, self._settings
        scaling, release, oidc = service.scaling, settings.release, settings.oidc
        restricted = service.access == "admin"
        return MicroserviceProps(
            name=service.name,
            family=self.stack_name,
            log_group_name=f"/{self._prefix}/{service.name}",
            application_name=f"{self._prefix}.{service.name}",
            pipeline_repository=f"{self._prefix}/{service.name}",
            path_patterns=service.path_patterns,
            priority=service.priority,
            source_cidrs=settings.admin_cidrs if restricted and not settings.cdn else (),
            required_header=(HEADER, ADMIN) if restricted and settings.cdn else None,
            # The check of new tasks comes from inside.
            test_source_cidrs=settings.test_admin_cidrs if restricted else (),
            sign_in=SignIn(**oidc.model_dump()) if restricted and oidc else None,
            container_port=service.container_port,
            cpu=service.cpu,
            memory_mib=service.memory_mib,
            architecture=service.architecture,
            health_check_path=service.health_check_path,
            release_check_paths=service.check_paths,
            health_check_grace=Duration.seconds(service.health_check_grace_seconds),
            spot_percent=service.spot_percent,
            scaling=ServiceScalingProps(
                min_tasks=scaling.min_tasks,
                max_tasks=scaling.max_tasks,
                target_cpu_percent=scaling.target_cpu_percent,
                step_out_cpu_percent=scaling.step_out_cpu_percent,
                step_in_cpu_percent=scaling.step_in_cpu_percent,
                target_memory_percent=scaling.target_memory_percent,
                target_requests_per_task=scaling.target_requests_per_target,
                cooldown=Duration.seconds(scaling.cooldown_seconds),
                schedules=[
                    TaskSchedule(
                        name=bounds.name,
                        cron=CronExpression.parse(bounds.cron),
                        time_zone=bounds.time_zone,
                        min_tasks=bounds.min_tasks,
                        max_tasks=bounds.max_tasks,
                    )
                    for bounds in scaling.bounds
                ],
            ),
            controller=release.controller,
            strategy=release.strategy,
            bake=Duration.minutes(release.bake_minutes),
            exec=settings.exec,
            response_limit=Duration.millis(round(1000 * settings.response_seconds)),
        )

    def _add_outputs(self) -> None:
        groups = self.microservice.target_groups
        CfnOutput(self, "ServiceName", value=self.microservice.service.service_name)
        CfnOutput(self, "BlueTargetGroupArn", value=groups.blue.target_group_arn)
        CfnOutput(self, "GreenTargetGroupArn", value=groups.green.target_group_arn)
        CfnOutput(self, "LogGroupName", value=self.microservice.log_group.log_group_name)
        CfnOutput(
            self,
            "FollowRelease",
            value=f"suppliers release watch {self._service.name} --env {self._settings.environment}",
        )
