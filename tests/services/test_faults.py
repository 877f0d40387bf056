"""The database goes away and comes back; passwords change; processes are told to stop."""

from __future__ import annotations

import html
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services.harness import (
    PASSWORD,
    VALID,
    MySQLServer,
    Service,
    Site,
    eventually,
    form_fields,
    free_port,
    migrate,
    running,
)
from tests.services.secrets_server import Secrets, secrets_server

API = "/admin/api/suppliers"


@pytest.fixture
def restored(mysql_only: Site, mysql: MySQLServer) -> Iterator[MySQLServer]:
    """The shared server, running again afterwards whatever the test did to it."""
    yield mysql
    mysql.start()
    mysql.wait()
    for service, path in ((mysql_only.customer, "/api/suppliers"), (mysql_only.employee, API)):

        def fresh(service: Service = service, path: str = path) -> bool:
            answer = service.client.get(path)
            return answer.status_code == 200 and not answer.json()["stale"]

        eventually(fresh, seconds=10)


class Load:
    """Clients that write and read without pause, and remember what was acknowledged."""

    def __init__(self, site: Site, *, writers: int = 4) -> None:
        self.site = site
        self.acknowledged: list[int] = []
        self.statuses: dict[int, int] = {}
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(writers)]
        self._threads.append(threading.Thread(target=self._read))

    def _write(self, worker: int) -> None:
        with httpx.Client(base_url=self.site.employee.url, timeout=20) as client:
            number = 0
            while not self._stop.is_set():
                number += 1
                try:
                    answer = client.post(API, json={**VALID, "name": f"Load {worker}-{number}"})
                except httpx.TransportError as error:
                    with self._lock:
                        self.failures.append(repr(error))
                    continue
                with self._lock:
                    self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
                    if answer.status_code == 201:
                        self.acknowledged.append(answer.json()["id"])
                    elif answer.status_code == 503 and not answer.headers.get("retry-after"):
                        self.failures.append("503 without Retry-After")
                time.sleep(0.005)

    def _read(self) -> None:
        with httpx.Client(base_url=self.site.customer.url, timeout=20) as client:
            while not self._stop.is_set():
                answer = client.get("/suppliers")
                if answer.status_code != 200:
                    with self._lock:
                        self.failures.append(f"list {answer.status_code}")
                time.sleep(0.01)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def test_nothing_acknowledged_is_lost_when_the_database_is_killed_under_load(
    mysql_only: Site, restored: MySQLServer
) -> None:
    site = mysql_only
    with Load(site) as load:
        eventually(lambda: len(load.acknowledged) > 100, what="writes before the outage")
        restored.stop()
        eventually(lambda: load.statuses.get(503, 0) > 20, what="503 for writes")
        before = len(load.acknowledged)
        restored.start()
        restored.wait()
        back = time.monotonic()
        eventually(lambda: len(load.acknowledged) > before + 50, seconds=5, what="writes after the outage")
        assert time.monotonic() - back < 5
    assert load.failures == []
    assert set(load.statuses) == {201, 503}, [line for line in site.employee.lines() if "exception" in line][
        -3:
    ]
    stored = {row["id"] for row in site.rows()}
    assert set(load.acknowledged) <= stored


