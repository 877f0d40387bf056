"""The steps of the preparation, in their order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from directory.prepare.plan import Plan
from directory.prepare.rights import ensure_user, grant_schema, grant_tables
from directory.prepare.schema import Schema
from directory.prepare.server import Server, execute, lock, query
from directory.storage.credentials import read_secret


class Preparation:
    """The steps, each of which changes nothing if it was done before."""

    def __init__(self, plan: Plan, *, migrations: Path) -> None:
        self._plan = plan
        self._migrations = migrations
        self._server = Server(plan)

    def run(self) -> None:
        plan = self._plan
        admin = self._server.wait()
        try:
            with lock(admin, f"prepare.{plan.database}"):
                self._create_database(admin)
                migrator = read_secret(plan.migrator_secret_arn)
                ensure_user(self._server, admin, migrator)
                grant_schema(admin, plan.database, migrator.username)
                users = [(user, read_secret(user.secret_arn)) for user in plan.users]
                for _, credentials in users:
                    ensure_user(self._server, admin, credentials)
                schema = Schema(self._server, plan, migrator, migrations=self._migrations)
                schema.migrate()
                for user, credentials in users:
                    grant_tables(admin, plan.database, user, credentials.username)
                if plan.sample_data:
                    schema.seed()
                asyncio.run(schema.complete_keys())
        finally:
            admin.close()

    def _create_database(self, admin: Any) -> None:
        if not query(
            admin, "SELECT 1 FROM information_schema.schemata WHERE schema_name=%s", self._plan.database
        ):
            execute(admin, f"CREATE DATABASE `{self._plan.database}` CHARACTER SET utf8mb4")
