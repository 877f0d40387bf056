"""How CloudWatch decides the state of an alarm from the newest datapoints, some of which may be missing.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

# How many more datapoints CloudWatch looks at than it needs. AWS says that it depends; in its examples it is this.
EXTRA_PERIODS = 2

Missing = Literal["breaching", "notBreaching", "ignore", "missing"]


class State(StrEnum):
    """As CloudWatch names them."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


def state_of(
    breaches: Sequence[bool | None], *, periods: int, datapoints: int, missing: Missing, before: State
) -> State:
    """The state that follows `before`; `breaches` are the datapoints with the newest last, None where one is missing."""
    seen = breaches[-(periods + EXTRA_PERIODS) :]
    real = [each for each in seen if each is not None]
    if len(real) >= periods:
        return _decided(sum(real[-periods:]), datapoints)
    filled = periods - len(real)
    match missing:
        case "breaching":
            return _decided(sum(real) + filled, datapoints)
        case "notBreaching":
            return _decided(sum(real), datapoints)
    if not real:
        return before if missing == "ignore" else State.INSUFFICIENT_DATA
    if sum(real) < datapoints and all(real):
        oldest = len(seen) - next(at for at, each in enumerate(seen) if each is not None)
        # Nothing but breaches, too few of them: enough once the oldest is as old as the datapoints that are needed.
        return before if missing == "ignore" or oldest < datapoints else State.ALARM
    return _decided(sum(real), datapoints)


def _decided(breaching: int, datapoints: int) -> State:
    return State.ALARM if breaching >= datapoints else State.OK
