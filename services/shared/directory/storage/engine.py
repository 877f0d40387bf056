"""A database of SQLAlchemy's own engine, such as a file of SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, MetaData, Table, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.schema import CreateColumn

from directory.storage.database import DatabaseAway, Duplicate, Parameters, Row, Statement, Written

_T = TypeVar("_T")
_ENGINE_AWAY = ("unable to open", "is locked", "disk I/O", "connect")


class Engine:
    """Any other SQLAlchemy URL, such as sqlite:///suppliers.db, on an engine in threads of its own.

    SQLAlchemy's asyncio extension would do the same for SQLite, after loading the whole ORM.
    """

    is_mysql = False

    def __init__(self, url: URL, *, size: int = 5) -> None:
        # What is in memory only belongs to the thread that made it.
        alone = url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
        self._engine = create_engine(url)
        self._threads = ThreadPoolExecutor(1 if alone else size, thread_name_prefix="database")

    async def rows(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        def read() -> Sequence[Row]:
            with self._engine.connect() as connection:
                return connection.execute(statement.core, dict(parameters)).all()

        return await self._run(read)

    async def write(self, statement: Statement, parameters: Parameters) -> Written:
        def write() -> Written:
            with self._engine.begin() as connection:
                result: Any = connection.execute(statement.core, dict(parameters))
                return Written(result.rowcount, result.lastrowid or 0)

        try:
            return await self._run(write)
        except IntegrityError as error:
            raise Duplicate from error

    async def make_tables(self, metadata: MetaData) -> None:
        """A file has no server that was prepared before: what is missing is made here."""
        if self._engine.dialect.name != "sqlite":
            return

        def make() -> None:
            try:
                metadata.create_all(self._engine)
                with self._engine.begin() as connection:
                    for table in metadata.sorted_tables:
                        _add_columns(connection, table)
            except OperationalError as error:
                raise DatabaseAway(str(error.orig)) from error

        await self._run(make)

    async def probe(self) -> None:
        await self.rows(Statement(text("SELECT 1")), {})

    async def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._engine.dispose()

    async def _run(self, what: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, what)
        except OperationalError as error:
            if any(sign in str(error.orig) for sign in _ENGINE_AWAY):
                raise DatabaseAway(str(error.orig)) from error
            raise


def _add_columns(connection: Connection, table: Table) -> None:
    """A file of an earlier release gets the columns that came since, all of which may be empty."""
    known = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.nullable and column.name not in known:
            added = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {added}")
