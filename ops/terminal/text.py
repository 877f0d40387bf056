"""How answers look to people: tables that fit, states in the colour of what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

_GOOD = ("COMPLETE", "Succeeded", "SUCCESSFUL", "available", "complete", "healthy", "passed", "RUNNING")
_BAD = ("FAILED", "Failed", "ROLLBACK", "STOPPED", "Stopped", "ALARM", "failed", "is not there", "unhealthy")


# As wide as no line is: what reads a pipe breaks lines itself, and rich would cut them.
_ON_A_PIPE = 10_000
_GAP = 2
# What a column that wraps needs at least, unless all its words are shorter.
_WRAPPED = 24


def answers() -> Console:
    """Where a command answers: as wide as the terminal; on a pipe no line is broken or cut."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=_ON_A_PIPE)


class Listing:
    """Rows under column names, as a terminal or a program takes them.

    On a pipe each row is one line with whole values in aligned columns. On a terminal nothing is broken inside a word:
    columns that are named in `wraps` go on in the next line, and where that does not do, those in `drops` are left out,
    the first one first, which is said below.
    """

    def __init__(self, *columns: str, wraps: Sequence[str] = (), drops: Sequence[str] = ()) -> None:
        unknown = {*wraps, *drops} - {*columns}
        if unknown:
            raise ValueError(f"no columns: {', '.join(sorted(unknown))}")
        self._columns, self._wraps, self._drops = columns, wraps, drops
        self._rows: list[dict[str, Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row, a cell for each column."""
        texts = (cell if isinstance(cell, Text) else Text(cell) for cell in cells)
        self._rows.append(dict(zip(self._columns, texts, strict=True)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if not console.is_terminal:
            yield from self._lines()
            return
        shown = list(self._columns)
        dropped = [each for each in self._drops if shown]
        for column in dropped:
            if self._least(shown) <= options.max_width:
                break
            shown.remove(column)
        made = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
        for column in shown:
            made.add_column(column, no_wrap=column not in self._wraps, overflow="fold")
        for row in self._rows:
            made.add_row(*(row[column] for column in shown))
        yield made
        missing = [each for each in self._columns if each not in shown]
        if missing:
            yield Text(f"too narrow for: {', '.join(missing)} (--json has them)", "dim")

    def _lines(self) -> Iterator[Text]:
        """Rows for a program: whole, one line each."""
        rows = [
            [Text(each) for each in self._columns],
            *([row[each] for each in self._columns] for row in self._rows),
        ]
        plain = [[" ".join(cell.plain.split()) for cell in row] for row in rows]
        widths = [max(len(row[place]) for row in plain) for place in range(len(self._columns))]
        for row in plain:
            line = (" " * _GAP).join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield Text(line.rstrip(), no_wrap=True, overflow="ignore")

    def _least(self, columns: Sequence[str]) -> int:
        """The width that these columns need so that no word is broken."""
        return sum(self._width(column) for column in columns) + _GAP * (len(columns) - 1)

    def _width(self, column: str) -> int:
        cells = [column, *(row[column].plain for row in self._rows)]
        if column not in self._wraps:
            return max(len(cell) for cell in cells)
        words = max((len(word) for cell in cells for word in cell.split()), default=0)
        return max(words, min(_WRAPPED, max(len(cell) for cell in cells)))


def print_markdown(text: str) -> None:
    """Print a report: laid out on a terminal, as it is on a pipe, so that it can go into a summary or a file."""
    console = answers()
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text)


def coloured(state: str) -> Text:
    """A state: red, green, or yellow where it is neither."""
    if any(word in state for word in _BAD):
        return Text(state, "red")
    return Text(state, "green" if any(word in state for word in _GOOD) else "yellow")


def moment(at: datetime | None) -> str:
    """A moment in this machine's time, with its zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %Z}" if at else "-"
