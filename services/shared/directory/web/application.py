"""What every service process does around its routes: limits, headers, errors, logs, readiness, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from directory.domain.model import MAX_ID, Directory
from directory.logs import Journal
from directory.settings import Settings
from directory.storage.database import Database, DatabaseAway
from directory.storage.shared_cache import SharedCache
from directory.storage.shared_lists import SharedLists
from directory.storage.store import Listing, Page, Store
from directory.web.pages import STYLE_HASH, Pages
from directory.web.texts import Texts, choose

log = logging.getLogger("directory.web")

BODY_LIMIT = 64 * 1024
_DRAINED = 1024 * 1024
RETRY_AFTER = "5"
_REFRESH_SECONDS = 10.0
_REACH_SECONDS = 0.25

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Endpoint = Callable[[Request], Awaitable[Response]]
Headers = list[tuple[bytes, bytes]]


class Problem(Exception):
    """An answer that is not a success; as a page or as application/problem+json (RFC 9457)."""

    def __init__(
        self,
        status: int,
        *,
        text: str = "",
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.text = text or f"error_{status}"
        self.members = dict(members or {})
        self.headers = dict(headers or {})


class Moved(Exception):
    """The address is another spelling of `path`, which is the only one that answers."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class LastKnown:
    """The lists that were read last, for the time when the database is away."""

    def __init__(self, most: int = 64) -> None:
        self._listings: OrderedDict[Page, Listing] = OrderedDict()
        self._most = most

    def remember(self, listing: Listing) -> None:
        self._listings[listing.page] = listing
        self._listings.move_to_end(listing.page)
        if len(self._listings) > self._most:
            # The plain first page stays, whatever else was asked for.
            for page in self._listings:
                if page != Page():
                    del self._listings[page]
                    break

    def get(self, page: Page) -> Listing | None:
        return self._listings.get(page)


@dataclass(frozen=True)
class Context:
    """What the routes of one directory work with."""

    settings: Settings
    directory: Directory
    store: Store
    pages: Pages
    texts: Mapping[str, Texts]
    last_known: LastKnown = field(default_factory=LastKnown)
    cache: SharedCache | None = None
    lists: SharedLists | None = None
    # Whether this process may write, and so looks after the rows that others wrote.
    writes: bool = False

    async def read_list(self, page: Page) -> tuple[Listing, bool]:
        """The list, and whether it is an old one because the database is away."""
        try:
            listing = await (self.lists.page(page, self.store.page) if self.lists else self.store.page(page))
        except DatabaseAway:
            of_others = await self.lists.last_known(page) if self.lists else None
            known = [each for each in (self.last_known.get(page), of_others) if each is not None]
            if not known:
                raise
            return max(known, key=lambda each: each.read_at), True
        self.last_known.remember(listing)
        return listing, False


class Readiness:
    """Whether this process has ever reached the database; then it keeps the plain list fresh, and all rows findable."""

    def __init__(self, contexts: list[Context]) -> None:
        self._contexts = contexts
        self.reached = False

    async def watch(self) -> None:
        while True:
            try:
                for context in self._contexts:
                    if not self.reached:
                        await context.store.prepare()
                    if context.writes and (completed := await context.store.complete_keys()):
                        log.info("%d rows that others wrote can be found now", completed)
                    context.last_known.remember(await context.store.page(Page()))
                if not self.reached:
                    self.reached = True
                    log.info("the database was reached; ready")
            except DatabaseAway as error:
                if not self.reached:
                    log.warning("waiting for the database: %s", error)
            except Exception:
                log.exception("cannot read the directory")
            await asyncio.sleep(_REFRESH_SECONDS if self.reached else _REACH_SECONDS)


