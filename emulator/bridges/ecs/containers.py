"""Task containers run the way Fargate would run them.

Why: ministack starts a task's containers on Docker's default network, under the image's user, with a
writable root, without the task's memory, volumes and stop timeout, after trying a registry for every
image; secrets and Linux parameters of a CloudFormation task definition get lost on the way. And it asks
Docker ten times a second about each container. Here a container joins the instance's network, finds the
AWS API and the emulator's certificate authority, obeys its definition, and is waited for.
Unnecessary, point by point, as ministack's ECS does the same.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

from emulator.bridges import Context, replace
from emulator.bridges.elbv2 import load_balancer
from emulator.bridges.iam import task_roles
from emulator.instance import LABEL

logger = logging.getLogger("emulator.containers")

# The variables of our services that name files with the authorities they trust, for the database and the cache.
AUTHORITY_VARIABLES = ("DB_TLS_CA", "CACHE_TLS_CA")
STOP_TIMEOUT_SECONDS = 30
LOG_DRAIN_SECONDS = 5.0
RECHECK_SECONDS = 1.0

# Members of a container definition whose keys are data, not names of properties.
_FREE_KEYS = frozenset({"DockerLabels", "Options"})

_forwarders: dict[str, threading.Thread] = {}


def install(context: Context) -> None:
    from ministack import app
    from ministack.core import container_reaper
    from ministack.services import ecs
    from ministack.services.cloudformation import provisioners

    replace(container_reaper, "own_labels", lambda original: _labelling(original, context))
    # Never those without an instance's label: they may be of another ministack on the same Docker.
    replace(app, "_stop_docker_containers", lambda original: lambda include_unlabelled=False: original())

    replace(ecs, "_start_task_worker", task_roles.starting)
    replace(ecs, "_register_metadata", lambda original: _registering(original, context))
    replace(ecs, "_build_run_kwargs", lambda original: _building(original, context))
    replace(ecs, "_run_docker_container", lambda original: _running(original))
    # No registry is asked for digests: an image is what the local Docker has under its name.
    replace(ecs, "_deployment_needs_first_task", lambda original: lambda *args, **kwargs: False)
    replace(ecs, "_start_awslogs_forwarder", lambda original: _start_forwarder)
    replace(ecs, "_mark_task_stopped", _marking_stopped)
    replace(ecs, "_remove_docker_container", lambda original: _remove)
    replace(ecs, "_watch_task_lifecycle", lambda original: _watch)

    replace(provisioners, "_normalize_container_defs", lambda original: camel_case)
    replace(provisioners, "_ecs_task_def_create", _completing_task_definition)
    provisioners._RESOURCE_HANDLERS["AWS::ECS::TaskDefinition"]["create"] = provisioners._ecs_task_def_create


def camel_case(value: Any) -> Any:
    """CloudFormation's property names as the ECS API spells them, at every depth."""
    if isinstance(value, list):
        return [camel_case(item) for item in value]
    if isinstance(value, dict):
        return {
            key[:1].lower() + key[1:]: item if key in _FREE_KEYS else camel_case(item)
            for key, item in value.items()
        }
    return value


def _completing_task_definition(original: Any) -> Any:
    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        from ministack.services import ecs

        arn, attributes = original(logical_id, props, stack_name)
        definition = ecs._task_defs[arn.rsplit("/", 1)[-1]]
        for name in ("RuntimePlatform", "EphemeralStorage", "ProxyConfiguration", "Volumes"):
            if name in props:
                definition[name[:1].lower() + name[1:]] = camel_case(props[name])
        return arn, attributes

    return create


def _labelling(original: Any, context: Context) -> Any:
    def own_labels(service: str, **extra: Any) -> dict[str, str]:
        labels: dict[str, str] = original(service, **extra)
        return {**labels, LABEL: str(context.instance.state)}

    return own_labels


def _registering(original: Any, context: Context) -> Any:
    def register(*args: Any) -> Any:
        *first, _, _ = args
        token = original(*first, False, context.gateway_address)
        env = first[5]
        # The SDKs take credentials from a container's credentials address only where AWS has it.
        for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
            env.pop(name, None)
        env.update(task_environment(str(first[0])))
        env.update(task_roles.credentials(str(first[0])))
        return token

    return register


def task_environment(task_arn: str) -> dict[str, str]:
    """Variables that Fargate gives every task."""
    region = task_arn.split(":")[3]
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
    }


def _building(original: Any, context: Context) -> Any:
    def build(
        cdef: dict[str, Any],
        td: dict[str, Any],
        env: dict[str, str],
        port_bindings: Any,
        network: Any,
        host_mode: bool,
        task_id: str,
        task_arn: str,
        gateway: Any,
        cluster_arn: str,
    ) -> dict[str, Any]:
        network, gateway = context.instance.network, context.gateway_address
        kwargs: dict[str, Any] = original(
            cdef, td, env, {}, network, False, task_id, task_arn, gateway, cluster_arn
        )
        # Images are built for this machine, whatever architecture the task runs on in AWS.
        kwargs.pop("platform", None)
        kwargs.update(container_options(cdef, td))
        mounts = list(kwargs.get("volumes") or []) + ephemeral_mounts(cdef, td)
        for authority in {env[name] for name in AUTHORITY_VARIABLES if env.get(name)}:
            mounts.append(f"{context.instance.certificate_authority}:{authority}:ro")
        if mounts:
            kwargs["volumes"] = mounts
        return kwargs

    return build


