from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from ops.aws.endpoint import Endpoint
from ops.errors import OpsError
from ops.load import traffic
from ops.load.traffic import Answer, HttpSender, Outcome, Request
from tests.ops import virtual_time
from tests.ops.virtual_time import Application

HOME = Request("home", "/")


async def at_rate(application: Application, rate: float, seconds: float) -> Outcome:
    outcome = Outcome()
    begin = asyncio.get_running_loop().time()
    await traffic.at_rate(
        application, lambda _: HOME, outcome, rate=rate, stop=lambda due, _: due >= seconds, begin=begin
    )
    return outcome


def test_a_rate_is_kept_whatever_the_answers_do() -> None:
    application = Application(seconds=lambda now: 30.0)
    outcome = virtual_time.run(at_rate(application, 20, 10))
    assert [moment for moment, _ in application.sent] == pytest.approx([n / 20 for n in range(200)])
    assert application.most_at_once == 200
    assert outcome.requests == 200


def test_an_application_that_stands_still_is_not_asked_less_and_all_who_wait_are_counted() -> None:
    # Between the seconds 2 and 5 nothing is answered: users who come in at 2.5 wait for 2.5 seconds and more.
    application = Application(seconds=lambda now: max(5.0 - now, 0.01) if 2 <= now < 5 else 0.01)
    outcome = virtual_time.run(at_rate(application, 10, 10))
    times = outcome.series["home"].answer_times()
    assert sum(took > 1 for took in times) == 20
    assert max(times) == pytest.approx(3.0)


def test_what_this_machine_delays_counts_as_the_answers_time_and_is_told() -> None:
    async def held_up() -> Outcome:
        loop = asyncio.get_running_loop()
        outcome = Outcome()
        due = loop.time()
        await asyncio.sleep(2)
        await outcome.measure(Application(), HOME, due, due)
        return outcome

    outcome = virtual_time.run(held_up())
    assert outcome.late == 1
    assert outcome.series["home"].answer_times() == [pytest.approx(2.01)]


def test_a_closed_model_never_has_more_under_way_than_it_may() -> None:
    async def at_once() -> tuple[Application, Outcome]:
        application, outcome = Application(seconds=lambda now: 0.5), Outcome()
        await traffic.at_once(
            application, HOME, outcome, concurrency=7, stop=lambda _, number: number >= 100, begin=0.0
        )
        return application, outcome

    application, outcome = virtual_time.run(at_once())
    assert application.most_at_once == 7
    assert outcome.requests == len(application.sent) == 100


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on this machine's own network; its port."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def ask(url: str, request: Request = HOME, *, timeout: float = 5.0) -> Answer:
    async with HttpSender(Endpoint(url), timeout=timeout) as sender:
        return await sender.send(request)


def answered(handler: Handler, request: Request = HOME, *, timeout: float = 5.0) -> Answer:
    async def exchange() -> Answer:
        async with serving(handler) as port:
            return await ask(f"http://127.0.0.1:{port}", request, timeout=timeout)

    return asyncio.run(exchange())


async def fine(request: web.Request) -> web.Response:
    return web.Response(text=request.headers["Host"])


@pytest.mark.parametrize("status", [301, 403, 404, 500, 503])
def test_every_answer_but_a_2xx_failed_and_says_so(status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/other"})

    assert answered(handler).failure == f"HTTP {status}"


def test_an_answer_that_takes_too_long_is_a_timeout() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    assert answered(handler, timeout=0.2).failure == "timeout"


def test_an_answer_that_breaks_off_is_a_failure() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"ten bytes.")
        assert request.transport is not None
        request.transport.close()
        return response

    assert answered(handler).failure == "answer cut short"


def test_a_connection_that_is_closed_without_an_answer_is_a_failure() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    post = Request("write", "/", method="POST", json={"name": "x"})
    assert answered(handler, post).failure in ("connection closed", "connection reset")


def test_a_port_that_nobody_listens_on_refuses() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert asyncio.run(ask(f"http://127.0.0.1:{port}")).failure == "connection refused"


def test_an_unknown_name_is_told() -> None:
    assert asyncio.run(ask("http://nowhere.invalid")).failure == "name not resolved"


def test_a_certificate_that_nobody_trusts_is_told(tmp_path: Path) -> None:
    async def exchange() -> Answer:
        async with serving(fine, _self_signed(tmp_path)) as port:
            return await ask(f"https://localhost:{port}")

    failure = asyncio.run(exchange()).failure
    assert failure is not None
    assert failure.startswith("TLS: self")


def test_names_below_localhost_are_this_machine() -> None:
    async def exchange() -> Answer:
        async with serving(fine) as port:
            return await ask(f"http://suppliers-dev.alb.localhost:{port}")

    answer = asyncio.run(exchange())
    assert (answer.status, answer.failure) == (200, None)
    assert answer.body.startswith(b"suppliers-dev.alb.localhost:")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            Answer(403, failure="HTTP 403"),
            "http://x/admin answers 403: it is closed to this machine (see admin_cidrs)",
        ),
        (Answer(404, failure="HTTP 404"), "http://x/admin answers 404: a path that answers 200 is needed"),
        (
            Answer(301, failure="HTTP 301", location="https://y/"),
            "http://x/admin answers 301 and leads to https://y/: name that path",
        ),
        (Answer(0, failure="connection refused"), "http://x/admin cannot be reached: connection refused"),
    ],
)
def test_a_path_that_cannot_be_measured_is_one_line(answer: Answer, told: str) -> None:
    class Always:
        async def send(self, request: Request) -> Answer:
            return answer

    with pytest.raises(OpsError) as raised:
        asyncio.run(traffic.check(Always(), Request("load", "/admin"), "http://x"))
    assert str(raised.value) == told


def _self_signed(folder: Path) -> ssl.SSLContext:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
