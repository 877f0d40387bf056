"""Showing how a service would scale under a load, on the terminal, as JSON and as a picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

import settings
from ops.errors import OpsError, WrongUsage
from ops.scaling import load_curve
from ops.scaling import policies as scaling_policies
from ops.scaling.load_curve import LoadCurve
from ops.scaling.simulation import Replay, replay
from ops.synthesis import templates
from ops.terminal.options import AsJson, Env, complete_services

# Key of a picture's text that holds the digest of what it shows.
DIGEST = "replay"
_RUNNING, _STARTING, _RELEASE = "steel_blue3", "yellow3", "grey42"
# Told apart without colours too.
_LEGEND = {
    "█": ("running", _RUNNING),
    "▒": ("starting", _STARTING),
    "▞": ("idle side of a release", _RELEASE),
}


def command(
    curve: Annotated[
        str, typer.Option(help=f"A CSV file, or one of {', '.join(load_curve.names())} (docs/scaling.md).")
    ],
    env: Env = "local",
    service: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_services, help="Whose policies; without it those of the first service."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also draw a picture (PNG) into this file.")] = None,
    start: Annotated[
        str, typer.Option(help="When the curve begins, which matters for schedules; UTC if it says no zone.")
    ] = "2026-01-05T00:00",
    folder: Annotated[
        Path | None,
        typer.Option("--templates", help="Templates to read instead of synthesizing, such as cdk.out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a service would scale under a load, from the policies and alarms of its template.

    Example: python -m ops simulate --curve spike --env prod --out spike.png
    """
    environment = settings.load(env)
    loads, begin = load_curve.load(curve), moment(start)
    found = templates.in_folder(folder, environment) if folder else templates.synthesized(environment)
    replayed = run(templates.merged(found), loads, start=begin, service=service)
    if as_json:
        print(as_document(replayed))
    else:
        console = Console()
        print(*summary(replayed), sep="\n")
        console.print(terminal(replayed, console.width))
    if out:
        draw(replayed, out)


