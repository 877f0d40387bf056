from collections.abc import Sequence

import jsii
from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk.interfaces.aws_events import IRuleRef
from constructs import Construct

from platform_constructs.common.permissions import allow

_PIPELINES = "codestar-notifications.amazonaws.com"
# What the names of alarms that tell nobody hold: those that CloudFormation makes up for scaling's, and parts of another.
_SILENT = ("Alarm", "-part")


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
        environment: str,
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
        self._action = actions.SnsAction(self.topic)
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
        self._tell_recoveries(environment)

    def notify(self, alarm: cloudwatch.AlarmBase, *, when_silent: bool = False) -> None:
        """Tell when the alarm fires and when it is over; `when_silent`, also when it has no data any more."""
        alarm.add_alarm_action(self._action)
        if when_silent:
            alarm.add_insufficient_data_action(self._action)

    def description(self, says: str, section: str) -> str:
        """What an alarm says, with the section of the runbook that says what to do."""
        return f"{says}. Runbook: {self._runbook_url}#{section}"

    def _tell_recoveries(self, environment: str) -> None:
        """Tell of every alarm that is over.

        An alarm's own action would tell of each new one as well, which begins without data and is well a minute later.
        """
        alarms = Stack.of(self).format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{environment}-",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        name = events.EventField.from_path("$.detail.alarmName")
        events.Rule(
            self,
            "Recoveries",
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=events.Match.prefix(alarms),
                detail={
                    # Those of scaling have the names that CloudFormation gives them, and tell nobody anything.
                    "alarmName": [{"anything-but": {"wildcard": [f"*{each}*" for each in _SILENT]}}],
                    "previousState": {"value": ["ALARM"]},
                    "state": {"value": ["OK"]},
                },
            ),
            targets=[
                self.message(
                    self, f"OK: {name} is over. {events.EventField.from_path('$.detail.state.reason')}"
                )
            ],
        )

    def message(self, scope: Construct, text: str) -> events.IRuleTarget:
        """A rule's target that tells people `text`, which may hold fields of the event."""
        role = iam.Role(
            scope,
            "Messenger",
            assumed_by=iam.ServicePrincipal("events.amazonaws.com"),
            description="Tells people of events",
        )
        # At the role's side: it may be another stack's.
        allow(role, "sns:Publish", on=self.topic.topic_arn)
        allow(role, "kms:Decrypt", "kms:GenerateDataKey", on=self._encryption_key.key_arn)
        return _Message(self.topic, role, text)

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


@jsii.implements(events.IRuleTarget)
class _Message:
    """A topic as a rule's target; CDK's own grants at the topic, which would be a cycle between stacks."""

    def __init__(self, topic: sns.Topic, role: iam.Role, text: str) -> None:
        self._topic = topic
        self._role = role
        self._text = text

    def bind(self, rule: IRuleRef, id: str | None = None) -> events.RuleTargetConfig:
        # With a role: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-identity-based.html
        return events.RuleTargetConfig(
            arn=self._topic.topic_arn, role=self._role, input=events.RuleTargetInput.from_text(self._text)
        )
