"""Both OpenAPI documents, tried out: no 5xx, no answer that is not documented."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.services.harness import Site

LIMITS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    derandomize=True,
    database=None,
)


def try_out(document: str, kind: str) -> list[str]:
    """Requests of one kind, fitting the document or not, to every operation; which operations were tried."""
    tried = []
    for found in schemathesis.openapi.from_url(document).get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if kind == "POSITIVE" or operation.query or operation.body or operation.path_parameters:
            try_operation(operation, kind)
            tried.append(operation.label)
    return tried


def try_operation(operation: Any, kind: str) -> None:
    # What makes an email or a phone number valid is more than a schema says: what fits may be refused.
    excluded = [positive_data_acceptance] if operation.body else []

    @given(case=operation.as_strategy(generation_mode=getattr(schemathesis.GenerationMode, kind)))
    @LIMITS
    def check(case: Any) -> None:
        case.call_and_validate(excluded_checks=excluded)

    check()  # pyright: ignore[reportCallIssue] - hypothesis gives the case


@pytest.fixture
def filled(mysql_only: Site) -> Site:
    for number in range(3):
        mysql_only.add(name=f"Roaster {number}")
    return mysql_only


@pytest.mark.parametrize("kind", ["POSITIVE", "NEGATIVE"])
def test_the_readers_interface_answers_as_documented(filled: Site, kind: str) -> None:
    tried = try_out(f"{filled.customer.url}/api/openapi.json", kind)
    assert {"GET /api/suppliers", "GET /api/suppliers/{id}"} <= set(tried)


@pytest.mark.parametrize("kind", ["POSITIVE", "NEGATIVE"])
def test_the_employees_interface_answers_as_documented(filled: Site, kind: str) -> None:
    tried = try_out(f"{filled.employee.url}/admin/api/openapi.json", kind)
    place = "/admin/api/suppliers"
    assert {f"GET {place}", f"POST {place}", f"PUT {place}/{{id}}", f"DELETE {place}/{{id}}"} <= set(tried)


def test_the_checks_that_matter_are_among_those_run() -> None:
    names = set(CHECKS.get_all_names())
    assert {
        "not_a_server_error",
        "status_code_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
        "content_type_conformance",
        "negative_data_rejection",
    } <= names
