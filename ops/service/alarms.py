"""The alarms of an environment that tell people."""

from __future__ import annotations

from collections.abc import Mapping

from ops.aws.session import Session

# Alarms of step scaling have the stack's name in theirs. A low one is in alarm as long as there is nothing to do:
# https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html
_SCALING = "arn:aws:autoscaling:"
_FIRING = "ALARM"


def states(session: Session) -> dict[str, str]:
    """The state of each alarm that tells people, by name; those that drive scaling are not among them."""
    pages = (
        session.clients.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(
            AlarmNamePrefix=f"suppliers-{session.name}-",
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            PaginationConfig={"PageSize": 100},
        )
    )
    return {
        alarm["AlarmName"]: alarm["StateValue"]
        for page in pages
        for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", []))
        if not any(action.startswith(_SCALING) for action in alarm.get("AlarmActions", []))
    }


def firing(states: Mapping[str, str]) -> list[str]:
    """The names of those in alarm."""
    return sorted(name for name, state in states.items() if state == _FIRING)
