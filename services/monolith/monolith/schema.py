"""The database of a process that nobody prepares one for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sqlalchemy import Connection, create_engine, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from directory.domain.suppliers import SUPPLIERS

_VERSIONS = f"{SUPPLIERS.plural}_schema_version"
# In the image beside the package, in the sources in the folder of the service that owns the table.
_FOLDERS = (Path("migrations"), Path(__file__).parents[2] / "employee" / "migrations")


def ensure(url: str) -> None:
    """The suppliers' table as the newest migration makes it, with the sample suppliers where it is empty.

    Ends the process with one line where the database cannot be reached or changed.
    """
    migrations = next(folder for folder in _FOLDERS if (folder / "env.py").is_file())
    try:
        engine = create_engine(_with_driver(url))
        with engine.connect() as connection:
            if _version(connection) != _newest(migrations):
                _migrate(connection, migrations)
            if connection.execute(select(SUPPLIERS.table.c.id).limit(1)).first() is None:
                rows = json.loads((migrations / "sample.json").read_text(encoding="utf-8"))["suppliers"]
                connection.execute(insert(SUPPLIERS.table), rows)
            connection.commit()
        engine.dispose()
    except ArgumentError:
        sys.exit("monolith: DATABASE_URL is no database URL; an example is sqlite:///suppliers.db")
    except SQLAlchemyError as error:
        sys.exit(f"monolith: DATABASE_URL: {' '.join(str(error.__cause__ or error).split())[:300]}")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSIONS):
        return None
    return connection.execute(text(f"SELECT version_num FROM {_VERSIONS}")).scalar()  # noqa: S608 - our own name


def _newest(migrations: Path) -> str:
    """The revision that the last file is named after, so that a start with nothing to do need not load Alembic."""
    return max(file.name.partition("_")[0] for file in (migrations / "versions").glob("[0-9]*.py"))


def _migrate(connection: Connection, migrations: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _with_driver(url: str) -> str:
    """The service speaks to MySQL with a driver that waits for nobody; a migration takes one that does."""
    found = make_url(url)
    if found.get_backend_name() in ("mysql", "mariadb"):
        found = found.set(drivername="mysql+pymysql")
    return found.render_as_string(hide_password=False)
