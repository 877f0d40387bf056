from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_rds as rds
from constructs import Construct

from platform_constructs.microservice import Microservice

_MINUTE = Duration.minutes(1)


class OperationsDashboard(Construct):
    """One page from the user's view down to the database: load balancer, services, database, alarms."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        load_balancer: elbv2.ApplicationLoadBalancer,
        microservices: Sequence[Microservice],
        database: rds.IDatabaseInstance,
        alarms: Sequence[cloudwatch.IAlarm],
    ) -> None:
        super().__init__(scope, construct_id)
        self.dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=name, default_interval=Duration.hours(3)
        )
        self.dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=24)
        )
        self.dashboard.add_widgets(*_load_balancer_widgets(load_balancer))
        for microservice in microservices:
            self.dashboard.add_widgets(
                cloudwatch.TextWidget(markdown=f"## {microservice.name}", width=24, height=1)
            )
            self.dashboard.add_widgets(*_service_widgets(microservice))
        self.dashboard.add_widgets(cloudwatch.TextWidget(markdown="## Database", width=24, height=1))
        self.dashboard.add_widgets(*_database_widgets(database))


def _load_balancer_widgets(load_balancer: elbv2.ApplicationLoadBalancer) -> list[cloudwatch.IWidget]:
    metrics = load_balancer.metrics
    codes = elbv2.HttpCodeTarget
    return [
        _graph(
            "Response time (s)",
            *(
                metrics.target_response_time(statistic=statistic, period=_MINUTE, label=statistic)
                for statistic in ("p50", "p95", "p99")
            ),
        ),
        _graph("Requests", metrics.request_count(period=_MINUTE, label="requests")),
        _graph(
            "Answers",
            metrics.http_code_target(codes.TARGET_2XX_COUNT, period=_MINUTE, label="2xx"),
            metrics.http_code_target(codes.TARGET_4XX_COUNT, period=_MINUTE, label="4xx"),
            metrics.http_code_target(codes.TARGET_5XX_COUNT, period=_MINUTE, label="5xx of tasks"),
            metrics.http_code_elb(
                elbv2.HttpCodeElb.ELB_5XX_COUNT, period=_MINUTE, label="5xx of the load balancer"
            ),
        ),
    ]


def _service_widgets(microservice: Microservice) -> list[cloudwatch.IWidget]:
    service, groups = microservice.service, microservice.target_groups
    low, high = microservice.scaling_bounds
    return [
        _graph(
            "CPU and memory (%)",
            service.metric_cpu_utilization(period=_MINUTE, label="CPU"),
            service.metric_memory_utilization(period=_MINUTE, label="memory"),
        ),
        cloudwatch.GraphWidget(
            title="Tasks",
            width=8,
            left=[groups.metric_healthy_hosts(), groups.metric_unhealthy_hosts()],
            left_y_axis=cloudwatch.YAxisProps(min=0),
            left_annotations=[
                cloudwatch.HorizontalAnnotation(value=low, label="minimum"),
                cloudwatch.HorizontalAnnotation(value=high, label="maximum"),
            ],
        ),
        cloudwatch.GraphWidget(
            title="Requests, errors and response time",
            width=8,
            left=[groups.metric_requests(), groups.metric_server_errors()],
            right=[groups.metric_response_time("p50"), groups.metric_response_time("p95")],
        ),
    ]


def _database_widgets(database: rds.IDatabaseInstance) -> list[cloudwatch.IWidget]:
    return [
        _graph(
            "CPU (%) and connections",
            database.metric_cpu_utilization(period=_MINUTE, label="CPU"),
            database.metric_database_connections(period=_MINUTE, label="connections"),
        ),
        _graph(
            "Freeable memory and free storage (bytes)",
            database.metric_freeable_memory(period=_MINUTE, label="memory"),
            database.metric_free_storage_space(period=_MINUTE, label="storage"),
        ),
        _graph(
            "Latency (s)",
            database.metric("ReadLatency", period=_MINUTE, label="read"),
            database.metric("WriteLatency", period=_MINUTE, label="write"),
        ),
    ]


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title, width=8, left=list(metrics), left_y_axis=cloudwatch.YAxisProps(min=0)
    )
