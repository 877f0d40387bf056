"""An AWS::RDS::DBInstance of a stack is a real MySQL server.

Why: ministack starts a database container for the RDS API but keeps a DBInstance of CloudFormation as a
mere record. This bridge sends CloudFormation through the API path, and completes that path: a fixed
address on the instance's network that containers and the host share, a server certificate of the
emulator's authority, the secret's new password carried into the server, stop and start that reach the
server, data deleted with the instance.
Unnecessary when ministack's CloudFormation provisions DB instances through its own CreateDBInstance and
lets the server certificate be chosen.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import functools
import io
import ipaddress
import logging
import tarfile
import threading
import time
from collections.abc import Callable
from typing import Any

from emulator.bridges import Context, replace
from emulator.bridges.acm import certificates
from emulator.bridges.rds import database_proxy, replication

logger = logging.getLogger("emulator.database")

AVAILABLE_SECONDS = 180.0
# Created at the first use of the server's data folder by Docker, so outside of it.
TLS_FOLDER = "/emulator-tls"

# Properties that CreateDBInstance takes under the name CloudFormation has for them.
_SAME_NAME = (
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "AvailabilityZone",
    "BackupRetentionPeriod",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBName",
    "DBParameterGroupName",
    "DBSubnetGroupName",
    "DeletionProtection",
    "EnableIAMDatabaseAuthentication",
    "EnablePerformanceInsights",
    "Engine",
    "EngineVersion",
    "KmsKeyId",
    "MasterUserPassword",
    "MasterUsername",
    "MaxAllocatedStorage",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "MultiAZ",
    "PerformanceInsightsRetentionPeriod",
    "Port",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "PubliclyAccessible",
    "StorageEncrypted",
    "StorageType",
)

# What the master user is granted, by itself and by a role:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html
_ROLE = "rds_superuser_role"
_PRIVILEGES = (
    *(
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "CREATE",
        "DROP",
        "RELOAD",
        "PROCESS",
        "REFERENCES",
        "INDEX",
        "ALTER",
    ),
    *("SHOW DATABASES", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE", "REPLICATION SLAVE"),
    *(
        "REPLICATION CLIENT",
        "CREATE VIEW",
        "SHOW VIEW",
        "CREATE ROUTINE",
        "ALTER ROUTINE",
        "CREATE USER",
        "EVENT",
    ),
    *("TRIGGER", "CREATE ROLE", "DROP ROLE"),
)
# SET_USER_ID of the page was replaced in MySQL 8.4 by SET_ANY_DEFINER and ALLOW_NONEXISTENT_DEFINER:
# https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html
_DYNAMIC_PRIVILEGES = (
    *("APPLICATION_PASSWORD_ADMIN", "ROLE_ADMIN", "SET_ANY_DEFINER", "ALLOW_NONEXISTENT_DEFINER"),
    "XA_RECOVER_ADMIN",
)
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.MySQL.CommonDBATasks.privilege-model.html
_NOT_ON_MYSQL = (
    *("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "CREATE VIEW", "CREATE ROUTINE"),
    *("ALTER ROUTINE", "TRIGGER", "EVENT"),
)

_lock = threading.Lock()
_versions: dict[str, str] = {}


def install(context: Context) -> None:
    import pymysql
    from ministack.services import rds
    from ministack.services.cloudformation import provisioners, stacks

    # ministack's own connections to the server must survive require_secure_transport.
    pymysql.connect = functools.partial(_connect_with_tls, pymysql.connect, context)

    # Names of containers and volumes: two instances of the emulator share one Docker.
    replace(rds, "_rds_docker_scope", lambda original: _scope_with_port(original, context))
    replace(rds, "_run_rds_container", lambda original: functools.partial(_run_container, context))
    replace(rds, "_grant_mysql_master_user_privileges", lambda original: _grant_master)
    replace(rds, "_rotate_instance_password", lambda original: _change_master_password)

    replace(rds, "_stop_db_instance", _stopping)
    replace(rds, "_start_db_instance", _starting)
    rds._ACTION_MAP.update(StopDBInstance=rds._stop_db_instance, StartDBInstance=rds._start_db_instance)

    replace(provisioners, "_rds_db_instance_create", lambda original: _create)
    replace(provisioners, "_rds_db_instance_update", _updating)
    replace(provisioners, "_rds_db_instance_delete", lambda original: _delete)
    provisioners._RESOURCE_HANDLERS["AWS::RDS::DBInstance"].update(
        create=provisioners._rds_db_instance_create,
        update=provisioners._rds_db_instance_update,
        delete=provisioners._rds_db_instance_delete,
    )
    # Starting a server takes seconds; on the event loop the emulator would stand still meanwhile.
    replace(
        stacks,
        "_runs_on_worker_thread",
        lambda original: lambda kind: kind == "AWS::RDS::DBInstance" or original(kind),
    )


def servers() -> list[dict[str, Any]]:
    """Where each database server is reached, from containers and from this machine, and what it really is."""
    from ministack.services import rds

    return [
        {
            "identifier": instance["DBInstanceIdentifier"],
            "address": instance["Endpoint"]["Address"],
            "port": instance["Endpoint"]["Port"],
            "state": instance["DBInstanceStatus"],
            "server": _versions.get(str(instance.get("_internal_address")), "unknown"),
        }
        for instance in rds._instances.all_values()
    ]


def _connect_with_tls(original: Any, context: Context, *args: Any, **kwargs: Any) -> Any:
    host = str(kwargs.get("host") or (args[0] if args else ""))
    if "ssl" not in kwargs and _in_subnet(host, context):
        kwargs["ssl"] = {"ca": str(context.instance.certificate_authority)}
    return original(*args, **kwargs)


def _in_subnet(host: str, context: Context) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(context.subnet)
    except ValueError:
        return False


def _scope_with_port(original: Any, context: Context) -> Any:
    def scope(account_id: str | None = None, region: str | None = None) -> str:
        return f"{context.instance.port}-{original(account_id, region)}"

    return scope


def _run_container(
    context: Context,
    docker_client: Any,
    engine: str,
    kwargs: dict[str, Any],
    tls_names: Any = (),
    tls_ips: Any = (),
) -> Any:
    """Start a server with a fixed address and a certificate for it."""
    with _lock:
        address = _free_address(docker_client, context)
        certificate, key = certificates.server_certificate(
            context,
            [str(kwargs["name"]), "localhost"],
            [address, "127.0.0.1", *database_proxy.addresses(context.subnet)],
        )
        # The address is the endpoint on the host too: no port is published.
        kwargs.pop("ports", None)
        kwargs["command"] = [
            *(kwargs.get("command") or []),
            *replication.server_options(address),
            # Rights on all schemas but mysql.
            "--partial-revokes=ON",
            f"--ssl-cert={TLS_FOLDER}/server.pem",
            f"--ssl-key={TLS_FOLDER}/server.key",
            f"--ssl-ca={TLS_FOLDER}/ca.pem",
        ]
        network = kwargs["network"]
        kwargs["networking_config"] = {
            network: docker_client.api.create_endpoint_config(ipv4_address=address)
        }
        kwargs.pop("detach", None)
        container = docker_client.containers.create(**kwargs)
        try:
            files = {
                "server.pem": certificate,
                "server.key": key,
                "ca.pem": context.instance.certificate_authority.read_text(),
            }
            container.put_archive("/", _archive(files))
            container.start()
        except Exception:
            container.remove(force=True, v=True)
            raise
        return container


def _free_address(docker_client: Any, context: Context) -> str:
    # From the top of the subnet; Docker gives addresses out from the bottom.
    taken = {
        str(item.get("IPv4Address", "")).split("/", 1)[0]
        for item in (
            docker_client.networks.get(context.instance.network).attrs.get("Containers") or {}
        ).values()
    } | _fixed_addresses()
    network = ipaddress.ip_network(context.subnet)
    top = int(network.broadcast_address) - 5
    for number in range(top, top - 200, -1):
        address = str(ipaddress.ip_address(number))
        if address not in taken:
            return address
    raise RuntimeError("no free address for a database")


def _fixed_addresses() -> set[str]:
    from ministack.services import rds

    return {str(item.get("_internal_address")) for item in rds._instances.all_values()}


def _archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as bundle:
        folder = tarfile.TarInfo(TLS_FOLDER.lstrip("/"))
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o755
        bundle.addfile(folder)
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{TLS_FOLDER.lstrip('/')}/{name}")
            # The server runs under a uid that only its image knows.
            entry.mode = 0o644
            entry.size = len(text.encode())
            bundle.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
    from ministack.services import rds
    from ministack.services.cloudformation import provisioners

    identifier = props.get("DBInstanceIdentifier") or provisioners._physical_name(
        stack_name, logical_id, lowercase=True, max_len=63
    )
    source = replication.source_of(props)
    if source is not None:
        props = {**_of_source(source), **props}
    request = {"DBInstanceIdentifier": str(identifier)}
    for name in _SAME_NAME:
        value = props.get(name)
        if value is not None:
            request[name] = str(value).lower() if isinstance(value, bool) else str(value)
    request.update(_members("VpcSecurityGroupIds.VpcSecurityGroupId", props.get("VPCSecurityGroups") or []))
    provisioners._rds_call(rds._create_db_instance, request, "AWS::RDS::DBInstance", "create")
    instance = rds._instances[str(identifier)]
    exports = props.get("EnableCloudwatchLogsExports") or []
    instance["EnabledCloudwatchLogsExports"] = exports
    instance["TagList"] = props.get("Tags") or []
    try:
        _wait_until_available(instance)
        if source is not None:
            replication.follow(source, instance, f"{TLS_FOLDER}/ca.pem")
    except Exception:
        _delete(str(identifier), {})
        raise
    return str(identifier), provisioners._rds_db_instance_attrs(instance)


def _of_source(source: dict[str, Any]) -> dict[str, Any]:
    """What a replica has from the instance that it follows, under the names of a template."""
    return {
        "AllocatedStorage": source["AllocatedStorage"],
        "DBName": source["DBName"],
        "Engine": source["Engine"],
        "EngineVersion": source["EngineVersion"],
        "MasterUsername": source["MasterUsername"],
        "MasterUserPassword": source["_MasterUserPassword"],
        "StorageEncrypted": source.get("StorageEncrypted", False),
    }


def _members(prefix: str, values: list[Any]) -> dict[str, str]:
    return {f"{prefix}.{number}": str(value) for number, value in enumerate(values, start=1)}


def _wait_until_available(instance: dict[str, Any]) -> None:
    from ministack.services import rds

    if not instance.get("_docker_container_id"):
        raise RuntimeError(
            f"the database server {instance['DBInstanceIdentifier']} was not started: see the log"
        )
    deadline = time.monotonic() + AVAILABLE_SECONDS
    while time.monotonic() < deadline:
        if instance["DBInstanceStatus"] == "available":
            return
        if instance["DBInstanceStatus"] == "failed":
            break
        time.sleep(0.1)
    container = rds._get_docker().containers.get(instance["_docker_container_id"])
    last = container.logs(tail=3).decode(errors="replace").strip().replace("\n", " | ")
    raise RuntimeError(
        f"the database server {instance['DBInstanceIdentifier']} did not become available: {last}"
    )


def _updating(original: Any) -> Any:
    def update(
        identifier: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> tuple[str, dict[str, str]]:
        from ministack.services import rds

        instance = rds._instances.get(identifier)
        password = new.get("MasterUserPassword")
        before = (instance or {}).get("_MasterUserPassword")
        result: tuple[str, dict[str, str]] = original(identifier, old, new, stack_name, logical_id)
        if instance is not None and result[0] == identifier and password not in (None, before):
            _change_master_password(instance, str(before), str(password))
            # Their servers get it by the replication.
            for replica in replication.replicas_of(identifier):
                replica["_MasterUserPassword"] = password
        return result

    return update


def _stopping(original: Any) -> Any:
    def stop(params: dict[str, Any]) -> Any:
        return _switch(original, params, "stopping", "stopped", lambda container: container.stop(timeout=30))

    return stop


def _starting(original: Any) -> Any:
    def start(params: dict[str, Any]) -> Any:
        return _switch(original, params, "starting", "available", lambda container: container.start())

    return start


def _switch(
    original: Any, params: dict[str, Any], meanwhile: str, finally_: str, act: Callable[[Any], None]
) -> Any:
    """Stop or start the server of a DB instance; the API shows it under way until it is done."""
    from ministack.core.concurrency import spawn_background
    from ministack.services import rds

    response = original(params)
    instance = rds._resolve_instance(rds._p(params, "DBInstanceIdentifier"))
    if response[0] >= 400 or not instance.get("_docker_container_id"):
        return response
    instance["DBInstanceStatus"] = meanwhile

    def work() -> None:
        act(rds._get_docker().containers.get(instance["_docker_container_id"]))
        if finally_ == "available":
            wait_until_it_answers(instance)
        instance["DBInstanceStatus"] = finally_

    spawn_background(work, thread_name=f"database-{meanwhile}")
    return response


def wait_until_it_answers(instance: dict[str, Any]) -> None:
    """Wait until the server of a DB instance lets its root in."""
    from ministack.services import rds

    while not rds._try_database_connect(
        instance["_internal_address"],
        instance["_internal_port"],
        instance["Engine"],
        "root",
        instance["_MasterUserPassword"],
        None,
    ):
        time.sleep(0.2)


def _delete(identifier: str, props: dict[str, Any]) -> None:
    from docker.errors import NotFound
    from ministack.services import rds
    from ministack.services.cloudformation import provisioners

    instance = rds._instances.get(identifier)
    if instance is None:
        return
    if instance.get("DeletionProtection"):
        raise ValueError(
            f"Cannot delete protected DB Instance {identifier}, please disable deletion protection"
        )
    volume = instance.get("_docker_volume_name")
    request = {"DBInstanceIdentifier": identifier, "SkipFinalSnapshot": "true"}
    provisioners._rds_call(rds._delete_db_instance, request, "AWS::RDS::DBInstance", "delete")
    replication.forget(identifier)
    if volume:
        try:
            rds._get_docker().volumes.get(volume).remove(force=True)
        except NotFound:
            logger.debug("the volume %s is gone already", volume)


def _as_root(host: str, port: int, password: str) -> Any:
    import pymysql

    return pymysql.connect(
        host=host, port=int(port), user="root", password=password, autocommit=True, connect_timeout=5
    )


def _grant_master(
    host: str, port: int, master_user: str, master_pass: str, db_id: str, engine: str = ""
) -> None:
    """Give the master user what RDS gives it, and no more: tables of the schema mysql are only read."""
    connection = _as_root(host, port, master_pass)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            _versions[host] = str(cursor.fetchone()[0])
            cursor.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (master_user, master_pass))
            # The image gave its first user all of the first schema.
            cursor.execute("SELECT db FROM mysql.db WHERE user = %s", (master_user,))
            for (schema,) in cursor.fetchall():
                cursor.execute(f"REVOKE ALL PRIVILEGES ON `{schema}`.* FROM %s@'%%'", (master_user,))
            cursor.execute(f"CREATE ROLE IF NOT EXISTS {_ROLE}")
            for grantee in (_ROLE, f"{connection.escape(master_user)}@'%'"):
                for privileges in (_PRIVILEGES, _DYNAMIC_PRIVILEGES):
                    cursor.execute(f"GRANT {', '.join(privileges)} ON *.* TO {grantee} WITH GRANT OPTION")
                cursor.execute(f"REVOKE {', '.join(_NOT_ON_MYSQL)} ON mysql.* FROM {grantee}")
            cursor.execute(f"GRANT {_ROLE} TO %s@'%%'", (master_user,))
    finally:
        connection.close()


def _change_master_password(instance: dict[str, Any], old_pass: str, new_pass: str) -> None:
    """Carry a changed master password into the server, for its root and for the master user alike."""
    connection = _as_root(instance["_internal_address"], instance["_internal_port"], old_pass)
    try:
        with connection.cursor() as cursor:
            for user in dict.fromkeys((str(instance.get("MasterUsername", "root")), "root")):
                cursor.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", (user, new_pass))
    finally:
        connection.close()
