"""The cache that the tasks of a service share, on a server that speaks Valkey's protocol.

It holds nothing that must be kept, and nothing waits for it: a request does without what it cannot have at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from directory.settings import Settings

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

log = logging.getLogger("directory.shared_cache")

COMMAND_SECONDS = 0.1
CONNECT_SECONDS = 2.0
PROBE_SECONDS = 0.5
# Requests for the same list share one look-up already.
_CONNECTIONS = 4
# Connections of who signs in by a role end after twelve hours, and a token is good for 15 minutes:
# https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
_RENEW_SECONDS = 11 * 3600
_TOKEN_SECONDS = 900

T = TypeVar("T")


class CacheAway(Exception):
    """The cache did not answer in time, or refused: what it was asked may or may not have happened."""


class SharedCache:
    """Values by key, each for a time, in the cache that `settings` name.

    A call takes at most a tenth of a second. The first one that the server does not answer opens a breaker: from then
    on calls fail at once, and a task beside them connects anew. Connections are only opened by that task, as signing in
    may take longer than a request should wait.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Valkey | None = None
        self._lost = asyncio.Event()
        self._on_return: list[Callable[[], Awaitable[None]]] = []

    def on_return(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do something each time the cache is reached anew."""
        self._on_return.append(act)

    async def get(self, *keys: str) -> Sequence[bytes | None]:
        """The values of some keys, read at one moment."""
        return await self._do(lambda client: client.mget(keys))

    async def put(self, key: str, value: bytes, *, seconds: int | None) -> None:
        """Keep a value for some seconds, or until the server needs the room for others."""
        await self._do(lambda client: client.set(key, value, ex=seconds))

    async def get_and_keep(self, key: str, *, seconds: int) -> bytes | None:
        """A value, which is then kept for some seconds more."""
        return await self._do(lambda client: client.getex(key, ex=seconds))

    async def take(self, key: str) -> bytes | None:
        """A value, which nobody finds any more."""
        return await self._do(lambda client: client.getdel(key))

    async def remove(self, key: str) -> None:
        await self._do(lambda client: client.delete(key))

    async def _do(self, command: Callable[[Valkey], Awaitable[T]]) -> T:
        from valkey.exceptions import ReadOnlyError, ResponseError, ValkeyError

        client = self._client
        if client is None:
            raise CacheAway("the cache is away")
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await command(client)
        except (ValkeyError, OSError, TimeoutError) as error:
            # A replica that was the primary before it failed over answers, but is the wrong one by now.
            if isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError):
                log.warning("the cache refused a command: %s", error)
            else:
                self._trip(client, error)
            raise CacheAway(f"{type(error).__name__}: {error}") from error

    def _trip(self, client: Valkey, reason: Exception) -> None:
        if self._client is client:
            self._client = None
            log.error("the cache is away: %s: %s", type(reason).__name__, reason)
            self._lost.set()

    async def stay_connected(self) -> None:
        """Connect, and again whenever the connection is lost, until this is cancelled."""
        told = False
        while True:
            client = None
            try:
                client = await self._connected()
                self._lost.clear()
                self._client = client
                log.info("the cache was reached")
                told = False
                for act in self._on_return:
                    with contextlib.suppress(CacheAway):
                        await act()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RENEW_SECONDS):
                        await self._lost.wait()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not told:
                    log.error("the cache cannot be reached: %s: %s", type(error).__name__, error)
                told = True
            finally:
                self._client = None
                if client is not None:
                    with contextlib.suppress(Exception):
                        await asyncio.wait_for(client.aclose(), 1)
            await asyncio.sleep(PROBE_SECONDS)

    async def _connected(self) -> Valkey:
        """A client whose connections are open and signed in; it never opens another one itself after their time."""
        from valkey.asyncio import BlockingConnectionPool, Connection, SSLConnection, Valkey

        settings = self._settings
        kind: dict[str, Any] = {"connection_class": Connection}
        if settings.cache_tls_ca:
            kind = {
                "connection_class": SSLConnection,
                "ssl_ca_certs": settings.cache_tls_ca,
                "ssl_check_hostname": True,
            }
        if settings.cache_user:
            # In a thread: botocore takes a third of a second to import.
            kind["username"] = settings.cache_user
            kind["password"] = await asyncio.to_thread(sign_in_token, settings)
        pool = BlockingConnectionPool(
            host=settings.cache_host,
            port=settings.cache_port,
            max_connections=_CONNECTIONS,
            timeout=1,
            socket_connect_timeout=CONNECT_SECONDS,
            # Telling its name and version is no command that a user of this cache may use.
            lib_name=None,
            lib_version=None,
            **kind,
        )
        client = Valkey(connection_pool=pool)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.gather(*(client.ping() for _ in range(_CONNECTIONS)))
        except BaseException:
            with contextlib.suppress(Exception):
                await client.aclose()
            raise
        return client


def sign_in_token(settings: Settings) -> str:
    """A password that proves the task's role for 15 minutes: a signed request that is never sent; blocking.

    https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
    """
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.session import Session

    session = Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise CacheAway("there are no credentials to sign in with")
    request = AWSRequest(
        "GET",
        f"https://{settings.cache_name}/",
        params={"Action": "connect", "User": settings.cache_user},
    )
    SigV4QueryAuth(
        credentials.get_frozen_credentials(),
        "elasticache",
        settings.cache_region,
        expires=_TOKEN_SECONDS,
    ).add_auth(request)
    return str(request.url).removeprefix("https://")
