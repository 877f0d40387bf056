"""Reading at a replica of the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData

from directory.storage.database import DatabaseAway, Parameters, Row, Statement, Written
from directory.storage.mysql import MySQL

# Answers to a statement that is right once a change has arrived: no column, table, index or full-text index of that
# name, or no right to read it.
_NOT_YET = {1054, 1142, 1143, 1146, 1176, 1191}


class WithReader:
    """Reads at a server that follows the writer, and at the writer whenever that one does not answer.

    The reader's breaker makes that immediate, and brings reads back to it within a second of its return. What it
    answers may be older than the writer's by the lag of the replication. A password, a right or a schema that has
    not arrived yet is no error: the writer is asked.
    """

    is_mysql = True

    def __init__(self, writer: MySQL, reader: MySQL) -> None:
        self._writer = writer
        self._reader = reader

    async def rows(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        from asyncmy import errors

        try:
            return await self._reader.rows(statement, parameters)
        except DatabaseAway:
            pass
        except errors.MySQLError as error:
            if not error.args or error.args[0] not in _NOT_YET:
                raise
        return await self._writer.rows(statement, parameters)

    async def write(self, statement: Statement, parameters: Parameters) -> Written:
        return await self._writer.write(statement, parameters)

    async def make_tables(self, metadata: MetaData) -> None:
        await self._writer.make_tables(metadata)

    async def probe(self) -> None:
        try:
            await self._reader.probe()
        except DatabaseAway:
            await self._writer.probe()

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()
