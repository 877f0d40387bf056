"""Access to a database for a process that must outlive the database's restarts.

Statements are SQLAlchemy Core, compiled once. On MySQL they run on asyncmy directly: SQLAlchemy's asyncio
engine spends more time in its greenlet bridge than the server does on a lookup by key. Every other
SQLAlchemy URL goes through SQLAlchemy's own engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Executable, MetaData
from sqlalchemy.dialects.mysql import asyncmy as mysql_dialect

Row = Sequence[Any]
Parameters = Mapping[str, Any]


class DatabaseAway(Exception):
    """The database cannot be reached, or did not answer: what it was asked may or may not have happened."""


class Duplicate(Exception):
    """A unique key already holds that value."""


@dataclass(frozen=True, slots=True)
class Written:
    rows: int
    new_id: int


class Statement:
    """A Core statement with its MySQL text, compiled at most once."""

    __slots__ = ("_names", "_text", "core")

    def __init__(self, core: Executable) -> None:
        self.core = core
        self._text: str | None = None
        self._names: tuple[tuple[str, Any], ...] = ()

    def for_mysql(self, parameters: Parameters) -> tuple[str, tuple[Any, ...]]:
        if self._text is None:
            compiled: Any = self.core.compile(dialect=_MYSQL)  # type: ignore[attr-defined]
            self._names = tuple((name, compiled.params.get(name)) for name in compiled.positiontup or ())
            self._text = str(compiled)
        return self._text, tuple([parameters.get(name, default) for name, default in self._names])


_MYSQL = mysql_dialect.dialect()


class Database(Protocol):
    """One-statement transactions: a write that returned is durable."""

    @property
    def is_mysql(self) -> bool: ...
    async def rows(self, statement: Statement, parameters: Parameters) -> Sequence[Row]: ...
    async def write(self, statement: Statement, parameters: Parameters) -> Written: ...
    async def probe(self) -> None: ...
    async def make_tables(self, metadata: MetaData) -> None: ...
    async def close(self) -> None: ...
