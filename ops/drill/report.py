"""The report of a drill: its figures, the limits they are held against, as Markdown and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ops.drill.conduct import Course, Drill, Event, Schedule
from ops.load import measure
from ops.load.measure import Series, Window
from ops.load.traffic import Request


@dataclass(frozen=True)
class Limits:
    """What a drill may cost at most; None where it is not limited."""

    failed_percent: float | None = None
    error_seconds: float | None = None
    recovery_seconds: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A limit, what was measured, and whether it held."""

    what: str
    allowed: float | None
    measured: float | None
    unit: str
    held: bool

    def __str__(self) -> str:
        measured = "never" if self.measured is None else _amount(self.measured, self.unit)
        allowed = "" if self.allowed is None else f", allowed: {_amount(self.allowed, self.unit)}"
        return f"{self.what}: {measured}{allowed}"


@dataclass(frozen=True)
class ProbeFigures:
    """What the requests of one kind came to from the failure on; times of good answers, in milliseconds."""

    name: str
    request: str
    requests: int
    failed: int
    makeshift: int
    longest_gap_seconds: float
    milliseconds_before: Mapping[str, float | None]
    milliseconds_after: Mapping[str, float | None]


@dataclass(frozen=True)
class Report:
    """A drill as it went. Moments are in seconds from the failure, negative before it.

    Failed requests, seconds with errors and gaps count from the beginning of the failure to the end of the
    measurement, by the moment at which a request was due. The percentage is of all requests in that time.
    """

    drill: str
    environment: str
    place: str
    started: str
    command: str
    meaning: str
    facts: Mapping[str, str]
    schedule: Schedule
    requests: int
    failed: int
    failures: Mapping[str, int]
    failed_percent: float
    error_seconds: int
    longest_gap_seconds: float
    recovery_seconds: float | None
    making_seconds: float
    sent_late: int
    probes: Sequence[ProbeFigures]
    events: Sequence[Event]
    seconds: Sequence[Window]
    verdicts: Sequence[Verdict]

    @property
    def held(self) -> bool:
        """Whether full strength came back and no limit was exceeded."""
        return all(verdict.held for verdict in self.verdicts)


def report(
    drill: Drill,
    course: Course,
    requests: Sequence[Request],
    schedule: Schedule,
    limits: Limits,
    *,
    environment: str,
    place: str,
    started: str,
    command: str,
) -> Report:
    """The figures of a drill that was conducted."""
    series = list(course.outcome.series.values())
    since = course.began
    sent = sum(one.count(since) for one in series)
    failures = measure.totals(series, since)
    failed = sum(failures.values())
    percent = 100 * failed / sent if sent else 0.0
    errors = measure.error_seconds(series, since, origin=course.struck)
    return Report(
        drill=drill.name,
        environment=environment,
        place=place,
        started=started,
        command=command,
        meaning=drill.meaning,
        facts=dict(drill.facts),
        schedule=schedule,
        requests=sent,
        failed=failed,
        failures=failures,
        failed_percent=round(percent, 2),
        error_seconds=errors,
        longest_gap_seconds=round(max((measure.longest_gap(one, since) for one in series), default=0.0), 2),
        recovery_seconds=_rounded(course.recovery_seconds),
        making_seconds=round(course.struck - course.began, 1),
        sent_late=course.outcome.late,
        probes=[
            _figures(request, course.outcome.series[request.name], since)
            for request in requests
            if request.name in course.outcome.series
        ],
        events=[Event(round(event.at - course.struck, 1), event.text) for event in course.events],
        seconds=[
            replace(window, slowest=round(window.slowest, 3))
            for window in measure.windows(series, origin=course.struck)
        ],
        verdicts=verdicts(limits, percent=percent, errors=errors, recovery=course.recovery_seconds),
    )


