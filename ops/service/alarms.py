"""`alarms`: the alarms of an environment that tell people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from ops.aws.session import Session, operating
from ops.terminal.options import AsJson, Env, Rehearse
from ops.terminal.text import Listing, coloured, moment

# Alarms of step scaling have the stack's name in theirs. A low one is in alarm as long as there is nothing to do:
# https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html
_SCALING = "arn:aws:autoscaling:"
_FIRING = "ALARM"
# What descriptions of alarms end with.
_RUNBOOK = "Runbook: "


@dataclass(frozen=True)
class Alarm:
    """An alarm: since when it is in its state and why, what that means, and where it is told what to do."""

    name: str
    state: str
    since: datetime
    why: str
    says: str
    runbook: str


def command(
    env: Env = "local",
    rehearse: Rehearse = False,
    firing_only: Annotated[bool, typer.Option("--firing", help="Only those in alarm.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the alarms: their states, since when, what each says, and its part of the runbook; those in alarm first.

    Examples:

    \b
    suppliers alarms --env prod --firing
    suppliers alarms --env prod --json | jq '.[] | select(.state != "OK") | .runbook'
    """
    with operating(env, rehearse=rehearse) as session:
        found = [each for each in read(session) if each.state == _FIRING or not firing_only]
        if as_json:
            session.print_json([asdict(each) for each in found])
            return
        if not found:
            session.console.print(f"{env}: no alarm is firing" if firing_only else f"{env}: has no alarms")
            return
        made = Listing(
            *("alarm", "state", "since", "says", "runbook"), wraps=["says"], drops=["runbook", "since"]
        )
        for each in found:
            name = each.name.removeprefix(f"suppliers-{env}-")
            made.add_row(name, coloured(each.state), moment(each.since), each.says, each.runbook)
        session.console.print(made)
        for each in found:
            if each.state == _FIRING:
                session.console.print(f"{each.name}: {each.why}", style="red", markup=False, soft_wrap=True)


def read(session: Session) -> list[Alarm]:
    """Each alarm that tells people; those in alarm first, then those without data."""
    found = [_alarm(each) for each in _described(session)]
    order = {_FIRING: 0, "INSUFFICIENT_DATA": 1}
    return sorted(found, key=lambda each: (order.get(each.state, 2), each.name))


def _alarm(record: Mapping[str, Any]) -> Alarm:
    says, _, runbook = record.get("AlarmDescription", "").partition(_RUNBOOK)
    return Alarm(
        name=record["AlarmName"],
        state=record["StateValue"],
        since=record["StateUpdatedTimestamp"],
        why=record.get("StateReason", ""),
        says=says.strip(),
        runbook=runbook.strip(),
    )


def states(session: Session) -> dict[str, str]:
    """The state of each alarm that tells people, by name; those that drive scaling are not among them."""
    return {each["AlarmName"]: each["StateValue"] for each in _described(session)}


def _described(session: Session) -> Iterator[Mapping[str, Any]]:
    pages = (
        session.clients.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(
            AlarmNamePrefix=f"suppliers-{session.name}-",
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            PaginationConfig={"PageSize": 100},
        )
    )
    for page in pages:
        for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])):
            if not any(action.startswith(_SCALING) for action in alarm.get("AlarmActions", [])):
                yield alarm


def firing(states: Mapping[str, str]) -> list[str]:
    """The names of those in alarm."""
    return sorted(name for name, state in states.items() if state == _FIRING)
