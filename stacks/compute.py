from collections.abc import Mapping, Sequence
from typing import Any, cast

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IDependable

from platform_constructs.cache_access import CacheAccess
from platform_constructs.conventions import removal_policy
from platform_constructs.cron_expression import CronExpression
from platform_constructs.database_access import DatabaseAccess
from platform_constructs.database_preparation import DatabasePreparation, UserRights
from platform_constructs.ecs_operations import EcsOperations
from platform_constructs.microservice import Microservice, MicroserviceProps
from platform_constructs.public_distribution import PublicDistribution
from platform_constructs.public_load_balancer import PublicLoadBalancer
from platform_constructs.release_check import ReleaseCheck
from platform_constructs.release_rights import ReleaseRights
from platform_constructs.service_image import ServiceImage
from platform_constructs.service_scaling import ServiceScalingProps, TaskSchedule
from platform_constructs.sign_in import SignIn
from platform_constructs.viewer_network import ADMIN, HEADER
from platform_constructs.web_acl import WebAcl
from settings import ROOT, Cdn, Compute, Service
from stacks.data import DataStack
from stacks.network import NetworkStack


class ComputeStack(Stack):
    """The load balancer and the microservices behind it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Compute,
        prefix: str,
        protected: bool,
        network: NetworkStack,
        data: DataStack,
        **stack: Any,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{prefix}-compute",
            termination_protection=protected,
            **stack,
        )
        self._settings = settings
        self._environment = {"ENVIRONMENT": settings.environment, "PHONE_REGION": settings.phone_region}
        if settings.cdn:
            # What the services cannot see behind it: that viewers speak HTTPS, and that somebody keeps their pages.
            self._environment |= {
                "PUBLIC_SCHEME": "https",
                "SHARED_CACHE_SECONDS": str(settings.cdn.list_seconds),
            }
        self._subnets = network.application_subnets
        self._alarms = network.alarm_topic
        self._removal_policy = removal_policy(protected=protected)
        self._logs_key = kms.Key.from_key_arn(self, "LogsKey", network.logs_key.key_arn)
        self._database = DatabaseAccess(
            self,
            "DatabaseAccess",
            database=data.database,
            key=data.key,
            migrator_secret=data.migrator_secret,
            user_secrets=data.user_secrets,
            proxy=data.proxy,
        )
        self._cache = data.cache and CacheAccess(self, "CacheAccess", cache=data.cache)
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENHANCED,
            enable_fargate_capacity_providers=any(service.spot_percent for service in settings.services),
        )
        self.entrance = PublicLoadBalancer(
            self,
            "Entrance",
            name=prefix,
            vpc=network.vpc,
            test_traffic_cidrs=settings.test_traffic_cidrs,
            domain=settings.tls.domain if settings.tls else None,
            hosted_zone_id=settings.tls.hosted_zone_id if settings.tls else None,
            cloudfront_prefix_list=settings.cloudfront_prefix_list if settings.cdn else None,
            waf=settings.waf is not None and settings.cdn is None,
            deletion_protection=protected,
            removal_policy=self._removal_policy,
        )
        web_acl = None
        if settings.waf:
            web_acl = WebAcl(
                self,
                "WebAcl",
                name=prefix,
                load_balancer=None if settings.cdn else self.entrance.load_balancer,
                rate_limit=settings.waf.rate_limit,
                count_rules=settings.waf.count_rules,
                logs_key=self._logs_key,
                removal_policy=self._removal_policy,
            )
        self.edge = self._edge(prefix, settings.cdn, web_acl) if settings.cdn else None
        operations = EcsOperations(
            self,
            "Operations",
            cluster=self.cluster,
            subnets=network.application_subnets,
            alarms=network.alarm_topic,
            logs_key=self._logs_key,
            removal_policy=self._removal_policy,
        )
        self._release_check = None
        self._release_rights = None
        if settings.release.controller != "rolling":
            self._release_check = ReleaseCheck(
                self,
                "ReleaseCheck",
                cluster=self.cluster,
                subnets=ec2.SubnetSelection(subnets=network.application_subnets.subnets),
                load_balancer=self.entrance,
                paths_by_family={self._family(each): each.check_paths for each in settings.services},
                alarms=network.alarm_topic,
                logs_key=self._logs_key,
                removal_policy=self._removal_policy,
            ).function
            self._release_rights = ReleaseRights(
                self, "ReleaseRights", controller=settings.release.controller, check=self._release_check
            )
        self.microservices = {service.name: self._microservice(service) for service in settings.services}
        ways_out = {
            name: network.endpoints.admit(each.security_group) for name, each in self.microservices.items()
        }
        checking = self._release_check.connections.security_groups if self._release_check else []
        # A release calls the check as soon as the service exists.
        checks = [network.endpoints.admit(group) for group in checking]
        self.preparations = {
            service.name: DatabasePreparation(
                self,
                f"{_pascal_case(service.name)}Database",
                microservice=self.microservices[service.name],
                database=self._database,
                users={
                    user.name: UserRights(access=user.database, tables=user.tables)
                    for user in settings.prepared_users(service)
                    if user.database != "none"
                },
                operations=operations,
                environment=self._environment,
                sample_data=settings.sample_data,
            )
            for service in settings.services
            if service.migrations
        }
        prepared = {
            service.name: [
                preparation.done
                for owner in settings.services
                if (preparation := self.preparations.get(owner.name))
                and service in settings.prepared_users(owner)
            ]
            for service in settings.services
        }
        for name, preparation in self.preparations.items():
            preparation.done.node.add_dependency(ways_out[name])
        for service in settings.services:
            microservice = self.microservices[service.name]
            microservice.service.node.add_dependency(ways_out[service.name], *checks, *prepared[service.name])
        operations.lift_to_minimum(
            "Minimum",
            minimums={
                self.microservices[each.name].service: each.scaling.min_tasks for each in settings.services
            },
        )
        if settings.release.controller == "codedeploy":
            self._release_by_codedeploy(operations, prepared)
        self._add_outputs()

    def _edge(self, name: str, cdn: Cdn, web_acl: WebAcl | None) -> PublicDistribution:
        settings = self._settings
        restricted = [each for each in settings.services if each.access == "admin"]
        return PublicDistribution(
            self,
            "Edge",
            name=name,
            load_balancer=self.entrance,
            admin_cidrs=settings.admin_cidrs,
            restricted_paths=[pattern for each in restricted for pattern in each.path_patterns],
            signs_in=settings.oidc is not None,
            list_seconds=cdn.list_seconds,
            price_class=cdn.price_class,
            domain=settings.tls.domain if settings.tls else None,
            hosted_zone_id=settings.tls.hosted_zone_id if settings.tls else None,
            certificate=self.entrance.certificate,
            web_acl_arn=web_acl.arn if web_acl else None,
            removal_policy=self._removal_policy,
        )

    def _release_by_codedeploy(
        self, operations: EcsOperations, prepared: Mapping[str, Sequence[IDependable]]
    ) -> None:
        for service in self._settings.services:
            microservice = self.microservices[service.name]
            operations.release_by_codedeploy(
                f"Release-{service.name}",
                service=microservice.service,
                task_definition=microservice.task_definition,
                container_name=service.name,
                container_port=service.container_port,
                deployment_group=cast(codedeploy.EcsDeploymentGroup, microservice.release.deployment_group),
                check=cast(lambda_.Function, self._release_check),
                after=prepared[service.name],
            )

    def _family(self, service: Service) -> str:
        return f"{self.stack_name}-{service.name}"

    def _microservice(self, service: Service) -> Microservice:
        uses_database, only_reads = service.database != "none", service.database == "read"
        cache = self._cache if uses_database else None
        microservice = Microservice(
            self,
            _pascal_case(service.name),
            cluster=self.cluster,
            image=ServiceImage(
                self,
                f"{_pascal_case(service.name)}Image",
                services=ROOT / "services",
                service=service.name,
                architecture=service.architecture,
            ),
            load_balancer=self.entrance,
            subnets=ec2.SubnetSelection(subnets=self._subnets.subnets),
            security_groups=[
                *(self._database.security_groups(only_reads=only_reads) if uses_database else []),
                *([cache.client_security_group] if cache else []),
            ],
            logs_key=self._logs_key,
            alarms=self._alarms,
            environment={
                **self._environment,
                **(self._database.environment(service.name, only_reads=only_reads) if uses_database else {}),
                **(cache.environment(service.name) if cache else {}),
            },
            release_check=self._release_check,
            release_rights=self._release_rights,
            removal_policy=self._removal_policy,
            props=self._props(service),
        )
        if uses_database:
            self._database.grant_connect(service.name, microservice.task_role)
        if cache:
            cache.grant_connect(service.name, microservice.task_role)
        return microservice

    def _props(self, service: Service) -> MicroserviceProps:
        scaling, release = service.scaling, self._settings.release
        restricted = service.access == "admin"
        oidc = self._settings.oidc
        return MicroserviceProps(
            name=service.name,
            family=self._family(service),
            path_patterns=service.path_patterns,
            priority=service.priority,
            source_cidrs=self._settings.admin_cidrs if restricted and not self._settings.cdn else (),
            required_header=(HEADER, ADMIN) if restricted and self._settings.cdn else None,
            # The check of new tasks comes from inside.
            test_source_cidrs=self._settings.test_admin_cidrs if restricted else (),
            sign_in=SignIn(**oidc.model_dump()) if restricted and oidc else None,
            container_port=service.container_port,
            cpu=service.cpu,
            memory_mib=service.memory_mib,
            architecture=service.architecture,
            health_check_path=service.health_check_path,
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
            exec=self._settings.exec,
            response_limit=Duration.millis(round(1000 * self._settings.response_seconds)),
        )

    def _add_outputs(self) -> None:
        url = self.edge.url if self.edge else self.entrance.url
        CfnOutput(self, "ApplicationUrl", value=f"{url}/")
        CfnOutput(self, "AdminUrl", value=f"{url}/admin/suppliers")
        CfnOutput(self, "Transport", value=self.entrance.transport)
        CfnOutput(self, "LoadBalancerDnsName", value=self.entrance.load_balancer.load_balancer_dns_name)
        CfnOutput(self, "LoadBalancerArn", value=self.entrance.load_balancer.load_balancer_arn)
        CfnOutput(self, "ProductionListenerArn", value=self.entrance.production_listener.listener_arn)
        CfnOutput(self, "TestListenerArn", value=self.entrance.test_listener.listener_arn)
        CfnOutput(self, "ClusterName", value=self.cluster.cluster_name)
        for name, microservice in self.microservices.items():
            prefix, groups = _pascal_case(name), microservice.target_groups
            CfnOutput(self, f"{prefix}ServiceName", value=microservice.service.service_name)
            CfnOutput(self, f"{prefix}BlueTargetGroupArn", value=groups.blue.target_group_arn)
            CfnOutput(self, f"{prefix}GreenTargetGroupArn", value=groups.green.target_group_arn)
            CfnOutput(self, f"{prefix}LogGroupName", value=microservice.log_group.log_group_name)


def _pascal_case(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))
