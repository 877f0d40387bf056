"""Pages, JSON and problem documents, with the headers that all of a kind have."""

from __future__ import annotations

import time
from collections.abc import Mapping

import orjson
from starlette.responses import Response

from directory.domain.listing import Listing
from directory.web.problems import Problem
from directory.web.texts import Texts

RETRY_AFTER = "5"


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
