import re
from functools import lru_cache
from typing import Literal

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic

_COMPARISONS = {
    "above": cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
    "below": cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
}
_MISSING = {
    "fine": cloudwatch.TreatMissingData.NOT_BREACHING,
    "breaching": cloudwatch.TreatMissingData.BREACHING,
    "keeps": cloudwatch.TreatMissingData.IGNORE,
    "told": cloudwatch.TreatMissingData.MISSING,
}


class OperatorAlarm(cloudwatch.Alarm):
    """An alarm that tells people when it fires and when it is over, and where the runbook says what to do.

    It is named by its place in the stack, so that a message says what it is about and other stacks can name it
    (`name`). The construct's id is the section of the runbook: `CpuHigh` leads to `#cpu-high`, unless it shares the
    `section` of another.

    It fires when `periods` of the latest `out_of` (as many, if not given) are beyond the threshold. The newest one or two
    may not be complete yet, and then read too low: more periods are looked at than are needed where that hides a
    breach, and more are needed than are ever late where that feigns one.

    `missing` is what no data means: all is "fine", it is as bad as a "breaching" period, the alarm "keeps" its state, or
    people are "told" when data stop coming, and not before the first came. Every alarm decides that for itself, so there
    is no default.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        metric: cloudwatch.IMetric,
        says: str,
        comparison: Literal["above", "below"],
        threshold: float,
        periods: int,
        missing: Literal["fine", "breaching", "keeps", "told"],
        topic: AlarmTopic,
        out_of: int | None = None,
        section: str | None = None,
    ) -> None:
        self.name = alarm_name(scope, construct_id)
        super().__init__(
            scope,
            construct_id,
            alarm_name=self.name,
            metric=metric,
            alarm_description=topic.description(says, kebab_case(section or construct_id)),
            comparison_operator=_COMPARISONS[comparison],
            threshold=threshold,
            evaluation_periods=out_of or periods,
            datapoints_to_alarm=periods,
            treat_missing_data=_MISSING[missing],
        )
        topic.notify(self, when_silent=missing == "told")


def alarm_name(scope: Construct, construct_id: str) -> str:
    """Stack and place in it: `suppliers-prod-compute-customer-release-server-errors`; unique in an account."""
    return f"{_place(scope)}-{kebab_case(construct_id)}"


# Alarms stand together: what is asked of CDK for one of them is answered for the next.
@lru_cache(maxsize=8)
def _place(scope: Construct) -> str:
    stack = Stack.of(scope)
    # What is the whole of its parent has no name of its own, as in logical ids.
    within = [
        each
        for each in scope.node.path.removeprefix(stack.node.path).split("/")
        if each not in ("", "Default")
    ]
    return "-".join([stack.stack_name, *map(kebab_case, within)])


def kebab_case(construct_id: str) -> str:
    """An id as a name and as an anchor: `CpuHigh` is `cpu-high`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", construct_id).lower()
