"""How answers look to people: tables without frames, states in the colour of what they mean."""

from __future__ import annotations

from datetime import datetime

from rich import box
from rich.table import Table
from rich.text import Text

_GOOD = ("COMPLETE", "Succeeded", "SUCCESSFUL", "available", "complete", "healthy", "passed", "RUNNING")
_BAD = ("FAILED", "Failed", "ROLLBACK", "STOPPED", "Stopped", "ALARM", "failed", "is not there", "unhealthy")


def table(*columns: str) -> Table:
    """A table whose long cells go on in the next line."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def coloured(state: str) -> Text:
    """A state: red, green, or yellow where it is neither."""
    if any(word in state for word in _BAD):
        return Text(state, "red")
    return Text(state, "green" if any(word in state for word in _GOOD) else "yellow")


def moment(at: datetime | None) -> str:
    """A moment in this machine's time, with its zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %Z}" if at else "-"
