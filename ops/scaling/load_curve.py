"""Load over time, from a CSV file or by the name of a built-in curve.

A file has a line with the names of its columns, then one a point in time, rising:

- `minute`: a whole number; between two points the load changes evenly
- `cpu`: what all tasks together need, in tasks (1.5 is what keeps one and a half tasks fully busy)
- `requests` (optional): all requests of that minute
- `memory` (optional): what all tasks together hold, in tasks
- `release` (optional): 1 while a release keeps both sides, from this point to the next, else 0

Lines that start with # say what the curve is about.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ops.errors import OpsError, WrongUsage

BUILT_IN = Path(__file__).parent / "curves"
LONGEST_DAYS = 14
_LARGEST = 1e7
_REQUIRED = ("minute", "cpu")
_OPTIONAL = ("requests", "memory", "release")


@dataclass(frozen=True)
class Load:
    """What one minute asks of a service: `cpu` and `memory` in tasks, `requests` in all."""

    cpu: float
    requests: float = 0.0
    memory: float = 0.0
    release: bool = False


@dataclass(frozen=True)
class LoadCurve:
    """A load for each minute."""

    name: str
    about: str
    loads: tuple[Load, ...]


@dataclass(frozen=True)
class _Point:
    minute: int
    load: Load


def names() -> list[str]:
    """The built-in curves."""
    return sorted(path.stem for path in BUILT_IN.glob("*.csv"))


def load(file_or_name: str) -> LoadCurve:
    """Read a curve; raises `OpsError` with one line: file, line, what is wrong, what is allowed."""
    path = BUILT_IN / f"{file_or_name}.csv" if file_or_name in names() else Path(file_or_name)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WrongUsage(
            f"curve: {file_or_name}: no such file; built-in curves are {', '.join(names())}"
        ) from None
    except UnicodeDecodeError as error:
        raise OpsError(f"curve: {path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise OpsError(f"curve: {path}: cannot be read: {error.strerror}") from None
    return parse(text, path.stem, str(path))


def parse(text: str, name: str, where: str) -> LoadCurve:
    """A curve from the text of a file; raises `OpsError` as `load` does."""
    about = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    points = list(_points(text, where))
    if len(points) < 2:
        raise OpsError(f"curve: {where}: {len(points)} points; at least 2 are needed, the first at minute 0")
    return LoadCurve(name, about, tuple(_filled(points)))


def _points(text: str, where: str) -> Iterator[_Point]:
    lines = ((number, line) for number, line in enumerate(text.splitlines(), 1) if not line.startswith("#"))
    lines = ((number, line) for number, line in lines if line.strip())
    columns: Sequence[str] | None = None
    latest: int | None = None
    for number, line in lines:
        here = f"curve: {where}: line {number}"
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if columns is None:
            columns = _columns(cells, here)
            continue
        if len(cells) != len(columns):
            raise OpsError(f"{here}: {len(cells)} values for {len(columns)} columns ({', '.join(columns)})")
        point = _point(dict(zip(columns, cells, strict=True)), here)
        if latest is None and point.minute != 0:
            raise OpsError(f"{here}: the first minute must be 0, not {point.minute}")
        if latest is not None and point.minute <= latest:
            raise OpsError(f"{here}: minute {point.minute} must be above {latest}, the one before")
        if point.minute > LONGEST_DAYS * 24 * 60:
            raise OpsError(
                f"{here}: minute {point.minute} is beyond {LONGEST_DAYS} days ({LONGEST_DAYS * 24 * 60} minutes)"
            )
        latest = point.minute
        yield point


def _columns(cells: Sequence[str], here: str) -> Sequence[str]:
    allowed = (*_REQUIRED, *_OPTIONAL)
    wrong = [cell for cell in cells if cell not in allowed] or [
        cell for cell in cells if cells.count(cell) > 1
    ]
    if wrong or any(name not in cells for name in _REQUIRED):
        raise OpsError(
            f"{here}: columns must be {', '.join(_REQUIRED)} and any of {', '.join(_OPTIONAL)}, "
            f"not {', '.join(cells)}"
        )
    return cells


def _point(row: dict[str, str], here: str) -> _Point:
    if not row["minute"].isascii() or not row["minute"].isdecimal():
        raise OpsError(f"{here}: minute {row['minute']!r} is no whole number from 0 on")
    if row.get("release", "0") not in ("0", "1"):
        raise OpsError(f"{here}: release {row['release']!r} is not 0 or 1")
    amounts = {name: _amount(name, row.get(name, "0"), here) for name in ("cpu", "requests", "memory")}
    return _Point(int(row["minute"][:9]), Load(**amounts, release=row.get("release") == "1"))


def _amount(name: str, text: str, here: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _LARGEST:
        raise OpsError(f"{here}: {name} {text!r} is no number from 0 to {_LARGEST:.0f}")
    return value


def _filled(points: Sequence[_Point]) -> Iterator[Load]:
    for start, end in pairwise(points):
        for minute in range(start.minute, end.minute):
            share = (minute - start.minute) / (end.minute - start.minute)
            first, last = start.load, end.load
            yield Load(
                cpu=first.cpu + (last.cpu - first.cpu) * share,
                requests=first.requests + (last.requests - first.requests) * share,
                memory=first.memory + (last.memory - first.memory) * share,
                release=first.release,
            )
    yield points[-1].load
