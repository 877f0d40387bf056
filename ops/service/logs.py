"""`logs`: what a service writes, readable."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.errors import WrongUsage
from ops.terminal.options import Env, Rehearse, complete_services
from ops.terminal.text import moment

_POLL_SECONDS = 2.0
# Events may arrive this much later than they happened.
_LATE_MILLISECONDS = 30_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# What is searched is the line as it is shown. CloudWatch searches it as it was written, which finds as much where the text
# is part of one value: no `=`, which only the shown line has, nor what could be of a time or of a task's id. Besides,
# that is what a regular expression of a filter pattern may hold as it stands:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/regex-expressions.html
_PLAIN = re.compile(r"(?=.*[G-Zg-z/@])[A-Za-z0-9_#@/;,-]+")
_LEVELS = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
# Shown by themselves, or not worth a place in every line.
_SHOWN = frozenset({"time", "level", "message", "service", "logger", "trace", "_aws"})


@dataclass(frozen=True)
class Line:
    """One line of a log: what it says, and of which task it is."""

    at: datetime
    task: str
    text: str
    service: str = ""


@dataclass(frozen=True)
class Span:
    """From when to when, in milliseconds since 1970; without an end up to now."""

    start: int
    end: int | None = None


def command(
    services: Annotated[
        list[str],
        typer.Argument(
            autocompletion=complete_services, metavar="SERVICE...", help="One service or several."
        ),
    ],
    env: Env = "local",
    rehearse: Rehearse = False,
    since: Annotated[str, typer.Option(help="From so long ago on: 30s, 10m, 2h or 1d.")] = "10m",
    until: Annotated[str | None, typer.Option(help="Up to so long ago.")] = None,
    grep: Annotated[
        str | None, typer.Option(help="Only lines that hold this text, as they are shown or with --json.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only of the task whose id begins so.")] = None,
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=1, help="Only the last lines, so many.")
    ] = None,
    health_checks: Annotated[
        bool, typer.Option("--health-checks", help="Also the load balancer's health checks.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a line, for programs.")
    ] = False,
) -> None:
    """Show the log of services: time, level, message, route and status, trace, task.

    A health check is a request that did not come through the load balancer, which would have given it a trace.

    Examples:

    \b
    suppliers logs customer --since 10m
    suppliers logs employee --env prod --since 2h --grep ERROR
    suppliers logs customer employee --since 2h --until 1h --grep status=503
    suppliers logs customer --env prod --follow
    """
    seconds, before = duration(since), 0.0 if until is None else duration(until, "--until")
    if follow and (until is not None or last is not None):
        raise typer.BadParameter("--follow goes on; leave out --until and --last")
    with operating(env, rehearse=rehearse) as session:
        deployment = deployed.read(session)
        groups = {deployment.service(name).log_group: name for name in services}
        now = time.time()
        span = Span(int((now - seconds) * 1000), None if until is None else int((now - before) * 1000))

        def wanted(line: Line) -> bool:
            if not line.task.startswith(task or ""):
                return False
            if as_json:
                return grep is None or grep in line.text
            if is_metrics(line) or (is_health_check(line) and not health_checks):
                return False
            return grep is None or grep in readable(line).plain

        found = (line for line in lines(session, groups, span, grep, follow=follow) if wanted(line))
        shown = 0
        try:
            for line in found if last is None else deque(found, maxlen=last):
                shown += 1
                if as_json:
                    print(_as_json(line), flush=True)
                else:
                    session.console.print(readable(line, named=len(groups) > 1), soft_wrap=True)
        except KeyboardInterrupt:
            # The way out of following, no failure.
            return
        if not shown:
            what = f"no line holds {grep!r}" if grep else "no line"
            session.notes.print(f"{what} since {since} ago, of {', '.join(services)}", markup=False)


def duration(text: str, option: str = "--since") -> float:
    """Seconds; raises `OpsError` for what is no duration."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise WrongUsage(
            f"{option}: {text!r} is no duration; allowed: a number with s, m, h or d, such as 10m"
        )
    return int(found[1]) * _UNITS[found[2]]


def lines(
    session: Session, groups: Mapping[str, str], span: Span, grep: str | None = None, *, follow: bool
) -> Iterator[Line]:
    """The lines of the log groups of services, in the order of their times; all that could hold `grep`.

    With `follow` it never ends. Each line comes once.
    """
    seen: dict[str, int] = {}
    while True:
        found = [_events(session, group, service, span, grep) for group, service in groups.items()]
        for event, service in merge(*found, key=lambda pair: pair[0]["timestamp"]):
            if event["eventId"] in seen:
                continue
            seen[event["eventId"]] = event["timestamp"]
            at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            yield Line(at, event["logStreamName"].rpartition("/")[2], event["message"].rstrip(), service)
        if not follow:
            return
        span = Span(max(span.start, int(time.time() * 1000) - _LATE_MILLISECONDS))
        seen = {name: at for name, at in seen.items() if at >= span.start}
        time.sleep(_POLL_SECONDS)


def _events(
    session: Session, group: str, service: str, span: Span, grep: str | None
) -> Iterator[tuple[Any, str]]:
    asked: dict[str, Any] = {"logGroupName": group, "startTime": span.start}
    if span.end is not None:
        asked["endTime"] = span.end
    if grep is not None and session.instance is None and _PLAIN.fullmatch(grep):
        asked["filterPattern"] = f"%{grep}%"
    pages = session.clients.client("logs").get_paginator("filter_log_events").paginate(**asked)
    for page in pages:
        yield from ((event, service) for event in page["events"])


def is_metrics(line: Line) -> bool:
    """Whether a line only carries embedded metrics, which people look up elsewhere."""
    return line.text.startswith('{"_aws"')


def is_health_check(line: Line) -> bool:
    """Whether it is of a request that did not come through the load balancer."""
    try:
        document = json.loads(line.text)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("message") == "request" and not document.get("trace")


def readable(line: Line, *, named: bool = False) -> Text:
    """A structured line by its parts, another one as it stands; `named` by its service."""
    try:
        document = json.loads(line.text)
    except ValueError:
        document = None
    text = Text(f"{moment(line.at)} ", "dim")
    if named:
        text.append(f"{line.service} ", "bold")
    if not isinstance(document, dict) or "message" not in document:
        return text.append(line.text)
    level = str(document.get("level", ""))
    text.append(f"{level:<8}", _LEVELS.get(level, ""))
    text.append(str(document["message"]), _LEVELS.get(level, ""))
    for name, value in document.items():
        if name not in _SHOWN and value not in ("", None):
            text.append(f" {name}=", "dim").append(value if isinstance(value, str) else json.dumps(value))
    if document.get("trace"):
        text.append(f" trace={document['trace']}", "dim")
    return text.append(f" task={line.task[:8]}", "dim")


def _as_json(line: Line) -> str:
    try:
        document = json.loads(line.text)
    except ValueError:
        document = line.text
    return json.dumps({"at": line.at.isoformat(), "task": line.task, "event": document}, ensure_ascii=False)
