"""A pool of connections to a MySQL server, for a process that must outlive the server's restarts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import MetaData

from directory.storage.credentials import Credentials, CredentialsUnavailable
from directory.storage.database import DatabaseAway, Duplicate, Parameters, Row, Statement, Written

log = logging.getLogger("directory.database")

CONNECT_SECONDS = 2
STATEMENT_SECONDS = 5.0
RECYCLE_SECONDS = 300.0
PROBE_SECONDS = 0.5
# Every session the same, whatever the server's defaults are. A proxy says it itself to each connection it opens.
SESSION = (
    "SET SESSION time_zone='+00:00', sql_mode='STRICT_TRANS_TABLES,NO_ZERO_DATE,"
    "NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
# What a proxy answers when it has had no connection to the database to lend for a while:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.troubleshooting.html
NOTHING_TO_LEND = 9501

# Server errors after which the connection is of no use and the request may be tried elsewhere:
# too many connections, shutdown in progress, read-only (a demoted primary after failover), lost, gone.
_AWAY = {
    1040,
    1053,
    1077,
    1079,
    1152,
    1158,
    1159,
    1160,
    1161,
    1184,
    1203,
    1226,
    1290,
    1836,
    1927,
    2002,
    2003,
    2006,
    2013,
    2014,
    2055,
    3168,
    4031,
    NOTHING_TO_LEND,
}
_REFUSED = {1044, 1045, 1698}
_BUSY = {1205, 1213}
_DUPLICATE = 1062


class CredentialsSource(Protocol):
    async def get(self, refused: Credentials | None = None) -> Credentials: ...


class MySQL:
    """A small pool of asyncmy connections that fails fast while the database is away.

    The first failure to connect opens a breaker: requests then fail at once instead of queueing behind
    connection attempts, and one probe at a time looks for the database's return.

    Behind a `proxy`, which lends a connection of the server's for one statement at a time, nothing is asked that
    would keep one: no session variables, no prepared statements. It accepts connections while the database is
    away, so there the breaker is opened by its having nothing to lend, and closed by an answer.
    """

    is_mysql = True

    def __init__(
        self,
        *,
        host: str,
        port: int,
        database: str,
        credentials: CredentialsSource,
        tls_ca: str = "",
        size: int = 5,
        proxy: bool = False,
        name: str = "the database",
    ) -> None:
        self._name = name
        self._address = {"host": host, "port": port, "database": database}
        self._credentials = credentials
        self._tls = ssl.create_default_context(cafile=tls_ca) if tls_ca else None
        self._size = size
        self._proxy = proxy
        # Prepared once a connection: a lookup then costs a third of what quoting its text does.
        self._session: dict[str, Any] = {} if proxy else {"stmt_cache_size": 64, "init_command": SESSION}
        self._open = 0
        self._idle: deque[tuple[Any, float]] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._away = False
        self._closed = False
        self._prober: asyncio.Task[None] | None = None

    async def rows(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        text, values = statement.for_mysql(parameters)
        try:
            cursor = await self._execute(text, values)
        except DatabaseAway:
            if self._away:
                raise
            # An idle connection that the server dropped looks alive until it is used.
            cursor = await self._execute(text, values)
        rows: Sequence[Row] = await cursor.fetchall()
        return rows

    async def write(self, statement: Statement, parameters: Parameters) -> Written:
        text, values = statement.for_mysql(parameters)
        cursor = await self._execute(text, values)
        return Written(cursor.rowcount, cursor.lastrowid or 0)

    async def make_tables(self, metadata: MetaData) -> None:
        """Nothing: on a server the migrations make them, under a user of their own."""

    async def probe(self) -> None:
        connection = await self._new_connection()
        if self._proxy:
            await self._answer_of(connection)
        self._away = False
        self._give_back(connection)

    async def _answer_of(self, connection: Any) -> None:
        try:
            async with asyncio.timeout(STATEMENT_SECONDS):
                await connection.cursor().execute("SELECT 1")
        except BaseException as error:
            self._discard(connection)
            if isinstance(error, Exception):
                raise DatabaseAway(f"no answer: {type(error).__name__}: {error}") from error
            raise

    async def close(self) -> None:
        self._closed = True
        if self._prober:
            self._prober.cancel()
        while self._idle:
            connection, _ = self._idle.popleft()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(connection.ensure_closed(), 1)

    async def _execute(self, text: str, values: tuple[Any, ...]) -> Any:
        from asyncmy import errors

        connection = await self._take()
        reusable = False
        try:
            async with asyncio.timeout(STATEMENT_SECONDS):
                cursor = connection.cursor()
                await cursor.execute(text, values or None)
            reusable = True
            return cursor
        except errors.IntegrityError as error:
            reusable = True
            if error.args[0] == _DUPLICATE:
                raise Duplicate from error
            raise
        except errors.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code in _BUSY:
                reusable = True
                raise DatabaseAway(f"busy: {code}") from error
            if code in _AWAY or not isinstance(code, int) or connection._stream_broken:
                self._drop_idle()
                away = DatabaseAway(f"lost: {code}")
                if code == NOTHING_TO_LEND:
                    self._trip(away)
                raise away from error
            reusable = True
            raise
        except Exception as error:
            if not isinstance(error, (OSError, TimeoutError, EOFError)) and not connection._stream_broken:
                raise
            self._drop_idle()
            raise DatabaseAway(f"lost: {type(error).__name__}") from error
        finally:
            if reusable:
                self._give_back(connection)
            else:
                self._discard(connection)

    async def _take(self) -> Any:
        deadline = 0.0
        while True:
            if self._away or self._closed:
                raise DatabaseAway(f"{self._name} is away")
            while self._idle:
                connection, born = self._idle.pop()
                if not connection._stream_broken and time.monotonic() - born < RECYCLE_SECONDS:
                    connection.born = born
                    return connection
                self._discard(connection)
            if self._open < self._size:
                try:
                    return await self._new_connection()
                except DatabaseAway as error:
                    self._trip(error)
                    raise
            now = time.monotonic()
            deadline = deadline or now + STATEMENT_SECONDS
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                async with asyncio.timeout(max(0.0, deadline - now)):
                    await waiter
            except BaseException as error:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif waiter.done() and not waiter.cancelled():
                    self._wake()
                if isinstance(error, TimeoutError):
                    raise DatabaseAway("every connection is busy") from None
                raise

    async def _new_connection(self) -> Any:
        import asyncmy
        from asyncmy import errors

        self._open += 1
        connection: Any = None
        try:
            refused: Credentials | None = None
            for attempt in (1, 2):
                credentials = await self._credentials.get(refused)
                connection = asyncmy.Connection(  # type: ignore[no-untyped-call]
                    **self._address,
                    user=credentials.username,
                    # asyncmy encodes it as latin-1; the server expects UTF-8.
                    password=credentials.password.encode().decode("latin-1"),
                    connect_timeout=CONNECT_SECONDS,
                    ssl=self._tls,
                    charset="utf8mb4",
                    autocommit=True,
                    **self._session,
                )
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        await connection.connect()
                    connection.born = time.monotonic()
                    return connection
                except errors.MySQLError as error:
                    if error.args and error.args[0] in _REFUSED and attempt == 1:
                        refused = credentials
                        log.warning("%s refused the credentials; reading the secret again", self._name)
                        continue
                    raise
            raise AssertionError("unreachable")
        except BaseException as error:
            self._open -= 1
            self._wake()
            if connection is not None:
                connection.close()
            if isinstance(error, CredentialsUnavailable):
                raise DatabaseAway(str(error)) from error
            # Besides its own errors the driver raises RuntimeError and others for a socket that closes under it.
            if isinstance(error, Exception):
                raise DatabaseAway(f"cannot connect: {type(error).__name__}: {error}") from error
            raise

    def _give_back(self, connection: Any) -> None:
        if self._closed or connection._stream_broken:
            self._discard(connection)
            return
        self._idle.append((connection, connection.born))
        self._wake()

    def _discard(self, connection: Any) -> None:
        self._open -= 1
        connection.close()
        self._wake()

    def _drop_idle(self) -> None:
        while self._idle:
            self._discard(self._idle.pop()[0])

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _trip(self, reason: DatabaseAway) -> None:
        if self._away or self._closed:
            return
        self._away = True
        log.error("%s is away: %s", self._name, reason)
        self._drop_idle()
        while self._waiters:
            self._wake()
        self._prober = asyncio.get_running_loop().create_task(self._look_for_return())

    async def _look_for_return(self) -> None:
        while self._away:
            await asyncio.sleep(PROBE_SECONDS)
            with contextlib.suppress(DatabaseAway):
                await self.probe()
        log.warning("%s is back", self._name)
