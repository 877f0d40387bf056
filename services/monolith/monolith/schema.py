"""The database of a process that nobody prepares one for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from directory.suppliers import SUPPLIERS

# In the image beside the package, in the sources in the folder of the service that owns the table.
_FOLDERS = (Path("migrations"), Path(__file__).parents[2] / "employee" / "migrations")


def ensure(url: str) -> None:
    """The suppliers' table as the newest migration makes it, with the sample suppliers where it is empty.

    Ends the process with one line where the database cannot be reached or changed.
    """
    migrations = next(folder for folder in _FOLDERS if (folder / "env.py").is_file())
    config = Config()
    config.set_main_option("script_location", str(migrations))
    try:
        engine = create_engine(_with_driver(url))
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if connection.execute(select(SUPPLIERS.table.c.id).limit(1)).first() is None:
                rows = json.loads((migrations / "sample.json").read_text(encoding="utf-8"))["suppliers"]
                connection.execute(insert(SUPPLIERS.table), rows)
            connection.commit()
        engine.dispose()
    except ArgumentError:
        sys.exit("monolith: DATABASE_URL is no database URL; an example is sqlite:///suppliers.db")
    except SQLAlchemyError as error:
        sys.exit(f"monolith: DATABASE_URL: {' '.join(str(error.__cause__ or error).split())[:300]}")


def _with_driver(url: str) -> str:
    """The service speaks to MySQL with a driver that waits for nobody; a migration takes one that does."""
    found = make_url(url)
    if found.get_backend_name() in ("mysql", "mariadb"):
        found = found.set(drivername="mysql+pymysql")
    return found.render_as_string(hide_password=False)
