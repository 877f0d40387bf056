"""What a running service writes to its log."""

from __future__ import annotations

import array
import fcntl
import json
import os
import sys
import termios
import time
import uuid
from pathlib import Path
from typing import Any

from tests.services.harness import VALID, Service, Site, eventually, running

TRACE = "Root=1-67891233-abcdef012345678912345678"


def lines_with(service: Service, **wanted: Any) -> list[dict[str, Any]]:
    return [line for line in service.lines() if all(line.get(key) == value for key, value in wanted.items())]


def test_each_request_is_one_line_with_its_route_and_trace(site: Site) -> None:
    number = site.add()
    before = len(lines_with(site.customer, route="/suppliers/{id}"))
    site.customer.client.get(f"/suppliers/{number}?x=1", headers={"X-Amzn-Trace-Id": TRACE})
    found = eventually(lambda: lines_with(site.customer, route="/suppliers/{id}")[before:])
    (line,) = found
    assert (line["method"], line["status"], line["trace"]) == ("GET", 200, TRACE)
    assert line["duration_ms"] > 0


def test_a_trace_id_that_is_none_is_not_repeated_in_the_log(site: Site) -> None:
    site.customer.client.get("/nothing", headers={"X-Amzn-Trace-Id": '"}\\ forged {"'})
    eventually(lambda: lines_with(site.customer, status=404))
    assert "forged" not in site.customer.log.read_text()


def test_nothing_personal_is_logged(site: Site) -> None:
    secrets = ["Zaphod Private", "zaphod@private.coffee", "624-1234", "6241234", "Privateville"]
    person = {**VALID, "name": secrets[0], "email": secrets[1], "city": secrets[4]}
    site.employee.submit("/admin/supplier-add", **person)
    site.employee.submit("/admin/supplier-add", **{**person, "phone": "x"})
    site.employee.client.post("/admin/api/suppliers", content=json.dumps(person)[:-2].encode())
    site.employee.client.get("/admin/suppliers", params={"q": secrets[1]})
    site.customer.client.get("/suppliers", params={"q": secrets[0]})
    site.customer.client.get(f"/suppliers/{secrets[4]}")
    eventually(lambda: lines_with(site.customer, status=404))
    eventually(lambda: lines_with(site.employee, status=415) or lines_with(site.employee, status=400))
    for service in (site.customer, site.employee):
        log = service.log.read_text()
        assert [secret for secret in secrets if secret.lower() in log.lower()] == []


def test_every_line_is_json(site: Site) -> None:
    site.employee.client.get("/admin/suppliers")
    for service in (site.customer, site.employee):
        assert service.lines()


def test_a_change_is_marked_and_names_the_employee_by_the_id_of_the_sign_in(site: Site) -> None:
    identity = {"X-Amzn-Oidc-Identity": "5f6e7d8c-0000-4000-8000-1234567890ab"}
    traces = [f"Root=1-67890abc-{uuid.uuid4().hex[:24]}" for _ in range(3)]
    client = site.employee.client
    client.get("/admin/suppliers", headers={**identity, "X-Amzn-Trace-Id": traces[0]})
    added = client.post(
        "/admin/api/suppliers", json=VALID, headers={**identity, "X-Amzn-Trace-Id": traces[1]}
    )
    client.delete(f"/admin/api/suppliers/{added.json()['id']}", headers={"X-Amzn-Trace-Id": traces[2]})

    def told() -> list[dict[str, Any]]:
        return [line for trace in traces for line in lines_with(site.employee, trace=trace)]

    eventually(lambda: len(told()) == 3)
    read, created, deleted = told()
    assert "change" not in read
    assert (created["change"], created["employee"]) == (1, identity["X-Amzn-Oidc-Identity"])
    assert deleted["change"] == 1
    assert "employee" not in deleted


def test_a_service_answers_while_nobody_takes_its_log_away(tmp_path: Path) -> None:
    """As a log driver does that cannot send: the pipe is full after some hundred requests."""
    read_end, write_end = os.pipe()
    launcher = f"exec {sys.executable} -m customer >&{write_end} 2>&1"
    address = "sqlite:///" + str(tmp_path / "suppliers.db")
    with os.fdopen(write_end, "wb"), os.fdopen(read_end, "rb") as unread:
        pipe = fcntl.fcntl(unread, fcntl.F_GETPIPE_SZ)
        command = ["bash", "-c", launcher]
        environment = {"DATABASE_URL": address}
        with running(
            "customer", tmp_path / "log", environment=environment, command=command, pass_fds=(write_end,)
        ) as service:
            slowest = 0.0
            for _ in range(pipe // 100):
                started = time.monotonic()
                assert service.client.get("/").status_code == 200
                slowest = max(slowest, time.monotonic() - started)
            assert slowest < 1
            # Full, as far as batches of lines fill the pages that a pipe is made of.
            assert _waiting(unread) > pipe // 2
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < 5


def _waiting(pipe: Any) -> int:
    answer = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, answer)
    return answer[0]
