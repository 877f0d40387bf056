from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from constructs import Construct

from platform_constructs.common.conventions import removal_policy
from platform_constructs.entrance.public_distribution import PublicDistribution
from platform_constructs.entrance.public_load_balancer import PublicLoadBalancer
from platform_constructs.entrance.web_acl import WebAcl
from platform_constructs.release.release_check import ReleaseCheck
from platform_constructs.release.release_rights import ReleaseRights
from settings import Cdn, Compute
from stacks.network import NetworkStack


class ComputeStack(Stack):
    """What the microservices share: the load balancer in front of them, the cluster, the check of their releases."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Compute,
        prefix: str,
        protected: bool,
        network: NetworkStack,
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
        self._removal_policy = removal_policy(protected=protected)
        self._logs_key = kms.Key.from_key_arn(self, "LogsKey", network.logs_key.key_arn)
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
        self.release_rights: ReleaseRights | None = None
        if settings.release.controller != "rolling":
            check = ReleaseCheck(
                self,
                "ReleaseCheck",
                cluster=self.cluster,
                subnets=ec2.SubnetSelection(subnets=network.application_subnets.subnets),
                load_balancer=self.entrance,
                applications=f"{prefix}.",
                logs_of_services=f"/{prefix}/",
                alarms=network.alarm_topic,
                logs_key=self._logs_key,
                removal_policy=self._removal_policy,
            ).function
            for group in check.connections.security_groups:
                network.endpoints.admit(group)
            self.release_rights = ReleaseRights(
                self, "ReleaseRights", controller=settings.release.controller, check=check
            )
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
