"""A load test: rounds of requests to one path, what they came to, and the services' task counts beside it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table

from ops import errors
from ops.aws.refusals import told_by_aws
from ops.aws.session import Session, operating
from ops.deployed.deployment import endpoint, read
from ops.errors import OpsError, WrongUsage
from ops.load import measure as figures
from ops.load import traffic
from ops.load.measure import Series
from ops.load.strength import Counts, Fleet
from ops.load.traffic import HttpSender, Outcome, Request, Sender
from ops.terminal.options import AsJson, DryRun, Env, Rehearse, Yes

WATCH_SECONDS = 3.0
_BAR_WIDTH = 40


class Preset(StrEnum):
    """Load tests that have a name."""

    BASIC = "basic"
    SCALE = "scale"


@dataclass(frozen=True)
class Plan:
    """Rounds of `requests` requests or of `seconds`, `concurrency` at once, or `rate` a second where that is given."""

    path: str = "/"
    rounds: int = 1
    requests: int | None = 1000
    seconds: float | None = None
    concurrency: int = 50
    rate: float | None = None
    timeout: float = 10.0

    def __str__(self) -> str:
        amount = f"{self.requests} requests" if self.requests else f"{self.seconds:g} s"
        pace = f"{self.rate:g} a second" if self.rate else f"{self.concurrency} at once"
        rounds = f"{self.rounds} rounds of " if self.rounds > 1 else ""
        return f"{rounds}{amount}, {pace}, to {self.path}"

    def ends(self, now: float, number: int) -> bool:
        """Whether a round has sent all of its requests, `now` seconds after its first."""
        if self.requests is not None and number >= self.requests:
            return True
        return self.seconds is not None and now >= self.seconds


PRESETS: Mapping[Preset, Plan] = {
    Preset.BASIC: Plan(requests=1000, concurrency=50),
    Preset.SCALE: Plan(requests=5000, concurrency=100, rounds=5),
}


@dataclass(frozen=True)
class Round:
    """What one round came to: times in seconds, of good answers only, as a quick refusal is no quick answer."""

    requests: int
    failed: int
    seconds: float
    failures: Mapping[str, int]
    answers: Sequence[float]
    late: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Seen:
    """The task counts of the services from a moment on, in seconds from the beginning."""

    at: float
    services: Mapping[str, Counts]


@dataclass
class Result:
    """A load test, growing while it runs. `busy` is the share of one core that this program used."""

    plan: Plan
    url: str
    rounds: list[Round] = field(default_factory=list)
    timeline: list[Seen] = field(default_factory=list)
    unseen: str | None = None
    busy: float = 0.0

    @property
    def answers(self) -> list[float]:
        return sorted(took for each in self.rounds for took in each.answers)

    @property
    def requests(self) -> int:
        return sum(each.requests for each in self.rounds)

    @property
    def failed(self) -> int:
        return sum(each.failed for each in self.rounds)

    @property
    def failures(self) -> Mapping[str, int]:
        kinds = sorted({kind for each in self.rounds for kind in each.failures})
        return {kind: sum(each.failures.get(kind, 0) for each in self.rounds) for kind in kinds}

    @property
    def per_second(self) -> float:
        seconds = sum(each.seconds for each in self.rounds)
        return self.requests / seconds if seconds else 0.0


def exceeded(result: Result, *, max_failed: int, max_p95: float | None) -> list[str]:
    """The limits that a load test did not hold, each as a line; `max_p95` is in milliseconds."""
    found = []
    if result.failed > max_failed:
        found.append(f"{result.failed} requests failed, allowed: {max_failed}")
    p95 = figures.percentile(result.answers, 95)
    if max_p95 is not None and (p95 is None or p95 * 1000 > max_p95):
        found.append(f"p95 is {_ms(p95)}, allowed: {max_p95:g} ms")
    return found


async def run(
    sender: Sender,
    result: Result,
    *,
    watch: Callable[[], Awaitable[Mapping[str, Counts]]],
    tick: Callable[[Outcome, float], None] = lambda outcome, since: None,
    watch_seconds: float = WATCH_SECONDS,
) -> None:
    """Send the rounds one after the other, adding to `result`; `tick` is told what the round under way came to."""
    loop, plan = asyncio.get_running_loop(), result.plan
    request = Request("load", plan.path)
    await traffic.check(sender, request, result.url)
    begin, used = loop.time(), time.process_time()

    async def look() -> None:
        try:
            counts = await watch()
        except OpsError as error:
            # The requests are what is asked for: without a view of the tasks they go on.
            result.unseen = str(error)
            return
        if not result.timeline or result.timeline[-1].services != counts:
            result.timeline.append(Seen(loop.time() - begin, counts))

    current = Outcome(), begin

    async def show() -> None:
        tick(*current)

    background = [
        asyncio.create_task(traffic.repeatedly(look, watch_seconds)),
        asyncio.create_task(traffic.repeatedly(show, 0.25)),
    ]
    try:
        for _ in range(plan.rounds):
            outcome, since = Outcome(), loop.time()
            current = outcome, since
            try:
                if plan.rate:
                    await traffic.at_rate(
                        sender, lambda _: request, outcome, rate=plan.rate, stop=plan.ends, begin=since
                    )
                else:
                    await traffic.at_once(
                        sender, request, outcome, concurrency=plan.concurrency, stop=plan.ends, begin=since
                    )
            finally:
                # Of an interrupted round what it came to until then.
                result.rounds.append(_round(outcome, loop.time() - since))
        await look()
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
    result.busy = (time.process_time() - used) / max(loop.time() - begin, 1e-9)


def _round(outcome: Outcome, seconds: float) -> Round:
    series = outcome.series.get("load") or Series("load")
    return Round(
        requests=len(series),
        failed=series.failed,
        seconds=seconds,
        failures=figures.totals([series]),
        answers=series.answer_times(),
        late=outcome.late,
    )


def command(
    env: Env = "local",
    rehearse: Rehearse = False,
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="basic: 1000 requests, 50 at once. scale: five rounds of 5000, 100 at once. "
            "Further options change it."
        ),
    ] = None,
    path: Annotated[str | None, typer.Option(help="Path to ask for, from / on. Default: /.")] = None,
    requests: Annotated[int | None, typer.Option("--requests", "-n", min=1, help="Requests a round.")] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency", "-c", min=1, max=10_000, help="Requests under way at once. Default: 50."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=100_000,
            help="Requests a second, sent when due whatever the answers do, instead of --concurrency.",
        ),
    ] = None,
    duration: Annotated[str | None, typer.Option(help="Length of a round: 90, 90s, 5m, 1h.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=1000, help="Rounds, one after the other.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=300, help="Seconds after which a request failed.")
    ] = 10.0,
    max_failed: Annotated[
        int, typer.Option(min=0, help="Exit status 3 when more requests than this failed.")
    ] = 0,
    max_p95: Annotated[
        float | None,
        typer.Option(min=0, help="Exit status 3 when the 95th percentile is above this many milliseconds."),
    ] = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send many requests and tell how fast and how well they are answered, with the task counts beside it.

    Times count from when a request was due. With --rate that finds what users wait for; without it, how much
    the application bears. A request fails without a 2xx answer in time.

    Examples:

    \b
    suppliers load --env dev --preset scale
    suppliers load --env dev --rate 200 --duration 5m --path /suppliers --max-p95 300
    """
    plan = plan_of(
        preset,
        path=path,
        requests=requests,
        concurrency=concurrency,
        rate=rate,
        duration=duration,
        rounds=rounds,
        timeout=timeout,
    )
    with operating(env, rehearse=rehearse) as session:
        deployment = read(session)
        place = endpoint(deployment, session.instance)
        if dry_run:
            session.print_plan([f"send {plan} at {place.url}"])
            return
        session.confirm(f"send {plan} at {place.url}", yes=yes)
        result = Result(plan, place.url)
        fleet = Fleet(session.clients, deployment.cluster, deployment.services)

        async def watch() -> Mapping[str, Counts]:
            with told_by_aws(session.name):
                return await asyncio.to_thread(fleet.counts)

        async def everything() -> None:
            async with HttpSender(place, timeout=plan.timeout) as sender:
                with _live(session, result) as tick:
                    await run(sender, result, watch=watch, tick=tick)

        # What was measured until Ctrl-C is told as well.
        interrupted = False
        try:
            asyncio.run(everything())
        except KeyboardInterrupt:
            interrupted = True
        broken = exceeded(result, max_failed=max_failed, max_p95=max_p95)
        if as_json:
            session.print_json({**document(result), "exceeded": broken})
        else:
            session.console.print(Group(*_tables(result)))
            for line in broken:
                session.console.print(f"[red]✗[/] {line}")
        if interrupted:
            session.notes.print("interrupted: the figures are of what was sent until then", style="yellow")
            raise typer.Exit(errors.INTERRUPTED)
        if broken or not result.rounds:
            raise typer.Exit(errors.DOES_NOT_HOLD)


