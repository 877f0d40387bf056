import math
from collections.abc import Iterator, Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_rds as rds
from constructs import Construct

from platform_constructs.cache.shared_cache import SharedCache
from platform_constructs.database.database_alarms import metric_lag
from platform_constructs.database.database_proxy import DatabaseProxy
from platform_constructs.database.relational_database import DatabaseServer, RelationalDatabase
from platform_constructs.entrance.public_distribution import PublicDistribution
from platform_constructs.observability.platform_events import PlatformEvents
from platform_constructs.service.microservice import Microservice

_MINUTE = Duration.minutes(1)
_FIVE_MINUTES = Duration.minutes(5)
_DAY = Duration.days(1)
_GRID = 24
_ALARMS_IN_A_ROW = 6
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
ALARMS_PER_WIDGET = 100


class OperationsDashboard(Construct):
    """One page from the user's view down to the database and the bill, with the state of all alarms on top.

    Whatever comes from a target group is drawn of both groups of a pair, so that a release blinds nothing.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        load_balancer: elbv2.ApplicationLoadBalancer,
        edge: PublicDistribution | None,
        microservices: Sequence[Microservice],
        database: RelationalDatabase,
        max_connections: int,
        proxy: DatabaseProxy | None,
        cache: SharedCache | None,
        events: PlatformEvents,
        alarms: Sequence[cloudwatch.IAlarm],
        visits: cloudwatch.IMetric | None,
        blocked_requests: cloudwatch.IMetric | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=name, default_interval=Duration.hours(3)
        )
        for start in range(0, len(alarms), ALARMS_PER_WIDGET):
            shown = alarms[start : start + ALARMS_PER_WIDGET]
            rows = math.ceil(len(shown) / _ALARMS_IN_A_ROW)
            self._row(
                cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(shown), width=_GRID, height=2 + rows)
            )
        if edge is not None:
            self._title("CloudFront")
            self._row(*_edge(edge))
        self._title("Load balancer")
        self._row(*_load_balancer(load_balancer))
        self._row(*_entrance(visits, blocked_requests))
        self._title("Releases")
        self._row(*_releases(events))
        for microservice in microservices:
            self._title(microservice.name)
            self._row(*_tasks(microservice))
            self._row(*_answers(microservice))
        self._title("Database")
        self._row(*_database_load(database.servers, max_connections))
        self._row(*_database_room(database.servers, events))
        if len(database.servers) > 1:
            self._row(_lag(database.servers))
        if proxy is not None:
            self._row(*_proxy(proxy))
        if database.replica is not None:
            self._title("Read replica")
            self._row(*_replica(database.replica, max_connections))
        if cache is not None:
            self._title("Cache")
            self._row(*_cache_use(cache))
            self._row(*_cache_room(cache))
        self._title("Cost")
        self._row(*_cost())

    def _title(self, text: str) -> None:
        self.dashboard.add_widgets(cloudwatch.TextWidget(markdown=f"## {text}", width=_GRID, height=1))

    def _row(self, *widgets: cloudwatch.ConcreteWidget) -> None:
        if widgets:
            self.dashboard.add_widgets(*widgets)


def _load_balancer(load_balancer: elbv2.ApplicationLoadBalancer) -> list[cloudwatch.ConcreteWidget]:
    metrics = load_balancer.metrics
    codes = elbv2.HttpCodeTarget
    return [
        _graph(
            "Response time (s)",
            3,
            *(
                metrics.target_response_time(statistic=statistic, period=_MINUTE, label=statistic)
                for statistic in ("p50", "p95", "p99")
            ),
        ),
        _graph("Requests", 3, metrics.request_count(period=_MINUTE, label="requests")),
        _graph(
            "Answers",
            3,
            metrics.http_code_target(codes.TARGET_2XX_COUNT, period=_MINUTE, label="2xx"),
            metrics.http_code_target(codes.TARGET_4XX_COUNT, period=_MINUTE, label="4xx"),
            metrics.http_code_target(codes.TARGET_5XX_COUNT, period=_MINUTE, label="5xx of tasks"),
            metrics.http_code_elb(
                elbv2.HttpCodeElb.ELB_5XX_COUNT, period=_MINUTE, label="5xx of the load balancer"
            ),
        ),
    ]


def _edge(edge: PublicDistribution) -> list[cloudwatch.ConcreteWidget]:
    return [
        _graph("Requests of viewers", 2, edge.metric_requests(_MINUTE)),
        _graph(
            "Answers to viewers that were errors (%)",
            2,
            edge.metric_error_rate("4xx", _MINUTE),
            edge.metric_error_rate("5xx", _MINUTE),
        ),
    ]


def _entrance(
    visits: cloudwatch.IMetric | None, blocked_requests: cloudwatch.IMetric | None
) -> list[cloudwatch.ConcreteWidget]:
    drawn = [
        ("Canary: visits that went well (%)", visits),
        ("Requests the web ACL blocked", blocked_requests),
    ]
    present = [(title, metric) for title, metric in drawn if metric is not None]
    return [_graph(title, len(present), metric) for title, metric in present]


def _releases(events: PlatformEvents) -> list[cloudwatch.ConcreteWidget]:
    return [
        _graph(
            "Releases: when they began and how they ended",
            2,
            events.metric_releases_started(_FIVE_MINUTES),
            events.metric_releases_succeeded(_FIVE_MINUTES),
            events.metric_releases_failed(_FIVE_MINUTES),
        ),
        cloudwatch.LogQueryWidget(
            title="Last releases and failovers",
            width=_GRID // 2,
            log_group_names=[events.log_group.log_group_name],
            query_lines=[
                "fields @timestamp, coalesce(detail.application, detail.pipeline, resources.0, "
                "detail.SourceIdentifier) as what, coalesce(detail.state, detail.eventName, detail.Message) as happened",
                "sort @timestamp desc",
                "limit 20",
            ],
        ),
    ]


def _tasks(microservice: Microservice) -> list[cloudwatch.ConcreteWidget]:
    groups = microservice.target_groups
    low, high = microservice.scaling_bounds
    return [
        _graph(
            "CPU and memory (%)",
            3,
            microservice.metric_used("CPUUtilization", _MINUTE, label="CPU"),
            microservice.metric_used("MemoryUtilization", _MINUTE, label="memory"),
        ),
        _graph(
            "Tasks",
            3,
            microservice.metric_tasks("DesiredTaskCount", "desired", _MINUTE),
            microservice.metric_tasks("RunningTaskCount", "running", _MINUTE),
            microservice.metric_tasks("PendingTaskCount", "pending", _MINUTE),
            lines={"minimum": low, "maximum": high},
        ),
        _graph(
            "Tasks in the load balancer",
            3,
            *groups.metrics_by_group("HealthyHostCount", "Minimum", "healthy"),
            *groups.metrics_by_group("UnHealthyHostCount", "Maximum", "unhealthy"),
        ),
    ]


def _answers(microservice: Microservice) -> list[cloudwatch.ConcreteWidget]:
    groups = microservice.target_groups
    return [
        _graph("Requests and 5xx", 4, groups.metric_requests(), groups.metric_server_errors()),
        _graph(
            "Response time (s)", 4, groups.metric_response_time("p50"), groups.metric_response_time("p95")
        ),
        _graph(
            "Latency measured by the application (ms)",
            4,
            *(
                microservice.metric_application("Latency", statistic, _MINUTE, statistic=statistic)
                for statistic in ("p50", "p95", "p99")
            ),
        ),
        _graph(
            "Errors and changes counted by the application",
            4,
            microservice.metric_application("Errors", "errors", _MINUTE, statistic="Sum"),
            microservice.metric_application("Changes", "changes", _MINUTE, statistic="Sum"),
        ),
    ]


def _of_each(
    servers: Sequence[DatabaseServer], metric_name: str, label: str, statistic: str = "Average"
) -> Iterator[cloudwatch.Metric]:
    """A metric of each server, called after the server too where there are several."""
    for number, server in enumerate(servers, start=1):
        yield server.instance.metric(
            metric_name,
            statistic=statistic,
            period=_MINUTE,
            label=f"{label} {number}" if len(servers) > 1 else label,
        )


def _database_load(
    servers: Sequence[DatabaseServer], max_connections: int
) -> list[cloudwatch.ConcreteWidget]:
    return [
        _graph("CPU (%)", 3, *_of_each(servers, "CPUUtilization", "CPU")),
        _graph(
            "Connections",
            3,
            *_of_each(servers, "DatabaseConnections", "connections", "Maximum"),
            lines={"maximum": max_connections},
        ),
        _graph(
            "Latency (s); a write waits for the standby",
            3,
            *_of_each(servers, "ReadLatency", "read"),
            *_of_each(servers, "WriteLatency", "write"),
        ),
    ]


def _database_room(
    servers: Sequence[DatabaseServer], events: PlatformEvents
) -> list[cloudwatch.ConcreteWidget]:
    return [
        _graph("Freeable memory (bytes)", 3, *_of_each(servers, "FreeableMemory", "memory")),
        _graph("Free storage (bytes)", 3, *_of_each(servers, "FreeStorageSpace", "storage")),
        _graph("Failovers to the standby (events)", 3, events.metric_failovers(_FIVE_MINUTES)),
    ]


def _lag(servers: Sequence[DatabaseServer]) -> cloudwatch.ConcreteWidget:
    return _graph(
        "Lag behind the server that takes writes (s)", 1, *_of_each(servers, "ReplicaLag", "lag", "Maximum")
    )


def _proxy(proxy: DatabaseProxy) -> list[cloudwatch.ConcreteWidget]:
    return [
        _graph(
            "Connections through the proxy",
            3,
            proxy.metric("ClientConnections", "of clients", _MINUTE, statistic="Sum"),
            proxy.metric("DatabaseConnections", "to the database", _MINUTE, statistic="Sum"),
            proxy.metric("MaxDatabaseConnectionsAllowed", "allowed", _MINUTE, statistic="Sum"),
            proxy.metric("DatabaseConnectionsCurrentlySessionPinned", "pinned", _MINUTE, statistic="Sum"),
        ),
        _graph(
            "Wait for a connection of the proxy (\u00b5s)",
            3,
            proxy.metric("DatabaseConnectionsBorrowLatency", "average", _MINUTE, statistic="Average"),
        ),
        _graph("Proxy: database reached (%)", 3, proxy.metric_available(_MINUTE)),
    ]


def _cache_use(cache: SharedCache) -> list[cloudwatch.ConcreteWidget]:
    return [
        _graph(
            "Keys that were found and not found",
            3,
            *cache.metric_of_nodes("CacheHits", "Sum", "found"),
            *cache.metric_of_nodes("CacheMisses", "Sum", "not found"),
        ),
        _graph("Connections", 3, *cache.metric_of_nodes("CurrConnections", "Maximum", "connections")),
        _graph("CPU of the engine (%)", 3, *cache.metric_of_nodes("EngineCPUUtilization", "Average", "CPU")),
    ]


def _cache_room(cache: SharedCache) -> list[cloudwatch.ConcreteWidget]:
    return [
        _graph("Memory (%)", 3, *cache.metric_of_nodes("DatabaseMemoryUsagePercentage", "Maximum", "memory")),
        _graph("Removed for want of room", 3, *cache.metric_of_nodes("Evictions", "Sum", "evictions")),
        _graph(
            "How far replicas are behind (s)", 3, *cache.metric_of_nodes("ReplicationLag", "Maximum", "lag")
        ),
    ]


def _replica(replica: rds.IDatabaseInstance, max_connections: int) -> list[cloudwatch.ConcreteWidget]:
    return [
        _graph("Lag behind the database (s)", 4, metric_lag(replica, _MINUTE)),
        _graph("CPU (%)", 4, replica.metric_cpu_utilization(period=_MINUTE, label="CPU")),
        _graph(
            "Connections",
            4,
            replica.metric_database_connections(period=_MINUTE, statistic="Maximum", label="connections"),
            lines={"maximum": max_connections},
        ),
        _graph("Free storage (bytes)", 4, replica.metric_free_storage_space(period=_MINUTE, label="storage")),
    ]


def _cost() -> list[cloudwatch.ConcreteWidget]:
    # The sum of the month so far, for the whole account, some times a day, in us-east-1 only, and only once
    # billing alerts are switched on:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/monitor_estimated_charges_with_cloudwatch.html
    charges = cloudwatch.Metric(
        namespace="AWS/Billing",
        metric_name="EstimatedCharges",
        dimensions_map={"Currency": "USD"},
        statistic="Maximum",
        period=_DAY,
        region="us-east-1",
    )
    a_day = cloudwatch.MathExpression(
        # On the first day of a month the sum begins anew.
        expression="IF(DIFF(charges) >= 0, DIFF(charges), charges)",
        label="USD a day",
        period=_DAY,
        using_metrics={"charges": charges},
    )
    return [
        cloudwatch.GraphWidget(
            title="Cost of the account (USD a day)",
            width=_GRID // 2,
            region="us-east-1",
            left=[a_day],
            left_y_axis=cloudwatch.YAxisProps(min=0),
            start="-P30D",
        ),
        cloudwatch.TextWidget(
            width=_GRID // 2,
            height=6,
            markdown="AWS reports charges for the whole account, in us-east-1, and only after *Receive CloudWatch "
            "billing alerts* was switched on in the billing preferences. What this environment alone costs is told "
            "by the budget (`alarms.monthly_budget_usd`).",
        ),
    ]


def _graph(
    title: str, beside: int, *metrics: cloudwatch.IMetric, lines: Mapping[str, float] | None = None
) -> cloudwatch.GraphWidget:
    """A graph as one of `beside` in a row, with named horizontal lines."""
    return cloudwatch.GraphWidget(
        title=title,
        width=_GRID // beside,
        left=list(metrics),
        left_y_axis=cloudwatch.YAxisProps(min=0),
        left_annotations=[
            cloudwatch.HorizontalAnnotation(value=value, label=label)
            for label, value in (lines or {}).items()
        ],
    )
