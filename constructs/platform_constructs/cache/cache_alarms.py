from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from platform_constructs.cache.shared_cache import SharedCache
from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.operator_alarm import OperatorAlarm

_FIVE_MINUTES = Duration.minutes(5)
_BUSY_PERCENT = 80


class CacheAlarms(Construct):
    """Tells people before the shared cache runs out of CPU or memory, and when its replicas fall behind."""

    def __init__(self, scope: Construct, construct_id: str, *, cache: SharedCache, topic: AlarmTopic) -> None:
        super().__init__(scope, construct_id)
        self.alarms = [
            OperatorAlarm(
                self,
                "CacheCpuHigh",
                metric=_highest(cache, "EngineCPUUtilization", "Average"),
                says=f"A node of the cache has needed more than {_BUSY_PERCENT} % of its engine's CPU for 15 minutes",
                comparison="above",
                threshold=_BUSY_PERCENT,
                periods=3,
                # Nodes that report nothing are down. Said once, here: the other metrics go missing with this one.
                missing="breaching",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "CacheMemoryHigh",
                metric=_highest(cache, "DatabaseMemoryUsagePercentage", "Maximum"),
                says=f"More than {_BUSY_PERCENT} % of the cache's memory is taken",
                comparison="above",
                threshold=_BUSY_PERCENT,
                periods=3,
                missing="keeps",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "CacheEvictions",
                metric=_highest(cache, "Evictions", "Sum"),
                says="The cache removes lists and sessions before their time, to make room for others",
                comparison="above",
                threshold=0,
                periods=3,
                missing="keeps",
                topic=topic,
            ),
        ]
        if cache.nodes > 1:
            self.alarms.append(
                OperatorAlarm(
                    self,
                    "CacheReplicationLag",
                    metric=_highest(cache, "ReplicationLag", "Maximum"),
                    says="A replica of the cache has been more than a second behind for 15 minutes",
                    comparison="above",
                    threshold=1,
                    periods=3,
                    missing="keeps",
                    topic=topic,
                )
            )


def _highest(cache: SharedCache, metric_name: str, statistic: str) -> cloudwatch.IMetric:
    """The highest value of any node: which of them is the primary changes with a failover."""
    metrics = cache.metric_of_nodes(metric_name, statistic, "node")
    if len(metrics) == 1:
        return metrics[0].with_(period=_FIVE_MINUTES)
    return cloudwatch.MathExpression(
        expression="MAX([" + ", ".join(f"node{number}" for number in range(len(metrics))) + "])",
        label=metric_name,
        period=_FIVE_MINUTES,
        using_metrics={f"node{number}": metric for number, metric in enumerate(metrics)},
    )
