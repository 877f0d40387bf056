from collections.abc import Sequence
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from platform_constructs.cache.cache_alarms import CacheAlarms
from platform_constructs.common.conventions import removal_policy
from platform_constructs.common.operator_alarm import OperatorAlarm
from platform_constructs.database.database_alarms import DatabaseAlarms
from platform_constructs.database.database_proxy_alarms import DatabaseProxyAlarms
from platform_constructs.entrance.entrance_alarms import EntranceAlarms
from platform_constructs.observability.customers_affected import CustomersAffected
from platform_constructs.observability.monthly_budget import MonthlyBudget
from platform_constructs.observability.operations_dashboard import OperationsDashboard
from platform_constructs.observability.platform_events import PlatformEvents
from platform_constructs.observability.release_alarms import ReleaseAlarms
from platform_constructs.observability.saved_queries import SavedQueries
from platform_constructs.observability.synthetic_canary import SyntheticCanary
from settings import Observability
from stacks.compute import ComputeStack
from stacks.data import DataStack
from stacks.delivery import DeliveryStack
from stacks.network import NetworkStack
from stacks.service import ServiceStack


class ObservabilityStack(Stack):
    """What operators see and are told."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: NetworkStack,
        data: DataStack,
        compute: ComputeStack,
        services: Sequence[ServiceStack],
        delivery: DeliveryStack | None,
        settings: Observability,
        prefix: str,
        protected: bool,
        **stack: Any,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{prefix}-observability",
            termination_protection=protected,
            # Its dashboard and its references grow by the service: without, 49 would come close to CloudFormation's limit.
            suppress_template_indentation=True,
            **stack,
        )
        keep = removal_policy(protected=protected)
        topic, alarms = network.alarm_topic, settings.alarms
        microservices = [each.microservice for each in services]
        edge = compute.edge
        blocked_requests = self._blocked_requests(prefix, regional=edge is None) if settings.waf else None
        # Elsewhere no alarm and no widget of this region can see it.
        measured = edge if settings.edge_is_measured else None
        events = PlatformEvents(
            self,
            "Events",
            cluster=compute.cluster,
            controller=settings.controller,
            applications=f"{prefix}.",
            database=data.database,
            pipelines=delivery.events if delivery else None,
            topic=topic,
            logs_key=kms.Key.from_key_arn(self, "LogsKey", network.logs_key.key_arn),
            removal_policy=keep,
        )
        entrance = EntranceAlarms(
            self,
            "EntranceAlarms",
            load_balancer=compute.entrance.load_balancer,
            server_errors=alarms.server_errors,
            edge_errors=measured.metric_error_rate("5xx", Duration.minutes(5)) if measured else None,
            edge_error_percent=alarms.server_error_percent,
            certificate=compute.entrance.certificate,
            certificate_days=alarms.certificate_days,
            blocked_requests=blocked_requests,
            blocked_request_limit=alarms.blocked_requests,
            topic=topic,
        )
        database = DatabaseAlarms(
            self,
            "DatabaseAlarms",
            database=data.database,
            storage_gib=data.storage_gib,
            max_connections=data.max_connections,
            cpu_percent=alarms.database_cpu_percent,
            connections_percent=alarms.database_connections_percent,
            failovers=events.metric_failovers(Duration.minutes(5)),
            topic=topic,
        )
        proxy = data.proxy and DatabaseProxyAlarms(self, "ProxyAlarms", proxy=data.proxy, topic=topic)
        cache = data.cache and CacheAlarms(self, "CacheAlarms", cache=data.cache, topic=topic)
        releases = ReleaseAlarms(
            self,
            "ReleaseAlarms",
            events=events,
            pipelines=delivery is not None,
            topic=topic,
        )
        visitor = None
        if settings.canary is not None:
            visitor = SyntheticCanary(
                self,
                "Canary",
                name=prefix,
                vpc=network.vpc,
                subnets=ec2.SubnetSelection(subnets=network.application_subnets.subnets),
                load_balancer=compute.entrance,
                edge=edge,
                interval=Duration.minutes(settings.canary.interval_minutes),
                topic=topic,
                removal_policy=keep,
            )
        seen_by_customers: list[OperatorAlarm] = [
            *([entrance.edge_errors] if entrance.edge_errors else []),
            entrance.load_balancer_errors,
            *(alarm for each in microservices for alarm in each.release.alarms),
            *(alarm for each in services for alarm in each.alarms.customer_alarms),
            *([visitor.alarm] if visitor else []),
        ]
        affected = CustomersAffected(self, "CustomersAffected", alarms=seen_by_customers, topic=topic)
        others = [
            *entrance.alarms,
            *(alarm for each in services for alarm in each.alarms.alarms),
            *database.alarms,
            *(proxy.alarms if proxy else []),
            *(cache.alarms if cache else []),
            *data.alarms,
            *releases.alarms,
        ]
        alarms_in_order = dict.fromkeys([*seen_by_customers, *others])
        dashboard = OperationsDashboard(
            self,
            "Operations",
            name=prefix,
            load_balancer=compute.entrance.load_balancer,
            edge=measured,
            microservices=microservices,
            database=data.database,
            max_connections=data.max_connections,
            proxy=data.proxy,
            cache=data.cache,
            events=events,
            alarms=[affected, *(self._by_name(alarm) for alarm in alarms_in_order)],
            visits=visitor.metric_success(Duration.minutes(5)) if visitor else None,
            blocked_requests=blocked_requests,
        ).dashboard
        SavedQueries(
            self, "Queries", folder=prefix, log_groups=[each.log_group_name for each in microservices]
        )
        if alarms.monthly_budget_usd is not None:
            MonthlyBudget(
                self,
                "Budget",
                environment=settings.environment,
                usd=alarms.monthly_budget_usd,
                topic=topic,
            )
        CfnOutput(
            self,
            "DashboardUrl",
            value=f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
            f"#dashboards/dashboard/{dashboard.dashboard_name}",
        )
        CfnOutput(self, "AlarmTopicArn", value=topic.topic.topic_arn)

    def _by_name(self, alarm: OperatorAlarm) -> cloudwatch.IAlarm:
        """An alarm without a reference to its stack, whose number of outputs is limited."""
        return cloudwatch.Alarm.from_alarm_name(self, f"Named-{alarm.name}", alarm.name)

    def _blocked_requests(self, web_acl: str, *, regional: bool) -> cloudwatch.Metric:
        """Requests that all rules of the web ACL blocked, by the name that it and its metrics have."""
        # https://docs.aws.amazon.com/waf/latest/developerguide/waf-metrics.html
        region = {"Region": self.region} if regional else {}
        return cloudwatch.Metric(
            namespace="AWS/WAFV2",
            metric_name="BlockedRequests",
            dimensions_map={"WebACL": web_acl, **region, "Rule": "ALL"},
            statistic="Sum",
            period=Duration.minutes(5),
            label="blocked",
        )