def container_options(cdef: dict[str, Any], td: dict[str, Any]) -> dict[str, Any]:
    """Docker's options for what a container definition and its task ask for."""
    linux = cdef.get("linuxParameters") or {}
    capabilities = linux.get("capabilities") or {}
    memory = cdef.get("memory") or td.get("memory")
    options: dict[str, Any] = {
        "read_only": _true(cdef.get("readonlyRootFilesystem")),
        "init": _true(linux.get("initProcessEnabled")),
        "user": cdef.get("user"),
        "working_dir": cdef.get("workingDirectory"),
        "entrypoint": cdef.get("entryPoint"),
        "cap_drop": capabilities.get("drop"),
        "cap_add": capabilities.get("add"),
        "mem_limit": f"{memory}m" if memory else None,
        "tmpfs": {
            str(item["containerPath"]): ",".join([f"size={item['size']}m", *(item.get("mountOptions") or [])])
            for item in linux.get("tmpfs") or []
        },
    }
    return {name: value for name, value in options.items() if value}


def ephemeral_mounts(cdef: dict[str, Any], td: dict[str, Any]) -> list[str]:
    """Mount points of volumes that live and die with the task: anonymous volumes of Docker."""
    ephemeral = {
        item.get("name") for item in td.get("volumes") or [] if not (item.get("host") or {}).get("sourcePath")
    }
    return [
        str(point["containerPath"])
        for point in cdef.get("mountPoints") or []
        if point.get("sourceVolume") in ephemeral
    ]


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _running(original: Any) -> Any:
    def run(docker_client: Any, cdef: dict[str, Any], kwargs: dict[str, Any], **options: Any) -> Any:
        from docker.errors import ImageNotFound
        from ministack.services import ecs

        image = cdef["image"]
        try:
            docker_client.images.get(image)
        except ImageNotFound as error:
            if ".dkr.ecr." in image:
                raise ecs._ImagePullError(f"{image} is not in the local Docker") from error
        timeout = cdef.get("stopTimeout")
        if timeout is not None:
            kwargs["labels"][f"{LABEL}.stop-timeout"] = str(timeout)
        return original(docker_client, cdef, kwargs, refresh_image=False)

    return run


def _start_forwarder(container: Any, cdef: dict[str, Any], task_id: str) -> None:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import ecs

    config = ecs._awslogs_config(cdef, task_id, container.id)
    if not config:
        return
    thread = threading.Thread(
        target=ecs._forward_awslogs,
        args=(container, config, get_account_id(), config["region"] or get_region()),
        daemon=True,
        name=f"logs-{task_id[:8]}-{cdef.get('name', '')}",
    )
    _forwarders[container.id] = thread
    thread.start()


def drain_logs(container_ids: list[str]) -> None:
    """Return when what these ended containers wrote is in the logs API."""
    for container_id in container_ids:
        thread = _forwarders.pop(container_id, None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(LOG_DRAIN_SECONDS)


def _marking_stopped(original: Any) -> Any:
    def mark(
        task_arn: str, task: dict[str, Any], reason: str, stop_code: str, exit_code: int | None = None
    ) -> Any:
        if stop_code == "EssentialContainerExited":
            drain_logs(list(task.get("_docker_ids") or []))
        return original(task_arn, task, reason, stop_code, exit_code)

    return mark


def _remove(docker_client: Any, container_or_id: Any) -> None:
    """SIGTERM, the time the definition grants, SIGKILL; then nothing of the container is left but its logs."""
    from docker.errors import DockerException, NotFound

    if docker_client is None or container_or_id is None:
        return
    try:
        container = docker_client.containers.get(getattr(container_or_id, "id", container_or_id))
        addresses = [
            item.get("IPAddress") for item in container.attrs["NetworkSettings"]["Networks"].values()
        ]
        load_balancer.wait_until_idle([address for address in addresses if address])
        container.stop(timeout=int(container.labels.get(f"{LABEL}.stop-timeout", STOP_TIMEOUT_SECONDS)))
        container.reload()
        _record_exit(container)
        drain_logs([container.id])
        container.remove(v=True, force=True)
    except NotFound:
        logger.debug("the container %s is gone already", container_or_id)
    except DockerException as error:
        logger.warning("the container %s could not be removed: %s", container_or_id, error)


def _record_exit(container: Any) -> None:
    """The status that a stopped container ended with, where ministack supposes 0 before it stops it."""
    from ministack.services import ecs

    task = ecs._tasks.get(container.labels.get("com.amazonaws.ecs.task-arn", "")) or {}
    for item in task.get("containers") or []:
        if item.get("runtimeId") == container.id[:12]:
            item["exitCode"] = container.attrs["State"]["ExitCode"]


def _watch(task: dict[str, Any], docker_client: Any, account_id: str, region: str) -> None:
    """Have a thread wait for each container of the task, and ECS told when one ends."""
    from docker.errors import DockerException
    from ministack.core.concurrency import spawn_background
    from ministack.core.responses import request_scope
    from ministack.services import ecs
    from requests.exceptions import RequestException

    def wait(container_id: str) -> None:
        with request_scope(account_id, region):
            while ecs._task_is_active(task["taskArn"], task):
                # Ends without an answer when Docker itself is restarted.
                with contextlib.suppress(DockerException, RequestException):
                    docker_client.api.wait(container_id, timeout=None)
                ecs._maybe_mark_stopped(task, docker_client)
                # Still active: another container of the task goes on.
                time.sleep(RECHECK_SECONDS)

    task_id = task["taskArn"].rsplit("/", 1)[-1]
    for container_id in list(task.get("_docker_ids") or []):
        spawn_background(wait, container_id, thread_name=f"wait-{task_id[:8]}")
    group = str(task.get("group", ""))
    cluster = ecs._cluster_name_from_arn(task.get("clusterArn", ""))
    if cluster and group.startswith("service:"):
        ecs._schedule_service_deployment_completion(
            cluster, f"{cluster}/{group.split(':', 1)[1]}", account_id, region, healthy_task=task
        )
