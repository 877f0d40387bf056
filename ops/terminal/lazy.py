"""Groups of commands of which only the one that is called is imported: every command's libraries take seconds."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


@dataclass(frozen=True)
class Entry:
    """A command by its name and where it is, as `module:function`, or `module:app` for a group.

    `panel` is the part of `--help` that lists it, and `help` what that says: without it the beginning of the function's
    docstring, read without importing it.
    """

    name: str
    target: str
    panel: str = ""
    help: str = ""

    def listed(self) -> TyperCommand:
        """What `--help` and the shell's completion need to know."""
        told = self.help or _docstring(*self.target.split(":"))
        return TyperCommand(
            self.name,
            help=told.partition("\n\n")[0],
            rich_help_panel=self.panel or None,
            rich_markup_mode="rich",
        )

    def load(self) -> Any:
        """The command itself."""
        module, _, name = self.target.partition(":")
        with _ended_by_ctrl_c():
            found = getattr(importlib.import_module(module), name)
        if isinstance(found, typer.Typer):
            command: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
            alone.command(self.name, rich_help_panel=self.panel or None)(found)
            command = get_command(alone)
        command.name = self.name
        return command


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Imports take a second or two, in which Ctrl-C would print where it was."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _docstring(module: str, function: str) -> str:
    spec = importlib.util.find_spec(module)
    source = Path(str(spec.origin if spec else None)).read_text(encoding="utf-8")
    found = re.search(rf'^def {function}\(.*?"""(.*?)"""', source, re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"{module} has no function {function} with a docstring")
    return inspect.cleandoc(found[1])


class LazyGroup(TyperGroup):
    """Looks for its commands in `entries`."""

    entries: ClassVar[Sequence[Entry]] = ()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._known = {each.name: each for each in self.entries}
        self._listing = False
        # The names, for whoever looks for one that is alike.
        self.commands: Any = dict.fromkeys(self._known)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported, or what is known of it while commands are listed; None where there is none."""
        entry = self._known.get(cmd_name)
        if entry is None:
            return None
        if self._listing:
            return entry.listed()
        if self.commands[cmd_name] is None:
            self.commands[cmd_name] = entry.load()
        return self.commands[cmd_name]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, importing no command."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """The names that begin so, importing no command."""
        self._listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._listing = False


def every(app: typer.Typer) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group below an app by its words, imported; the app itself has none."""

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield words, command
        if isinstance(command, TyperGroup):
            for name in command.commands:
                yield from below(command.get_command(cast(Any, None), name), (*words, name))

    yield from below(get_command(app), ())


def group(entries: Sequence[Entry], **settings: Any) -> typer.Typer:
    """A group of these commands, in their order; `settings` are typer's."""
    made = typer.Typer(
        cls=type("Commands", (LazyGroup,), {"entries": tuple(entries)}),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        **settings,
    )
    # Without commands that typer knows it makes a group of what has a callback only.
    made.callback()(lambda: None)
    return made
