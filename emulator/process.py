"""Running programs with a time limit, and telling their failure in one line."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from emulator.errors import EmulatorError


def run(
    command: Sequence[str | Path],
    *,
    seconds: float,
    doing: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """The program's standard output; an EmulatorError with its last words when it fails or takes too long."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError as error:
        raise EmulatorError(f"{doing}: {command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise EmulatorError(f"{doing}: not done after {seconds:.0f} s") from error
    if done.returncode:
        words = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise EmulatorError(f"{doing}: {' | '.join(words[-2:]) or f'exit status {done.returncode}'}")
    return done.stdout


def succeeds(
    command: Sequence[str | Path], *, seconds: float = 20.0, env: Mapping[str, str] | None = None
) -> bool:
    """Whether the program exists and exits with 0 in time."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            timeout=seconds,
            env=dict(env) if env is not None else None,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
