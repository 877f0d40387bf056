"""ECS services of a stack reach a steady state, or the deployment says why not.

Why: ministack reports an ECS service as created before its tasks run, judges a deployment by time alone,
and drops properties of a CloudFormation service (deployment controller, grace period). Here CloudFormation
waits, as on AWS, until the new tasks are healthy in their target groups and the old ones are gone; a
service whose tasks keep failing fails its stack with the last line they wrote; a task that the load
balancer finds unhealthy, or that a user stops, is replaced.
Unnecessary when ministack's CloudFormation waits for service stability and its ECS for target health.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict, deque
from typing import Any

from emulator.bridges import Context, replace
from emulator.bridges.ecs import task_sets
from emulator.bridges.ecs.containers import camel_case
from emulator.bridges.elbv2 import target_health

logger = logging.getLogger("emulator.services")

STEADY_SECONDS = 300.0
# Tasks of one deployment that may fail before its stack fails: what the circuit breaker of ECS allows.
FAILURES_ALLOWED = 3
STARTUP_SECONDS = 0.3
RESTART_WINDOW_SECONDS = 60.0

# What ministack's create leaves out, by CloudFormation's name.
_MORE_PROPERTIES = (
    "DeploymentController",
    "EnableECSManagedTags",
    "EnableExecuteCommand",
    "HealthCheckGracePeriodSeconds",
    "PlatformVersion",
    "PropagateTags",
    "SchedulingStrategy",
)

_recent_failures: dict[str, deque[float]] = defaultdict(deque)
_failed_tasks: dict[str, int] = defaultdict(int)


def install(context: Context) -> None:
    from ministack.services import ecs
    from ministack.services.cloudformation import provisioners, stacks

    ecs._ECS_DEPLOYMENT_STEADY_DELAY = STARTUP_SECONDS
    replace(ecs, "_make_deployment", _starting_in_progress)
    replace(ecs, "_record_service_task_healthy", _after_health_checks)
    replace(ecs, "_record_service_task_failure", _with_backoff)
    ecs._ACTION_MAP["StopTask"] = _replacing(ecs._ACTION_MAP["StopTask"])
    replace(provisioners, "_ecs_service_create", lambda original: _create)
    replace(provisioners, "_ecs_service_update", _updating)
    provisioners._RESOURCE_HANDLERS["AWS::ECS::Service"].update(
        create=provisioners._ecs_service_create, update=provisioners._ecs_service_update
    )
    replace(
        stacks,
        "_runs_on_worker_thread",
        lambda original: lambda kind: kind == "AWS::ECS::Service" or original(kind),
    )


def _starting_in_progress(original: Any) -> Any:
    def make(task_definition: str, desired_count: int, status: str = "PRIMARY") -> dict[str, Any]:
        deployment: dict[str, Any] = original(task_definition, desired_count, status)
        deployment["rolloutState"] = "IN_PROGRESS"
        deployment["rolloutStateReason"] = ""
        return deployment

    return make


def _after_health_checks(original: Any) -> Any:
    """A task counts for its deployment once its targets are healthy."""

    def record(svc_key: str, task: dict[str, Any]) -> None:
        from ministack.services import ecs

        while ecs._task_is_active(task.get("taskArn"), task) and not _is_healthy(svc_key, task):
            time.sleep(0.1)
        original(svc_key, task)

    return record


def _is_healthy(svc_key: str, task: dict[str, Any]) -> bool:
    from ministack.services import ecs

    service = ecs._services.get(svc_key) or {}
    address = ecs._task_ip(task)
    return all(
        target_health.passes_checks(item["targetGroupArn"], str(address), int(item.get("containerPort", 80)))
        for item in service.get("loadBalancers") or []
        if item.get("targetGroupArn")
    )


def _with_backoff(original: Any) -> Any:
    """A task that fails again and again is started more and more slowly."""

    def record(task: dict[str, Any], digest_resolution_failed: bool = False) -> None:
        group = str(task.get("group", ""))
        if group.startswith("service:"):
            now = time.monotonic()
            failures = _recent_failures[group]
            failures.append(now)
            while failures and now - failures[0] > RESTART_WINDOW_SECONDS:
                failures.popleft()
            deployment = str(task.get("_deployment_id"))
            _failed_tasks[deployment] += 1
            if len(failures) > 1:
                time.sleep(min(2.0 ** (len(failures) - 2), 30.0))
        original(task, digest_resolution_failed)

    return record


def replace_unhealthy_task(target_group: str, address: str) -> None:
    """Stop the service task behind an unhealthy target; its service starts another one."""
    from ministack.core.concurrency import spawn_background
    from ministack.core.responses import request_scope
    from ministack.services import ecs

    for (account, region, _), task in ecs._tasks.all_items():
        group = str(task.get("group", ""))
        if (
            task.get("lastStatus") != "RUNNING"
            or not group.startswith("service:")
            or ecs._task_ip(task) != address
        ):
            continue
        with request_scope(account, region):
            cluster = ecs._cluster_name_from_arn(task["clusterArn"])
            key = f"{cluster}/{group.removeprefix('service:')}"
            service = ecs._services.get(key) or {}
            grace = float(service.get("healthCheckGracePeriodSeconds") or 0)
            if time.time() - _epoch(task.get("startedAt")) < grace:
                return
            logger.warning("task %s of %s failed its health checks and is replaced", task["taskArn"], key)
            spawn_background(_replace_task, key, cluster, task, thread_name="unhealthy-task")


def _replace_task(key: str, cluster: str, task: dict[str, Any]) -> None:
    from ministack.services import ecs

    reason = "Task failed ELB health checks"
    ecs._stop_task({"task": task["taskArn"], "cluster": cluster, "reason": reason})
    ecs._record_service_task_failure(task)
    ecs._reconcile_service_tasks(cluster, key)


def _replacing(original: Any) -> Any:
    """StopTask as users call it: the service of the task starts another one."""

    def stop(data: dict[str, Any]) -> Any:
        from ministack.core.concurrency import spawn_background
        from ministack.services import ecs

        response = original(data)
        if response[0] < 400:
            task = json.loads(response[2])["task"]
            group = str(task.get("group", ""))
            if group.startswith("service:"):
                cluster = ecs._cluster_name_from_arn(task["clusterArn"])
                key = f"{cluster}/{group.removeprefix('service:')}"
                spawn_background(ecs._reconcile_service_tasks, cluster, key, thread_name="stopped-task")
        return response

    return stop


def _epoch(moment: Any) -> float:
    from ministack.services import ecs

    value = ecs._ts_to_epoch(moment)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import ecs

    name = props.get("ServiceName") or f"{stack_name}-{logical_id}"
    cluster = ecs._resolve_cluster_name(props.get("Cluster", "default"))
    request: dict[str, Any] = {
        "serviceName": name,
        "cluster": cluster,
        "taskDefinition": props.get("TaskDefinition", ""),
        "desiredCount": int(props.get("DesiredCount", 1)),
        "launchType": props.get("LaunchType"),
        "capacityProviderStrategy": camel_case(props.get("CapacityProviderStrategy") or []),
        "loadBalancers": camel_case(props.get("LoadBalancers") or []),
        "networkConfiguration": camel_case(props.get("NetworkConfiguration") or {}),
        "tags": [{"key": tag["Key"], "value": tag["Value"]} for tag in props.get("Tags") or []],
    }
    if props.get("DeploymentConfiguration") is not None:
        request["deploymentConfiguration"] = camel_case(props["DeploymentConfiguration"])
    for key in _MORE_PROPERTIES:
        if props.get(key) is not None:
            request[key[:1].lower() + key[1:]] = camel_case(props[key])
    _checked(ecs._create_service(request), "create")
    key = f"{cluster}/{name}"
    try:
        _wait_until_steady(key)
    except Exception:
        ecs._delete_service({"cluster": cluster, "service": name, "force": True})
        raise
    arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:service/{key}"
    return arn, {"ServiceArn": arn, "Name": str(name)}


def _updating(original: Any) -> Any:
    def update(identifier: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> Any:
        result = original(identifier, old, new, stack_name)
        key = identifier.split(":service/", 1)[-1]
        _wait_until_steady(key)
        return result

    return update


def _checked(response: Any, action: str) -> None:
    if response[0] >= 400:
        message = json.loads(response[2]).get("message", response[2])
        raise ValueError(f"AWS::ECS::Service {action} failed: {message}")


class Rollout:
    """Follows the deployment that a service, or a task set of one, is in."""

    def __init__(self, key: str) -> None:
        from ministack.services import ecs

        self._key = key
        self._name = key.rsplit("/", 1)[-1]
        self._deployment = str((ecs._primary_deployment(ecs._services[key]) or {}).get("id"))
        self._failed_before = _failed_tasks[self._deployment]

    def is_complete(self) -> bool:
        """Whether its tasks run, are healthy and alone; raises RuntimeError when they fail or are rolled back."""
        from ministack.services import ecs

        service = ecs._services.get(self._key)
        if service is None or service.get("status") != "ACTIVE":
            return True
        primary = ecs._primary_deployment(service) or {}
        if primary.get("id") != self._deployment:
            raise RuntimeError(f"service {self._name} was rolled back: {self.why()}")
        if _is_steady(self._key, service, primary):
            return True
        failures = _failed_tasks[self._deployment] - self._failed_before
        if primary.get("rolloutState") == "FAILED" or failures >= FAILURES_ALLOWED:
            raise RuntimeError(f"service {self._name} did not become stable: {self.why()}")
        return False

    def why(self) -> str:
        """What its last stopped task said."""
        return _why(self._name)


def _wait_until_steady(key: str) -> None:
    """Return when the service's deployment is complete and alone; raise when it fails or is rolled back."""
    key = task_sets.serving(key)
    rollout = Rollout(key)
    deadline = time.monotonic() + STEADY_SECONDS
    while not rollout.is_complete():
        if time.monotonic() > deadline:
            name = key.rsplit("/", 1)[-1]
            raise TimeoutError(f"service {name} was not stable after {STEADY_SECONDS:.0f} s: {rollout.why()}")
        time.sleep(0.1)


