"""How long the command line takes to answer what needs no environment, against a Python that does nothing.

Runs alternate; medians of nine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

import settings

RUNS = 9
GOAL_SECONDS = 0.4
OPS = (sys.executable, "-m", "ops")
COMMANDS: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    "python -c pass": ((sys.executable, "-c", "pass"), {}),
    "--version": ((*OPS, "--version"), {}),
    "--help": ((*OPS, "--help"), {}),
    "an unknown command": ((*OPS, "rollbak"), {}),
    "completing st": (
        OPS,
        {"_SUPPLIERS_COMPLETE": "complete_bash", "COMP_WORDS": "suppliers st", "COMP_CWORD": "1"},
    ),
    "status --help": ((*OPS, "status", "--help"), {}),
}


def main() -> None:
    """Print the figures of each."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    # One round more than is counted: the first compiles and fills the disk cache.
    for turn in range(RUNS + 1):
        for name, (command, variables) in COMMANDS.items():
            taken = seconds(command, variables)
            if turn:
                times[name].append(taken)
    bare = statistics.median(next(iter(times.values())))
    table = Table(title=f"The command line's start, {RUNS} runs each; goal {GOAL_SECONDS} s but for the last")
    for column in ("what", "median s", "max s", "to a bare Python"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, measured in times.items():
        median = statistics.median(measured)
        table.add_row(name, f"{median:.2f}", f"{max(measured):.2f}", f"{median / bare:.1f}")
    Console().print(table)


def seconds(command: Sequence[str], variables: Mapping[str, str]) -> float:
    """The time that a command takes; whatever it answers."""
    began = time.perf_counter()
    subprocess.run(
        command,
        cwd=settings.ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
