"""What the services' own parts cost beside those of the libraries that could stand in their place.

In one process, without a network but that to the database: a request through the application against the same through
Starlette's, and a statement through the pool against the same through SQLAlchemy's asynchronous engine. Both sides take
turns; medians. docs/decisions/0018-own-parts.md says what follows from it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services/shared"), str(ROOT / "services/customer")]

from sqlalchemy import text  # noqa: E402
from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import Response  # noqa: E402
from starlette.routing import Route  # noqa: E402

from customer.app import create_app  # noqa: E402
from directory.domain.model import MAX_ID  # noqa: E402
from directory.logs import Journal  # noqa: E402
from directory.settings import Settings  # noqa: E402
from directory.storage.database import Statement, connect  # noqa: E402
from tests.services.harness import database_server  # noqa: E402

ROUNDS = 7
REQUESTS, STATEMENTS = 5000, 2000
AT_ONCE = 20
ONE = "SELECT * FROM suppliers WHERE id = 1"
LIST = "SELECT * FROM suppliers ORDER BY name, id LIMIT 50"

App = Callable[[Any, Any, Any], Awaitable[None]]


def starlette_like(paths: Mapping[str, Any], settings: Settings, headers: list[tuple[bytes, bytes]]) -> App:
    """Starlette with as many routes, the same headers on each answer and a line of the log for each request."""
    journal = Journal(settings.service, settings.environment)

    async def answer(request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    class Around:
        def __init__(self, app: App) -> None:
            self._app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            started, status = time.perf_counter(), 0

            async def add(message: Any) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    message["headers"] = [*message["headers"], *headers]
                await send(message)

            try:
                await self._app(scope, receive, add)
            finally:
                journal.request(
                    method=scope["method"],
                    route=scope["path"],
                    status=status,
                    seconds=time.perf_counter() - started,
                    trace="",
                    change=False,
                    employee="",
                )

    routes = [
        Route(path.replace("{id}", "{id:int}"), answer, methods=[*methods]) for path, methods in paths.items()
    ]
    return Starlette(routes=routes, middleware=[Middleware(Around)])


async def requests(app: App, path: str) -> float:
    """Seconds a request."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        return None

    began = time.perf_counter()
    for _ in range(REQUESTS):
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"user-agent", b"bench"), (b"accept-language", b"en")],
            "scheme": "http",
            "http_version": "1.1",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
        }
        await app(scope, receive, send)
    return (time.perf_counter() - began) / REQUESTS


async def statements(run: Callable[[], Awaitable[Any]]) -> float:
    """Seconds a statement, 20 at once."""

    async def client() -> None:
        for _ in range(STATEMENTS // AT_ONCE):
            await run()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return (time.perf_counter() - began) / STATEMENTS


async def in_turns(**sides: Callable[[], Awaitable[float]]) -> dict[str, float]:
    """Median seconds of each side, after a round that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(ROUNDS + 1):
        for name, measure in sides.items():
            seconds = await measure()
            if turn:
                taken[name].append(seconds)
    return {name: statistics.median(each) for name, each in taken.items()}


async def measured() -> dict[str, dict[str, float]]:
    """By what is done, the seconds that ours and the library's take."""
    found: dict[str, dict[str, float]] = {}
    app = create_app(Settings(service="customer", database_url="sqlite://"))
    theirs = starlette_like(vars(app._routes)["_paths"], app.settings, app._headers)
    for path in ("/health", f"/api/suppliers/{MAX_ID + 1}"):
        what = "a request, first route" if path == "/health" else "a request for what is not there"
        found[what] = await in_turns(
            ours=partial(requests, app, path), library=partial(requests, theirs, path)
        )
    with database_server() as server:
        row = "('Blue Harbor', '1 Main Street', 'Portland', 'OR', 'a@example.org', '+12066241234')"
        server.run(
            f"INSERT INTO suppliers (name, address, city, state, email, phone) VALUES {', '.join([row] * 200)}",
            database="suppliers",
        )
        own = connect(Settings(service="customer", database_url=server.url("customer")))
        url = server.url("customer").replace("mysql://", "mysql+asyncmy://")
        engine = create_async_engine(url, pool_size=5, max_overflow=0, isolation_level="AUTOCOMMIT")

        async def by_engine(sql: str) -> Any:
            async with engine.connect() as connection:
                return (await connection.execute(text(sql))).fetchall()

        for what, sql in (("a row by its key", ONE), ("a list of 50 rows", LIST)):
            statement = Statement(text(sql))
            found[what] = await in_turns(
                ours=partial(statements, partial(own.rows, statement, {})),
                library=partial(statements, partial(by_engine, sql)),
            )
        await own.close()
        await engine.dispose()
    return found


def main() -> None:
    """Print the figures."""
    # The log goes where it costs what writing costs, and is not looked at.
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    found = asyncio.run(measured())
    os.dup2(out, 1)
    table = Table(title=f"Own parts and libraries, medians of {ROUNDS}")
    for column in ("what", "ours µs", "library µs", "library / ours"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, seconds in found.items():
        ours, library = seconds["ours"], seconds["library"]
        table.add_row(what, f"{1e6 * ours:.0f}", f"{1e6 * library:.0f}", f"{library / ours:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
