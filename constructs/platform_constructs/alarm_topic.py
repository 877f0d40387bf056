from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from platform_constructs.permissions import allow


class AlarmTopic(Construct):
    """An encrypted topic that tells people about alarms, over TLS only."""

    def __init__(
        self, scope: Construct, construct_id: str, *, encryption_key: kms.IKey, emails: Sequence[str]
    ) -> None:
        super().__init__(scope, construct_id)
        self._encryption_key = encryption_key
        self.topic = sns.Topic(self, "Topic", master_key=encryption_key, enforce_ssl=True)
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        # A policy of its own replaces the one by which every alarm of the account may publish:
        # https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger
        alarms = Stack.of(self).format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name="*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.allow(alarms, "cloudwatch")

    def notify(self, alarm: cloudwatch.Alarm) -> None:
        """Tell when the alarm fires and when it is over."""
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)

    def take_failed_calls(self, role: iam.IRole) -> sns.ITopic:
        """The topic as the dead-letter topic of a function with this role: people are told of calls that were lost."""
        allow(role, "kms:Decrypt", "kms:GenerateDataKey", on=self._encryption_key.key_arn)
        return self.topic

    def allow(self, source_arn: str, service: str) -> None:
        """Let an AWS service publish what comes from `source_arn`."""
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                resources=[self.topic.topic_arn],
                conditions={"ArnLike": {"aws:SourceArn": source_arn}},
            )
        )