def moment(text: str) -> datetime:
    """When a curve begins; without a zone in UTC. Raises `OpsError` for what is no moment."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUsage(f"start: {text!r} is no moment; an example is 2026-01-05T08:00") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def run(
    template: Mapping[str, Any], curve: LoadCurve, *, start: datetime, service: str | None = None
) -> Replay:
    """Replay a curve through the policies of a service of a template, of its first one without a name."""
    names = scaling_policies.services_of(template)
    if not names:
        raise OpsError("the templates scale no service")
    return replay(scaling_policies.read(template, service or names[0]), curve, start=start)


def summary(found: Replay) -> Iterator[str]:
    """What happened, one line a fact."""
    yield f"{found.service} under {found.curve.name}: {found.curve.about}".rstrip(": ")
    counts = [minute.desired for minute in found.minutes]
    yield (
        f"{min(counts)} to {max(counts)} tasks, {len(found.changes)} changes, "
        f"{found.direction_changes} of direction, {len(found.flaps)} flaps, "
        f"{found.overloaded_minutes} of {len(counts)} minutes overloaded"
    )
    for change in found.changes:
        at = found.minutes[change.minute].utilization
        yield f"  minute {change.minute:>5}: {change.before} to {change.after} at {at:.0f} % CPU, by {change.by}"


def terminal(found: Replay, width: int) -> Text:
    """The counts over time, a row a task, at most `width` columns."""
    text = Text()
    # What matters of the minutes of one column is the most tasks.
    columns = list(_columns(found, max(width - 6, 10)))
    tallest = max(max(desired, running) for desired, running, _, _ in columns)
    for row in range(tallest, 0, -1):
        text.append(f"{row:>4} ")
        for desired, running, _, _ in columns:
            if running >= row:
                text.append(*(("█", _RUNNING) if desired >= row else ("▞", _RELEASE)))
            else:
                text.append("▒" if desired >= row else " ", _STARTING)
        text.append("\n")
    text.append("CPU  ")
    for _, _, utilization, _ in columns:
        text.append("▁▂▃▄▅▆▇█"[min(int(utilization / 12.5), 7)], "red" if utilization > 100 else "green")
    hours = len(found.minutes) / 60
    text.append(f"\n     0 to {hours:.3g} h")
    for sign, (meaning, style) in _LEGEND.items():
        text.append("  ").append(f"{sign} {meaning}", style)
    return text


def _columns(found: Replay, width: int) -> Iterator[tuple[int, int, float, bool]]:
    minutes = found.minutes
    count = min(width, len(minutes))
    numbered = groupby(range(len(minutes)), lambda number: number * count // len(minutes))
    for _, numbers in numbered:
        inside = [minutes[number] for number in numbers]
        yield (
            max(each.desired for each in inside),
            max(each.all_running for each in inside),
            max(each.utilization for each in inside),
            any(each.load.release for each in inside),
        )


def as_document(found: Replay) -> str:
    """Everything about a replay, for programs."""
    document = {
        "service": found.service,
        "curve": found.curve.name,
        "start": found.start.isoformat(),
        "direction_changes": found.direction_changes,
        "flaps": len(found.flaps),
        "overloaded_minutes": found.overloaded_minutes,
        "changes": [asdict(change) for change in found.changes],
        "minutes": [asdict(minute) for minute in found.minutes],
    }
    return json.dumps(document)


def digest(found: Replay) -> str:
    """What identifies a replay: two pictures of one digest show the same."""
    shown = [
        (
            round(each.load.cpu, 3),
            each.load.release,
            each.min_tasks,
            each.max_tasks,
            each.desired,
            each.all_running,
        )
        for each in found.minutes
    ]
    return hashlib.sha256(json.dumps([found.curve.name, shown]).encode()).hexdigest()


def draw(found: Replay, file: Path) -> None:
    """Write a picture (PNG) of a replay; raises `OpsError` when the file cannot be written."""
    if file.suffix.lower() != ".png":
        raise WrongUsage(f"out: {file}: the name of the picture must end in .png")
    # Imported here: only a picture needs it. No display is needed for the file alone.
    from matplotlib.figure import Figure

    minutes = found.minutes
    hours = [number / 60 for number in range(len(minutes))]
    figure = Figure(figsize=(9, 4.5), dpi=110, layout="constrained")
    tasks, cpu = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes in (tasks, cpu):
        _shade_releases(axes, found)
        axes.grid(visible=True, alpha=0.25)
    for bound in ("min_tasks", "max_tasks"):
        tasks.step(
            hours, [getattr(each, bound) for each in minutes], where="post", color="grey", lw=1, ls=":"
        )
    tasks.fill_between(
        hours, [each.running for each in minutes], step="post", color="tab:blue", alpha=0.3, label="serving"
    )
    tasks.step(hours, [each.desired for each in minutes], where="post", color="tab:blue", label="desired")
    tasks.plot(hours, [each.load.cpu for each in minutes], color="tab:red", lw=1.2, label="load, in tasks")
    tasks.set_ylabel("tasks")
    tasks.set_ylim(
        0, max(max(each.max_tasks for each in minutes), max(each.load.cpu for each in minutes)) + 0.5
    )
    tasks.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize="small", ncols=3, frameon=False)
    tasks.set_title(f"{found.service} under {found.curve.name}", loc="left", fontsize="medium")
    cpu.plot(hours, [min(each.utilization, 100) for each in minutes], color="tab:green", lw=1.2)
    cpu.set_ylabel("CPU of those\nthat serve (%)")
    cpu.set_ylim(0, 105)
    cpu.set_xlabel("hours")
    try:
        figure.savefig(file, metadata={DIGEST: digest(found), "Software": None})
    except OSError as error:
        raise OpsError(f"out: {file} cannot be written: {error.strerror}") from None


def _shade_releases(axes: Any, found: Replay) -> None:
    for release, numbers in groupby(range(len(found.minutes)), lambda each: found.minutes[each].load.release):
        inside: Sequence[int] = list(numbers)
        if release:
            axes.axvspan(inside[0] / 60, (inside[-1] + 1) / 60, color="tab:orange", alpha=0.12, lw=0)
