"""ECS tells the deployments of a service, past and present, and ends one early.

Why: ministack answers that there are none, so nobody sees what was released when, or goes back.
Unnecessary when ministack's ListServiceDeployments answers, and StopServiceDeployment stops.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from emulator.bridges import Context, replace
from emulator.bridges.ecs import task_sets

# By ARN of the service, the records that ECS itself goes on to change, the newest last.
_seen: dict[str, list[dict[str, Any]]] = defaultdict(list)


def install(context: Context) -> None:
    from ministack.services import ecs

    replace(ecs, "_reconcile_service_tasks", _noting)
    replace(ecs, "_list_service_deployments", lambda original: _list)
    replace(ecs, "_describe_service_deployments", lambda original: _describe)
    replace(ecs, "_describe_service_revisions", lambda original: _describe_revisions)
    ecs._ACTION_MAP.update(
        ListServiceDeployments=_list,
        DescribeServiceDeployments=_describe,
        DescribeServiceRevisions=_describe_revisions,
        StopServiceDeployment=_stop,
    )


def _noting(original: Any) -> Any:
    def reconcile(cluster: str, key: str, *args: Any, **kwargs: Any) -> Any:
        from ministack.services import ecs

        service = ecs._services.get(key)
        if service and task_sets.MARK not in key:
            known = _seen[service["serviceArn"]]
            # The newest comes first.
            for deployment in reversed(service.get("deployments") or []):
                if all(deployment["id"] != each["id"] for each in known):
                    known.append(deployment)
        return original(cluster, key, *args, **kwargs)

    return reconcile


def _service(data: Mapping[str, Any]) -> dict[str, Any] | None:
    from ministack.services import ecs

    name = str(data.get("service", "")).rpartition("/")[2]
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    found: dict[str, Any] | None = ecs._services.get(f"{cluster}/{name}")
    return found


def _list(data: Mapping[str, Any]) -> Any:
    from ministack.core.responses import error_response_json, json_response

    service = _service(data)
    if service is None:
        return error_response_json("ServiceNotFoundException", "Service not found.", 400)
    wanted = data.get("status") or []
    briefs = [
        {
            name: each[name]
            for name in (
                "serviceDeploymentArn",
                "serviceArn",
                "clusterArn",
                "createdAt",
                "startedAt",
                "finishedAt",
                "status",
            )
            if name in each
        }
        | {"targetServiceRevisionArn": each["targetServiceRevision"]["arn"]}
        for each in _deployments(service)
        if not wanted or each["status"] in wanted
    ]
    return json_response({"serviceDeployments": briefs[: int(data.get("maxResults") or 100)]})


def _describe(data: Mapping[str, Any]) -> Any:
    from ministack.core.responses import json_response

    wanted = [str(arn) for arn in data.get("serviceDeploymentArns") or []]
    found = {each["serviceDeploymentArn"]: each for each in _all()}
    return json_response(
        {
            "serviceDeployments": [found[arn] for arn in wanted if arn in found],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in wanted if arn not in found],
        }
    )


def _describe_revisions(data: Mapping[str, Any]) -> Any:
    from ministack.core.responses import json_response
    from ministack.services import ecs

    wanted = set(data.get("serviceRevisionArns") or [])
    found = [
        {
            "serviceRevisionArn": _revision_arn(service["serviceArn"], deployment),
            "serviceArn": service["serviceArn"],
            "clusterArn": service["clusterArn"],
            "taskDefinition": deployment["taskDefinition"],
            "createdAt": ecs._ts_to_epoch(deployment["createdAt"]),
        }
        for service in ecs._services.values()
        for deployment in _seen.get(service["serviceArn"], ())
        if _revision_arn(service["serviceArn"], deployment) in wanted
    ]
    return json_response({"serviceRevisions": found, "failures": []})


def _stop(data: Mapping[str, Any]) -> Any:
    """Go back to what was deployed before, as ECS does for the stop type ROLLBACK."""
    from ministack.core.responses import error_response_json, json_response
    from ministack.services import ecs

    arn = str(data.get("serviceDeploymentArn", ""))
    if data.get("stopType", "ROLLBACK") != "ROLLBACK":
        return error_response_json("InvalidParameterException", "the emulator only rolls back", 400)
    for service in list(ecs._services.values()):
        for each in _deployments(service):
            if each["serviceDeploymentArn"] != arn:
                continue
            if each["status"] != "IN_PROGRESS":
                return error_response_json("ConflictException", "The deployment is not in progress.", 400)
            before = [
                deployment["taskDefinition"]
                for deployment in _seen[service["serviceArn"]]
                if deployment.get("rolloutState") == "COMPLETED"
            ]
            if not before:
                return error_response_json("ConflictException", "There is nothing to roll back to.", 400)
            ecs._update_service(
                {
                    "cluster": service["clusterArn"],
                    "service": service["serviceName"],
                    "taskDefinition": before[-1],
                }
            )
            return json_response({"serviceDeploymentArn": arn})
    return error_response_json("ServiceDeploymentNotFoundException", f"there is no {arn}", 400)


def _all() -> Iterator[dict[str, Any]]:
    from ministack.services import ecs

    for service in list(ecs._services.values()):
        yield from _deployments(service)


def _deployments(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The newest first, as ECS answers them."""
    from ministack.services import ecs

    arn = service["serviceArn"]
    found = []
    for number, deployment in enumerate(_seen.get(arn, ())):
        state = status(deployment)
        created = ecs._ts_to_epoch(deployment["createdAt"])
        shown = {
            "serviceDeploymentArn": f"{arn.replace(':service/', ':service-deployment/')}/"
            f"{deployment['id'].rpartition('/')[2]}",
            "serviceArn": arn,
            "clusterArn": service["clusterArn"],
            "createdAt": created,
            "startedAt": created,
            "updatedAt": ecs._ts_to_epoch(deployment["updatedAt"]),
            "status": state,
            "targetServiceRevision": {
                "arn": _revision_arn(arn, deployment),
                "requestedTaskCount": deployment["desiredCount"],
                "runningTaskCount": deployment["runningCount"],
                "pendingTaskCount": deployment["pendingCount"],
            },
            "sourceServiceRevisions": [
                {"arn": _revision_arn(arn, earlier)} for earlier in _seen[arn][max(0, number - 1) : number]
            ],
            "deploymentConfiguration": service.get("deploymentConfiguration") or {},
        }
        if deployment.get("rolloutStateReason"):
            shown["statusReason"] = deployment["rolloutStateReason"]
        if state != "IN_PROGRESS":
            shown["finishedAt"] = shown["updatedAt"]
        found.append(shown)
    return found[::-1]


def status(deployment: Mapping[str, Any]) -> str:
    """How ECS calls the state of a deployment."""
    match deployment.get("rolloutState"):
        case "COMPLETED":
            return "SUCCESSFUL"
        case "FAILED":
            return "ROLLBACK_SUCCESSFUL"
        case _:
            return "IN_PROGRESS" if deployment.get("status") == "PRIMARY" else "STOPPED"


def _revision_arn(service_arn: str, deployment: Mapping[str, Any]) -> str:
    number = int(str(deployment["id"]).rpartition("/")[2][:12], 16)
    return f"{service_arn.replace(':service/', ':service-revision/')}/{number}"
