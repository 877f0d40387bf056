from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.load import measure
from ops.load.measure import Series

# Milliseconds, so that sums and comparisons are those of whole numbers.
moments = st.integers(0, 60_000).map(lambda number: number / 1000)
times = st.lists(st.integers(1, 10_000_000).map(lambda number: number / 1_000_000), min_size=1, max_size=200)
requests = st.lists(st.tuples(moments, moments, st.booleans()), max_size=60)


def series(rows: list[tuple[float, float, bool]], name: str = "home") -> Series:
    made = Series(name)
    for at, took, failed in rows:
        made.record(at, took, "HTTP 503" if failed else None)
    return made


@given(times, st.floats(0, 100))
def test_a_percentile_is_the_smallest_value_that_enough_others_do_not_exceed(
    values: list[float], percent: float
) -> None:
    found = measure.percentile(sorted(values), percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9
    smaller = [value for value in values if value < found]
    assert len(smaller) < max(percent / 100 * len(values) + 1e-9, 1)


@given(times)
def test_percentiles_grow_and_end_with_the_slowest(values: list[float]) -> None:
    found = measure.percentiles(sorted(values))
    assert list(found) == ["p50", "p90", "p95", "p99", "max"]
    assert list(found.values()) == sorted(value for value in found.values() if value is not None)
    assert found["max"] == max(values)
    assert found["p50"] == statistics.median_low(values)


def test_without_a_good_answer_there_are_no_percentiles() -> None:
    assert set(measure.percentiles([]).values()) == {None}


@given(requests, moments)
def test_windows_hold_every_request_once_without_a_gap(
    rows: list[tuple[float, float, bool]], origin: float
) -> None:
    found = measure.windows([series(rows[::2]), series(rows[1::2])], origin)
    assert sum(window.requests for window in found) == len(rows)
    assert sum(window.failed for window in found) == sum(failed for _, _, failed in rows)
    assert max((window.slowest for window in found), default=0) == max(
        (took for _, took, _ in rows), default=0
    )
    seconds = [window.second for window in found]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds))) if seconds else not rows


@given(requests, moments)
def test_seconds_with_errors_are_the_windows_in_which_something_failed(
    rows: list[tuple[float, float, bool]], origin: float
) -> None:
    both = [series(rows[::2]), series(rows[1::2])]
    assert measure.error_seconds(both, origin=origin) == sum(
        window.failed > 0 for window in measure.windows(both, origin)
    )


@given(requests, moments)
def test_what_was_due_before_a_moment_does_not_count_from_it_on(
    rows: list[tuple[float, float, bool]], since: float
) -> None:
    late = [row for row in rows if row[0] >= since]
    whole, part = series(rows), series(late)
    assert whole.count(since) == len(part)
    assert whole.failures(since) == part.failures()
    assert whole.answer_times(since) == part.answer_times()
    assert len(whole.answer_times(0, since)) + len(part.answer_times()) == len(whole.answer_times())
    assert measure.error_seconds([whole], since) == measure.error_seconds([part])


@given(requests)
def test_the_longest_gap_is_the_longest_way_from_a_failure_to_the_next_good_answer(
    rows: list[tuple[float, float, bool]],
) -> None:
    ordered = sorted(rows, key=lambda row: row[0])
    end = max((at + took for at, took, _ in rows), default=0.0)
    gaps = [
        next((later for later, _, bad in ordered[index:] if not bad), end) - at
        for index, (at, _, failed) in enumerate(ordered)
        if failed
    ]
    assert math.isclose(measure.longest_gap(series(rows)), max(gaps, default=0.0), abs_tol=1e-9)


def test_the_gap_of_an_outage_ends_with_the_first_good_answer() -> None:
    rows = [(0.0, 0.1, False), (1.0, 1.0, True), (2.0, 1.0, True), (3.0, 0.1, False), (4.0, 0.1, True)]
    assert measure.longest_gap(series(rows)) == 2.0
    assert measure.longest_gap(series(rows), since=1.5) == 1.0


@given(times)
def test_every_answer_is_in_one_bar_of_the_histogram(values: list[float]) -> None:
    bars = measure.histogram(sorted(values))
    assert sum(bar.count for bar in bars) == len(values)
    assert bars[0].count > 0
    assert bars[-1].count > 0
    below = [bar.below for bar in bars]
    assert below == sorted(set(below))
    for bar, before in zip(bars, [0.0, *below], strict=False):
        assert bar.count == sum(before <= value < bar.below for value in values)


def test_bars_end_at_round_numbers() -> None:
    bars = measure.histogram([0.0031, 0.012, 0.3, 2.5])
    assert [bar.below for bar in bars] == [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    assert [bar.count for bar in bars] == [1, 0, 1, 0, 0, 0, 1, 0, 0, 1]


def test_failures_are_told_by_what_was_wrong_the_most_frequent_first() -> None:
    made = Series("home")
    for failure in ("timeout", "HTTP 503", None, "HTTP 503"):
        made.record(0.0, 1.0, failure)
    assert list(measure.totals([made]).items()) == [("HTTP 503", 2), ("timeout", 1)]
    assert made.answer_times() == [1.0], "a quick refusal is no quick answer"


@pytest.mark.parametrize("percent", [50, 95, 100])
def test_one_value_is_every_percentile(percent: float) -> None:
    assert measure.percentile([0.25], percent) == 0.25
