"""What must be refused, and what every answer carries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.harness import VALID, Site, running

ADD = "/admin/supplier-add"
FORMS = [(ADD, {}), ("/admin/supplier-update", {"id": "1", "version": "1"}), ("/admin/supplier-remove/1", {})]


@pytest.mark.parametrize(("path", "more"), FORMS)
def test_every_form_needs_the_token_of_its_visitor(site: Site, path: str, more: dict[str, str]) -> None:
    client = site.employee.client
    assert client.post(path, data={**VALID, **more}).status_code == 403
    assert client.post(path, data={**VALID, **more, "csrf": ""}).status_code == 403
    token = site.employee.form(ADD)["csrf"]
    assert client.post(path, data={**VALID, **more, "csrf": token + "x"}).status_code == 403
    stranger = httpx.post(f"{site.employee.url}{path}", data={**VALID, **more, "csrf": token})
    assert stranger.status_code == 403
    assert "The form could not be accepted" in stranger.text
    assert site.rows() == []


def test_a_form_sent_from_another_site_is_refused_even_with_the_token(site: Site) -> None:
    form = {**site.employee.form(ADD), **VALID}
    answer = site.employee.client.post(ADD, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert site.rows() == []


def test_json_from_another_site_is_refused(site: Site) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert site.employee.client.post("/admin/api/suppliers", json=VALID, headers=headers).status_code == 403
    number = site.add()
    assert site.employee.client.delete(f"/admin/api/suppliers/{number}", headers=headers).status_code == 403


def test_a_form_in_another_encoding_is_refused(site: Site) -> None:
    assert site.employee.client.post(ADD, json=VALID).status_code == 415


def test_a_body_above_64_kib_is_refused_with_a_page(site: Site) -> None:
    form = site.employee.form(ADD)
    answer = site.employee.client.post(ADD, data={**form, **VALID, "name": "x" * 66_000})
    assert answer.status_code == 413
    assert "Too much data" in answer.text

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"a" * 4096

    answer = site.employee.client.post(
        ADD, content=endless(), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/", "/suppliers", "/suppliers/1", "/api/suppliers", "/health", "/nothing", "/api/nothing"]
)
def test_every_answer_carries_the_protecting_headers(site: Site, path: str) -> None:
    headers = site.customer.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-service-version"] == "tested"
    assert headers["server"] == "directory"
    assert "strict-transport-security" not in headers
    secure = site.customer.client.get(path, headers={"X-Forwarded-Proto": "https"}).headers
    assert "strict-transport-security" in secure


def test_cookies_are_closed_to_scripts_and_other_sites_and_secure_behind_tls(site: Site) -> None:
    plain = httpx.get(site.employee.url + ADD).headers["set-cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=strict" in plain
    assert "Secure" not in plain
    secure = httpx.get(site.employee.url + ADD, headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    assert secure.startswith("__Host-csrf=")
    assert "Secure" in secure
    assert "Path=/;" in secure


def test_administration_pages_are_not_kept_by_browsers(site: Site) -> None:
    assert site.employee.client.get("/admin/suppliers").headers["cache-control"] == "no-store"


def test_only_trusted_hosts_are_served_but_health_checks_by_address_are(site: Site, tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "TRUSTED_HOSTS": "suppliers.example, Other.example",
    }
    with running("customer", tmp_path / "log", wait=False, environment=environment) as service:
        from tests.services.harness import eventually

        eventually(lambda: service.client.get("/health").status_code == 200)
        assert service.client.get("/suppliers", headers={"Host": "evil.example"}).status_code == 421
        assert service.client.get("/", headers={"Host": "evil.example"}).status_code == 421
        assert service.client.get("/nothing", headers={"Host": "other.example:80"}).status_code == 404
        assert service.client.get("/health", headers={"Host": "10.0.3.7:8080"}).status_code == 200
        assert service.client.get("/nothing", headers={"Host": "10.0.3.7:8080"}).status_code == 421


def test_an_error_shows_no_trace_outside_the_log(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/wrong.db"}
    connection = sqlite3.connect(tmp_path / "wrong.db")
    connection.execute("CREATE TABLE suppliers (id INTEGER PRIMARY KEY)")
    connection.close()
    with running("employee", tmp_path / "log", wait=False, environment=environment) as service:
        from tests.services.harness import eventually

        eventually(lambda: service.client.get("/health").status_code == 200)
        answer = service.client.get("/admin/supplier-update/1")
        assert answer.status_code == 500
        assert "Something went wrong" in answer.text
        assert "Traceback" not in answer.text
        assert "sqlite" not in answer.text.lower()
        problem = service.client.get("/admin/api/suppliers/1")
        assert problem.status_code == 500
        assert set(problem.json()) == {"type", "title", "status", "detail"}
        assert any("OperationalError" in line.get("exception", "") for line in eventually(service.lines))


def test_sql_in_the_address_is_only_text(site: Site) -> None:
    site.add()
    for path in ("/suppliers/1%20OR%201=1", "/suppliers/1;DROP%20TABLE%20suppliers", "/suppliers/%27"):
        assert site.customer.client.get(path).status_code == 404
    assert len(site.rows()) == 1


def test_nobody_may_write_through_the_customers_database_user(mysql_only: Site, mysql: object) -> None:
    import pymysql

    from tests.services.harness import MySQLServer

    assert isinstance(mysql, MySQLServer)
    customer = mysql.connect("customer", database="suppliers")
    with customer.cursor() as cursor, pytest.raises(pymysql.MySQLError):
        cursor.execute("DELETE FROM suppliers")
    employee = mysql.connect("employee", database="suppliers")
    with employee.cursor() as cursor, pytest.raises(pymysql.MySQLError):
        cursor.execute("ALTER TABLE suppliers ADD x INT")
    customer.close()
    employee.close()
