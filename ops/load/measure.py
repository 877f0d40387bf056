"""What requests took and how they ended, and the figures made of it: percentiles, windows, gaps.

Every moment is in seconds from the beginning of a measurement, and is the one at which a request was meant to
be sent: what a busy server or a busy client delays counts as the answer's time.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 100.0)


class Series:
    """The requests of one kind, in the order of their ends; 16 bytes each, so that millions are no trouble."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._at = array("d")
        self._took = array("d")
        self._failures: dict[int, str] = {}
        self.degraded = 0

    def record(self, at: float, took: float, failure: str | None = None, *, degraded: bool = False) -> None:
        """Add a request that was due at `at` and ended `took` seconds later, with what was wrong, if anything."""
        if failure is not None:
            self._failures[len(self._at)] = failure
        self._at.append(at)
        self._took.append(took)
        self.degraded += degraded

    def __len__(self) -> int:
        return len(self._at)

    @property
    def failed(self) -> int:
        return len(self._failures)

    @property
    def ends(self) -> float:
        """When the last answer was there."""
        return max((at + took for at, took in zip(self._at, self._took, strict=True)), default=0.0)

    def failures(self, since: float = 0.0) -> Counter[str]:
        """How many requests due from `since` on failed, by what was wrong."""
        return Counter(kind for index, kind in self._failures.items() if self._at[index] >= since)

    def count(self, since: float = 0.0, until: float = math.inf) -> int:
        """How many requests were due from `since` to before `until`."""
        return sum(since <= at < until for at in self._at)

    def answer_times(self, since: float = 0.0, until: float = math.inf) -> list[float]:
        """What the good answers to requests due from `since` to before `until` took, in order of size."""
        return sorted(
            took
            for index, (at, took) in enumerate(zip(self._at, self._took, strict=True))
            if index not in self._failures and since <= at < until
        )

    def in_order(self) -> Iterator[tuple[float, bool]]:
        """When each request was due, and whether it failed, by time."""
        for index in sorted(range(len(self._at)), key=self._at.__getitem__):
            yield self._at[index], index in self._failures


@dataclass(frozen=True)
class Window:
    """What happened in one second, named by its beginning."""

    second: int
    requests: int
    failed: int
    slowest: float


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The smallest value that `percent` of the values do not exceed (nearest rank); None where there is none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def percentiles(ordered: Sequence[float]) -> dict[str, float | None]:
    """The usual percentiles by name: p50, p90, p95, p99, max."""
    return {
        "max" if percent == 100 else f"p{percent:g}": percentile(ordered, percent) for percent in PERCENTILES
    }


def windows(series: Iterable[Series], origin: float = 0.0) -> list[Window]:
    """Second by second from `origin` on and back, as far as requests were due; idle seconds are there too."""
    requests: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    slowest: dict[int, float] = {}
    for one in series:
        for index, (at, took) in enumerate(zip(one._at, one._took, strict=True)):
            second = math.floor(at - origin)
            requests[second] += 1
            failed[second] += index in one._failures
            slowest[second] = max(slowest.get(second, 0.0), took)
    if not requests:
        return []
    return [
        Window(second, requests[second], failed[second], slowest.get(second, 0.0))
        for second in range(min(requests), max(requests) + 1)
    ]


def error_seconds(series: Iterable[Series], since: float = 0.0, origin: float = 0.0) -> int:
    """How many of the seconds counted from `origin` saw a request fail that was due from `since` on."""
    return len(
        {
            math.floor(at - origin)
            for one in series
            for at, has_failed in one.in_order()
            if has_failed and at >= since
        }
    )


def longest_gap(series: Series, since: float = 0.0) -> float:
    """The longest time from a failed request to the next one that succeeded, or to the end; 0 where none failed."""
    longest, first, last = 0.0, None, since
    for at, has_failed in series.in_order():
        if at < since:
            continue
        last = at
        if has_failed and first is None:
            first = at
        elif not has_failed and first is not None:
            longest, first = max(longest, at - first), None
    return longest if first is None else max(longest, max(last, series.ends) - first)


@dataclass(frozen=True)
class Bar:
    """How many answers took less than `below` seconds, and not less than the bar before."""

    below: float
    count: int


def histogram(ordered: Sequence[float]) -> list[Bar]:
    """Counts in steps of 1, 2 and 5 times a power of ten, from the fastest answer to the slowest."""
    bars: list[Bar] = []
    counted = 0
    for below in _edges(ordered[0]) if ordered else ():
        count = sum(value < below for value in ordered) - counted
        counted += count
        bars.append(Bar(below, count))
        if counted == len(ordered):
            break
    return bars


def _edges(fastest: float) -> Iterator[float]:
    power = math.floor(math.log10(max(fastest, 1e-6)))
    while True:
        for step in (1, 2, 5):
            # Written as a fraction for negative powers, so that 0.005 is 0.005.
            edge = step * 10.0**power if power >= 0 else step / 10.0**-power
            if edge > fastest:
                yield edge
        power += 1


def totals(series: Iterable[Series], since: float = 0.0) -> Mapping[str, int]:
    """Failed requests of all series, by what was wrong, the most frequent first."""
    found: Counter[str] = Counter()
    for one in series:
        found.update(one.failures(since))
    return dict(found.most_common())
