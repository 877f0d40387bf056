"""Behind a proxy that shares connections: nothing is asked that would keep one, and every answer is the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from directory.storage.credentials import FixedCredentials
from directory.storage.database import DatabaseAway
from directory.storage.mysql import NOTHING_TO_LEND, MySQL
from tests.services.harness import PASSWORD, VALID, MySQLServer, Service, Site, eventually, running

API = "/admin/api/suppliers"
# Statements with a longer text make a proxy keep a connection for one client:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
PINNING_BYTES = 16 * 1024
# Session variables that it follows instead (same page), as far as the driver sets them.
FOLLOWED = ("SET AUTOCOMMIT", "SET NAMES")


@pytest.fixture(scope="module")
def behind(mysql: MySQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An employee's service that takes its database for a proxy, under a user that no other service has."""
    mysql.run(
        f"CREATE USER lent@'%' IDENTIFIED BY '{PASSWORD}'",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON suppliers.suppliers TO lent@'%'",
    )
    environment = {"DATABASE_URL": mysql.url("lent"), "DB_PROXY": "true"}
    with running("employee", tmp_path_factory.mktemp("proxy") / "log", environment=environment) as service:
        yield service


def use(service: Service) -> list[object]:
    """Everything a service asks of the database; what it answered, without what differs each time."""
    answers: list[object] = []
    for name in ("Ordinary", 'O\'Neil \\ "Sons" % _ ; --', "Ümlaut 🙂 名前", "x" * 50):
        made = service.client.post(API, json={**VALID, "name": name})
        number, tag = made.json()["id"], {"If-Match": made.headers["etag"]}
        answers += [made.status_code, made.json() | {"id": 0}]
        found = service.client.get(f"{API}/{number}")
        answers += [found.json() | {"id": 0}, found.headers["etag"]]
        changed = service.client.put(f"{API}/{number}", json={**VALID, "city": "Zürich"}, headers=tag)
        again = service.client.put(f"{API}/{number}", json=VALID, headers=tag)
        answers += [changed.status_code, changed.json() | {"id": 0}, again.status_code]
        for query in ("", name.split()[0], "zur", "%", "'"):
            listed = service.client.get(API, params={"q": query, "size": 50}).json()
            answers += [listed | {"items": [each | {"id": 0} for each in listed["items"]]}]
        answers += [service.client.delete(f"{API}/{number}").status_code]
        answers += [service.client.get(f"{API}/{number}").status_code]
    return answers


def asked(mysql: MySQLServer, service: Service, user: str) -> tuple[set[str], list[str]]:
    """The commands and statements that a service's work consists of, new connections included."""
    mysql.run("SET GLOBAL log_output='TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log=1")
    try:
        for (number,) in mysql.run(f"SELECT id FROM information_schema.processlist WHERE user='{user}'"):
            mysql.run(f"KILL {number}")
        use(service)
    finally:
        mysql.run("SET GLOBAL general_log=0")
    rows = mysql.run(
        "SELECT command_type, CONVERT(argument USING utf8mb4) FROM mysql.general_log "
        f"WHERE user_host LIKE '%{user}%'"
    )
    return {str(command) for command, _ in rows}, [str(text) for command, text in rows if command == "Query"]


def test_nothing_is_asked_that_would_keep_a_connection(
    mysql_only: Site, mysql: MySQLServer, behind: Service
) -> None:
    commands, statements = asked(mysql, behind, "lent")
    assert commands == {"Connect", "Query"}
    setting = [text for text in statements if text.upper().lstrip().startswith("SET")]
    assert not [text for text in setting if not text.upper().startswith(FOLLOWED)]
    assert sum(text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")) for text in statements) > 20
    assert max(len(text.encode()) for text in statements) < PINNING_BYTES
    for word in ("GET_LOCK", "LOCK TABLES", "TEMPORARY", "LAST_INSERT_ID", "FOUND_ROWS", "ROW_COUNT", "@"):
        assert not [text for text in statements if word in text.upper().replace(VALID["email"].upper(), "")]


def test_without_a_proxy_statements_are_prepared_and_the_session_is_set(
    mysql_only: Site, mysql: MySQLServer
) -> None:
    commands, statements = asked(mysql, mysql_only.employee, "employee")
    assert {"Prepare", "Execute"} <= commands
    assert [text for text in statements if text.startswith("SET SESSION time_zone")]


def test_every_answer_is_the_same_as_without(mysql_only: Site, behind: Service) -> None:
    assert use(behind) == use(mysql_only.employee)


def test_with_nothing_to_lend_requests_fail_at_once_until_a_statement_is_answered(
    mysql_only: Site, mysql: MySQLServer, behind: Service
) -> None:
    assert behind.client.post(API, json=VALID).status_code == 201
    mysql.run(
        "CREATE TRIGGER suppliers.away BEFORE INSERT ON suppliers.suppliers FOR EACH ROW "
        f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO={NOTHING_TO_LEND}, MESSAGE_TEXT='Timed-out'"
    )
    try:
        answer = behind.client.post(API, json=VALID)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        away = f"the database is away: lost: {NOTHING_TO_LEND}"
        eventually(lambda: away in behind.log.read_text())
    finally:
        mysql.run("DROP TRIGGER suppliers.away")
    eventually(lambda: behind.client.post(API, json=VALID).status_code == 201, seconds=5)
    eventually(lambda: "the database is back" in behind.log.read_text())


def test_a_connection_alone_is_no_sign_that_the_database_is_back(mysql: MySQLServer) -> None:
    mysql.run(
        f"CREATE USER accepted@'%' IDENTIFIED BY '{PASSWORD}' WITH MAX_QUERIES_PER_HOUR 1",
        "GRANT SELECT ON suppliers.suppliers TO accepted@'%'",
    )

    async def probe(*, proxy: bool) -> None:
        database = MySQL(
            host="127.0.0.1",
            port=mysql.port,
            database="suppliers",
            credentials=FixedCredentials("accepted", PASSWORD),
            proxy=proxy,
        )
        try:
            started = time.monotonic()
            await database.probe()
            assert time.monotonic() - started < 5
        finally:
            await database.close()

    try:
        asyncio.run(probe(proxy=True))
        # The server signs the user in, and answers no more.
        with pytest.raises(DatabaseAway, match="no answer"):
            asyncio.run(probe(proxy=True))
    finally:
        mysql.run("DROP USER accepted@'%'")
