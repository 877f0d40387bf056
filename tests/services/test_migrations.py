"""Old and new code run on the schema between two releases."""

from __future__ import annotations

import ast
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.engine import Engine

from directory.domain.model import Directory
from directory.domain.suppliers import SUPPLIERS
from students.records import STUDENTS
from tests.services.harness import SERVICES, MySQLServer, migrate

VERSIONS = sorted(SERVICES.glob("*/migrations/versions/*.py"))
TAKING = {"drop_table", "drop_column", "rename_table", "drop_constraint", "drop_index"}
CONTRACTS = "contracts"
DIRECTORIES = {"employee": SUPPLIERS, "students": STUDENTS}


def objections(source: str) -> list[str]:
    """Why a migration is not safe for the release before it.

    It may take something away only if it names, as `contracts = "<revision>"`, the earlier migration since which no
    release uses that any more.
    """
    tree = ast.parse(source)
    names = {
        target.id: getattr(node.value, "value", None)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute):
            continue
        name, keywords = call.func.attr, {keyword.arg: keyword.value for keyword in call.keywords}
        if name in TAKING and not names.get(CONTRACTS):
            found.append(f"{name} without naming what it contracts")
        if name == "alter_column" and "new_column_name" in keywords:
            found.append("a column is renamed: add a new one, fill it, drop the old one a release later")
        if name == "alter_column" and getattr(keywords.get("nullable"), "value", True) is False:
            found.append("a column becomes required, which the previous release does not fill")
        if name == "add_column":
            column = next(
                (a for a in call.args if isinstance(a, ast.Call) and getattr(a.func, "attr", "") == "Column"),
                None,
            )
            given = {k.arg: k.value for k in column.keywords} if column else {}
            if getattr(given.get("nullable"), "value", True) is False and "server_default" not in given:
                found.append("a new required column has no default for the previous release")
        if name == "execute":
            found.append("SQL as text cannot be judged: use Alembic's operations")
    contracted, own = names.get(CONTRACTS), names.get("revision")
    if contracted and not str(contracted) < str(own):
        found.append("what is contracted has to be an earlier migration")
    return found


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_no_migration_takes_away_what_the_previous_release_uses(path: Path) -> None:
    assert objections(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "body",
    [
        "op.drop_column('suppliers', 'phone')",
        "op.drop_table('suppliers')",
        "op.rename_table('suppliers', 'vendors')",
        "op.alter_column('suppliers', 'phone', new_column_name='telephone')",
        "op.alter_column('suppliers', 'phone', nullable=False)",
        "op.add_column('suppliers', sa.Column('fax', sa.String(9), nullable=False))",
        "op.execute('ALTER TABLE suppliers DROP COLUMN phone')",
        "with op.batch_alter_table('suppliers') as batch:\n        batch.drop_column('phone')",
    ],
)
def test_a_migration_that_would_break_the_previous_release_is_found(body: str) -> None:
    assert objections(f"revision = '0009'\ndef upgrade():\n    {body}\n")


def test_a_migration_may_expand_and_contract_what_an_earlier_one_replaced() -> None:
    assert (
        objections(
            "def upgrade():\n    op.add_column('suppliers', sa.Column('fax', sa.String(9), nullable=True))"
        )
        == []
    )
    contracting = (
        "revision = '0009'\ncontracts = '0007'\ndef upgrade():\n    op.drop_column('suppliers', 'fax')"
    )
    assert objections(contracting) == []


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_the_migrations_form_one_line(directory: str) -> None:
    folder = SERVICES / directory / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    scripts = ScriptDirectory.from_config(config)
    assert len(scripts.get_heads()) == 1
    files = sorted((folder / "versions").glob("*.py"))
    revisions = sorted(script.revision for script in scripts.walk_revisions())
    # The monolith tells by the names whether there is anything to do.
    assert [file.name.partition("_")[0] for file in files] == revisions
    assert scripts.get_heads() == revisions[-1:]


def migrate_all(url: str) -> None:
    for service in DIRECTORIES:
        migrate(url, service=service)


@pytest.fixture(params=["sqlite", "mysql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/suppliers.db"
        migrate_all(url)
        engine = create_engine(url)
        yield engine
        engine.dispose()
        return
    server: MySQLServer = request.getfixturevalue("mysql")
    database = f"migrated_{uuid.uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
    url = server.url(database=database).replace("mysql://", "mysql+pymysql://")
    migrate_all(url)
    engine = create_engine(url)
    yield engine
    engine.dispose()
    server.run(f"DROP DATABASE {database}")


@pytest.mark.parametrize("directory", DIRECTORIES.values(), ids=DIRECTORIES)
def test_the_migrations_make_the_tables_that_the_code_describes(engine: Engine, directory: Directory) -> None:
    name = directory.table.name

    def is_own(subject: object, subject_name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or subject_name == name

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_own})
        differences = compare_metadata(context, directory.table.metadata)
        named = [
            d for d in differences if not (d[0] in ("add_index", "remove_index") and "ft_" in str(d[1].name))
        ]
        assert named == []
        if connection.dialect.name != "sqlite":
            names = {index["name"] for index in inspect(connection).get_indexes(name)}
            assert {f"ft_{name}_words", f"ft_{name}_keys"} <= names


def test_a_row_written_without_the_columns_of_later_releases_is_complete(engine: Engine) -> None:
    """As the first release's sample did: six texts and nothing else."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO suppliers (name, address, city, state, email, phone) "
                "VALUES ('n', 'a', 'c', 's', 'e', 'p')"
            )
        )
        assert connection.execute(text("SELECT version FROM suppliers")).scalar_one() == 1


class Interrupted(Exception):
    """The connection was lost, or the process killed."""


def stopped_after(url: str, statements: int, *, service: str) -> bool:
    """Whether a migration to the newest schema that may run so many statements had more to do."""
    engine = create_engine(url)
    left = statements

    @event.listens_for(engine, "before_cursor_execute")
    def count(connection: object, cursor: object, statement: str, *_: object) -> None:
        nonlocal left
        if is_change(statement):
            if not left:
                raise Interrupted
            left -= 1

    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(SERVICES / service / "migrations"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
            connection.commit()
        except Interrupted:
            return True
        finally:
            engine.dispose()
    return False


def is_change(statement: str) -> bool:
    return statement.split()[0].upper() in ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE")


@pytest.mark.parametrize("service", DIRECTORIES)
@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
def test_a_migration_that_was_interrupted_after_any_statement_goes_on_where_it_stopped(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, service: str
) -> None:
    """MySQL commits each of them by itself: https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html."""
    name = DIRECTORIES[service].table.name
    shapes = set()
    for statements in itertools.count():
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path}/{statements}.db"
        else:
            server: MySQLServer = request.getfixturevalue("mysql")
            database = f"interrupted_{uuid.uuid4().hex[:8]}"
            server.run(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
            url = server.url(database=database).replace("mysql://", "mysql+pymysql://")
        stopped = stopped_after(url, statements, service=service)
        # Twice, as a deployment that fails is rolled back and tried again.
        assert not stopped_after(url, 1000, service=service)
        assert not stopped_after(url, 0, service=service)
        engine = create_engine(url)
        with engine.connect() as connection:
            found = inspect(connection)
            columns = tuple(column["name"] for column in found.get_columns(name))
            shapes.add((columns, tuple(sorted(str(index["name"]) for index in found.get_indexes(name)))))
        engine.dispose()
        if kind == "mysql":
            server.run(f"DROP DATABASE {database}")
        if not stopped:
            break
    assert statements > 10
    assert len(shapes) == 1
