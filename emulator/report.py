"""The ledger as a table for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def table(document: dict[str, Any]) -> Table:
    """Resource types with how many were running, described and recorded; what the words mean below it."""
    legend = "\n".join(f"{name}: {meaning}" for name, meaning in document["legend"].items())
    result = Table(title="What the emulator made of the stacks", caption=legend, caption_justify="left")
    result.add_column("Resource type")
    for name in document["legend"]:
        result.add_column(name, justify="right")
    for row in document["types"]:
        result.add_row(row["type"], *(str(row[name] or "") for name in document["legend"]))
    result.add_section()
    result.add_row("total", *(str(document["totals"][name]) for name in document["legend"]))
    return result


def summary(document: dict[str, Any], port: int) -> str:
    """The counts in a line, with the command that tells them apart."""
    counts = ", ".join(f"{document['totals'][name]} {name}" for name in document["legend"])
    return (
        f"Resources       {counts}: `python -m emulator report --port {port}` tells which and what that means"
    )


def show(document: dict[str, Any], console: Console | None = None) -> None:
    (console or Console()).print(table(document))
