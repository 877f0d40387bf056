"""The one-off task that makes the database ready before services start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pymysql
import pytest

from tests.services.harness import MIGRATIONS, PASSWORD, SERVICES, MySQLServer
from tests.services.secrets_server import Secrets, secrets_server


@dataclass
class Task:
    """What the task is started with, and what came of it."""

    server: MySQLServer
    secrets: Secrets
    database: str

    def name(self, role: str) -> str:
        return f"{role}_{self.database[-8:]}"

    def run(self, **changes: str) -> subprocess.CompletedProcess[str]:
        users = [
            {
                "service": role,
                "secret_arn": self.secrets.arn(role),
                "access": access,
                "tables": ["suppliers", "none_yet"],
            }
            for role, access in (("customer", "read"), ("employee", "write"))
        ]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SERVICES / "shared"),
            "MIGRATIONS": str(MIGRATIONS),
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.server.port),
            "DB_NAME": self.database,
            "DB_ADMIN_SECRET_ARN": self.secrets.arn("admin"),
            "DB_MIGRATOR_SECRET_ARN": self.secrets.arn("migrator"),
            "DB_USERS": json.dumps(users),
            "SAMPLE_DATA": "true",
            **self.secrets.environment,
            **changes,
        }
        return subprocess.run(
            [sys.executable, "-m", "directory.prepare"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def grants(self, role: str) -> set[str]:
        rows = self.server.run(f"SHOW GRANTS FOR '{self.name(role)}'@'%'")
        return {row[0].split(" TO ")[0] for row in rows if "USAGE" not in row[0]}


@pytest.fixture
def task(mysql: MySQLServer) -> Iterator[Task]:
    with secrets_server() as secrets:
        made = Task(mysql, secrets, f"prepared_{uuid.uuid4().hex[:8]}")
        secrets.put("admin", "root", PASSWORD)
        for role in ("migrator", "customer", "employee"):
            secrets.put(role, made.name(role), f'{role}\'s "pass" wörd %s')
        yield made
        mysql.run(f"DROP DATABASE IF EXISTS `{made.database}`")
        for role in ("migrator", "customer", "employee"):
            mysql.run(f"DROP USER IF EXISTS '{made.name(role)}'@'%'")


def test_each_user_gets_exactly_its_rights(task: Task) -> None:
    done = task.run()
    assert done.returncode == 0, done.stderr
    assert task.grants("customer") == {f"GRANT SELECT ON `{task.database}`.`suppliers`"}
    assert task.grants("employee") == {
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{task.database}`.`suppliers`"
    }
    (migrator,) = task.grants("migrator")
    for right in ("CREATE", "ALTER", "INDEX", "DROP", "INSERT"):
        assert right in migrator
    assert migrator.endswith(r"ON `" + task.database.replace("_", r"\_") + "`.*")


def test_the_users_can_log_in_with_their_secrets_and_do_just_that(task: Task) -> None:
    assert task.run().returncode == 0
    password = task.secrets.values[task.secrets.arn("customer")]["password"]
    connection = pymysql.connect(
        host="127.0.0.1",
        port=task.server.port,
        user=task.name("customer"),
        password=password.encode(),
        database=task.database,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM suppliers")
        assert cursor.fetchone() == (5,)
        for forbidden in (
            "DELETE FROM suppliers",
            "CREATE TABLE x (id INT)",
            "SELECT * FROM suppliers_schema_version",
        ):
            with pytest.raises(pymysql.MySQLError):
                cursor.execute(forbidden)
    connection.close()


def test_a_second_run_changes_nothing(task: Task) -> None:
    assert task.run().returncode == 0
    task.server.run(f"DELETE FROM `{task.database}`.suppliers WHERE id > 1")
    again = task.run()
    assert again.returncode == 0
    assert again.stdout.splitlines() == ["prepare: schema: up to date", "prepare: done"]
    assert task.server.run(f"SELECT COUNT(*) FROM `{task.database}`.suppliers") == [(1,)]


def test_a_schema_that_a_newer_release_has_left_stays_as_it_is(task: Task) -> None:
    assert task.run().returncode == 0
    task.server.run(f"UPDATE `{task.database}`.suppliers_schema_version SET version_num = '9999'")
    again = task.run()
    assert again.returncode == 0, again.stderr
    assert "prepare: schema: of a newer release, left as it is" in again.stdout
    version = task.server.run(f"SELECT version_num FROM `{task.database}`.suppliers_schema_version")
    assert version == [("9999",)]


def test_a_user_without_named_tables_gets_all_but_the_migrations_own(task: Task) -> None:
    users = [
        {"service": "customer", "secret_arn": task.secrets.arn("customer"), "access": "read", "tables": []}
    ]
    assert task.run(DB_USERS=json.dumps(users)).returncode == 0
    assert task.grants("customer") == {f"GRANT SELECT ON `{task.database}`.`suppliers`"}


def test_rights_that_are_too_many_are_taken_away(task: Task) -> None:
    assert task.run().returncode == 0
    user = f"'{task.name('customer')}'@'%'"
    task.server.run(
        f"GRANT INSERT, DELETE ON `{task.database}`.suppliers TO {user}",
        f"GRANT CREATE, SELECT ON `{task.database}`.* TO {user}",
        f"GRANT PROCESS ON *.* TO {user}",
    )
    assert task.run().returncode == 0
    assert task.grants("customer") == {f"GRANT SELECT ON `{task.database}`.`suppliers`"}


def test_a_changed_secret_becomes_the_users_password(task: Task) -> None:
    assert task.run().returncode == 0
    task.secrets.put("customer", task.name("customer"), "rotated")
    assert "password set" in task.run().stdout
    task.server.connect(task.name("customer"), "rotated").close()


def test_passwords_are_never_printed(task: Task) -> None:
    done = task.run()
    assert "pass" not in (done.stdout + done.stderr).replace("password set", "")


def test_runs_at_the_same_time_wait_for_each_other(task: Task) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: task.run(), range(4)))
    assert [done.returncode for done in results] == [0, 0, 0, 0], [done.stderr for done in results]
    assert task.server.run(f"SELECT COUNT(*) FROM `{task.database}`.suppliers") == [(5,)]


def test_no_sample_rows_where_none_are_wanted(task: Task) -> None:
    assert task.run(SAMPLE_DATA="false").returncode == 0
    assert task.server.run(f"SELECT COUNT(*) FROM `{task.database}`.suppliers") == [(0,)]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"DB_HOST": ""}, "missing settings: DB_HOST"),
        ({"DB_USERS": "x"}, "DB_USERS: not a list"),
        ({"DB_USERS": '[{"service": "a", "secret_arn": "b", "access": "all"}]'}, "access is none of"),
        ({"DB_NAME": "a`b"}, "not a name of a database"),
        ({"MIGRATIONS": "/nowhere"}, "this image has no migrations"),
        ({"DB_MIGRATOR_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:0:secret:none"}, "no such secret"),
    ],
)
def test_a_failure_ends_with_its_reason_as_the_last_line(
    task: Task, changes: dict[str, str], complaint: str
) -> None:
    done = task.run(**changes)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("prepare: failed: ")
    assert complaint in last
    assert "Traceback" not in done.stderr


def test_rows_from_before_the_release_can_be_found_as_it_starts(task: Task) -> None:
    """The samples too, which know nothing of keys."""
    assert task.run().returncode == 0
    total = "SELECT COUNT(*) FROM suppliers WHERE search_keys LIKE '% xxmontreal%' AND keys_version = version"
    assert task.server.run(total, database=task.database)[0][0] == 1
    task.server.run("UPDATE suppliers SET keys_version = NULL, search_keys = NULL", database=task.database)
    done = task.run()
    assert done.returncode == 0
    assert "table suppliers: 5 rows can be found by their words" in done.stdout
    assert task.server.run(total, database=task.database)[0][0] == 1
    assert "can be found" not in task.run().stdout


def test_a_preparation_that_was_interrupted_is_repeated_without_anybody_writing_sql(task: Task) -> None:
    """As one was that stopped at its third index: its table and two indexes are there, its version is not."""
    assert task.run(SAMPLE_DATA="false").returncode == 0
    task.server.run(
        "DROP TABLE suppliers_schema_version",
        "ALTER TABLE suppliers DROP INDEX ft_suppliers_keys, DROP INDEX ix_suppliers_keys_version, "
        "DROP COLUMN search_keys, DROP COLUMN keys_version",
        "DROP INDEX ft_suppliers_words ON suppliers",
        "DROP INDEX ix_suppliers_email ON suppliers",
        "DROP INDEX ix_suppliers_state ON suppliers",
        database=task.database,
    )
    done = task.run()
    assert done.returncode == 0, done.stderr
    (version,) = task.server.run("SELECT version_num FROM suppliers_schema_version", database=task.database)
    assert version == ("0002",)
    assert task.run().returncode == 0
