"""A read replica is a second real server that follows the first one by the engine's own replication.

Why: ministack keeps a replica as a record without a server.
Unnecessary when ministack's CreateDBInstanceReadReplica starts a server that replicates.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import ipaddress
import logging
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

logger = logging.getLogger("emulator.replication")

_USER = "emulator_replication"
_COPY = "/tmp/copy.sql"


def server_options(address: str) -> list[str]:
    """What makes a server one that others can follow: a number of its own, and a log of its changes."""
    number = int(ipaddress.IPv4Address(address)) & 0xFFFF
    return [f"--server-id={number}", "--log-bin=binlog"]


def source_of(props: dict[str, Any]) -> dict[str, Any] | None:
    """The instance that a DBInstance of a template is to follow; None for one that follows nobody."""
    from ministack.services import rds

    name = props.get("SourceDBInstanceIdentifier")
    if not name:
        return None
    source: dict[str, Any] | None = rds._resolve_instance(str(name))
    if source is None:
        raise RuntimeError(f"there is no database instance {name} to make a replica of")
    return source


def replicas_of(identifier: str) -> Iterator[dict[str, Any]]:
    """The instances that follow one."""
    from ministack.services import rds

    for instance in rds._instances.all_values():
        if instance.get("ReadReplicaSourceDBInstanceIdentifier") == identifier:
            yield instance


def follow(source: dict[str, Any], replica: dict[str, Any], authorities: str) -> None:
    """Make a fresh server a copy of another, users and rights included, that follows it and is only read.

    `authorities` is the file of certificate authorities inside the containers.
    """
    from ministack.services import rds

    host, port = str(source["_internal_address"]), int(source["_internal_port"])
    root = str(source["_MasterUserPassword"])
    password = secrets.token_urlsafe(24)
    _run(
        source,
        root,
        (f"CREATE USER IF NOT EXISTS {_USER}@'%%' IDENTIFIED BY %s", (password,)),
        (f"ALTER USER {_USER}@'%%' IDENTIFIED BY %s", (password,)),
        (f"GRANT REPLICATION SLAVE ON *.* TO {_USER}@'%%'", ()),
    )
    _run(
        replica,
        str(replica["_MasterUserPassword"]),
        (
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = %s, "
            "SOURCE_PASSWORD = %s, SOURCE_CONNECT_RETRY = 1, SOURCE_SSL = 1, SOURCE_SSL_CA = %s",
            (host, port, _USER, password, authorities),
        ),
    )
    # The copy says itself at which place of the log it was taken.
    container = rds._get_docker().containers.get(replica["_docker_container_id"])
    script = (
        f"mysqldump --host={host} --port={port} --user=root --ssl-ca={authorities} --all-databases "
        f"--single-transaction --routines --triggers --flush-privileges --source-data=1 --set-gtid-purged=OFF > {_COPY} "
        f"&& mysql --user=root < {_COPY}; done=$?; rm -f {_COPY}; exit $done"
    )
    done = container.exec_run(["sh", "-c", script], environment={"MYSQL_PWD": root})
    if done.exit_code:
        raise RuntimeError(f"the replica could not be filled: {done.output.decode(errors='replace')[-300:]}")
    _run(replica, root, ("FLUSH PRIVILEGES", ()), ("START REPLICA", ()), ("SET GLOBAL read_only = ON", ()))
    replica["ReadReplicaSourceDBInstanceIdentifier"] = source["DBInstanceIdentifier"]
    source.setdefault("ReadReplicaDBInstanceIdentifiers", []).append(replica["DBInstanceIdentifier"])


def forget(identifier: str) -> None:
    """Take a deleted replica off the list of the instance that it followed."""
    from ministack.services import rds

    for instance in rds._instances.all_values():
        names = instance.get("ReadReplicaDBInstanceIdentifiers") or []
        if identifier in names:
            names.remove(identifier)


def _run(instance: dict[str, Any], password: str, *statements: tuple[str, Sequence[Any]]) -> Any:
    import pymysql

    connection = pymysql.connect(
        host=str(instance["_internal_address"]),
        port=int(instance["_internal_port"]),
        user="root",
        password=password,
        autocommit=True,
        connect_timeout=5,
    )
    try:
        with connection.cursor() as cursor:
            for statement, values in statements:
                cursor.execute(statement, tuple(values))
            return cursor.fetchall()
    finally:
        connection.close()