def test_lists_show_the_last_data_with_a_notice_and_writes_say_when_to_retry(
    mysql_only: Site, restored: MySQLServer
) -> None:
    site = mysql_only
    number = site.add(name="Known before")
    eventually(lambda: "Known before" in site.customer.client.get("/suppliers").text)
    site.employee.client.get("/admin/suppliers")
    add, edit = (
        site.employee.form("/admin/supplier-add"),
        site.employee.form(f"/admin/supplier-update/{number}"),
    )
    restored.stop()

    page = html.unescape(site.employee.client.get("/admin/suppliers").text)
    assert "Known before" in page
    assert "You see the list as it was at" in page
    customers = eventually(
        lambda: (text := site.customer.client.get("/suppliers").text) and "list as it was at" in text and text
    )
    assert "Known before" in customers
    answer = site.customer.client.get("/api/suppliers")
    stale = answer.json()
    assert stale["stale"] is True
    assert stale["items"][0]["name"] == "Known before"
    answers = [answer, site.customer.client.get("/suppliers"), site.employee.client.get("/admin/suppliers")]
    for told in answers:
        assert re.fullmatch(r"directory; hit; ttl=-[1-9]\d*", told.headers["cache-status"])

    # Healthy throughout, so that no task is replaced.
    assert site.customer.client.get("/").status_code == 200
    assert site.employee.client.get("/admin/suppliers").status_code == 200

    for answer in (
        site.employee.client.post(API, json=VALID),
        site.employee.client.put(f"{API}/{number}", json=VALID, headers={"If-Match": "*"}),
        site.employee.client.delete(f"{API}/{number}"),
        site.employee.client.post("/admin/supplier-add", data={**add, **VALID}),
        site.employee.client.post("/admin/supplier-update", data={**edit, "city": "Tacoma"}),
        site.employee.client.post(f"/admin/supplier-remove/{number}", data=edit),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    form = site.employee.client.post("/admin/supplier-add", data={**add, **VALID})
    assert form_fields(form.text)["name"] == VALID["name"]
    assert "may not have been saved" in form.text
    unknown = site.customer.client.get("/api/suppliers", params={"q": "never asked before"})
    assert unknown.status_code == 503
    started = time.monotonic()
    site.customer.client.get("/suppliers?page=1")
    assert time.monotonic() - started < 1, "nobody waits for a database that is known to be away"


def test_a_connection_that_died_unnoticed_is_replaced_without_an_error(
    mysql_only: Site, mysql: MySQLServer
) -> None:
    site = mysql_only
    number = site.add()
    for _ in range(3):
        for (connection,) in mysql.run(
            "SELECT id FROM information_schema.processlist WHERE user IN ('customer', 'employee')"
        ):
            mysql.run(f"KILL {connection}")
        assert site.customer.client.get(f"/api/suppliers/{number}").status_code == 200
        assert site.employee.client.get(f"{API}/{number}").status_code == 200
        assert site.employee.client.post(API, json=VALID).status_code == 201


def test_a_database_that_stops_answering_does_not_hold_requests_for_ever(
    mysql_only: Site, mysql: MySQLServer
) -> None:
    from tests.services.harness import docker

    mysql_only.add(name="Known before")
    mysql_only.employee.client.get("/admin/suppliers")
    docker("pause", mysql.container)
    try:
        started = time.monotonic()
        answer = mysql_only.employee.client.get("/admin/suppliers")
        assert time.monotonic() - started < 10
        assert answer.status_code == 200
        assert "Known before" in answer.text
        assert mysql_only.employee.client.post(API, json=VALID).status_code == 503
        # Known to be away by now: nobody waits for a connection again.
        started = time.monotonic()
        for _ in range(5):
            assert mysql_only.employee.client.post(API, json=VALID).status_code == 503
        assert time.monotonic() - started < 1
    finally:
        docker("unpause", mysql.container)
    eventually(lambda: mysql_only.employee.client.post(API, json=VALID).status_code == 201, seconds=5)


def until_it_runs(service: Service) -> None:
    eventually(lambda: service.client.get("/health").status_code == 200)


def test_a_fresh_process_is_unhealthy_until_it_reached_the_database(
    mysql: MySQLServer, tmp_path: Path
) -> None:
    nowhere = f"mysql://customer:{PASSWORD}@127.0.0.1:{free_port()}/suppliers"
    for name, path in (("customer", "/"), ("employee", "/admin/suppliers")):
        with running(name, tmp_path / name, wait=False, environment={"DATABASE_URL": nowhere}) as service:
            until_it_runs(service)
            for _ in range(3):
                assert service.client.get(path).status_code == 503
                time.sleep(0.2)
            assert service.client.get("/health").status_code == 200


def test_a_file_is_enough_of_a_database(tmp_path: Path) -> None:
    with running(
        "employee", tmp_path / "log", environment={"DATABASE_URL": f"sqlite:///{tmp_path}/new.db"}
    ) as service:
        assert service.client.post(API, json=VALID).status_code == 201
        assert VALID["name"] in service.client.get("/admin/suppliers").text


@pytest.mark.docker
def test_a_fresh_process_becomes_healthy_when_the_database_appears(tmp_path: Path) -> None:
    database = tmp_path / "late" / "suppliers.db"
    environment = {"DATABASE_URL": f"sqlite:///{database}"}
    with running("employee", tmp_path / "log", wait=False, environment=environment) as service:
        eventually(lambda: service.client.get("/health").status_code == 200)
        assert service.client.get("/admin/suppliers").status_code == 503
        database.parent.mkdir()
        eventually(lambda: service.client.get("/admin/suppliers").status_code == 200, seconds=5)


@pytest.fixture
def secrets() -> Iterator[Secrets]:
    with secrets_server() as server:
        yield server


def test_a_rotated_password_is_picked_up_without_a_restart(
    mysql_only: Site, mysql: MySQLServer, secrets: Secrets, tmp_path: Path
) -> None:
    mysql.run(
        "CREATE USER rotated@'%' IDENTIFIED BY 'first-password'",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON suppliers.suppliers TO rotated@'%'",
    )
    arn = secrets.put("rotated", "rotated", "first-password")
    environment = {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(mysql.port),
        "DB_NAME": "suppliers",
        "DB_SECRET_ARN": arn,
        **secrets.environment,
    }
    try:
        with running("employee", tmp_path / "log", environment=environment) as service:
            assert service.client.post(API, json=VALID).status_code == 201
            reads = secrets.reads
            secrets.put("rotated", "rotated", "second-password")
            mysql.run("ALTER USER rotated@'%' IDENTIFIED BY 'second-password'")
            for (connection,) in mysql.run(
                "SELECT id FROM information_schema.processlist WHERE user='rotated'"
            ):
                mysql.run(f"KILL {connection}")
            statuses = {service.client.post(API, json=VALID).status_code for _ in range(10)}
            assert statuses == {201}
            assert secrets.reads == reads + 1, (
                "the secret is read again only when the old password is refused"
            )
            assert "second-password" not in service.log.read_text()
    finally:
        mysql.run("DROP USER rotated@'%'")


def slow_request(port: int) -> socket.socket:
    """A POST whose body is still missing: a request under way."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(
        b"POST /admin/api/suppliers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n"
    )
    return connection


def test_a_stopping_process_finishes_its_requests_and_accepts_no_new_ones(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/suppliers.db"
    migrate(url)
    with running("employee", tmp_path / "log", environment={"DATABASE_URL": url}) as service:
        port = int(service.url.rsplit(":", 1)[1])
        under_way = slow_request(port)
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        started = time.monotonic()

        def refuses() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except ConnectionRefusedError:
                return True
            return False

        eventually(refuses, seconds=3)
        assert service.process.poll() is None
        under_way.sendall(b"{}")
        assert under_way.recv(4096).startswith(b"HTTP/1.1 422")
        under_way.close()
        assert service.process.wait(20) == 0
        assert time.monotonic() - started < 25
        requests = [line for line in service.lines() if line.get("message") == "request"]
        assert requests[-1]["status"] == 422, "the log is complete"


def test_a_request_that_never_ends_does_not_keep_a_process_from_stopping(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/suppliers.db"
    migrate(url)
    from directory.settings import Settings

    assert Settings(service="x").stop_seconds == 20
    with running(
        "employee", tmp_path / "log", environment={"DATABASE_URL": url, "STOP_SECONDS": "2"}
    ) as service:
        hanging = slow_request(int(service.url.rsplit(":", 1)[1]))
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert service.process.wait(25) == 0
        assert 1.5 < time.monotonic() - started < 5
        hanging.close()


@pytest.mark.parametrize(
    ("setting", "pause", "kept"), [({}, 6.0, True), ({"KEEP_ALIVE_SECONDS": "2"}, 4.0, False)]
)
def test_idle_connections_are_kept_as_long_as_configured(
    tmp_path: Path, setting: dict[str, str], pause: float, kept: bool
) -> None:
    """The default of 75 s is longer than the load balancer's 60 s; here that the setting is what decides."""
    from directory.settings import Settings

    assert Settings(service="x").keep_alive_seconds == 75
    url = f"sqlite:///{tmp_path}/suppliers.db"
    migrate(url)
    with running("customer", tmp_path / "log", environment={"DATABASE_URL": url, **setting}) as service:
        connection = socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=10)

        def ask() -> bytes:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            return connection.recv(4096)

        assert ask().startswith(b"HTTP/1.1 200")
        time.sleep(pause)
        try:
            answer: Any = ask()
        except ConnectionError:
            answer = b""
        assert answer.startswith(b"HTTP/1.1 200") is kept
        connection.close()
