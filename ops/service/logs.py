"""`logs`: what a service writes, readable."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.errors import OpsError
from ops.terminal.options import Env, Rehearse

_POLL_SECONDS = 2.0
# Events may arrive this much later than they happened.
_LATE_MILLISECONDS = 30_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# What a regular expression of a filter pattern may hold as it stands:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/regex-expressions.html
_PLAIN = re.compile(r"[A-Za-z0-9:_#=@/;,-]+")
_LEVELS = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
# Shown by themselves, or not worth a place in every line.
_SHOWN = frozenset({"time", "level", "message", "service", "logger", "trace", "_aws"})


@dataclass(frozen=True)
class Line:
    """One line of a log: what it says, and of which task it is."""

    at: datetime
    task: str
    text: str


def command(
    service: Annotated[str, typer.Argument(help="The service.")],
    env: Env = "local",
    rehearse: Rehearse = False,
    since: Annotated[str, typer.Option(help="How far back: 30s, 10m, 2h or 1d.")] = "10m",
    grep: Annotated[str | None, typer.Option(help="Only lines that hold this text.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a line, for programs.")
    ] = False,
) -> None:
    """Show the log of a service: time, level, message, route and status, trace, task.

    Examples:

    \b
    suppliers logs customer --since 10m
    suppliers logs employee --env prod --since 2h --grep ERROR
    suppliers logs customer --env prod --follow
    """
    seconds = duration(since)
    with operating(env, rehearse=rehearse) as session:
        group = deployed.read(session).service(service).log_group
        start = int((time.time() - seconds) * 1000)
        try:
            for line in lines(session, group, start=start, grep=grep, follow=follow):
                if as_json:
                    print(_as_json(line), flush=True)
                elif not is_metrics(line):
                    session.console.print(readable(line), soft_wrap=True)
        except KeyboardInterrupt:
            # The way out of following, no failure.
            return


def duration(text: str) -> float:
    """Seconds; raises `OpsError` for what is no duration."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise OpsError(f"--since: {text!r} is no duration; allowed: a number with s, m, h or d, such as 10m")
    return int(found[1]) * _UNITS[found[2]]


def lines(session: Session, group: str, *, start: int, grep: str | None, follow: bool) -> Iterator[Line]:
    """The lines of a log group from `start` (milliseconds since 1970) on, in the order of their times.

    With `follow` it never ends. Each line comes once.
    """
    seen: dict[str, int] = {}
    while True:
        for event in _events(session, group, start, grep):
            if event["eventId"] in seen:
                continue
            seen[event["eventId"]] = event["timestamp"]
            if grep is None or grep in event["message"]:
                at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                yield Line(at, event["logStreamName"].rpartition("/")[2], event["message"].rstrip())
        if not follow:
            return
        start = max(start, int(time.time() * 1000) - _LATE_MILLISECONDS)
        seen = {name: at for name, at in seen.items() if at >= start}
        time.sleep(_POLL_SECONDS)


def _events(session: Session, group: str, start: int, grep: str | None) -> Iterator[Any]:
    asked: dict[str, Any] = {"logGroupName": group, "startTime": start}
    if grep is not None and session.instance is None and _PLAIN.fullmatch(grep):
        asked["filterPattern"] = f"%{grep}%"
    pages = session.clients.client("logs").get_paginator("filter_log_events").paginate(**asked)
    for page in pages:
        yield from page["events"]


def is_metrics(line: Line) -> bool:
    """Whether a line only carries embedded metrics, which people look up elsewhere."""
    return line.text.startswith('{"_aws"')


def readable(line: Line) -> Text:
    """A structured line by its parts, another one as it stands."""
    try:
        document = json.loads(line.text)
    except ValueError:
        document = None
    text = Text(f"{line.at.astimezone():%H:%M:%S} ", "dim")
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
