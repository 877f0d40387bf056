"""The states of alarms, held against the tables in which AWS explains them."""

from __future__ import annotations

import pytest

from ops.scaling.alarm_state import Missing, State, state_of
from ops.scaling.metric_math import Value, evaluate

GOOD, X = State.OK, State.ALARM
NONE = State.INSUFFICIENT_DATA
KEEPS = None
TREATMENTS: tuple[Missing, ...] = ("missing", "ignore", "breaching", "notBreaching")

# "Data points ... with the most recent data point on the right", then the states by treatment in the order above:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
THREE_OF_THREE = [
    ("0 - X - X", (GOOD, GOOD, GOOD, GOOD)),
    ("0 - - - -", (GOOD, GOOD, GOOD, GOOD)),
    ("- - - - -", (NONE, KEEPS, X, GOOD)),
    ("0 X X - X", (X, X, X, X)),
    ("- - X - -", (X, KEEPS, X, GOOD)),
]
TWO_OF_THREE = [
    ("0 - X - X", (X, X, X, X)),
    ("0 0 X 0 X", (X, X, X, X)),
    ("0 - X - -", (GOOD, GOOD, X, GOOD)),
    ("- - - - 0", (GOOD, GOOD, X, GOOD)),
    ("- - - X -", (X, KEEPS, X, GOOD)),
]


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize(
    ("datapoints", "points", "states"),
    [*((3, *row) for row in THREE_OF_THREE), *((2, *row) for row in TWO_OF_THREE)],
)
def test_states_are_those_of_the_tables_of_aws(
    datapoints: int, points: str, states: tuple[State | None, ...], before: State
) -> None:
    breaches = [{"0": False, "X": True, "-": None}[each] for each in points.split()]
    for missing, expected in zip(TREATMENTS, states, strict=True):
        found = state_of(breaches, periods=3, datapoints=datapoints, missing=missing, before=before)
        assert found == (before if expected is KEEPS else expected), missing


@pytest.mark.parametrize("points", ["- - - - X", "- - - X -"])
def test_an_alarm_does_not_fire_before_the_next_value_could_be_good(points: str) -> None:
    breaches = [{"X": True, "-": None}[each] for each in points.split()]
    found = state_of(breaches, periods=3, datapoints=3, missing="missing", before=State.OK)
    assert found is State.OK


# metric1 and metric2 of the page's examples, and what it says comes out:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax
ONE, OTHER = (30, 20, 0, 0), (20, None, 20, None)


@pytest.mark.parametrize(
    ("expression", "metric1", "metric2", "metric3", "expected"),
    [
        ("metric1 < metric2", ONE, OTHER, OTHER, (0, 0, 1, 0)),
        ("metric1 >= 30", ONE, OTHER, OTHER, (1, 0, 0, 0)),
        ("metric1 > 15 AND metric2 > 15", ONE, OTHER, OTHER, (1, 0, 0, 0)),
        (
            "IF(metric1, metric2, metric3)",
            (1, 1, 0, 0, None),
            (30, None, 0, 0, 30),
            (0, 0, 20, None, 20),
            (30, 0, 20, None, None),
        ),
        (
            "IF(metric1, 5, metric3)",
            (1, 1, 0, 0, None),
            (30, None, 0, 0, 30),
            (0, 0, 20, None, 20),
            (5, 5, 20, None, None),
        ),
        ("metric1 + metric2", ONE, OTHER, OTHER, (50, 20, 20, 0)),
        ("metric1 / metric2", ONE, OTHER, OTHER, (1.5, None, 0, None)),
        ("metric2 * 2", ONE, OTHER, OTHER, (40, None, 40, None)),
        ("SUM([metric2, metric3])", ONE, OTHER, (1, 1, None, None), (21, 1, 20, None)),
        ("MAX([metric2, metric3])", ONE, OTHER, (1, 1, None, None), (20, 1, 20, None)),
    ],
)
def test_missing_values_are_what_the_page_of_metric_math_says(
    expression: str,
    metric1: tuple[Value, ...],
    metric2: tuple[Value, ...],
    metric3: tuple[Value, ...],
    expected: tuple[Value, ...],
) -> None:
    rows = zip(metric1, metric2, metric3, strict=True)
    found = [evaluate(expression, {"metric1": a, "metric2": b, "metric3": c}) for a, b, c in rows]
    assert found == list(expected)
