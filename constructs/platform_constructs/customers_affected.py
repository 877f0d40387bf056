from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from platform_constructs.alarm_topic import AlarmTopic
from platform_constructs.operator_alarm import OperatorAlarm, alarm_name, kebab_case


class CustomersAffected(cloudwatch.CompositeAlarm):
    """The one alarm to get up for: it fires as long as any alarm about what customers see does."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alarms: Sequence[OperatorAlarm],
        topic: AlarmTopic,
    ) -> None:
        # By name: most of the alarms are another stack's.
        rule = " OR ".join(f'ALARM("{alarm.name}")' for alarm in alarms)
        super().__init__(
            scope,
            construct_id,
            composite_alarm_name=alarm_name(scope, construct_id),
            alarm_rule=cloudwatch.AlarmRule.from_string(rule),
            alarm_description=topic.description(
                "Customers are affected: they get errors, wait, or reach nobody", kebab_case(construct_id)
            ),
        )
        # The rule names them without referring to them.
        self.node.add_dependency(*(alarm for alarm in alarms if Stack.of(alarm) == Stack.of(self)))
        topic.notify(self)
