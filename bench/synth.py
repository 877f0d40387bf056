"""How long synthesis takes, against importing aws_cdk and synthesizing an empty app on the same machine.

Runs alternate, so that a machine that slows down slows all of them; medians of five.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import settings

RUNS = 5
CDK = settings.ROOT / "node_modules/.bin/cdk"
EMPTY_APP = "import aws_cdk as cdk; app = cdk.App(); cdk.Stack(app, 'Empty'); app.synth()"
# Goals in seconds on two cores.
PLAIN_GOAL, CHECKED_GOAL = 8.0, 40.0


def main() -> None:
    """Print the figures of every command."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        commands: dict[str, tuple[Sequence[str], float | None]] = {
            "empty app: import aws_cdk, synth": ((sys.executable, "-c", EMPTY_APP), None),
            "cdk synth -q, dev": (synth(out, "env=dev"), PLAIN_GOAL),
            "cdk synth -q, prod": (synth(out, "env=prod"), PLAIN_GOAL),
            "cdk synth -q, prod, checks": (synth(out, "env=prod", "checks=true"), CHECKED_GOAL),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        # One round more than is counted: the first fills the disk cache and compiles byte code.
        for turn in range(RUNS + 1):
            for name, (command, _) in commands.items():
                taken = seconds(command, out)
                if turn:
                    times[name].append(taken)
    base = statistics.median(next(iter(times.values())))
    table = Table(title=f"Synthesis, {RUNS} runs each")
    for column in ("command", "median s", "min s", "max s", "to empty app", "goal s"):
        table.add_column(column, justify="left" if column == "command" else "right")
    for name, measured in times.items():
        median, goal = statistics.median(measured), commands[name][1]
        table.add_row(
            name,
            f"{median:.1f}",
            f"{min(measured):.1f}",
            f"{max(measured):.1f}",
            f"{median / base:.1f}",
            "" if goal is None else f"{goal:.0f}",
        )
    Console().print(table)


def synth(out: Path, *context: str) -> list[str]:
    """The command that synthesizes with these context values."""
    return [
        str(CDK),
        "synth",
        "-q",
        "-o",
        str(out / "cdk.out"),
        *(part for each in context for part in ("-c", each)),
    ]


def seconds(command: Sequence[str], folder: Path) -> float:
    """The wall time of one run, which must succeed."""
    started = time.perf_counter()
    cwd = settings.ROOT if command[0] == str(CDK) else folder
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
