"""Services that CodeDeploy releases consist of task sets.

Why: ministack replaces the tasks of a service with the CODE_DEPLOY controller as it does those of any
other, where AWS refuses to and keeps two task sets side by side during a release. Here each task set is a
service record of its own that the API does not show, so that its tasks are started, checked, restarted
and registered like any service's; what the API shows of the service itself is put together from them.
Unnecessary when ministack's ECS has task sets.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from emulator.bridges import Context, replace

# Between the names of a service and of its task set: no service's name has it.
MARK = "@"

# All that may be changed of a service whose releases are CodeDeploy's; that enableExecuteCommand may be too is not on
# the page, but what people report.
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
_CHANGEABLE = frozenset(
    {
        "desiredCount",
        "deploymentConfiguration",
        "healthCheckGracePeriodSeconds",
        "placementConstraints",
        "placementStrategy",
        "enableECSManagedTags",
        "propagateTags",
        "enableExecuteCommand",
    }
)
# In the order in which ECS looks, with its words.
_REFUSALS = {
    "networkConfiguration": "Unable to update network parameters",
    "platformVersion": "Unable to update platform version",
    "taskDefinition": "Unable to update task definition",
    "loadBalancers": "Unable to update load balancers",
    "serviceRegistries": "Unable to update service registries",
    "capacityProviderStrategy": "Cannot force a new deployment",
    "forceNewDeployment": "Cannot force a new deployment",
}
_NOT_FORCED = ("forceNewDeployment", False)
_COPIED = (
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "propagateTags",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "schedulingStrategy",
    "tags",
)


def install(context: Context) -> None:
    from ministack.services import ecs

    for action, name, wrap in (
        ("CreateService", "_create_service", _creating),
        ("UpdateService", "_update_service", _updating),
        ("DeleteService", "_delete_service", _deleting),
        ("DescribeServices", "_describe_services", _describing),
        ("ListServices", "_list_services", _listing_services),
        ("ListTasks", "_list_tasks", _listing_tasks),
    ):
        replace(ecs, name, wrap)
        ecs._ACTION_MAP[action] = getattr(ecs, name)
    replace(ecs, "_reconcile_service_tasks", _reconciling)
    replace(ecs, "_recount_cluster", _recounting)
    replace(ecs, "_sanitize", _showing)


def is_released_by_codedeploy(service: Mapping[str, Any] | None) -> bool:
    controller = (service or {}).get("deploymentController") or {}
    return controller.get("type") == "CODE_DEPLOY"


def sets_of(key: str) -> dict[str, dict[str, Any]]:
    """The records of a service's task sets by their keys, the oldest first."""
    from ministack.services import ecs

    found = {name: record for name, record in ecs._services.items() if name.startswith(f"{key}{MARK}")}
    return dict(sorted(found.items(), key=lambda item: str(item[1].get("_since"))))


def serving(key: str) -> str:
    """The key of the task set that serves a service; of a service without task sets its own."""
    primary = [name for name, record in sets_of(key).items() if record.get("_primary")]
    return primary[0] if primary else key


def add(
    key: str,
    *,
    task_definition: str,
    load_balancers: Sequence[Mapping[str, Any]],
    external_id: str = "",
    primary: bool = False,
    network: Mapping[str, Any] | None = None,
    platform_version: str | None = None,
) -> str:
    """Start a task set with as many tasks as the service desires; its key. Raises ValueError."""
    from ministack.core.responses import new_uuid
    from ministack.services import ecs

    service = ecs._services[key]
    cluster, name = key.split("/", 1)
    own_name = f"{name}{MARK}{new_uuid().replace('-', '')[:19]}"
    request = {item: service[item] for item in _COPIED if service.get(item)}
    if request.get("capacityProviderStrategy"):
        request.pop("launchType", None)
    request |= {
        "serviceName": own_name,
        "cluster": cluster,
        "taskDefinition": task_definition,
        "desiredCount": service["desiredCount"],
        "loadBalancers": [dict(item) for item in load_balancers],
    }
    if network:
        request["networkConfiguration"] = dict(network)
    if platform_version:
        request["platformVersion"] = platform_version
    if ecs._resolve_td_key(task_definition) not in ecs._task_defs:
        raise ValueError(f"Unable to find task definition: {task_definition}")
    status, _, body = ecs._create_service(request)
    if status >= 400:
        raise ValueError(str(json.loads(body).get("message", body)))
    own_key = f"{cluster}/{own_name}"
    record = ecs._services[own_key]
    record.update(_primary=primary, _external_id=external_id, _since=ecs._iso())
    return own_key


