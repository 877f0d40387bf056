"""What the services say to something in front of them that keeps pages for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.services.harness import VALID, Site, migrate, running

SHARED = "max-age=0, s-maxage=10"
EDGE = {"SHARED_CACHE_SECONDS": "10", "PUBLIC_SCHEME": "https"}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, sqlite_site: Site) -> Iterator[Site]:
    """Both services as they are told to be behind CloudFront."""
    folder = tmp_path_factory.mktemp("behind")
    url = f"sqlite:///{folder / 'suppliers.db'}"
    migrate(url)
    environment = {"DATABASE_URL": url, **EDGE}
    with (
        running("customer", folder / "customer", environment=environment) as customer,
        running("employee", folder / "employee", environment=environment) as employee,
    ):
        yield replace(sqlite_site, customer=customer, employee=employee)


@pytest.fixture
def entry(behind: Site) -> int:
    return behind.add()


def test_public_pages_may_be_kept_for_everybody_and_are_asked_for_anew_by_browsers(
    behind: Site, entry: int
) -> None:
    for path in ("/", "/suppliers", f"/suppliers/{entry}", "/suppliers?q=x&page=2"):
        answer = behind.customer.client.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, SHARED), path
        assert answer.headers["vary"] == "Accept-Language"
        assert "set-cookie" not in answer.headers
    for path in ("/api/suppliers", f"/api/suppliers/{entry}", "/api/openapi.json"):
        answer = behind.customer.client.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, SHARED), path


def test_an_entry_that_did_not_change_is_kept_for_as_long_again(behind: Site, entry: int) -> None:
    path = f"/api/suppliers/{entry}"
    etag = behind.customer.client.get(path).headers["etag"]
    answer = behind.customer.client.get(path, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["cache-control"]) == (304, SHARED)
    # As an edge that compresses writes it.
    assert behind.customer.client.get(path, headers={"If-None-Match": f"W/{etag}"}).status_code == 304


@pytest.mark.parametrize("path", ["/suppliers/999999999", "/nothing", "/api/suppliers?page=x"])
def test_errors_are_kept_by_nobody(behind: Site, path: str) -> None:
    assert behind.customer.client.get(path).headers["cache-control"] == "no-store"


def test_nothing_of_the_administration_is_kept_for_everybody(behind: Site, entry: int) -> None:
    for path in (
        "/admin/suppliers",
        "/admin/supplier-add",
        f"/admin/supplier-update/{entry}",
        "/admin/api/suppliers",
        f"/admin/api/suppliers/{entry}",
        "/admin/api/openapi.json",
        "/admin/suppliers/nothing",
    ):
        answer = behind.employee.client.get(path)
        assert answer.headers["cache-control"] in ("no-store", "no-cache"), path


def test_forms_work_with_cookies_for_https_though_requests_arrive_by_http(behind: Site) -> None:
    page = behind.employee.client.get("/admin/supplier-add")
    assert page.headers["set-cookie"].startswith("__Host-csrf=")
    assert "Secure" in page.headers["set-cookie"]
    assert page.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_without_anything_in_front_no_page_is_kept(sqlite_site: Site) -> None:
    sqlite_site.clear()
    number = sqlite_site.add(**VALID)
    for path in ("/", "/suppliers", f"/suppliers/{number}", "/api/suppliers", f"/api/suppliers/{number}"):
        assert sqlite_site.customer.client.get(path).headers["cache-control"] == "no-cache", path
