from collections.abc import Sequence

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codestarnotifications as notifications
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from platform_constructs.alarm_topic import AlarmTopic
from platform_constructs.encryption_key import EncryptionKey

_SENDER = "codestar-notifications.amazonaws.com"


class PipelineNotifications(Construct):
    """Tells people about releases that failed and about those that wait for their approval, encrypted."""

    def __init__(self, scope: Construct, construct_id: str, *, emails: Sequence[str]) -> None:
        super().__init__(scope, construct_id)
        key = EncryptionKey(
            self,
            "Key",
            description=f"Messages about releases of {Stack.of(self).stack_name}",
            removal_policy=RemovalPolicy.DESTROY,
        )
        # Through the topic only: https://docs.aws.amazon.com/dtconsole/latest/userguide/set-up-sns.html
        key.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["kms:GenerateDataKey*", "kms:Decrypt"],
                principals=[iam.ServicePrincipal(_SENDER)],
                resources=["*"],
                conditions={"StringEquals": {"kms:ViaService": f"sns.{Stack.of(self).region}.amazonaws.com"}},
            )
        )
        self.topic = AlarmTopic(self, "Releases", encryption_key=key, emails=emails).topic
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal(_SENDER)],
                resources=[self.topic.topic_arn],
            )
        )
        # By its name: a rule would let the service use the key without any condition.
        self._target = sns.Topic.from_topic_arn(self, "Target", self.topic.topic_arn)

    def watch(self, pipeline: codepipeline.Pipeline) -> None:
        """Tell when an execution fails, or waits for a person."""
        pipeline.notify_on(
            "Failures",
            self._target,
            events=[
                codepipeline.PipelineNotificationEvents.PIPELINE_EXECUTION_FAILED,
                codepipeline.PipelineNotificationEvents.MANUAL_APPROVAL_NEEDED,
            ],
            detail_type=notifications.DetailType.FULL,
        )
