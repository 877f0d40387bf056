"""The options that commands share, so that each is called and explained the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_ROOT = Path(__file__).parents[2]


def _environments(incomplete: str) -> list[str]:
    """For the shell's completion, which must be quick: without the settings' library."""
    return sorted(file.stem for file in _ROOT.glob(f"environments/{incomplete}*.toml"))


def complete_services(incomplete: str) -> list[str]:
    """The names of services that begin so, for the shell's completion."""
    return sorted(file.parent.name for file in _ROOT.glob(f"services/{incomplete}*/service.toml"))


Env = Annotated[
    str,
    typer.Option(
        "--env",
        "-e",
        envvar="SUPPLIERS_ENV",
        autocompletion=_environments,
        help="The environment: a file in environments/.",
    ),
]
Rehearse = Annotated[
    bool, typer.Option("--rehearse", help="The emulator that rehearses the environment, not its account.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask first where the environment is protected.")
]
Lose = Annotated[
    list[str],
    typer.Option(
        "--lose",
        metavar="STACK/ID",
        help="What may be replaced or removed though it keeps data, such as data/Database*; repeatable.",
    ),
]