def verdicts(limits: Limits, *, percent: float, errors: float, recovery: float | None) -> list[Verdict]:
    """Each limit that was given with what was measured; that full strength came back is always demanded."""
    found = []
    if limits.failed_percent is not None:
        held = percent <= limits.failed_percent
        found.append(Verdict("failed requests", limits.failed_percent, round(percent, 2), "%", held))
    if limits.error_seconds is not None:
        held = errors <= limits.error_seconds
        found.append(Verdict("seconds with errors", limits.error_seconds, errors, "s", held))
    held = recovery is not None and recovery <= (
        math.inf if limits.recovery_seconds is None else limits.recovery_seconds
    )
    found.append(Verdict("full strength after", limits.recovery_seconds, _rounded(recovery), "s", held))
    return found


def document(found: Report) -> dict[str, Any]:
    """The report for programs."""
    return {**asdict(found), "held": found.held}


def markdown(found: Report) -> str:
    """The report for people."""
    lines = [
        f"# Drill {found.drill} of {found.environment}: {'passed' if found.held else 'FAILED'}",
        "",
        f"{found.started}, on {found.place}. `{found.command}`",
        "",
        found.meaning,
        "",
        *(f"- {name}: {value}" for name, value in found.facts.items()),
        "",
        "| | |",
        "|---|---|",
        f"| requests from the failure on | {found.requests} |",
        f"| failed requests | {found.failed} ({found.failed_percent:g} %) |",
        f"| seconds with errors | {found.error_seconds} |",
        f"| longest time without a good answer of one kind | {found.longest_gap_seconds:g} s |",
        f"| time to full strength | {_amount(found.recovery_seconds, 's')} |",
        *(f"| failed: {kind} | {count} |" for kind, count in found.failures.items()),
        *([f"| sent late by this machine | {found.sent_late} |"] if found.sent_late else []),
        "",
        "| probe | request | sent | failed | makeshift | longest gap | p50 / p95 / max before | p50 / p95 / max from then on |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {each.name} | `{each.request}` | {each.requests} | {each.failed} | {each.makeshift} | "
            f"{each.longest_gap_seconds:g} s | {_times(each.milliseconds_before)} | "
            f"{_times(each.milliseconds_after)} |"
            for each in found.probes
        ),
        "",
        "| seconds from the failure | what was seen |",
        "|---|---|",
        *(f"| {at:+.1f} | {text} |" for at, text in _seen(found)),
        "",
        "| limit | measured | allowed | held |",
        "|---|---|---|---|",
        *(
            f"| {each.what} | {_amount(each.measured, each.unit)} | "
            f"{'-' if each.allowed is None else _amount(each.allowed, each.unit)} | {'yes' if each.held else 'NO'} |"
            for each in found.verdicts
        ),
        "",
    ]
    return "\n".join(lines)


def _seen(found: Report) -> list[tuple[float, str]]:
    """Events and stretches of seconds with errors, by time."""
    rows = [(event.at, event.text) for event in found.events]
    stretch: list[Window] = []
    for window in [*found.seconds, None]:
        if window is not None and window.failed:
            stretch.append(window)
        elif stretch:
            failed, sent = sum(each.failed for each in stretch), sum(each.requests for each in stretch)
            text = f"from here {failed} of {sent} requests failed, for {len(stretch)} s"
            rows.append((float(stretch[0].second), text))
            stretch = []
    return sorted(rows)


def _figures(request: Request, series: Series, since: float) -> ProbeFigures:
    return ProbeFigures(
        name=request.name,
        request=f"{request.method} {request.path}",
        requests=series.count(since),
        failed=sum(series.failures(since).values()),
        makeshift=series.degraded,
        longest_gap_seconds=round(measure.longest_gap(series, since), 2),
        milliseconds_before=_milliseconds(series.answer_times(0.0, since)),
        milliseconds_after=_milliseconds(series.answer_times(since)),
    )


def _milliseconds(ordered: Sequence[float]) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value * 1000, 1)
        for name, value in measure.percentiles(ordered).items()
    }


def _times(milliseconds: Mapping[str, float | None]) -> str:
    values = [milliseconds[name] for name in ("p50", "p95", "max")]
    return " / ".join("-" if value is None else f"{value:.0f}" for value in values) + " ms"


def _amount(value: float | None, unit: str) -> str:
    return "never" if value is None else f"{value:g} {unit}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
