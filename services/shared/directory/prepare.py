"""Makes the database ready for a release: users, schema, rights, sample data.

Runs once before the services start, repeats harmlessly, and never runs twice at the same time.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from directory.storage.credentials import Credentials, CredentialsUnavailable, read_secret

WAIT_SECONDS = 180.0
LOCK_SECONDS = 300
_RIGHTS = {
    "none": frozenset[str](),
    "read": frozenset({"SELECT"}),
    "write": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
}
_MIGRATOR_RIGHTS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES"}
)
_IDENTIFIER = re.compile(r"[A-Za-z0-9_]{1,64}")


class PrepareError(Exception):
    """Why the database could not be made ready, in one line."""


@dataclass(frozen=True, slots=True)
class User:
    service: str
    secret_arn: str
    access: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the environment asks for, validated."""

    host: str
    port: int
    database: str
    tls_ca: str
    admin_secret_arn: str
    migrator_secret_arn: str
    users: tuple[User, ...]
    sample_data: bool

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Plan:
        missing = [
            name
            for name in ("DB_HOST", "DB_NAME", "DB_ADMIN_SECRET_ARN", "DB_MIGRATOR_SECRET_ARN")
            if not env.get(name)
        ]
        if missing:
            raise PrepareError(f"missing settings: {', '.join(missing)}")
        try:
            users = tuple(
                User(
                    str(user["service"]),
                    str(user["secret_arn"]),
                    str(user["access"]),
                    tuple(str(table) for table in user.get("tables", ())),
                )
                for user in json.loads(env.get("DB_USERS") or "[]")
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PrepareError("DB_USERS: not a list of users with service, secret_arn and access") from error
        for user in users:
            if user.access not in _RIGHTS:
                raise PrepareError(f"DB_USERS: {user.service}: access is none of {', '.join(_RIGHTS)}")
        for name in (env["DB_NAME"], *(table for user in users for table in user.tables)):
            if not _IDENTIFIER.fullmatch(name):
                raise PrepareError(f"not a name of a database or table: {name!r}")
        port = env.get("DB_PORT") or "3306"
        if not port.isdecimal():
            raise PrepareError(f"DB_PORT: {port!r} is not a number")
        tls_ca = env.get("DB_TLS_CA", "")
        if tls_ca and not Path(tls_ca).is_file():
            raise PrepareError(f"DB_TLS_CA: no such file: {tls_ca}")
        return cls(
            host=env["DB_HOST"],
            port=int(port),
            database=env["DB_NAME"],
            tls_ca=tls_ca,
            admin_secret_arn=env["DB_ADMIN_SECRET_ARN"],
            migrator_secret_arn=env["DB_MIGRATOR_SECRET_ARN"],
            users=users,
            sample_data=env.get("SAMPLE_DATA", "false").lower() == "true",
        )


class Preparation:
    """The steps, each of which changes nothing if it was done before."""

    def __init__(self, plan: Plan, *, migrations: Path) -> None:
        self._plan = plan
        self._migrations = migrations
        self._tls = ssl.create_default_context(cafile=plan.tls_ca) if plan.tls_ca else None

    def run(self) -> None:
        plan = self._plan
        admin = self._wait_for_database()
        try:
            with _lock(admin, f"prepare.{plan.database}"):
                self._create_database(admin)
                migrator = read_secret(plan.migrator_secret_arn)
                self._ensure_user(admin, migrator)
                self._grant_schema(admin, migrator.username)
                users = [(user, read_secret(user.secret_arn)) for user in plan.users]
                for _, credentials in users:
                    self._ensure_user(admin, credentials)
                self.migrate(migrator)
                for user, credentials in users:
                    self._grant_tables(admin, user, credentials.username)
                if plan.sample_data:
                    self._seed(migrator)
                asyncio.run(self._complete_keys(migrator))
        finally:
            admin.close()

    def _connect(self, credentials: Credentials, *, database: str | None) -> Any:
        import pymysql

        return pymysql.connect(
            host=self._plan.host,
            port=self._plan.port,
            user=credentials.username,
            password=credentials.password.encode(),
            database=database,
            ssl=self._tls,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
            read_timeout=LOCK_SECONDS + 10,
        )

    def _wait_for_database(self) -> Any:
        import pymysql

        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._connect(read_secret(self._plan.admin_secret_arn), database=None)
            except (pymysql.MySQLError, OSError, CredentialsUnavailable) as error:
                if time.monotonic() > deadline:
                    raise PrepareError(
                        f"no connection to the database in {WAIT_SECONDS:.0f} s: {error}"
                    ) from error
                say(f"waiting for the database: {error}")
                time.sleep(2)

    def _create_database(self, admin: Any) -> None:
        if not _rows(
            admin, "SELECT 1 FROM information_schema.schemata WHERE schema_name=%s", self._plan.database
        ):
            _run(admin, f"CREATE DATABASE `{self._plan.database}` CHARACTER SET utf8mb4")

    def _ensure_user(self, admin: Any, credentials: Credentials) -> None:
        """The user exists, with the secret's password and TLS required; who can log in keeps its password.

        A rotation that is under way has set a newer password than the secret's current one.
        """
        import pymysql

        name = credentials.username
        require = "REQUIRE SSL" if self._tls else "REQUIRE NONE"
        if not _rows(admin, "SELECT 1 FROM mysql.user WHERE user=%s AND host='%%'", name):
            _run(admin, f"CREATE USER %s@'%%' IDENTIFIED BY %s {require}", name, credentials.password)
            say(f"user {name}: created")
            return
        _run(admin, f"ALTER USER %s@'%%' {require}", name)
        try:
            self._connect(credentials, database=None).close()
        except pymysql.MySQLError:
            _run(admin, "ALTER USER %s@'%%' IDENTIFIED BY %s", name, credentials.password)
            say(f"user {name}: password set")

    def _grant_schema(self, admin: Any, name: str) -> None:
        # An underscore in a database name of GRANT is a wildcard.
        pattern = self._plan.database.replace("_", r"\_")
        held = {
            row[0].upper()
            for row in _rows(
                admin,
                "SELECT privilege_type FROM information_schema.schema_privileges "
                "WHERE grantee=%s AND table_schema IN (%s, %s)",
                f"'{name}'@'%'",
                pattern,
                self._plan.database,
            )
        }
        if not held >= _MIGRATOR_RIGHTS:
            _run(admin, f"GRANT {', '.join(sorted(_MIGRATOR_RIGHTS))} ON `{pattern}`.* TO %s@'%%'", name)
            say(f"user {name}: may change the schema")

    def _grant_tables(self, admin: Any, user: User, name: str) -> None:
        """Exactly the rights of the user's access on its tables: what is missing granted, what is more revoked."""
        database = self._plan.database
        existing = {
            row[0]
            for row in _rows(
                admin, "SELECT table_name FROM information_schema.tables WHERE table_schema=%s", database
            )
        }
        # Without tables named: all but those in which migrations keep their place.
        tables = user.tables or tuple(table for table in existing if not table.endswith("_schema_version"))
        wanted = {(table, right) for table in tables if table in existing for right in _RIGHTS[user.access]}
        grantee = f"'{name}'@'%'"
        held = {
            (row[0], row[1].upper())
            for row in _rows(
                admin,
                "SELECT table_name, privilege_type FROM information_schema.table_privileges "
                "WHERE grantee=%s AND table_schema=%s",
                grantee,
                database,
            )
        }
        for schema, right in _rows(
            admin,
            "SELECT table_schema, privilege_type FROM information_schema.schema_privileges WHERE grantee=%s",
            grantee,
        ):
            _run(admin, f"REVOKE {_right(right)} ON `{schema.replace('`', '')}`.* FROM %s@'%%'", name)
        for (right,) in _rows(
            admin, "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee=%s", grantee
        ):
            if right.upper() != "USAGE":
                _run(admin, f"REVOKE {_right(right)} ON *.* FROM %s@'%%'", name)
        for table, right in sorted(held - wanted):
            _run(admin, f"REVOKE {_right(right)} ON `{database}`.`{table}` FROM %s@'%%'", name)
        missing: dict[str, list[str]] = {}
        for table, right in sorted(wanted - held):
            missing.setdefault(table, []).append(right)
        for table, rights in missing.items():
            _run(admin, f"GRANT {', '.join(rights)} ON `{database}`.`{table}` TO %s@'%%'", name)
        if missing or held - wanted:
            say(
                f"user {name}: {user.access} on {', '.join(sorted({table for table, _ in wanted})) or 'nothing'}"
            )

    def migrate(self, migrator: Credentials) -> None:
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
        engine = create_engine(
            "mysql+pymysql://", creator=lambda: self._connect(migrator, database=self._plan.database)
        )
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

    def _seed(self, migrator: Credentials) -> None:
        sample = self._migrations / "sample.json"
        if not sample.is_file():
            return
        connection = self._connect(migrator, database=self._plan.database)
        try:
            for table, rows in json.loads(sample.read_text(encoding="utf-8")).items():
                if not _IDENTIFIER.fullmatch(table) or _rows(connection, f"SELECT 1 FROM `{table}` LIMIT 1"):  # noqa: S608 - names were checked
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

    async def _complete_keys(self, migrator: Credentials) -> None:
        """Rows from before a release that finds them by their keys, and the samples, can be found as it starts."""
        from sqlalchemy import MetaData

        from directory.domain.model import directory_table
        from directory.storage.credentials import FixedCredentials
        from directory.storage.database import DatabaseAway, MySQL
        from directory.storage.store import complete_keys

        plan = self._plan
        connection = self._connect(migrator, database=plan.database)
        try:
            tables = _rows(
                connection,
                "SELECT table_name FROM information_schema.columns "
                "WHERE table_schema=%s AND column_name='search_keys'",
                plan.database,
            )
        finally:
            connection.close()
        database = MySQL(
            host=plan.host,
            port=plan.port,
            database=plan.database,
            credentials=FixedCredentials(migrator.username, migrator.password),
            tls_ca=plan.tls_ca,
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


def _right(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_ ]+", name):
        raise PrepareError(f"unexpected right: {name!r}")
    return name


def _rows(connection: Any, sql: str, *values: object) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows: Sequence[Any] = cursor.fetchall()
        return rows


def _run(connection: Any, sql: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@contextmanager
def _lock(connection: Any, name: str) -> Iterator[None]:
    """The server's own lock: it goes away with the connection that holds it."""
    if _rows(connection, "SELECT GET_LOCK(%s, %s)", name[:64], LOCK_SECONDS)[0][0] != 1:
        raise PrepareError(f"another preparation has been running for more than {LOCK_SECONDS} s")
    try:
        yield
    finally:
        _rows(connection, "SELECT RELEASE_LOCK(%s)", name[:64])


def say(text: str) -> None:
    print(f"prepare: {text}", flush=True)


def main() -> None:
    migrations = Path(os.environ.get("MIGRATIONS", "migrations"))
    try:
        if not (migrations / "env.py").is_file():
            raise PrepareError(f"this image has no migrations ({migrations})")
        Preparation(Plan.from_environment(os.environ), migrations=migrations).run()
    except (PrepareError, CredentialsUnavailable) as error:
        sys.exit(f"prepare: failed: {error}")
    except Exception as error:
        sys.exit(f"prepare: failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}")
    say("done")


if __name__ == "__main__":
    main()
