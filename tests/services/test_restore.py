"""Lost rows come back from a backup: the same bytes, under the same keys, while the services run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.deployment.backup import Server
from ops.errors import OpsError
from tests.services.harness import PASSWORD, VALID, MySQLServer, Site

DATABASE = "suppliers"
ROWS = [
    VALID,
    {**VALID, "name": "Café Ünïcode & Söhne", "city": "Montréal", "state": "Québec"},
    {**VALID, "name": 'O\'Hara \\ "Quotes"; DROP TABLE suppliers; --', "address": "東京都 1-2-3 ☕"},
]


@pytest.fixture
def server(mysql: MySQLServer) -> Server:
    return Server(mysql.container, "root", PASSWORD)


def removed(mysql: MySQLServer) -> None:
    mysql.run("DELETE FROM suppliers WHERE city = 'Montréal'", database=DATABASE)


def emptied(mysql: MySQLServer) -> None:
    mysql.run("DELETE FROM suppliers", database=DATABASE)


def overwritten(mysql: MySQLServer) -> None:
    mysql.run("UPDATE suppliers SET email = 'nobody@example.org'", database=DATABASE)


def dropped(mysql: MySQLServer) -> None:
    mysql.run("DROP TABLE suppliers", database=DATABASE)


def narrowed(mysql: MySQLServer) -> None:
    mysql.run("ALTER TABLE suppliers DROP COLUMN phone", database=DATABASE)


@pytest.mark.parametrize("disaster", [removed, emptied, overwritten, dropped, narrowed])
def test_after_any_loss_the_same_rows_are_there_again(
    mysql_only: Site,
    mysql: MySQLServer,
    server: Server,
    tmp_path: Path,
    disaster: Callable[[MySQLServer], None],
) -> None:
    for row in ROWS:
        mysql_only.add(**row)
    before = mysql_only.rows()
    schema = mysql.run("SHOW CREATE TABLE suppliers", database=DATABASE)
    server.dump(DATABASE, tmp_path / "backup.sql")
    disaster(mysql)
    server.load(DATABASE, tmp_path / "backup.sql")
    assert mysql_only.rows() == before
    assert mysql.run("SHOW CREATE TABLE suppliers", database=DATABASE) == schema
    # Users and rights are none of the dump's business: the services go on as they are.
    found = mysql_only.customer.client.get("/api/suppliers", params={"q": "Ünïcode"}).json()["items"]
    assert [each["city"] for each in found] == ["Montréal"]
    assert mysql_only.add(name="Added afterwards") > max(row["id"] for row in before)


def test_a_backup_holds_the_version_of_the_schema(
    mysql_only: Site, mysql: MySQLServer, server: Server, tmp_path: Path
) -> None:
    version = mysql.run("SELECT version_num FROM suppliers_schema_version", database=DATABASE)
    server.dump(DATABASE, tmp_path / "backup.sql")
    mysql.run("UPDATE suppliers_schema_version SET version_num = '9999'", database=DATABASE)
    server.load(DATABASE, tmp_path / "backup.sql")
    assert mysql.run("SELECT version_num FROM suppliers_schema_version", database=DATABASE) == version


def test_half_a_backup_is_refused_and_changes_nothing(
    mysql_only: Site, server: Server, tmp_path: Path
) -> None:
    mysql_only.add()
    before = mysql_only.rows()
    file = tmp_path / "backup.sql"
    server.dump(DATABASE, file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(OpsError, match=r"backup\.sql: is no whole dump"):
        server.load(DATABASE, file)
    with pytest.raises(OpsError, match=r"none\.sql: cannot be read: No such file"):
        server.load(DATABASE, tmp_path / "none.sql")
    assert mysql_only.rows() == before


def test_a_backup_that_failed_leaves_no_file_and_says_why_without_the_password(
    mysql: MySQLServer, tmp_path: Path
) -> None:
    with pytest.raises(OpsError, match=r"the dump failed: .*Access denied") as raised:
        Server(mysql.container, "root", "another-password").dump(DATABASE, tmp_path / "backup.sql")
    assert "another-password" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []
