"""Alembic's entry: one run on one connection, given by the caller or by DATABASE_URL."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine

from directory.suppliers import SUPPLIERS

# Other services of the same database keep a version table of their own.
VERSION_TABLE = "suppliers_schema_version"


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=SUPPLIERS.table.metadata, version_table=VERSION_TABLE
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(os.environ["DATABASE_URL"]).connect() as own:
        run(own)
        own.commit()