def make_primary(key: str, own_key: str) -> None:
    """From now on this task set is the one that serves."""
    for name, record in sets_of(key).items():
        record["_primary"] = name == own_key


def remove(own_key: str) -> None:
    """Deregister and stop the tasks of a task set, in this order, and forget it."""
    from ministack.services import ecs

    cluster, own_name = own_key.split("/", 1)
    if own_key in ecs._services:
        ecs._services[own_key]["_draining"] = True
        ecs._delete_service({"cluster": cluster, "service": own_name, "force": True})
        ecs._services.pop(own_key, None)
        for task in list(ecs._tasks.values()):
            if task.get("group") == f"service:{own_name}" and task.get("stoppedReason") == "Service deleted":
                number = own_name.split(MARK, 1)[1]
                task["stoppedReason"] = f"Scaling activity initiated by (deployment ecs-svc/{number})"


def shown(record: Mapping[str, Any], service: Mapping[str, Any]) -> dict[str, Any]:
    """A task set as DescribeServices shows it."""
    number = str(record["serviceName"]).split(MARK, 1)[1]
    desired, running = int(record.get("desiredCount", 0)), int(record.get("runningCount", 0))
    primary: dict[str, Any] = next(iter(record.get("deployments") or []), {})
    steady = primary.get("rolloutState") == "COMPLETED" and running == desired
    status = "PRIMARY" if record.get("_primary") else "ACTIVE"
    if record.get("_draining"):
        status = "DRAINING"
    arn = str(service["serviceArn"])
    return {
        "id": f"ecs-svc/{number}",
        "taskSetArn": f"{arn.replace(':service/', ':task-set/')}/ecs-svc/{number}",
        "serviceArn": arn,
        "clusterArn": service["clusterArn"],
        "startedBy": "CODE_DEPLOY",
        "externalId": record.get("_external_id") or "",
        "status": status,
        "taskDefinition": record["taskDefinition"],
        "computedDesiredCount": desired,
        "pendingCount": int(record.get("pendingCount", 0)),
        "runningCount": running,
        "createdAt": record.get("createdAt"),
        "updatedAt": primary.get("updatedAt") or record.get("createdAt"),
        "launchType": record.get("launchType"),
        "platformVersion": record.get("platformVersion") or "LATEST",
        "networkConfiguration": record.get("networkConfiguration") or {},
        "loadBalancers": record.get("loadBalancers") or [],
        "serviceRegistries": [],
        "scale": {"value": 100.0, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE" if steady else "STABILIZING",
        "tags": [],
    }


def refresh(key: str) -> None:
    """Bring what the API shows of a service up to what its task sets are."""
    from ministack.services import ecs

    service, sets = ecs._services[key], list(sets_of(key).values())
    service["deployments"] = []
    service["taskSets"] = [shown(record, service) for record in sets]
    for count in ("runningCount", "pendingCount"):
        service[count] = sum(int(record.get(count, 0)) for record in sets)
    for record in sets:
        if record.get("_primary"):
            service["taskDefinition"] = record["taskDefinition"]
            service["loadBalancers"] = record["loadBalancers"]


def _creating(original: Any) -> Any:
    def create(data: dict[str, Any]) -> Any:
        from ministack.core.responses import json_response
        from ministack.services import ecs

        answer = original(data)
        if answer[0] >= 400 or not is_released_by_codedeploy(data):
            return answer
        key = f"{ecs._resolve_cluster_name(data.get('cluster', 'default'))}/{data['serviceName']}"
        service = ecs._services[key]
        add(
            key,
            task_definition=service["taskDefinition"],
            load_balancers=service["loadBalancers"],
            primary=True,
        )
        refresh(key)
        return json_response({"service": ecs._sanitize(service)})

    return create


def refusal(request: Mapping[str, Any]) -> str | None:
    """Why ECS refuses an UpdateService of a service with the CODE_DEPLOY controller, or None where it does not.

    Whatever a request names is refused, be its value the one that the service has: only the desired count, the
    deployment configuration, the grace period, placement, managed tags and their propagation can be updated.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
    """
    # False is what the API takes for the absence of a forced deployment.
    named = {name for name, value in request.items() if value is not None and (name, value) != _NOT_FORCED}
    refused = named - _CHANGEABLE - {"cluster", "service"}
    if not refused:
        return None
    known = next((words for name, words in _REFUSALS.items() if name in refused), None)
    words = known or f"Unable to update {sorted(refused)[0]}"
    return (
        f"{words} on services with a CODE_DEPLOY deployment controller. "
        "Use AWS CodeDeploy to trigger a new deployment."
    )


def _updating(original: Any) -> Any:
    def update(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json
        from ministack.services import ecs

        key = _key(data)
        if not is_released_by_codedeploy(ecs._services.get(key)):
            return original(data)
        message = refusal(data)
        if message:
            return error_response_json("InvalidParameterException", message, 400)
        return original(data)

    return update


def _deleting(original: Any) -> Any:
    def delete(data: dict[str, Any]) -> Any:
        from ministack.services import ecs

        key = _key(data)
        service = ecs._services.get(key)
        if is_released_by_codedeploy(service) and (data.get("force") or not service.get("desiredCount")):
            for own_key in sets_of(key):
                remove(own_key)
        return original(data)

    return delete


def _describing(original: Any) -> Any:
    def describe(data: dict[str, Any]) -> Any:
        from ministack.services import ecs

        for reference in data.get("services") or []:
            key = _key({**data, "service": reference})
            if is_released_by_codedeploy(ecs._services.get(key)):
                refresh(key)
        return original(data)

    return describe


def _listing_services(original: Any) -> Any:
    def list_services(data: dict[str, Any]) -> Any:
        from ministack.core.responses import json_response

        status, headers, body = original(data)
        if status >= 400:
            return status, headers, body
        document = json.loads(body)
        document["serviceArns"] = [arn for arn in document["serviceArns"] if MARK not in arn]
        return json_response(document)

    return list_services


def _listing_tasks(original: Any) -> Any:
    def list_tasks(data: dict[str, Any]) -> Any:
        from ministack.core.responses import json_response
        from ministack.services import ecs

        name = data.get("serviceName")
        cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
        if not name or not is_released_by_codedeploy(ecs._services.get(f"{cluster}/{name}")):
            return original(data)
        prefix = f"service:{name}{MARK}"
        # Of all its task sets, those included that are gone and whose stopped tasks are still known.
        groups = {
            str(task["group"]).removeprefix("service:")
            for task in list(ecs._tasks.values())
            if str(task.get("group", "")).startswith(prefix)
        }
        arns: list[str] = []
        for group in sorted(groups):
            status, headers, body = original({**data, "serviceName": group, "maxResults": 10_000})
            if status >= 400:
                return status, headers, body
            arns += json.loads(body)["taskArns"]
        return json_response({"taskArns": arns})

    return list_tasks


def _reconciling(original: Any) -> Any:
    def reconcile(cluster: str, key: str) -> Any:
        from ministack.services import ecs

        service = ecs._services.get(key)
        if not is_released_by_codedeploy(service):
            return original(cluster, key)
        for own_key, record in sets_of(key).items():
            record["healthCheckGracePeriodSeconds"] = service.get("healthCheckGracePeriodSeconds", 0)
            if record["desiredCount"] != service["desiredCount"] and not record.get("_draining"):
                own_name = own_key.split("/", 1)[1]
                count = service["desiredCount"]
                ecs._update_service({"cluster": cluster, "service": own_name, "desiredCount": count})
        return None

    return reconcile


def _recounting(original: Any) -> Any:
    def recount(cluster_name: str) -> None:
        from ministack.services import ecs

        original(cluster_name)
        cluster = ecs._clusters.get(cluster_name)
        if cluster:
            cluster["activeServicesCount"] = sum(
                1
                for key, service in ecs._services.items()
                if key.startswith(f"{cluster_name}/") and MARK not in key and service["status"] == "ACTIVE"
            )

    return recount


def _showing(original: Any) -> Any:
    def show(value: Any) -> Any:
        """Tasks show the service as their group and the task set as what started them."""
        result = original(value)
        if isinstance(result, dict) and MARK in str(result.get("group", "")):
            result["group"], number = str(result["group"]).split(MARK, 1)
            result["startedBy"] = f"ecs-svc/{number}"
        return result

    return show


def _key(data: Mapping[str, Any]) -> str:
    """The key of the service that a request names."""
    from ministack.services import ecs

    named = ecs._resolve_service_ref(str(data.get("service") or ""))
    return f"{ecs._resolve_cluster_name(data.get('cluster', 'default'))}/{named[0] if named else ''}"
