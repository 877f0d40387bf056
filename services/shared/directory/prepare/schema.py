"""The schema of a release, its sample data, and the keys that rows are found by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from directory.prepare.plan import IDENTIFIER, Plan, PrepareError
from directory.prepare.server import Server, query, say
from directory.storage.credentials import Credentials


class Schema:
    """The database's tables, changed as the user who may; each step changes nothing if it was done before."""

    def __init__(self, server: Server, plan: Plan, migrator: Credentials, *, migrations: Path) -> None:
        self._server = server
        self._plan = plan
        self._migrator = migrator
        self._migrations = migrations

    def _connect(self) -> Any:
        return self._server.connect(self._migrator, database=self._plan.database)

    def migrate(self) -> None:
        """Bring the schema up to this image's; one that a newer release has left stays as it is.

        A release that is taken back runs on the newer schema, because migrations only add (expand).
        """
        from alembic import command
        from alembic.config import Config
        from alembic.script.revision import ResolutionError
        from alembic.util.exc import CommandError
        from sqlalchemy import create_engine

        config = Config()
        config.set_main_option("script_location", str(self._migrations))
        engine = create_engine("mysql+pymysql://", creator=lambda: self._connect())
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                if not isinstance(error.__cause__, ResolutionError):
                    raise
                say("schema: of a newer release, left as it is")
            else:
                say("schema: up to date")
        engine.dispose()

    def seed(self) -> None:
        sample = self._migrations / "sample.json"
        if not sample.is_file():
            return
        connection = self._connect()
        try:
            for table, rows in json.loads(sample.read_text(encoding="utf-8")).items():
                if not IDENTIFIER.fullmatch(table) or query(connection, f"SELECT 1 FROM `{table}` LIMIT 1"):  # noqa: S608 - names were checked
                    continue
                columns = list(rows[0])
                names = ", ".join(f"`{column}`" for column in columns)
                marks = ", ".join(["%s"] * len(columns))
                with connection.cursor() as cursor:
                    cursor.executemany(
                        f"INSERT INTO `{table}` ({names}) VALUES ({marks})",  # noqa: S608 - names were checked
                        [[row[column] for column in columns] for row in rows],
                    )
                say(f"table {table}: {len(rows)} sample rows")
        finally:
            connection.close()

    async def complete_keys(self) -> None:
        """Rows from before a release that finds them by their keys, and the samples, can be found as it starts."""
        from sqlalchemy import MetaData

        from directory.domain.model import directory_table
        from directory.storage.credentials import FixedCredentials
        from directory.storage.database import DatabaseAway
        from directory.storage.mysql import MySQL
        from directory.storage.search_keys import complete_keys

        connection = self._connect()
        try:
            tables = query(
                connection,
                "SELECT table_name FROM information_schema.columns "
                "WHERE table_schema=%s AND column_name='search_keys'",
                self._plan.database,
            )
        finally:
            connection.close()
        database = MySQL(
            host=self._plan.host,
            port=self._plan.port,
            database=self._plan.database,
            credentials=FixedCredentials(self._migrator.username, self._migrator.password),
            tls_ca=self._plan.tls_ca,
            size=1,
        )
        try:
            for (name,) in tables:
                completed = await complete_keys(database, directory_table(name, MetaData()))
                if completed:
                    say(f"table {name}: {completed} rows can be found by their words")
        except DatabaseAway as error:
            raise PrepareError(f"the database went away: {error}") from error
        finally:
            await database.close()
