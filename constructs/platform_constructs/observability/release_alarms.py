from aws_cdk import Duration
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.operator_alarm import OperatorAlarm
from platform_constructs.observability.platform_events import PlatformEvents

_FIVE_MINUTES = Duration.minutes(5)


class ReleaseAlarms(Construct):
    """Tells people when a release fails, or the pipeline on the way to it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        events: PlatformEvents,
        pipelines: bool,
        topic: AlarmTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self.alarms: list[OperatorAlarm] = [
            OperatorAlarm(
                self,
                "DeploymentFailed",
                metric=events.metric_releases_failed(_FIVE_MINUTES),
                says="A release failed or was stopped, and was taken back",
                comparison="above",
                threshold=0,
                periods=1,
                # An event that did not happen has no data.
                missing="fine",
                topic=topic,
            )
        ]
        if pipelines:
            self.alarms.append(
                OperatorAlarm(
                    self,
                    "PipelineFailed",
                    metric=events.metric_pipelines_failed(_FIVE_MINUTES),
                    says="A pipeline failed: its last push is not released",
                    comparison="above",
                    threshold=0,
                    periods=1,
                    missing="fine",
                    topic=topic,
                )
            )
