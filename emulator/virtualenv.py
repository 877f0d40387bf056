"""Virtual environments of tools that cannot share the project's."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from emulator.process import run

Say = Callable[[str], None]


def ensure(folder: Path, requirements: Path, *, owner: str, say: Say = print) -> Path:
    """The Python of the virtual environment in `folder`, which holds exactly the pinned requirements."""
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"installing the {owner}'s requirements")
    shutil.rmtree(folder, ignore_errors=True)
    # A virtual environment that starts this one must not leak into it.
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    run(
        [sys.executable, "-m", "venv", folder],
        seconds=120,
        doing=f"making the {owner}'s environment",
        env=env,
    )
    run(
        [python, "-m", "pip", "install", "--quiet", "--no-input", "-r", requirements],
        seconds=600,
        doing=f"installing the {owner}'s requirements",
        env=env,
    )
    stamp.write_text(wanted)
    return python
