"""Reads at a server that follows the database: it goes away, comes back, and is behind.

The follower is a server of its own that each test leaves behind the writer as replication would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pymysql
import pytest

from tests.services.harness import (
    PASSWORD,
    VALID,
    MySQLServer,
    Service,
    Site,
    database_server,
    docker,
    eventually,
    free_port,
    running,
)
from tests.services.secrets_server import Secrets, secrets_server

COLUMNS = ", ".join(VALID)
VALUES = ", ".join(f"'{value}'" for value in VALID.values())


@pytest.fixture(scope="module")
def follower() -> Iterator[MySQLServer]:
    """A second server with the same schema and users."""
    with database_server() as server:
        yield server


@pytest.fixture
def secrets() -> Iterator[Secrets]:
    with secrets_server() as server:
        yield server


@pytest.fixture
def reading(
    mysql_only: Site, mysql: MySQLServer, follower: MySQLServer, secrets: Secrets, tmp_path: Path
) -> Iterator[Service]:
    """A customer service between both servers, each of which tells by a supplier's name that it was asked."""
    for server, name in ((mysql, "Of the writer"), (follower, "Of the reader")):
        server.run(
            "DELETE FROM suppliers",
            f"INSERT INTO suppliers (id, {COLUMNS}) VALUES (1, {VALUES})",
            f"UPDATE suppliers SET name = '{name}'",
            database="suppliers",
        )
    environment = {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(mysql.port),
        "DB_READER_HOST": "127.0.0.1",
        "DB_READER_PORT": str(follower.port),
        "DB_NAME": "suppliers",
        "DB_SECRET_ARN": secrets.put("customer", "customer", PASSWORD),
        **secrets.environment,
    }
    with running("customer", tmp_path / "log", environment=environment) as service:
        yield service


def answered_by(service: Service) -> str:
    answer = service.client.get("/api/suppliers/1")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["name"])


def drop_connections(server: MySQLServer, user: str = "customer") -> None:
    for (connection,) in server.run(f"SELECT id FROM information_schema.processlist WHERE user = '{user}'"):
        # One that has gone by itself since is as good.
        with suppress(pymysql.OperationalError):
            server.run(f"KILL {connection}")


@contextmanager
def asked_all_the_while(service: Service) -> Iterator[list[int]]:
    """The statuses of a client that reads without pause."""
    statuses: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            statuses.append(service.client.get("/api/suppliers/1").status_code)
            time.sleep(0.005)

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield statuses
    finally:
        done.set()
        client.join(20)


def test_reads_go_to_the_reader(reading: Service) -> None:
    assert {answered_by(reading) for _ in range(20)} == {"Of the reader"}
    page = reading.client.get("/suppliers").text
    assert "Of the reader" in page
    assert "Of the writer" not in page


def test_without_the_reader_reads_go_to_the_writer_and_return_with_it(
    reading: Service, follower: MySQLServer
) -> None:
    assert answered_by(reading) == "Of the reader"
    with asked_all_the_while(reading) as statuses:
        follower.stop()
        try:
            eventually(lambda: answered_by(reading) == "Of the writer", seconds=5)
            assert {answered_by(reading) for _ in range(20)} == {"Of the writer"}
        finally:
            follower.start()
            follower.wait()
        eventually(lambda: answered_by(reading) == "Of the reader", seconds=5)
    assert len(statuses) > 20
    assert set(statuses) == {200}, "nobody noticed"

    def messages() -> list[str]:
        return [str(line.get("msg", line.get("message", ""))) for line in reading.lines()]

    assert any(each.startswith("the reader is away") for each in messages())
    # A readiness probe may have found it first.
    eventually(lambda: "the reader is back" in messages(), seconds=5)
    assert not any(each.startswith("the database is away") for each in messages())


def test_a_reader_that_stops_answering_holds_up_the_first_requests_only(
    reading: Service, follower: MySQLServer
) -> None:
    assert answered_by(reading) == "Of the reader"
    docker("pause", follower.container)
    try:
        started = time.monotonic()
        assert answered_by(reading) == "Of the writer"
        assert time.monotonic() - started < 10
        started = time.monotonic()
        assert {answered_by(reading) for _ in range(10)} == {"Of the writer"}
        # Each of them would wait for two seconds if nothing remembered.
        assert time.monotonic() - started < 5
    finally:
        docker("unpause", follower.container)
    eventually(lambda: answered_by(reading) == "Of the reader", seconds=5)


