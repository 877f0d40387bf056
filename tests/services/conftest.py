"""Real server processes of both services, on SQLite and on a real MySQL-protocol server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.services.harness import (
    MYSQL_IMAGE,
    PASSWORD,
    MySQLServer,
    Site,
    docker,
    free_port,
    migrate,
    running,
)

# Fixtures that start containers.
DOCKER_FIXTURES = {"cache", "mysql", "images", "tls"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Docker, so that a build without privileges can leave it out: `-m "not docker"`."""
    for item in items:
        if isinstance(item, pytest.Function) and Path(__file__).parent in item.path.parents:
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            if DOCKER_FIXTURES & set(item.fixturenames) or "mysql" in parameters.values():
                item.add_marker("docker")


@pytest.fixture(scope="session")
def mysql() -> Iterator[MySQLServer]:
    """A MySQL-protocol server with both services' users, as narrow as in production."""
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


@pytest.fixture(scope="session")
def mysql_site(mysql: MySQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    logs = tmp_path_factory.mktemp("mysql")
    with (
        running(
            "customer", logs / "customer", environment={"DATABASE_URL": mysql.url("customer")}
        ) as customer,
        running(
            "employee", logs / "employee", environment={"DATABASE_URL": mysql.url("employee")}
        ) as employee,
    ):
        engine = create_engine(mysql.url().replace("mysql://", "mysql+pymysql://"), pool_pre_ping=True)
        yield Site(customer, employee, engine, True)
        engine.dispose()


@pytest.fixture(scope="session")
def sqlite_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("sqlite")
    url = f"sqlite:///{folder / 'suppliers.db'}"
    migrate(url)
    with (
        running("customer", folder / "customer", environment={"DATABASE_URL": url}) as customer,
        running("employee", folder / "employee", environment={"DATABASE_URL": url}) as employee,
    ):
        engine = create_engine(url)
        yield Site(customer, employee, engine, False)
        engine.dispose()


@pytest.fixture(params=["sqlite", "mysql"])
def site(request: pytest.FixtureRequest) -> Site:
    """An empty directory, once on each kind of database."""
    found: Site = request.getfixturevalue(f"{request.param}_site")
    found.clear()
    found.employee.client.cookies.clear()
    return found


@pytest.fixture
def mysql_only(mysql_site: Site) -> Site:
    """An empty directory on the MySQL-protocol server."""
    mysql_site.clear()
    mysql_site.employee.client.cookies.clear()
    return mysql_site
