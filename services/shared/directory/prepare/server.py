"""Connections to the database server that is prepared, and statements on them; blocking."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from directory.prepare.plan import Plan, PrepareError
from directory.storage.credentials import Credentials, CredentialsUnavailable, read_secret

WAIT_SECONDS = 180.0
LOCK_SECONDS = 300


class Server:
    """The server that a plan names, with TLS where the plan has a certificate authority."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tls = ssl.create_default_context(cafile=plan.tls_ca) if plan.tls_ca else None

    @property
    def has_tls(self) -> bool:
        return self._tls is not None

    def connect(self, credentials: Credentials, *, database: str | None) -> Any:
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

    def wait(self) -> Any:
        """A connection as the administrator; PrepareError if there is none in three minutes."""
        import pymysql

        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self.connect(read_secret(self._plan.admin_secret_arn), database=None)
            except (pymysql.MySQLError, OSError, CredentialsUnavailable) as error:
                if time.monotonic() > deadline:
                    raise PrepareError(
                        f"no connection to the database in {WAIT_SECONDS:.0f} s: {error}"
                    ) from error
                say(f"waiting for the database: {error}")
                time.sleep(2)


def query(connection: Any, sql: str, *values: object) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        found: Sequence[Any] = cursor.fetchall()
        return found


def execute(connection: Any, sql: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@contextmanager
def lock(connection: Any, name: str) -> Iterator[None]:
    """The server's own lock: it goes away with the connection that holds it."""
    if query(connection, "SELECT GET_LOCK(%s, %s)", name[:64], LOCK_SECONDS)[0][0] != 1:
        raise PrepareError(f"another preparation has been running for more than {LOCK_SECONDS} s")
    try:
        yield
    finally:
        query(connection, "SELECT RELEASE_LOCK(%s)", name[:64])


def say(text: str) -> None:
    print(f"prepare: {text}", flush=True)
