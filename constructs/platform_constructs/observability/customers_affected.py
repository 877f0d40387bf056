from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.operator_alarm import OperatorAlarm, alarm_name, kebab_case

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
ALARMS_PER_RULE = 100
RULE_CHARACTERS = 10_240
_OR = " OR "


class CustomersAffected(cloudwatch.CompositeAlarm):
    """The one alarm to get up for: it fires as long as any alarm about what customers see does.

    Where they are more than one rule holds, it stands for silent alarms that each stand for some of them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alarms: Sequence[OperatorAlarm],
        topic: AlarmTopic,
    ) -> None:
        # By name: most of the alarms are another stack's.
        rules = _rules([alarm.name for alarm in alarms])
        parts = _parts(scope, construct_id, rules) if len(rules) > 1 else {}
        (rule,) = _rules(list(parts)) if parts else rules
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
        ours = [alarm for alarm in alarms if Stack.of(alarm) == Stack.of(self)]
        for composite in parts.values() or [self]:
            composite.node.add_dependency(*ours)
        self.node.add_dependency(*parts.values())
        topic.notify(self)


def _parts(scope: Construct, construct_id: str, rules: Sequence[str]) -> dict[str, cloudwatch.CompositeAlarm]:
    """A silent alarm for each rule, by name."""
    whole, ids = (
        alarm_name(scope, construct_id),
        [f"{construct_id}Part{number + 1}" for number in range(len(rules))],
    )
    return {
        alarm_name(scope, part): cloudwatch.CompositeAlarm(
            scope,
            part,
            composite_alarm_name=alarm_name(scope, part),
            alarm_rule=cloudwatch.AlarmRule.from_string(rule),
            alarm_description=f"A part of {whole}, which tells people",
        )
        for part, rule in zip(ids, rules, strict=True)
    }


def _rules(alarms: Sequence[str]) -> list[str]:
    """As few rules as hold all alarms, by name, in order; each fires as long as one of its alarms does."""
    rules: list[list[str]] = [[]]
    for alarm in alarms:
        term = f'ALARM("{alarm}")'
        longer = [*rules[-1], term]
        if len(longer) > ALARMS_PER_RULE or len(_OR.join(longer)) > RULE_CHARACTERS:
            rules.append([term])
        else:
            rules[-1] = longer
    return [_OR.join(rule) for rule in rules]