class Routes:
    """Methods and endpoints by path; `{id}` may be the last part of a path."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, Endpoint]] = {}

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        self._paths.setdefault(path, {})[method] = endpoint

    def update(self, other: Routes) -> None:
        for path, methods in other._paths.items():
            for method, endpoint in methods.items():
                if method in self._paths.get(path, {}):
                    raise ValueError(f"two endpoints for {method} {path}")
                self.add(method, path, endpoint)

    def find(self, scope: Scope) -> tuple[str, Endpoint]:
        """The path's template and endpoint; Problem 404 or 405; Moved for a page's address in another spelling."""
        path: str = scope["path"]
        methods = self._paths.get(path)
        if methods is None:
            parent, _, last = path.rpartition("/")
            if not last and parent and not parent.endswith("/"):
                self.find({**scope, "path": parent})
                raise Moved(parent)
            path = parent + "/{id}"
            methods = self._paths.get(path)
            if methods is None or not (last.isascii() and last.isdecimal()) or len(last) > 10:
                raise Problem(404)
            if int(last) > MAX_ID:
                raise Problem(404)
            if last != str(int(last)):
                raise Moved(f"{parent}/{int(last)}")
            scope["path_params"] = {"id": int(last)}
        method = scope["method"]
        scope["directory.route"] = path
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allowed: list[str] = sorted({*methods, "HEAD"} if "GET" in methods else methods)
            raise Problem(405, headers={"Allow": ", ".join(allowed)})
        return path, endpoint


def header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def language_of(scope: Scope) -> str:
    return choose(header(scope, b"accept-language"))


def is_secure(scope: Scope) -> bool:
    """Whether the browser spoke TLS, to the load balancer or to what is in front of it."""
    if "directory.public_https" in scope:
        return True
    return (header(scope, b"x-forwarded-proto") or scope.get("scheme", "http")) == "https"


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

        async def answer(message: MutableMapping[str, Any]) -> None:
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


def old(listing: Listing) -> dict[str, str]:
    """How a program is told that a list is an old one: by a negative time to live.

    https://www.rfc-editor.org/rfc/rfc9211.html#section-2.5
    """
    age = max(1, round(time.time() - listing.read_at))
    return {"Cache-Status": f"directory; hit; ttl=-{age}"}


def html(
    body: bytes,
    language: str,
    *,
    status: int = 200,
    cache: str = "no-store",
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(
        body,
        status,
        media_type="text/html",
        headers={
            "Cache-Control": cache,
            "Content-Language": language,
            "Vary": "Accept-Language",
            **(headers or {}),
        },
    )


def json(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(value),
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-cache", **(headers or {})},
    )


def problem_json(t: Texts, problem: Problem) -> Response:
    return Response(
        orjson.dumps(
            {
                "type": "about:blank",
                "title": t(f"error_{problem.status}_title"),
                "status": problem.status,
                "detail": t(problem.text),
                **problem.members,
            }
        ),
        problem.status,
        media_type="application/problem+json",
        headers={
            "Cache-Control": "no-store",
            "Content-Language": t.language,
            "Vary": "Accept-Language",
            **problem.headers,
        },
    )


async def body_of(request: Request) -> bytes:
    """The whole body, or Problem 413 if it is too large."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > _DRAINED:
        raise Problem(413)
    body, size = b"", 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= BODY_LIMIT:
            body += chunk
        elif size > _DRAINED:
            break
    # A client that is still sending would see a broken connection instead of the answer: what is a little too
    # large is read to its end, and dropped.
    if size > BODY_LIMIT:
        raise Problem(413)
    return body


async def form_of(request: Request) -> dict[str, str]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await body_of(request)
    if content_type != "application/x-www-form-urlencoded":
        raise Problem(415)
    try:
        return dict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=40, errors="strict")
        )
    except ValueError:
        raise Problem(400) from None


async def json_of(request: Request) -> dict[str, object]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await body_of(request)
    if content_type != "application/json":
        raise Problem(415)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem(400) from None
    if not isinstance(value, dict):
        raise Problem(422)
    return value


_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')


def entity_versions(text: str) -> set[str]:
    """The entity tags of an If-Match or If-None-Match header."""
    return set(_ENTITY_TAG.findall(text))
