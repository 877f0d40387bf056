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

_PIPELINES = "codestar-notifications.amazonaws.com"


class AlarmTopic(Construct):
    """The encrypted topic by which people are told, over TLS only, and where they read what to do.

    AWS services of this account may publish what concerns operators: alarms, database events, the budget and
    the pipelines' notifications. Whoever has something to tell therefore needs nothing but the topic's ARN,
    so that a stack that tells makes no cycle with the stack that holds the topic.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        encryption_key: kms.IKey,
        emails: Sequence[str],
        runbook_url: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._encryption_key = encryption_key
        self._runbook_url = runbook_url
        stack = Stack.of(self)
        # Through the topic only: https://docs.aws.amazon.com/dtconsole/latest/userguide/set-up-sns.html
        encryption_key.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["kms:GenerateDataKey*", "kms:Decrypt"],
                principals=[iam.ServicePrincipal(_PIPELINES)],
                resources=["*"],
                conditions={"StringEquals": {"kms:ViaService": f"sns.{stack.region}.amazonaws.com"}},
            )
        )
        self.topic = sns.Topic(self, "Topic", master_key=encryption_key, enforce_ssl=True)
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        # A policy of its own replaces the one by which every alarm of the account may publish:
        # https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger
        self.allow(
            stack.format_arn(
                service="cloudwatch",
                resource="alarm",
                resource_name="*",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            ),
            "cloudwatch",
        )
        # The source is what the event is about, an instance, a cluster or their parameters, and not the subscription:
        # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Events.GrantingPermissions.html
        self.allow(stack.format_arn(service="rds", resource="*"), "events.rds")
        # https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
        self.allow(stack.format_arn(service="budgets", region="", resource="*"), "budgets")
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal(_PIPELINES)],
                resources=[self.topic.topic_arn],
            )
        )

    def notify(self, alarm: cloudwatch.AlarmBase) -> None:
        """Tell when the alarm fires and when it is over."""
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)

    def description(self, says: str, section: str) -> str:
        """What an alarm says, with the section of the runbook that says what to do."""
        return f"{says}. Runbook: {self._runbook_url}#{section}"

    def take_failed_calls(self, role: iam.IRole) -> sns.Topic:
        """The topic as the dead-letter topic of a function with this role: people are told of calls that were lost."""
        allow(role, "kms:Decrypt", "kms:GenerateDataKey", on=self._encryption_key.key_arn)
        return self.topic

    def allow(self, source_arn: str, service: str) -> None:
        """Let an AWS service publish what comes from `source_arn`, in this account."""
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                resources=[self.topic.topic_arn],
                conditions={
                    "ArnLike": {"aws:SourceArn": source_arn},
                    "StringEquals": {"aws:SourceAccount": Stack.of(self).account},
                },
            )
        )
