"""An AWS::ElastiCache::ReplicationGroup of a stack is a real Valkey server.

Why: ministack starts a container of the official image under a random port, which no registry may be there for, with a
certificate of its own authority and without users. Here it is Debian's Valkey at a fixed address on the instance's
network and the group's own port, with a certificate of the emulator's authority and the users of the user group with
their access strings. Whoever signs in by IAM is let in by name: a signature is not verified. One server stands for all
nodes.
Unnecessary when ministack lets image, port and certificate be chosen, and its nodes know the users of their groups.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import functools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from emulator import base_images
from emulator.bridges import Context, replace
from emulator.bridges.acm import certificates
from emulator.bridges.rds import database

logger = logging.getLogger("emulator.cache")

GROUP = "AWS::ElastiCache::ReplicationGroup"
_USERS = ("AWS::ElastiCache::User", "AWS::ElastiCache::UserGroup")
ANSWERS_SECONDS = 30.0
_FOLDER = database.TLS_FOLDER

# What ministack does not hand on from a group to its nodes.
_wanted = threading.local()


def install(context: Context) -> None:
    from ministack.services import elasticache
    from ministack.services.cloudformation import provisioners, stacks

    replace(
        elasticache, "_spawn_redis_container", lambda original: functools.partial(_run_container, context)
    )
    replace(provisioners, "_ec_rg_create", _creating)
    provisioners._RESOURCE_HANDLERS[GROUP].update(create=provisioners._ec_rg_create)
    for kind in _USERS:
        handlers = provisioners._RESOURCE_HANDLERS[kind]
        handlers.update(update=_carrying_over(handlers["update"]))
    # Building the image takes seconds; on the event loop the emulator would stand still meanwhile.
    replace(
        stacks,
        "_runs_on_worker_thread",
        lambda original: lambda kind: kind in (GROUP, *_USERS) or original(kind),
    )


def access_list(users: Iterable[dict[str, Any]]) -> str:
    """Users as Valkey's file of them: each by its access string, and nobody else."""
    lines = [f"user {user['UserName']} nopass {user['AccessString']}" for user in users]
    return "\n".join([*lines, "user default off", ""])


def _users_of(group_ids: Iterable[str]) -> list[dict[str, Any]]:
    from ministack.services import elasticache

    return [
        elasticache._users[user]
        for group in group_ids
        for user in elasticache._user_groups[group].get("UserIds", [])
        if user in elasticache._users
    ]


def _creating(original: Any) -> Any:
    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        from ministack.services import elasticache
        from ministack.services.cloudformation import provisioners

        _wanted.properties = props
        try:
            identifier, attributes = original(logical_id, props, stack_name)
        finally:
            del _wanted.properties
        if not elasticache._replication_groups[identifier].get("_docker_container_ids"):
            provisioners._ec_rg_delete(identifier, props)
            raise RuntimeError(f"the cache server {identifier} was not started: see the log")
        return identifier, attributes

    return create


def _run_container(
    context: Context,
    name: str,
    engine: str,
    engine_version: str,
    labels: dict[str, str],
    transit: bool = False,
    auth_token: str | None = None,
) -> tuple[str, int, str | None]:
    from ministack.services import elasticache

    properties = getattr(_wanted, "properties", {})
    port = int(properties.get("Port") or 6379)
    docker_client = elasticache._get_docker()
    base_images.ensure_cache(logger.info)
    with database._lock:
        address = database._free_address(docker_client, context)
        network = context.instance.network
        secured = [
            *("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", f"{_FOLDER}/server.pem", "--tls-key-file", f"{_FOLDER}/server.key"),
            *("--tls-ca-cert-file", f"{_FOLDER}/ca.pem"),
        ]
        container = docker_client.containers.create(
            image=base_images.CACHE_IMAGE,
            name=f"{name}-{context.instance.port}",
            labels=labels,
            command=[
                *(secured if transit else ("--port", str(port))),
                *("--aclfile", f"{_FOLDER}/users.acl"),
            ],
            network=network,
            networking_config={network: docker_client.api.create_endpoint_config(ipv4_address=address)},
        )
        try:
            certificate, key = certificates.server_certificate(
                context, [name, "localhost"], [address, "127.0.0.1"]
            )
            files = {
                "server.pem": certificate,
                "server.key": key,
                "ca.pem": context.instance.certificate_authority.read_text(),
                "users.acl": access_list(_users_of(properties.get("UserGroupIds") or [])),
            }
            container.put_archive("/", database._archive(files))
            container.start()
            _wait(address, port)
        except Exception:
            container.remove(force=True, v=True)
            raise
    return address, port, str(container.id)


def _wait(address: str, port: int) -> None:
    deadline = time.monotonic() + ANSWERS_SECONDS
    while True:
        try:
            with socket.create_connection((address, port), timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _carrying_over(original: Callable[..., Any]) -> Callable[..., Any]:
    """An update of users that their servers learn of, by a restart: there is nothing in them that would be missed."""

    def update(*arguments: Any, **options: Any) -> Any:
        from ministack.services import elasticache

        result = original(*arguments, **options)
        for group in elasticache._replication_groups.all_values():
            users = {"users.acl": access_list(_users_of(group.get("UserGroupIds") or []))}
            for identifier in group.get("_docker_container_ids") or []:
                container = elasticache._get_docker().containers.get(identifier)
                container.put_archive("/", database._archive(users))
                container.restart(timeout=5)
        return result

    return update
