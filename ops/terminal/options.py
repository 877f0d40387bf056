"""The options that commands share, so that each is called and explained the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Env = Annotated[
    str,
    typer.Option("--env", "-e", envvar="SUPPLIERS_ENV", help="The environment: a file in environments/."),
]
Rehearse = Annotated[
    bool, typer.Option("--rehearse", help="The emulator that rehearses the environment, not its account.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask first where the environment is protected.")
]
