from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_rds as rds
from constructs import Construct

from platform_constructs.alarm_topic import AlarmTopic

_ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
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
    """Tells people before the database runs out of CPU, memory or storage, and when it fails over."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        instance: rds.IDatabaseInstance,
        storage_gib: int,
        topic: AlarmTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        # A database that reports nothing is down or being replaced.
        missing = cloudwatch.TreatMissingData.BREACHING
        self.alarms = [
            instance.metric_cpu_utilization(period=_FIVE_MINUTES).create_alarm(
                self,
                "CpuHigh",
                alarm_description="The database needs more than 80 % of its CPU",
                threshold=80,
                comparison_operator=_ABOVE,
                evaluation_periods=3,
                treat_missing_data=missing,
            ),
            instance.metric_free_storage_space(period=_FIVE_MINUTES).create_alarm(
                self,
                "StorageLow",
                alarm_description="The database has less than a tenth of its storage left",
                threshold=storage_gib * _GIB / 10,
                comparison_operator=_BELOW,
                evaluation_periods=2,
                treat_missing_data=missing,
            ),
            instance.metric_freeable_memory(period=_FIVE_MINUTES).create_alarm(
                self,
                "MemoryLow",
                alarm_description="The database has less than 128 MiB of memory left",
                threshold=_GIB / 8,
                comparison_operator=_BELOW,
                evaluation_periods=3,
                treat_missing_data=missing,
            ),
        ]
        for alarm in self.alarms:
            topic.notify(alarm)
        for name, (source, categories) in _EVENTS.items():
            rds.CfnEventSubscription(
                self,
                name,
                sns_topic_arn=topic.topic.topic_arn,
                source_type=source,
                source_ids=[instance.instance_identifier] if source == "db-instance" else None,
                event_categories=categories,
            )
        topic.allow(Stack.of(self).format_arn(service="rds", resource="es", resource_name="*"), "events.rds")
