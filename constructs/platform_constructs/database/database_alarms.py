from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_rds as rds
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.operator_alarm import OperatorAlarm
from platform_constructs.database.credential_rotation import CredentialRotation
from platform_constructs.database.relational_database import DatabaseServer, RelationalDatabase

_FIVE_MINUTES = Duration.minutes(5)
_GIB = 1024**3
_LAG_SECONDS = 60
_DAY_SECONDS = 24 * 60 * 60
# Security Hub RDS.19 to RDS.22. What is not the database's is told for the whole account: it has no name before it
# exists. A cluster has fewer categories: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Events.Messages.html
_SERVER_EVENTS = {
    "db-instance": [
        "availability",
        "configuration change",
        "failover",
        "failure",
        "low storage",
        "maintenance",
    ],
    "db-cluster": ["failover", "failure", "maintenance", "notification"],
}
_OTHER_EVENTS: Mapping[str, tuple[str, Sequence[str]]] = {
    "ParameterGroupEvents": ("db-parameter-group", ["configuration change"]),
    "SecurityGroupEvents": ("db-security-group", ["configuration change", "failure"]),
}


@dataclass(frozen=True, kw_only=True)
class _Limits:
    storage_gib: int
    max_connections: int
    cpu_percent: float
    connections_percent: float


class DatabaseAlarms(Construct):
    """Tells people before the database runs out of CPU, connections, memory or storage, and when it fails over.

    The same of each server of a cluster and of a read replica, and when one is more than a minute behind.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        database: RelationalDatabase,
        storage_gib: int,
        max_connections: int,
        cpu_percent: float,
        connections_percent: float,
        failovers: cloudwatch.IMetric,
        topic: AlarmTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        limits = _Limits(
            storage_gib=storage_gib,
            max_connections=max_connections,
            cpu_percent=cpu_percent,
            connections_percent=connections_percent,
        )
        self.alarms = [
            *(
                alarm
                for each in database.servers
                for alarm in self._server(each.name, "Database", each.title, each.instance, limits, topic)
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
        self.alarms += [self._rotation(each, topic) for each in database.rotations]
        if len(database.servers) > 1:
            self.alarms += [self._lag(each, topic) for each in database.servers]
        replica = database.replica
        if replica is not None:
            self.alarms += [
                *self._server("Replica", "Replica", "The read replica", replica, limits, topic),
                OperatorAlarm(
                    self,
                    "ReplicaLagHigh",
                    metric=metric_lag(replica, _FIVE_MINUTES),
                    says=f"The read replica has been more than {_LAG_SECONDS} seconds behind the database for 10 minutes, "
                    "or no longer follows it",
                    comparison="above",
                    threshold=_LAG_SECONDS,
                    periods=2,
                    missing="keeps",
                    topic=topic,
                ),
            ]
        # What the alarm cannot say: Amazon RDS's own words.
        sources = [database.identifier, *([replica.instance_identifier] if replica else [])]
        rds.CfnEventSubscription(
            self,
            "Events",
            sns_topic_arn=topic.topic.topic_arn,
            source_type=database.source_type,
            source_ids=sources,
            event_categories=_SERVER_EVENTS[database.source_type],
        )
        for name, (source, categories) in _OTHER_EVENTS.items():
            rds.CfnEventSubscription(
                self,
                name,
                sns_topic_arn=topic.topic.topic_arn,
                source_type=source,
                event_categories=list(categories),
            )

    def _rotation(self, rotation: CredentialRotation, topic: AlarmTopic) -> OperatorAlarm:
        return OperatorAlarm(
            self,
            f"{rotation.node.id}Failed",
            section="RotationFailed",
            metric=rotation.metric_errors(_FIVE_MINUTES),
            says=f"The password of the database user {rotation.name} could not be changed",
            comparison="above",
            threshold=0,
            periods=1,
            # A function that was not called reports nothing.
            missing="fine",
            topic=topic,
        )

    def _lag(self, server: DatabaseServer, topic: AlarmTopic) -> OperatorAlarm:
        return OperatorAlarm(
            self,
            f"{server.name}LagHigh",
            section="StandbyLagHigh",
            metric=server.metric_lag(_FIVE_MINUTES),
            says=f"{server.title} has been more than {_LAG_SECONDS} seconds behind the one that takes writes for 10 minutes",
            comparison="above",
            threshold=_LAG_SECONDS,
            periods=2,
            # The one that takes writes is behind nobody, and any of them may become that one.
            missing="fine",
            topic=topic,
        )

    def _server(
        self,
        name: str,
        section: str,
        title: str,
        server: rds.IDatabaseInstance,
        limits: _Limits,
        topic: AlarmTopic,
    ) -> Iterator[OperatorAlarm]:
        yield OperatorAlarm(
            self,
            f"{name}CpuHigh",
            section=f"{section}CpuHigh",
            metric=server.metric_cpu_utilization(period=_FIVE_MINUTES),
            says=f"{title} has needed more than {limits.cpu_percent:g} % of its CPU for 15 minutes",
            comparison="above",
            threshold=limits.cpu_percent,
            periods=3,
            # An instance that reports nothing is down or being replaced. Said once, here: the other
            # metrics of the instance go missing with this one.
            missing="breaching",
            topic=topic,
        )
        yield OperatorAlarm(
            self,
            f"{name}ConnectionsHigh",
            section=f"{section}ConnectionsHigh",
            metric=server.metric_database_connections(period=_FIVE_MINUTES, statistic="Maximum"),
            says=f"More than {limits.connections_percent:g} % of {title[0].lower()}{title[1:]}'s "
            f"{limits.max_connections} connections are taken",
            comparison="above",
            threshold=limits.max_connections * limits.connections_percent / 100,
            periods=2,
            missing="keeps",
            topic=topic,
        )
        yield OperatorAlarm(
            self,
            f"{name}StorageLow",
            section=f"{section}StorageLow",
            metric=server.metric_free_storage_space(period=_FIVE_MINUTES, statistic="Minimum"),
            says=f"{title} has less than a tenth of its initial storage left",
            comparison="below",
            threshold=limits.storage_gib * _GIB / 10,
            periods=2,
            missing="keeps",
            topic=topic,
        )
        yield OperatorAlarm(
            self,
            f"{name}MemoryLow",
            section=f"{section}MemoryLow",
            metric=server.metric_freeable_memory(period=_FIVE_MINUTES),
            says=f"{title} has had less than 128 MiB of memory left for 15 minutes",
            comparison="below",
            threshold=_GIB / 8,
            periods=3,
            missing="keeps",
            topic=topic,
        )


def metric_lag(replica: rds.IDatabaseInstance, period: Duration) -> cloudwatch.MathExpression:
    """Seconds that a replica is behind its instance, at most within a period; a day where it no longer follows."""
    return cloudwatch.MathExpression(
        # -1 where replication is not active:
        # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_MySQL.Replication.ReadReplicas.Monitor.html
        expression=f"IF(lowest < 0, {_DAY_SECONDS}, highest)",
        label="lag (s)",
        period=period,
        using_metrics={
            "lowest": replica.metric("ReplicaLag", statistic="Minimum", period=period),
            "highest": replica.metric("ReplicaLag", statistic="Maximum", period=period),
        },
    )