def _is_steady(key: str, service: dict[str, Any], primary: dict[str, Any]) -> bool:
    from ministack.services import ecs

    running = [
        task
        for task in ecs._tasks.values()
        if task.get("group") == f"service:{service['serviceName']}"
        and task.get("clusterArn") == service.get("clusterArn")
        and task.get("lastStatus") == "RUNNING"
    ]
    return (
        primary.get("rolloutState") == "COMPLETED"
        and len(running) == int(service.get("desiredCount", 0))
        and all(ecs._deployment_for_task(service, task) is primary for task in running)
        and all(_is_healthy(key, task) for task in running)
    )


def _why(service: str) -> str:
    """The last thing that the service's last stopped task said, and how it ended."""
    from ministack.services import cloudwatch_logs, ecs

    stopped = [
        task
        for task in ecs._tasks.values()
        if task.get("group") == f"service:{service}" and task.get("lastStatus") == "STOPPED"
    ]
    if not stopped:
        return "its tasks run but are not healthy"
    task = max(stopped, key=lambda item: str(item.get("stoppedAt")))
    codes = [
        str(item.get("exitCode")) for item in task.get("containers", []) if item.get("exitCode") is not None
    ]
    text = f"{task.get('stoppedReason')}, exit code {', '.join(codes) or 'unknown'}"
    task_id = task["taskArn"].rsplit("/", 1)[-1]
    for group in cloudwatch_logs._log_groups.values():
        for stream_name, stream in (group.get("streams") or {}).items():
            events = stream.get("events") or []
            if stream_name.endswith(task_id) and events:
                text += f": {events[-1].get('message', '').strip()}"
    return text
