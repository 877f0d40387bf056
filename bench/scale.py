"""How synthesis grows with the number of services: 2, 10, 21 and 49 in copies of the tree, without and with checks.

Seconds of CPU, of the CLI and all its processes: what else runs on the machine hardly changes them. Sizes take turns;
medians, after a turn that is not counted. A line is fitted to the medians: growth is linear where every size lies on it and each further service costs
as much as the one before.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import settings
from tests.many_services import add_services

SIZES = (2, 10, 21, 49)
# Context of the CLI and number of runs; the checks take several times as long.
KINDS: Mapping[str, tuple[Sequence[str], int]] = {
    "without checks": ((), 3),
    "with checks": (("-c", "checks=true"), 1),
}


def main() -> None:
    """Print the figures of each size."""
    with tempfile.TemporaryDirectory() as folder:
        trees = {size: tree(Path(folder) / str(size), size) for size in SIZES}
        times: dict[str, dict[int, list[float]]] = {kind: {size: [] for size in SIZES} for kind in KINDS}
        for root in trees.values():
            seconds(root, ())
        for turn in range(max(runs for _, runs in KINDS.values())):
            for kind, (context, runs) in KINDS.items():
                for size, root in trees.items():
                    if turn < runs:
                        times[kind][size].append(seconds(root, context))
    for kind, by_size in times.items():
        Console().print(table(kind, {size: statistics.median(each) for size, each in by_size.items()}))


def tree(root: Path, size: int) -> Path:
    """A copy of the tracked files below `root`, with so many services and a database that takes them."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=settings.ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.splitlines()
    for name in listed:
        if not name.startswith(("tests/", "docs/", "emulator/")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(settings.ROOT / name, root / name)
    add_services(root, size, whole=True, public=True)
    dev = root / "environments/dev.toml"
    dev.write_text(dev.read_text().replace("db.t4g.small", "db.r7g.4xlarge"))
    return root


def seconds(root: Path, context: Sequence[str]) -> float:
    """The CPU time of one synth in a tree, which must succeed."""
    command: list[str | Path] = [
        settings.ROOT / "node_modules/.bin/cdk",
        "synth",
        "-q",
        "-c",
        "env=dev",
        *context,
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'constructs'}"},
        check=True,
        capture_output=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def table(kind: str, medians: Mapping[int, float]) -> Table:
    """Each size's CPU time, what a further service cost since the size before, and how it lies to the fitted line."""
    slope, intercept = statistics.linear_regression(list(medians), list(medians.values()))
    found = Table(
        title=f"Synthesis of dev {kind}: {intercept:.1f} s + {slope:.2f} s a service",
        min_width=76,
    )
    for column in ("services", "CPU s", "CPU s a further service", "to the line"):
        found.add_column(column, justify="right")
    before: tuple[int, float] | None = None
    for size, median in medians.items():
        further = "" if before is None else f"{(median - before[1]) / (size - before[0]):.2f}"
        found.add_row(str(size), f"{median:.1f}", further, f"{median / (intercept + slope * size):.2f}")
        before = size, median
    return found


if __name__ == "__main__":
    main()
