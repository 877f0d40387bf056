"""The users of the services and exactly their rights."""

from __future__ import annotations

import re
from typing import Any

from directory.prepare.plan import PrepareError, User
from directory.prepare.server import Server, execute, query, say
from directory.storage.credentials import Credentials

_RIGHTS = {
    "none": frozenset[str](),
    "read": frozenset({"SELECT"}),
    "write": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
}
_MIGRATOR_RIGHTS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES"}
)


def ensure_user(server: Server, admin: Any, credentials: Credentials) -> None:
    """The user exists, with the secret's password and TLS required; who can log in keeps its password.

    A rotation that is under way has set a newer password than the secret's current one.
    """
    import pymysql

    name = credentials.username
    require = "REQUIRE SSL" if server.has_tls else "REQUIRE NONE"
    if not query(admin, "SELECT 1 FROM mysql.user WHERE user=%s AND host='%%'", name):
        execute(admin, f"CREATE USER %s@'%%' IDENTIFIED BY %s {require}", name, credentials.password)
        say(f"user {name}: created")
        return
    execute(admin, f"ALTER USER %s@'%%' {require}", name)
    try:
        server.connect(credentials, database=None).close()
    except pymysql.MySQLError:
        execute(admin, "ALTER USER %s@'%%' IDENTIFIED BY %s", name, credentials.password)
        say(f"user {name}: password set")


def grant_schema(admin: Any, database: str, name: str) -> None:
    # An underscore in a database name of GRANT is a wildcard.
    pattern = database.replace("_", r"\_")
    held = {
        row[0].upper()
        for row in query(
            admin,
            "SELECT privilege_type FROM information_schema.schema_privileges "
            "WHERE grantee=%s AND table_schema IN (%s, %s)",
            f"'{name}'@'%'",
            pattern,
            database,
        )
    }
    if not held >= _MIGRATOR_RIGHTS:
        execute(admin, f"GRANT {', '.join(sorted(_MIGRATOR_RIGHTS))} ON `{pattern}`.* TO %s@'%%'", name)
        say(f"user {name}: may change the schema")


def grant_tables(admin: Any, database: str, user: User, name: str) -> None:
    """Exactly the rights of the user's access on its tables: what is missing granted, what is more revoked."""
    existing = {
        row[0]
        for row in query(
            admin, "SELECT table_name FROM information_schema.tables WHERE table_schema=%s", database
        )
    }
    # Without tables named: all but those in which migrations keep their place.
    tables = user.tables or tuple(table for table in existing if not table.endswith("_schema_version"))
    wanted = {(table, right) for table in tables if table in existing for right in _RIGHTS[user.access]}
    grantee = f"'{name}'@'%'"
    held = {
        (row[0], row[1].upper())
        for row in query(
            admin,
            "SELECT table_name, privilege_type FROM information_schema.table_privileges "
            "WHERE grantee=%s AND table_schema=%s",
            grantee,
            database,
        )
    }
    for schema, right in query(
        admin,
        "SELECT table_schema, privilege_type FROM information_schema.schema_privileges WHERE grantee=%s",
        grantee,
    ):
        execute(admin, f"REVOKE {_right(right)} ON `{schema.replace('`', '')}`.* FROM %s@'%%'", name)
    for (right,) in query(
        admin, "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee=%s", grantee
    ):
        if right.upper() != "USAGE":
            execute(admin, f"REVOKE {_right(right)} ON *.* FROM %s@'%%'", name)
    for table, right in sorted(held - wanted):
        execute(admin, f"REVOKE {_right(right)} ON `{database}`.`{table}` FROM %s@'%%'", name)
    missing: dict[str, list[str]] = {}
    for table, right in sorted(wanted - held):
        missing.setdefault(table, []).append(right)
    for table, rights in missing.items():
        execute(admin, f"GRANT {', '.join(rights)} ON `{database}`.`{table}` TO %s@'%%'", name)
    if missing or held - wanted:
        say(f"user {name}: {user.access} on {', '.join(sorted({table for table, _ in wanted})) or 'nothing'}")


def _right(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_ ]+", name):
        raise PrepareError(f"unexpected right: {name!r}")
    return name
