"""What the environment asks to be made ready."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ACCESS = ("none", "read", "write")
IDENTIFIER = re.compile(r"[A-Za-z0-9_]{1,64}")


class PrepareError(Exception):
    """Why the database could not be made ready, in one line."""


@dataclass(frozen=True, slots=True)
class User:
    service: str
    secret_arn: str
    access: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the environment asks for, validated."""

    host: str
    port: int
    database: str
    tls_ca: str
    admin_secret_arn: str
    migrator_secret_arn: str
    users: tuple[User, ...]
    sample_data: bool

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Plan:
        missing = [
            name
            for name in ("DB_HOST", "DB_NAME", "DB_ADMIN_SECRET_ARN", "DB_MIGRATOR_SECRET_ARN")
            if not env.get(name)
        ]
        if missing:
            raise PrepareError(f"missing settings: {', '.join(missing)}")
        try:
            users = tuple(
                User(
                    str(user["service"]),
                    str(user["secret_arn"]),
                    str(user["access"]),
                    tuple(str(table) for table in user.get("tables", ())),
                )
                for user in json.loads(env.get("DB_USERS") or "[]")
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PrepareError("DB_USERS: not a list of users with service, secret_arn and access") from error
        for user in users:
            if user.access not in ACCESS:
                raise PrepareError(f"DB_USERS: {user.service}: access is none of {', '.join(ACCESS)}")
        for name in (env["DB_NAME"], *(table for user in users for table in user.tables)):
            if not IDENTIFIER.fullmatch(name):
                raise PrepareError(f"not a name of a database or table: {name!r}")
        port = env.get("DB_PORT") or "3306"
        if not port.isdecimal():
            raise PrepareError(f"DB_PORT: {port!r} is not a number")
        tls_ca = env.get("DB_TLS_CA", "")
        if tls_ca and not Path(tls_ca).is_file():
            raise PrepareError(f"DB_TLS_CA: no such file: {tls_ca}")
        return cls(
            host=env["DB_HOST"],
            port=int(port),
            database=env["DB_NAME"],
            tls_ca=tls_ca,
            admin_secret_arn=env["DB_ADMIN_SECRET_ARN"],
            migrator_secret_arn=env["DB_MIGRATOR_SECRET_ARN"],
            users=users,
            sample_data=env.get("SAMPLE_DATA", "false").lower() == "true",
        )
