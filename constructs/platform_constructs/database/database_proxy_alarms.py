from aws_cdk import Duration
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.operator_alarm import OperatorAlarm
from platform_constructs.database.database_proxy import DatabaseProxy

_MINUTE = Duration.minutes(1)
_FIVE_MINUTES = Duration.minutes(5)
_BORROW_MICROSECONDS = 100_000
_REFUSALS = 20


class DatabaseProxyAlarms(Construct):
    """Tells people when the database's proxy cannot reach it, keeps clients waiting or out, or shares nothing any more."""

    def __init__(
        self, scope: Construct, construct_id: str, *, proxy: DatabaseProxy, topic: AlarmTopic
    ) -> None:
        super().__init__(scope, construct_id)
        self.alarms = [
            OperatorAlarm(
                self,
                "DatabaseProxyUnavailable",
                metric=proxy.metric_available(_MINUTE),
                says="The proxy has not reached the database for more than half of each of five minutes",
                comparison="below",
                threshold=50,
                # A failover takes one to two and has an alarm of its own.
                periods=5,
                # A proxy that reports nothing is away itself.
                missing="breaching",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "DatabaseProxyPinned",
                metric=proxy.metric(
                    "DatabaseConnectionsCurrentlySessionPinned", "pinned", _MINUTE, statistic="Sum"
                ),
                says="Clients have kept connections of the proxy to themselves for 15 minutes",
                comparison="above",
                threshold=0,
                periods=15,
                # Not reported before the first one, and not without clients.
                missing="fine",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "DatabaseProxyBorrowSlow",
                metric=proxy.metric(
                    "DatabaseConnectionsBorrowLatency", "borrow", _FIVE_MINUTES, statistic="Average"
                ),
                says=f"Clients of the proxy have waited {_BORROW_MICROSECONDS // 1000} ms for a connection for ten minutes",
                comparison="above",
                threshold=_BORROW_MICROSECONDS,
                periods=2,
                # Nobody asked for one.
                missing="fine",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "DatabaseProxyRefusing",
                metric=proxy.metric(
                    "ClientConnectionsSetupFailedAuth", "refused", _FIVE_MINUTES, statistic="Sum"
                ),
                says=f"The proxy has refused more than {_REFUSALS} sign-ins in each of two times five minutes",
                comparison="above",
                threshold=_REFUSALS,
                # A rotation makes each task try once in vain.
                periods=2,
                missing="fine",
                topic=topic,
            ),
        ]
