"""Service processes and a database server for tests to run, stop and break."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pymysql
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ROOT / "services"
MIGRATIONS = SERVICES / "employee" / "migrations"
MYSQL_IMAGE = "mysql:8.4"
PASSWORD = "a-password-of-tests"
VALID = {
    "name": "Emerald Street Roasters",
    "address": "412 Pine Street",
    "city": "Seattle",
    "state": "Washington",
    "email": "orders@emeraldstreet.coffee",
    "phone": "(206) 624-1234",
}
# What the application makes of rows of unaccented words, for as many as a server makes in one statement.
PLAIN_KEYS = (
    "CONCAT(' xx', REGEXP_REPLACE(LOWER(REPLACE(CONCAT_WS(' ', name, city, state, email), 'é', 'e')), "
    "'[^a-z0-9]+', ' xx'))"
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def eventually(check: Callable[[], Any], *, seconds: float = 10.0, what: str = "") -> Any:
    """What `check` returns as soon as it is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = check()
            if last:
                return last
        except (httpx.TransportError, pymysql.MySQLError, OSError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what or check}; last: {last!r}")


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=300, check=False)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass
class MySQLServer:
    """A database server in a container, on a port that survives its restarts."""

    container: str
    port: int

    def url(self, user: str = "root", password: str = PASSWORD, database: str = "suppliers") -> str:
        return f"mysql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def connect(self, user: str = "root", password: str = PASSWORD, database: str | None = None) -> Any:
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=password,
            database=database,
            autocommit=True,
            connect_timeout=3,
            charset="utf8mb4",
        )

    def run(self, *statements: str, database: str | None = None) -> Sequence[Any]:
        connection = self.connect(database=database)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def stop(self) -> None:
        docker("kill", self.container)

    def start(self) -> None:
        docker("start", self.container)

    def wait(self, seconds: float = 60) -> None:
        eventually(lambda: self.run("SELECT 1"), seconds=seconds, what="the database server answers")


def migrate(url: str, revision: str = "head", *, service: str = "employee") -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SERVICES / service / MIGRATIONS.name))
    engine = create_engine(url)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


@contextlib.contextmanager
def database_server() -> Iterator[MySQLServer]:
    """A MySQL-protocol server with the schema of the suppliers and both services' users, removed at the end."""
    server = MySQLServer(f"suppliers-test-{uuid.uuid4().hex[:12]}", free_port())
    docker(
        "run",
        "-d",
        "--name",
        server.container,
        "-p",
        f"127.0.0.1:{server.port}:3306",
        "-e",
        f"MYSQL_ROOT_PASSWORD={PASSWORD}",
        "-e",
        "MYSQL_ROOT_HOST=%",
        MYSQL_IMAGE,
    )
    try:
        server.wait(120)
        server.run("CREATE DATABASE suppliers CHARACTER SET utf8mb4")
        migrate(server.url().replace("mysql://", "mysql+pymysql://"))
        server.run(
            f"CREATE USER customer@'%' IDENTIFIED BY '{PASSWORD}'",
            f"CREATE USER employee@'%' IDENTIFIED BY '{PASSWORD}'",
            "GRANT SELECT ON suppliers.suppliers TO customer@'%'",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON suppliers.suppliers TO employee@'%'",
        )
        yield server
    finally:
        docker("rm", "-f", "-v", server.container, check=False)


@dataclass
class Service:
    """A running service process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=20)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def form(self, path: str) -> dict[str, str]:
        """The hidden and visible fields of a page's form, as a browser would send them."""
        return form_fields(self.client.get(path).text)

    def submit(self, path: str, target: str | None = None, **fields: str) -> httpx.Response:
        """Open a page with a form, fill it in and send it."""
        return self.client.post(target or path, data={**self.form(path), **fields})

    def stop(self) -> int:
        self.client.close()
        self.process.terminate()
        return self.process.wait(30)


def form_fields(page: str) -> dict[str, str]:
    import html

    start = page.index('<form method="post"')
    inputs = re.findall(r"<input [^>]*>", page[start : page.index("</form>", start)])
    fields = {}
    for tag in inputs:
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r' value="([^"]*)"', tag)
        assert name is not None
        fields[name[1]] = html.unescape(value[1]) if value else ""
    return fields


@contextlib.contextmanager
def running(
    name: str,
    log: Path,
    *,
    wait: bool = True,
    environment: dict[str, str] | None = None,
    command: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
) -> Iterator[Service]:
    """A service as a process of its own, stopped at the end."""
    port = free_port()
    env = {
        **{
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("DB_", "AWS_", "DATABASE_"))
        },
        "PYTHONPATH": os.pathsep.join(
            str(SERVICES / part) for part in ("shared", "customer", "employee", "students", "monolith")
        ),
        "PORT": str(port),
        "VERSION": "tested",
        **(environment or {}),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command) or [sys.executable, "-m", name],
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
        )
    service = Service(f"http://127.0.0.1:{port}", process, log)
    try:
        if wait:
            health = {"employee": "/admin/suppliers", "students": "/students"}.get(name, "/")
            eventually(
                lambda: service.client.get(health).status_code == 200,
                seconds=20,
                what=f"{name} is healthy; log: {log.read_text()[-2000:]}",
            )
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(25)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        service.client.close()


@dataclass
class Site:
    """Both services on one database, and that database itself."""

    customer: Service
    employee: Service
    database: Engine
    is_mysql: bool

    def rows(self) -> list[dict[str, Any]]:
        with self.database.connect() as connection:
            found = connection.execute(text("SELECT * FROM suppliers ORDER BY id"))
            return [dict(row) for row in found.mappings()]

    def add(self, **fields: str) -> int:
        answer = self.employee.client.post("/admin/api/suppliers", json={**VALID, **fields})
        assert answer.status_code == 201, answer.text
        number: int = answer.json()["id"]
        return number

    def clear(self) -> None:
        with self.database.begin() as connection:
            connection.execute(text("DELETE FROM suppliers"))