def plan_of(preset: Preset | None, *, duration: str | None, **given: Any) -> Plan:
    """The preset with what was given changed; raises `OpsError` for what contradicts itself."""
    if given["rate"] is not None and given["concurrency"] is not None:
        raise WrongUsage(
            "--rate and --concurrency: a steady rate has no limit of requests at once; give one of them"
        )
    plan = replace(
        PRESETS[preset or Preset.BASIC], **{name: value for name, value in given.items() if value is not None}
    )
    if not plan.path.startswith("/"):
        raise WrongUsage(f"--path {plan.path}: a path begins with /, an example is /suppliers")
    if duration is not None:
        # The time ends a round where no number of requests was given beside it.
        plan = replace(plan, seconds=seconds_of(duration), requests=given["requests"])
    return plan


def seconds_of(text: str, option: str = "--duration") -> float:
    """The length of a time such as 90, 90s, 5m or 1h; raises `OpsError` for any other text."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if seconds <= 0:
        raise WrongUsage(f"{option} {text}: a time above 0 is needed, such as 90, 90s, 5m or 1h")
    return seconds


def document(result: Result) -> dict[str, Any]:
    """A load test for programs; times in milliseconds, moments in seconds from the beginning."""
    return {
        "url": result.url,
        "plan": asdict(result.plan),
        "requests": result.requests,
        "failed": result.failed,
        "failures": result.failures,
        "requests_per_second": round(result.per_second, 1),
        "milliseconds": _milliseconds(result.answers),
        "histogram": [
            {"below_milliseconds": round(bar.below * 1000, 6), "count": bar.count}
            for bar in figures.histogram(result.answers)
        ],
        "rounds": [
            {
                "requests": each.requests,
                "failed": each.failed,
                "failures": each.failures,
                "seconds": round(each.seconds, 3),
                "requests_per_second": round(each.per_second, 1),
                "milliseconds": _milliseconds(each.answers),
                "sent_late": each.late,
            }
            for each in result.rounds
        ],
        "tasks": [
            {
                "second": round(seen.at, 1),
                "services": {name: asdict(counts) for name, counts in seen.services.items()},
            }
            for seen in result.timeline
        ],
        "tasks_unseen": result.unseen,
        "generator_busy_percent": round(result.busy * 100),
    }


def _milliseconds(ordered: Sequence[float]) -> dict[str, float | None]:
    return {
        name: None if value is None else round(value * 1000, 1)
        for name, value in figures.percentiles(ordered).items()
    }


@contextlib.contextmanager
def _live(session: Session, result: Result) -> Any:
    """A table that shows the load test while it runs, where somebody looks on."""
    if not session.notes.is_terminal:
        yield lambda outcome, since: None
        return
    with Live(console=session.notes, auto_refresh=False, transient=True) as live:

        def tick(outcome: Outcome, since: float) -> None:
            now = _round(outcome, asyncio.get_running_loop().time() - since)
            under_way = f"{outcome.in_flight} under way"
            rounds = _rounds_table([*result.rounds, now])
            live.update(Group(rounds, under_way, *_timeline_lines(result)[-5:]), refresh=True)

        yield tick


def _tables(result: Result) -> list[Any]:
    parts: list[Any] = [f"{result.plan} at {result.url}", _rounds_table(result.rounds)]
    answers = result.answers
    if answers:
        bars = figures.histogram(answers)
        most = max(bar.count for bar in bars)
        chart = Table(box=None, pad_edge=False)
        for heading in ("answered within", "answers", ""):
            chart.add_column(heading, justify="left" if not heading else "right")
        for bar in bars:
            length = _BAR_WIDTH * bar.count / most
            chart.add_row(_ms(bar.below), str(bar.count), "█" * round(length) or ("▏" if bar.count else ""))
        parts += ["", chart]
    for kind, count in result.failures.items():
        parts.append(f"[red]{count} failed[/]: {kind}")
    parts += ["", *_timeline_lines(result)]
    late = sum(each.late for each in result.rounds)
    if result.plan.rate and late:
        parts.append(
            f"[yellow]{late} requests were sent more than {traffic.LATE_SECONDS * 1000:g} ms late[/]: this "
            "machine could not keep the rate; their times include it"
        )
    if result.busy > 0.9:
        parts.append(
            "[yellow]This program used a whole core[/]: a faster application would not have been seen as one"
        )
    return parts


def _rounds_table(rounds: Sequence[Round]) -> Table:
    table = Table(box=None, pad_edge=False)
    named = [f"{name} ms" for name in figures.percentiles([])]
    for heading in ("round", "requests", "failed", "seconds", "per s", *named):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, each in enumerate(rounds, start=1):
        table.add_row(
            str(number),
            str(each.requests),
            f"[red]{each.failed}[/]" if each.failed else "0",
            f"{each.seconds:.1f}",
            f"{each.per_second:.1f}",
            *("-" if value is None else f"{value:.1f}" for value in _milliseconds(each.answers).values()),
        )
    return table


def _timeline_lines(result: Result) -> list[str]:
    lines = []
    for seen in result.timeline:
        counts = ", ".join(
            f"{name} {each.running}/{each.desired}" + (f" ({each.pending} starting)" if each.pending else "")
            for name, each in seen.services.items()
        )
        lines.append(f"tasks after {seen.at:5.1f} s: {counts}")
    if result.unseen:
        lines.append(f"[yellow]tasks were not seen[/]: {result.unseen}")
    return lines


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
