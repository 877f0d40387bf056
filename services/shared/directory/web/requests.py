"""What a request says: headers, and bodies of a bounded size."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.types import Scope

from directory.web.problems import Problem
from directory.web.texts import choose

BODY_LIMIT = 64 * 1024
_DRAINED = 1024 * 1024
_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')


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


def entity_versions(text: str) -> set[str]:
    """The entity tags of an If-Match or If-None-Match header."""
    return set(_ENTITY_TAG.findall(text))
