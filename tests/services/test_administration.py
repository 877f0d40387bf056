"""The public service has no administration, however a request for it is spelled and whatever rule lets it through."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import settings as examples

from customer.app import create_app
from directory.domain.model import LENGTHS
from directory.settings import Settings
from directory.web.application import Application
from tests.spellings import ADMINISTRATION, spellings

# What AWS WAF reads of a body that a load balancer takes; its common rules block what is longer:
# https://docs.aws.amazon.com/waf/latest/developerguide/web-acl-setting-body-inspection-limit.html
FIREWALL_BODY = 8192


@pytest.fixture(scope="module")
def customer() -> Application:
    return create_app(Settings(service="customer", database_url="sqlite:///nowhere.db"))


async def status_of(application: Application, path: str) -> int:
    """The status of a GET, with the path as the server hands it over: decoded, and nothing else done to it."""
    sent: list[dict[str, Any]] = []
    target, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(target),
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"suppliers.example.com")],
        "scheme": "http",
        "http_version": "1.1",
        "client": ("203.0.113.5", 40000),
        "server": ("10.0.3.4", 8080),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await application(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("path", ADMINISTRATION)
def test_the_public_service_has_no_administration(customer: Application, path: str) -> None:
    assert asyncio.run(status_of(customer, path)) == 404


@examples(deadline=None)
@given(path=spellings())
def test_the_public_service_has_no_administration_however_it_is_spelled(
    customer: Application, path: str
) -> None:
    assert asyncio.run(status_of(customer, path)) == 404


def test_a_form_with_every_field_full_is_short_enough_for_the_firewall() -> None:
    # Every character escaped, as signs and blanks are; the letters of other scripts take two or three times that,
    # so that a form in which all fields are full of them is refused.
    full = {field: "&" * length for field, length in LENGTHS.items()}
    hidden = {"csrf": "x" * 43, "request": "x" * 200, "id": "9" * 10, "version": "9" * 10}
    assert len(urlencode({**full, **hidden})) < FIREWALL_BODY
