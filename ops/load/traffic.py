"""Sending requests to the application: one at a time, many at once, or at a steady rate.

At a steady rate (an open model) requests are sent when they are due, whether or not the ones before have been
answered, as independent users do; an answer's time counts from then. A closed model sends the next request
after an answer: it finds out how much the application bears, and sends less when that is slow, so that its
times leave out what waiting users would have seen ("coordinated omission").
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from ops.aws.endpoint import Endpoint
from ops.errors import OpsError
from ops.load.measure import Series

# A request that is sent later than this was held up by this machine rather than by the application.
LATE_SECONDS = 0.05


@dataclass(frozen=True)
class Request:
    """A request, by the name that reports give it; `degraded` is a text that marks an answer as makeshift."""

    name: str
    path: str
    method: str = "GET"
    json: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    degraded: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """How a request ended: `failure` names what was wrong; without an answer the status is 0."""

    status: int
    body: bytes = b""
    failure: str | None = None
    location: str = ""


class Sender(Protocol):
    """Whatever sends a request and never raises for how it ends."""

    async def send(self, request: Request) -> Answer: ...


class HttpSender:
    """Sends to an endpoint for as long as it is entered; connections are kept, as browsers do.

    What has no complete answer after `timeout` seconds failed, and so did every answer but a 2xx.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        authority = self._endpoint.authority
        trust = ssl.create_default_context(cafile=str(authority) if authority else None)
        self._session = aiohttp.ClientSession(
            self._endpoint.url,
            # The addresses of a load balancer change when it grows and when a zone fails.
            connector=aiohttp.TCPConnector(limit=0, ssl=trust, resolver=_Resolver(), ttl_dns_cache=5),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            headers={"User-Agent": "suppliers-ops"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(self, request: Request) -> Answer:
        try:
            async with self._session.request(
                request.method,
                request.path,
                json=request.json,
                headers=request.headers,
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
                failure = None if 200 <= answer.status < 300 else f"HTTP {answer.status}"
                return Answer(answer.status, body, failure, answer.headers.get("Location", ""))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return Answer(0, failure=kind_of(error))


def kind_of(error: Exception) -> str:
    """What went wrong, in a few words that are the same for the same thing."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name not resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"TLS: {_reason(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"TLS: {_reason(error.os_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "connection closed"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "answer cut short"
    if isinstance(error, OSError):
        return {
            errno.ECONNREFUSED: "connection refused",
            errno.ECONNRESET: "connection reset",
            errno.EPIPE: "connection reset",
            errno.EHOSTUNREACH: "no route",
            errno.ENETUNREACH: "no route",
            errno.EMFILE: "too many open files on this machine (ulimit -n)",
            errno.EADDRNOTAVAIL: "no free port on this machine",
        }.get(error.errno or 0, error.strerror or type(error).__name__)
    return type(error).__name__


def _reason(error: BaseException) -> str:
    found = getattr(error, "verify_message", "") or getattr(error, "reason", "")
    return str(found or error).lower().replace("_", " ")


class _Resolver(ThreadedResolver):
    """Browsers take *.localhost for this machine (RFC 6761), the C library's resolver does not."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        local = host.endswith(".localhost")
        found = await super().resolve("127.0.0.1" if local else host, port, family)
        return [{**each, "hostname": host} for each in found] if local else found


async def check(sender: Sender, request: Request, url: str) -> Answer:
    """One good answer before many requests are sent; raises `OpsError` with what is wrong instead."""
    answer = await sender.send(request)
    if answer.failure is None:
        return answer
    place = f"{url}{request.path}"
    if answer.status == 403:
        raise OpsError(f"{place} answers 403: it is closed to this machine (see admin_cidrs)")
    if answer.location:
        raise OpsError(f"{place} answers {answer.status} and leads to {answer.location}: name that path")
    if answer.status:
        raise OpsError(f"{place} answers {answer.status}: a path that answers 200 is needed")
    raise OpsError(f"{place} cannot be reached: {answer.failure}")


class Outcome:
    """What the requests of one measurement came to, growing while it runs; a series for each name of a request."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}
        self.late = 0
        self.in_flight = 0

    async def measure(self, sender: Sender, request: Request, due: float, begin: float) -> None:
        """Send a request that is due at `due` of the loop's clock, and record what it came to."""
        loop = asyncio.get_running_loop()
        self.late += loop.time() - due > LATE_SECONDS
        self.in_flight += 1
        try:
            answer = await sender.send(request)
        finally:
            self.in_flight -= 1
        degraded = answer.failure is None and request.degraded is not None and request.degraded in answer.body
        self.series.setdefault(request.name, Series(request.name)).record(
            due - begin, loop.time() - due, answer.failure, degraded=degraded
        )

    @property
    def requests(self) -> int:
        return sum(len(one) for one in self.series.values())

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.series.values())


Stop = Callable[[float, int], bool]


async def at_rate(
    sender: Sender,
    choose: Callable[[int], Request],
    outcome: Outcome,
    *,
    rate: float,
    stop: Stop,
    begin: float,
) -> None:
    """Send `rate` requests a second until `stop(due, number)`; returns when all are answered.

    `choose` gives the request of a number; `begin` is the moment of the loop's clock that times count from.
    """
    loop = asyncio.get_running_loop()
    first = loop.time()
    under_way: set[asyncio.Task[Any]] = set()
    number = 0
    while True:
        due = first + number / rate
        # At once where it is late, but never without a chance for the answers to come in.
        await asyncio.sleep(max(0.0, due - loop.time()))
        if stop(due - first, number):
            break
        task = asyncio.create_task(outcome.measure(sender, choose(number), due, begin))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        number += 1
    await asyncio.gather(*under_way)


async def at_once(
    sender: Sender,
    request: Request,
    outcome: Outcome,
    *,
    concurrency: int,
    stop: Stop,
    begin: float,
) -> None:
    """Keep `concurrency` requests under way until `stop(now, number)`; returns when all are answered."""
    loop = asyncio.get_running_loop()
    first = loop.time()
    number = 0

    async def user() -> None:
        nonlocal number
        while not stop(loop.time() - first, number):
            number += 1
            await outcome.measure(sender, request, loop.time(), begin)

    await asyncio.gather(*(user() for _ in range(concurrency)))


async def repeatedly(action: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Act now and then every `seconds`, until cancelled."""
    while True:
        await action()
        await asyncio.sleep(seconds)
