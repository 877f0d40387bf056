"""What the migrations of every directory share. Only images with migrations have Alembic.

MySQL commits each statement of a migration by itself, so that one that is interrupted leaves its first steps behind:
https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html. Every step therefore looks whether it was done, and the
same migration run again goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from directory.domain.model import Directory


def run(directory: Directory) -> None:
    """Alembic's entry: one run on one connection, given by the caller or by DATABASE_URL."""
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(directory, given)
    else:
        with sa.create_engine(os.environ["DATABASE_URL"]).connect() as own:
            _run(directory, own)
            own.commit()


def _run(directory: Directory, connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=directory.table.metadata,
        # Several services migrate one database.
        version_table=f"{directory.plural}_schema_version",
    )
    with context.begin_transaction():
        context.run_migrations()


def table(name: str, *parts: sa.schema.SchemaItem) -> None:
    """The table exists."""
    if not _look().has_table(name):
        op.create_table(
            name,
            *parts,
            mysql_charset="utf8mb4",
            mysql_engine="InnoDB",
            mariadb_charset="utf8mb4",
            mariadb_engine="InnoDB",
        )


def column(of: str, added: sa.Column[Any]) -> None:
    """The table has the column."""
    if added.name not in {each["name"] for each in _look().get_columns(of)}:
        op.add_column(of, added)


def index(name: str, of: str, columns: Sequence[str]) -> None:
    """The table has the index."""
    if name not in {each["name"] for each in _look().get_indexes(of)}:
        op.create_index(name, of, columns)


def full_text_index(name: str, of: str, columns: Sequence[str]) -> None:
    """The table has the index, where the database knows such."""
    if _is_mysql() and name not in {each["name"] for each in _look().get_indexes(of)}:
        op.create_index(name, of, columns, mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT")


def _look() -> sa.Inspector:
    return sa.inspect(op.get_bind())


def _is_mysql() -> bool:
    return op.get_bind().dialect.name in ("mysql", "mariadb")


def create_table_1(name: str) -> None:
    """A directory's table as its first migration makes it; later forms are later functions, this one stays."""
    digest = sa.LargeBinary(32).with_variant(sa.BINARY(32), "mysql", "mariadb")
    table(
        name,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("address", sa.String(255), nullable=False),
        sa.Column("city", sa.String(255), nullable=False),
        sa.Column("state", sa.String(255), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("phone", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("request_key", digest, nullable=True),
        sa.Column("request_digest", digest, nullable=True),
        sa.UniqueConstraint("request_key", name=f"uq_{name}_request_key"),
    )
    for field in ("name", "city", "state", "email"):
        index(f"ix_{name}_{field}", name, [field])
    full_text_index(f"ft_{name}_words", name, ["name", "city", "state", "email"])


def add_search_keys_2(name: str) -> None:
    """What rows are found by, whatever their script (`words.py`); the preparation fills it in for the rows there are.

    The release before searches by `ft_<name>_words`: once none does, a later migration drops that index.
    """
    keys = sa.Text().with_variant(mysql.TEXT(charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    column(name, sa.Column("search_keys", keys, nullable=True))
    column(name, sa.Column("keys_version", sa.Integer, nullable=True))
    index(f"ix_{name}_keys_version", name, ["keys_version", "version"])
    full_text_index(f"ft_{name}_keys", name, ["search_keys"])
