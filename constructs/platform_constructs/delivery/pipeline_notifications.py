from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codestarnotifications as notifications
from aws_cdk import aws_sns as sns
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic


class PipelineNotifications(Construct):
    """Tells people about releases that wait for their approval."""

    def __init__(self, scope: Construct, construct_id: str, *, topic: AlarmTopic) -> None:
        super().__init__(scope, construct_id)
        # By ARN: the topic lets notifications in already.
        self._topic = sns.Topic.from_topic_arn(self, "Topic", topic.topic.topic_arn)

    def watch(self, pipeline: codepipeline.Pipeline, *, name: str) -> None:
        """Tell when an execution waits for a person; no other rule of the account may have the `name`."""
        pipeline.notify_on(
            "Approvals",
            self._topic,
            events=[codepipeline.PipelineNotificationEvents.MANUAL_APPROVAL_NEEDED],
            detail_type=notifications.DetailType.FULL,
            notification_rule_name=name,
        )
