"""The readers' routes: pages and JSON, nothing that writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope, Send

from directory.domain.listing import MAX_PAGE, MAX_SEARCH, MAX_SIZE, Listing, Page, composed, page_from
from directory.domain.model import SORTS, Entry
from directory.storage.cache import SingleFlight
from directory.web import openapi
from directory.web.context import Context
from directory.web.problems import Problem
from directory.web.requests import entity_versions, language_of
from directory.web.responses import html, json, old
from directory.web.routes import Routes

# Together with the age of a large table's count, below the second in which changes have to be visible.
_CACHE_SECONDS = 0.6


class RawPage:
    """A page whose ASGI messages are made once and sent many times."""

    def __init__(self, body: bytes, language: str, cache: str, headers: Mapping[str, str]) -> None:
        self._start = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", cache.encode()),
            (b"content-language", language.encode()),
            (b"vary", b"Accept-Language"),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ]
        self._body = body

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._start})
        await send({"type": "http.response.body", "body": self._body})


def routes(context: Context, *, home: bool = True, documents: str = "/api/openapi.json") -> Routes:
    """GET routes of one directory; `home` leaves out `/` where another service has it."""
    addresses = context.directory.readers
    rendered: SingleFlight[tuple[str, Page], RawPage] = SingleFlight(seconds=_CACHE_SECONDS)
    cache = context.settings.public_cache
    document = openapi.document(context.directory, admin=False, path=documents)

    async def home_page(request: Request) -> Response:
        language = language_of(request.scope)
        return html(context.pages.home(language), language, cache=cache)

    async def list_page(request: Request) -> Any:
        scope = request.scope
        language = language_of(scope)
        page = page_from(request.query_params) if scope["query_string"] else _FIRST

        async def make() -> RawPage:
            listing, stale = await context.read_list(page)
            body = context.pages.list(language, listing, admin=False, stale=stale)
            return RawPage(body, language, cache, old(listing) if stale else {})

        return rendered.fresh((language, page)) or await rendered.get((language, page), make)

    async def entry_page(request: Request) -> Response:
        language = language_of(request.scope)
        entry = await context.store.get(request.path_params["id"])
        if entry is None:
            raise Problem(404)
        return html(context.pages.entry(language, entry), language, cache=cache)

    async def openapi_json(request: Request) -> Response:
        return json(document, headers={"Cache-Control": cache})

    found = Routes()
    if home:
        found.add("GET", "/", home_page)
    found.add("GET", addresses.list, list_page)
    found.add("GET", f"{addresses.list}/{{id}}", entry_page)
    found.add("GET", addresses.api, api_list(context, cache=cache))
    found.add("GET", f"{addresses.api}/{{id}}", api_get(context, cache=cache))
    found.add("GET", documents, openapi_json)
    return found


_FIRST = Page()


def represent(entry: Entry) -> dict[str, object]:
    return {"id": entry.id, **entry.fields()}


def api_list(context: Context, *, cache: str = "no-cache") -> Any:
    async def list_json(request: Request) -> Response:
        listing, stale = await context.read_list(strict_page(request, context))
        told = old(listing) if stale else {}
        return json(represent_list(listing, stale), headers={"Cache-Control": cache, **told})

    return list_json


def api_get(context: Context, *, cache: str = "no-cache") -> Any:
    async def get_json(request: Request) -> Response:
        entry = await context.store.get(request.path_params["id"])
        if entry is None:
            raise Problem(404)
        headers = {"ETag": entry.etag, "Cache-Control": cache}
        if str(entry.version) in entity_versions(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return json(represent(entry), headers=headers)

    return get_json


def represent_list(listing: Listing, stale: bool) -> dict[str, object]:
    return {
        "items": [represent(entry) for entry in listing.entries],
        "page": listing.page.page,
        "size": listing.page.size,
        "total": listing.total,
        "total_is_exact": listing.exact,
        "more": listing.more,
        "stale": stale,
    }


def strict_page(request: Request, context: Context) -> Page:
    """The page an API client asks for; what a person's browser is forgiven is an error here."""
    query = request.query_params
    errors: dict[str, str] = {}
    for name, high in (("page", MAX_PAGE), ("size", MAX_SIZE)):
        value = query.get(name)
        if value is not None and not (
            value.isascii() and value.isdecimal() and len(value) < 10 and 1 <= int(value) <= high
        ):
            errors[name] = f"a number from 1 to {high}"
    if len(composed(query.get("q", ""))) > MAX_SEARCH:
        errors["q"] = f"at most {MAX_SEARCH} characters"
    if query.get("sort", "name").removeprefix("-") not in SORTS:
        errors["sort"] = f"one of {', '.join(SORTS)}, descending with a leading -"
    for name in query:
        if name not in ("q", "page", "size", "sort"):
            errors[name] = "unknown"
    for name in ("q", "page", "size", "sort"):
        if len(query.getlist(name)) > 1:
            errors[name] = "only once"
    if errors:
        raise Problem(422, members={"errors": errors})
    return page_from(query)
