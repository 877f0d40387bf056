from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_rds as rds
from constructs import Construct

from platform_constructs.alarm_topic import AlarmTopic
from platform_constructs.operator_alarm import OperatorAlarm

_FIVE_MINUTES = Duration.minutes(5)
_GIB = 1024**3
# Security Hub RDS.20 to RDS.22. What is not the instance's is told for the whole account: it has no name before it exists.
_EVENTS = {
    "Events": (
        "db-instance",
        ["availability", "configuration change", "failover", "failure", "low storage", "maintenance"],
    ),
    "ParameterGroupEvents": ("db-parameter-group", ["configuration change"]),
    "SecurityGroupEvents": ("db-security-group", ["configuration change", "failure"]),
}


class DatabaseAlarms(Construct):
    """Tells people before the database runs out of CPU, connections, memory or storage, and when it fails over."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        instance: rds.IDatabaseInstance,
        storage_gib: int,
        max_connections: int,
        cpu_percent: float,
        connections_percent: float,
        failovers: cloudwatch.IMetric,
        topic: AlarmTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self.alarms = [
            OperatorAlarm(
                self,
                "DatabaseCpuHigh",
                metric=instance.metric_cpu_utilization(period=_FIVE_MINUTES),
                says=f"The database has needed more than {cpu_percent:g} % of its CPU for 15 minutes",
                comparison="above",
                threshold=cpu_percent,
                periods=3,
                # An instance that reports nothing is down or being replaced. Said once, here: the other
                # metrics of the instance go missing with this one.
                missing="breaching",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "DatabaseConnectionsHigh",
                metric=instance.metric_database_connections(period=_FIVE_MINUTES, statistic="Maximum"),
                says=f"More than {connections_percent:g} % of the database's {max_connections} connections "
                "are taken",
                comparison="above",
                threshold=max_connections * connections_percent / 100,
                periods=2,
                missing="keeps",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "DatabaseStorageLow",
                metric=instance.metric_free_storage_space(period=_FIVE_MINUTES, statistic="Minimum"),
                says="The database has less than a tenth of its initial storage left",
                comparison="below",
                threshold=storage_gib * _GIB / 10,
                periods=2,
                missing="keeps",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "DatabaseMemoryLow",
                metric=instance.metric_freeable_memory(period=_FIVE_MINUTES),
                says="The database has had less than 128 MiB of memory left for 15 minutes",
                comparison="below",
                threshold=_GIB / 8,
                periods=3,
                missing="keeps",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "DatabaseFailover",
                metric=failovers,
                says="The database has failed over to its standby, or is about to",
                comparison="above",
                threshold=0,
                periods=1,
                # An event that did not happen has no data.
                missing="fine",
                topic=topic,
            ),
        ]
        # What the alarm cannot say: Amazon RDS's own words.
        for name, (source, categories) in _EVENTS.items():
            rds.CfnEventSubscription(
                self,
                name,
                sns_topic_arn=topic.topic.topic_arn,
                source_type=source,
                source_ids=[instance.instance_identifier] if source == "db-instance" else None,
                event_categories=categories,
            )
