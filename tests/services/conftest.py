"""Real server processes of both services, on SQLite and on a real MySQL-protocol server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.services.harness import MySQLServer, Site, database_server, migrate, running

# Fixtures that start containers.
DOCKER_FIXTURES = {"cache", "mysql", "follower", "images", "tls"}


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
    with database_server() as server:
        yield server


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
