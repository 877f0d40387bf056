from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codepipeline as codepipeline
from constructs import Construct

from platform_constructs.alarm_topic import AlarmTopic
from platform_constructs.operator_alarm import OperatorAlarm
from platform_constructs.platform_events import PlatformEvents

_FIVE_MINUTES = Duration.minutes(5)


class ReleaseAlarms(Construct):
    """Tells people when a release fails, or the pipeline on the way to it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        events: PlatformEvents,
        pipelines: Mapping[str, codepipeline.IPipeline],
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
        for name, pipeline in pipelines.items():
            # Each in a scope of its own, so that all have the same id and with it the same section of the runbook.
            self.alarms.append(
                OperatorAlarm(
                    Construct(self, name),
                    "PipelineFailed",
                    metric=cloudwatch.Metric(
                        namespace="AWS/CodePipeline",
                        metric_name="FailedPipelineExecutions",
                        dimensions_map={"PipelineName": pipeline.pipeline_name},
                        statistic="Sum",
                        period=_FIVE_MINUTES,
                    ),
                    says=f"The pipeline of {name} failed: its last push is not released",
                    comparison="above",
                    threshold=0,
                    periods=1,
                    # No execution, no failure.
                    missing="fine",
                    topic=topic,
                )
            )