def test_readers_go_on_while_the_writer_is_away(reading: Service, mysql: MySQLServer) -> None:
    assert answered_by(reading) == "Of the reader"
    mysql.stop()
    try:
        assert {answered_by(reading) for _ in range(20)} == {"Of the reader"}
        listing = reading.client.get("/api/suppliers").json()
        assert listing["stale"] is False
    finally:
        mysql.start()
        mysql.wait()


@pytest.mark.parametrize(
    ("behind", "caught_up"),
    [
        ("RENAME TABLE suppliers TO not_yet", "RENAME TABLE not_yet TO suppliers"),
        (
            "ALTER TABLE suppliers RENAME COLUMN phone TO not_yet",
            "ALTER TABLE suppliers RENAME COLUMN not_yet TO phone",
        ),
        ("REVOKE SELECT ON suppliers FROM customer@'%'", "GRANT SELECT ON suppliers TO customer@'%'"),
    ],
    ids=["table", "column", "right"],
)
def test_what_has_not_arrived_at_the_reader_is_read_at_the_writer(
    reading: Service, follower: MySQLServer, behind: str, caught_up: str
) -> None:
    assert answered_by(reading) == "Of the reader"
    follower.run(behind, database="suppliers")
    try:
        assert {answered_by(reading) for _ in range(5)} == {"Of the writer"}
    finally:
        follower.run(caught_up, database="suppliers")
    eventually(lambda: answered_by(reading) == "Of the reader", seconds=5)
    assert not [line for line in reading.lines() if line.get("exception")]


def test_a_rotated_password_that_has_not_arrived_at_the_reader_makes_it_away_for_that_long(
    reading: Service, mysql: MySQLServer, follower: MySQLServer, secrets: Secrets
) -> None:
    def set_password(server: MySQLServer, password: str) -> None:
        server.run(f"ALTER USER customer@'%' IDENTIFIED BY '{password}'")
        drop_connections(server)

    assert answered_by(reading) == "Of the reader"
    try:
        with asked_all_the_while(reading) as statuses:
            secrets.put("customer", "customer", "second-password")
            set_password(mysql, "second-password")
            # The reader still takes the old one, of connections that are open and of new ones.
            assert answered_by(reading) == "Of the reader"
            drop_connections(follower)
            assert answered_by(reading) == "Of the reader"
            set_password(follower, "second-password")
            eventually(lambda: answered_by(reading) == "Of the reader", seconds=5)
            # A process that begins with the new password is refused by a reader that is behind.
            set_password(follower, "first-again")
            eventually(lambda: answered_by(reading) == "Of the writer", seconds=5)
            assert {answered_by(reading) for _ in range(5)} == {"Of the writer"}
            set_password(follower, "second-password")
            eventually(lambda: answered_by(reading) == "Of the reader", seconds=5)
        assert set(statuses) == {200}
        assert "second-password" not in reading.log.read_text()
    finally:
        for server in (mysql, follower):
            set_password(server, PASSWORD)


def test_a_fresh_process_is_healthy_with_either_server(
    mysql_only: Site,
    mysql: MySQLServer,
    follower: MySQLServer,
    secrets: Secrets,
    tmp_path: Path,
) -> None:
    def healthy(name: str, writer: int, reader: int) -> None:
        environment = {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(writer),
            "DB_READER_HOST": "127.0.0.1",
            "DB_READER_PORT": str(reader),
            "DB_NAME": "suppliers",
            "DB_SECRET_ARN": secrets.put("customer", "customer", PASSWORD),
            **secrets.environment,
        }
        with running("customer", tmp_path / name, environment=environment) as service:
            assert service.client.get("/suppliers").status_code == 200

    healthy("no-reader", mysql.port, free_port())
    healthy("no-writer", free_port(), follower.port)
