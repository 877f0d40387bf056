"""The emulator's own virtual environment."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from emulator.instance import Instance
from emulator.process import run

REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"

Say = Callable[[str], None]


def ensure(instance: Instance, say: Say = print) -> Path:
    """The Python of a virtual environment that holds exactly the pinned requirements."""
    python = instance.venv / "bin" / "python"
    stamp = instance.venv / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    say("installing the emulator's requirements")
    shutil.rmtree(instance.venv, ignore_errors=True)
    # A virtual environment that starts this one must not leak into it.
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    run(
        [sys.executable, "-m", "venv", instance.venv],
        seconds=120,
        doing="making the emulator's environment",
        env=env,
    )
    run(
        [python, "-m", "pip", "install", "--quiet", "--no-input", "-r", REQUIREMENTS],
        seconds=600,
        doing="installing the emulator's requirements",
        env=env,
    )
    stamp.write_text(wanted)
    return python
