"""What every service process does around its routes: limits, headers, errors, logs, readiness, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from directory.logs import Journal
from directory.settings import Settings
from directory.storage.database import Database, DatabaseAway
from directory.storage.shared_cache import SharedCache
from directory.web.context import Context
from directory.web.pages import STYLE_HASH, Pages
from directory.web.problems import Moved, Problem
from directory.web.readiness import Readiness
from directory.web.requests import header, is_secure, language_of
from directory.web.responses import RETRY_AFTER, html, problem_json
from directory.web.routes import Routes

log = logging.getLogger("directory.web")

Headers = list[tuple[bytes, bytes]]


class Application:
    """The ASGI application of one service process."""

    def __init__(
        self,
        settings: Settings,
        *,
        routes: Routes,
        contexts: list[Context],
        database: Database,
        journal: Journal | None = None,
        ready_paths: frozenset[str] = frozenset(),
        cache: SharedCache | None = None,
    ) -> None:
        self.settings = settings
        self.contexts = contexts
        self.database = database
        self._cache = cache
        self.readiness = Readiness(contexts)
        self.journal = journal or Journal(settings.service, settings.environment)
        self._pages = contexts[0].pages
        self._texts = contexts[0].texts
        self._ready_paths = ready_paths
        self._routes = Routes()
        self._routes.add("GET", "/health", self._health)
        self._routes.update(routes)
        self._host_free = ready_paths | {"/health"}
        standalone = tuple(each.directory.editors.api for each in contexts if each.directory.standalone)
        self._api = ("/api/", "/admin/api/", *standalone)
        self._headers: Headers = [
            # Otherwise the HTTP server names itself.
            (b"server", b"directory"),
            (b"x-service-version", settings.version.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
            (
                b"content-security-policy",
                f"default-src 'none'; style-src {STYLE_HASH}; img-src data:; form-action 'self'; "
                "base-uri 'none'; frame-ancestors 'none'".encode(),
            ),
        ]
        self._secure_headers: Headers = [
            *self._headers,
            (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self.readiness.watch())]
        if self._cache is not None:
            tasks.append(loop.create_task(self._cache.stay_connected()))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.database.close()
        self.journal.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _health(self, request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 0
        if self.settings.public_https:
            scope["directory.public_https"] = True
        added = self._secure_headers if is_secure(scope) else self._headers

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            try:
                path: str = scope["path"]
                if self.settings.trusted_hosts:
                    self._check_host(scope)
                _, endpoint = self._routes.find(scope)
                if path in self._ready_paths and not self.readiness.reached:
                    raise DatabaseAway("not reached yet")
                response = await endpoint(Request(scope, receive))
            except Moved as moved:
                query = scope["query_string"].decode("latin-1")
                response = Response(
                    status_code=308,
                    headers={
                        "Location": f"{moved.path}?{query}" if query else moved.path,
                        "Cache-Control": "no-cache",
                    },
                )
            except Problem as problem:
                response = self._problem(scope, problem)
            except DatabaseAway:
                response = self._problem(scope, Problem(503, headers={"Retry-After": RETRY_AFTER}))
            except Exception:
                log.exception("unexpected error in %s", scope.get("directory.route", "no route"))
                response = self._problem(scope, Problem(500))
            await response(scope, receive, answer)
        finally:
            self.journal.request(
                method=scope["method"],
                route=scope.get("directory.route", "-"),
                status=status,
                seconds=time.perf_counter() - started,
                trace=_identifier(header(scope, b"x-amzn-trace-id")),
                change=bool(scope.get("directory.change")),
                # Whoever the load balancer let sign in, by the identity provider's id, which is no name. It puts
                # its own header in place of a client's, but only where people sign in.
                employee=_identifier(header(scope, b"x-amzn-oidc-identity")),
            )

    def _check_host(self, scope: Scope) -> None:
        host = header(scope, b"host").lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name in self.settings.trusted_hosts:
            return
        if scope["path"] in self._host_free:
            # A load balancer's health check names the target's private address.
            with contextlib.suppress(ValueError):
                if ipaddress.ip_address(name.strip("[]")).is_private:
                    return
        raise Problem(421)

    def _problem(self, scope: Scope, problem: Problem) -> Response:
        language = language_of(scope)
        path: str = scope["path"]
        if path.startswith(self._api):
            return problem_json(self._texts[language], problem)
        body = self._pages_for(path).error(
            language,
            problem.status,
            admin=path.startswith("/admin"),
            detail=self._texts[language](problem.text),
        )
        return html(body, language, status=problem.status, headers=problem.headers)

    def _pages_for(self, path: str) -> Pages:
        for context in self.contexts[1:]:
            if path.startswith((f"/{context.directory.plural}", f"/admin/{context.directory.singular}")):
                return context.pages
        return self._pages


def _identifier(text: str) -> str:
    """An id in a header, if it looks like one: it may be a client's text."""
    return text if len(text) <= 200 and all(c.isalnum() or c in "=;-:_." for c in text) else ""
