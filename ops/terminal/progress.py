"""Progress of long work: one line a step with its time, on a terminal and in a log alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """Prints each step when it begins, its details as they happen, and its time when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step of the work; its time is printed whether it succeeds or fails."""
        self._console.print(f"[bold cyan]▸[/] {title}", highlight=False)
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self._console.print(f"  [red]failed[/] after {_seconds(started)}", highlight=False)
            raise
        self._console.print(f"  [green]done[/] in {_seconds(started)}", highlight=False)

    def detail(self, text: str) -> None:
        """Something worth knowing about the step under way."""
        self._console.print(f"  [dim]{text}[/]", highlight=False)

    def total(self) -> str:
        """The time since the beginning."""
        return _seconds(self._started)


def _seconds(since: float) -> str:
    return f"{time.monotonic() - since:.1f} s"
