"""CodeDeploy releases ECS services: applications and deployment groups of templates, and the API of deployments.

Why: ministack has no CodeDeploy, so nothing would start the new tasks of a service that leaves its releases
to it, and neither the hook that judges them nor the way back could be tried out.
Unnecessary when ministack deploys ECS services by CodeDeploy.

Differences from AWS: a minute of waiting takes EMULATOR_MINUTE_SECONDS (see `emulator.releases`), the hour that
new tasks are waited for at least two minutes, a rollback one such minute; a hook function that raises fails a
deployment at once; a deployment that does not succeed is always taken back, whatever the automatic rollback of its
group says; an alarm that the emulator only recorded never fires.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import json
import logging
import os
import secrets
import string
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from emulator import releases
from emulator.attributes import physical_id
from emulator.bridges import Context
from emulator.bridges.cloudformation import custom_resources
from emulator.bridges.ecs import services, task_sets
from emulator.bridges.iam import account, codedeploy_role
from emulator.releases import Deployment, Failure, Hook, Refusal

logger = logging.getLogger("emulator.codedeploy")

TARGET_PREFIX = "CodeDeploy_20141006"
_HOOK_OUTCOMES = ("Succeeded", "Failed", "Skipped")

Record = Mapping[str, Any]


class _Store:
    """Applications, deployment groups and deployments, a region of an account each."""

    def __init__(self) -> None:
        from ministack.core.responses import AccountRegionScopedDict

        self.applications: Any = AccountRegionScopedDict()
        self.configs: Any = AccountRegionScopedDict()
        # By (application, group).
        self.groups: Any = AccountRegionScopedDict()
        self.deployments: Any = AccountRegionScopedDict()
        # What each deployment acts on, by its id.
        self.worlds: dict[str, EcsService] = {}


_stores: list[_Store] = []


def _store() -> _Store:
    return _stores[0]


def install(context: Context) -> None:
    from ministack import app
    from ministack.core import router
    from ministack.services.cloudformation import provisioners

    _stores[:] = [_Store()]
    router.SERVICE_PATTERNS["codedeploy"] = {
        "target_prefixes": [TARGET_PREFIX],
        "host_patterns": [r"codedeploy\."],
        "credential_scope": "codedeploy",
    }
    app.SERVICE_HANDLERS["codedeploy"] = handle_request
    account.lookups["deployment"] = group_arn
    for kind in ("Application", "DeploymentGroup", "DeploymentConfig"):
        provisioners._RESOURCE_HANDLERS[f"AWS::CodeDeploy::{kind}"] = _handler(f"AWS::CodeDeploy::{kind}")


def _handler(kind: str) -> dict[str, Any]:
    """How CloudFormation makes, changes and removes what CodeDeploy keeps."""

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        name = physical_id(kind, logical_id, stack, properties)
        _keep(kind, name, properties)
        return name, {"Id": name}

    def update(
        identifier: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> tuple[str, dict[str, str]]:
        name = physical_id(kind, logical_id, stack, new)
        moves = kind.endswith("::DeploymentGroup") and old.get("ApplicationName") != new.get(
            "ApplicationName"
        )
        if moves or name != identifier:
            delete(identifier, old)
        _keep(kind, name, new)
        return name, {"Id": name}

    def delete(identifier: str, properties: dict[str, Any]) -> None:
        store = _store()
        if kind.endswith("::Application"):
            store.applications.pop(identifier, None)
        elif kind.endswith("::DeploymentConfig"):
            store.configs.pop(identifier, None)
        else:
            store.groups.pop(_group_key(properties.get("ApplicationName"), identifier), None)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _keep(kind: str, name: str, properties: Record) -> None:
    from ministack.core.responses import new_uuid

    kept = releases.group_properties(properties)
    store = _store()
    if kind.endswith("::Application"):
        created = (store.applications.get(name) or {}).get("createTime") or releases.now()
        store.applications[name] = {
            "applicationId": new_uuid(),
            "applicationName": name,
            "createTime": created,
            "computePlatform": kept.get("computePlatform", "Server"),
        }
    elif kind.endswith("::DeploymentConfig"):
        store.configs[name] = {**kept, "deploymentConfigName": name}
    else:
        key = _group_key(kept.get("applicationName"), name)
        store.groups[key] = {
            **kept,
            "deploymentGroupId": (store.groups.get(key) or {}).get("deploymentGroupId") or new_uuid(),
            "deploymentGroupName": name,
            "computePlatform": "ECS",
        }


def _group_key(application: object, group: object) -> str:
    return f"{application}/{group}"


async def handle_request(method: str, path: str, headers: Record, body: bytes, query: Record) -> Any:
    """Answer a request of CodeDeploy's API, which is JSON."""
    target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
    operation = str(target).rpartition(".")[2]
    try:
        act = _OPERATIONS.get(operation)
        if act is None:
            raise Refusal("UnknownOperationException", f"the emulator's CodeDeploy has no {operation}")
        return _json(200, act(json.loads(body or b"{}")))
    except Refusal as refusal:
        return _json(400, {"__type": refusal.exception, "message": refusal.message})
    except ValueError as error:
        return _json(400, {"__type": "InvalidInputException", "message": str(error)})


def _json(status: int, document: Any) -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return status, headers, json.dumps(document, default=_timestamp).encode()


def _timestamp(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _application(params: Record) -> dict[str, Any]:
    name = params.get("applicationName")
    if not name:
        raise Refusal("ApplicationNameRequiredException", "An application name is required")
    found = _store().applications.get(name)
    if found is None:
        raise Refusal("ApplicationDoesNotExistException", f"No application found for name: {name}")
    return dict(found)


def _group(params: Record) -> dict[str, Any]:
    application, name = _application(params)["applicationName"], params.get("deploymentGroupName")
    if not name:
        raise Refusal("DeploymentGroupNameRequiredException", "A deployment group name is required")
    found = _store().groups.get(_group_key(application, name))
    if found is None:
        raise Refusal("DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {name}")
    return dict(found)


def _deployment(params: Record) -> Deployment:
    identifier = params.get("deploymentId")
    if not identifier:
        raise Refusal("DeploymentIdRequiredException", "A deployment ID is required")
    found = _store().deployments.get(identifier)
    if found is None:
        raise Refusal("DeploymentDoesNotExistException", f"The deployment {identifier} could not be found")
    assert isinstance(found, Deployment)
    return found


def group_arn(deployment_id: str) -> str | None:
    """The ARN of the group that a deployment is of, or None."""
    from ministack.core.responses import get_account_id, get_region

    found = _store().deployments.get(deployment_id)
    if found is None:
        return None
    name = f"{found.application}/{found.group}"
    return f"arn:aws:codedeploy:{get_region()}:{get_account_id()}:deploymentgroup:{name}"


def _create_deployment(params: Record) -> dict[str, Any]:
    group = _group(params)
    revision = params.get("revision")
    if not revision:
        raise Refusal("RevisionRequiredException", "A revision is required")
    spec = releases.app_spec(revision)
    name = str(params["deploymentGroupName"])
    active = [item for item in _of_group(params["applicationName"], name) if item.under_way]
    if active:
        raise Refusal(
            "DeploymentLimitExceededException",
            f"The Deployment Group '{name}' already has an active Deployment '{active[0].id}'",
        )
    config = str(
        params.get("deploymentConfigName") or group.get("deploymentConfigName") or releases.ALL_AT_ONCE
    )
    routing = (_store().configs.get(config) or {}).get("trafficRoutingConfig")
    settings = dict(group)
    if params.get("overrideAlarmConfiguration"):
        settings["alarmConfiguration"] = params["overrideAlarmConfiguration"]
    deployment = Deployment(
        id=_new_id(),
        application=str(params["applicationName"]),
        group=name,
        revision=revision,
        spec=spec,
        settings=settings,
        config=config,
        steps=releases.traffic_steps(config, routing),
        description=str(params.get("description") or ""),
    )
    world = EcsService(deployment)
    _store().deployments[deployment.id] = deployment
    _store().worlds[deployment.id] = world
    _start(deployment, world)
    return {"deploymentId": deployment.id}


def _start(deployment: Deployment, world: EcsService) -> None:
    from ministack.core.concurrency import spawn_background

    spawn_background(_run, deployment, world, thread_name=f"codedeploy-{deployment.id}")


def _run(deployment: Deployment, world: EcsService) -> None:
    logger.info("%s releases %s", deployment.id, deployment.group)
    minute = releases.minute_seconds(os.environ)
    releases.run(deployment, world, minute=minute, start_rollback=lambda: _start_rollback(deployment, world))
    failure = deployment.failure
    logger.info(
        "%s %s%s",
        deployment.id,
        deployment.status.lower(),
        f": {failure.code}: {failure.message}" if failure else "",
    )


def _start_rollback(deployment: Deployment, world: EcsService) -> Deployment:
    """The deployment that rolls another one back, to the revision that was released last."""
    released = [
        item for item in _of_group(deployment.application, deployment.group) if item.status == "Succeeded"
    ]
    last: Record = max(released, key=lambda item: item.created).revision if released else {}
    rollback = Deployment(
        id=_new_id(),
        application=deployment.application,
        group=deployment.group,
        revision=last,
        spec=deployment.spec,
        settings=deployment.settings,
        config=deployment.config,
        creator="codeDeployRollback",
    )
    _store().worlds[rollback.id] = world
    _store().deployments[rollback.id] = rollback
    return rollback


def _new_id() -> str:
    return "d-" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(9))


def _of_group(application: object, group: object) -> list[Deployment]:
    return [
        item
        for item in _store().deployments.values()
        if item.application == application and item.group == group
    ]


class EcsService:
    """The service that a deployment releases, with the load balancer in front of it.

    Raises `Refusal` where the deployment group does not fit what exists.
    """

    def __init__(self, deployment: Deployment) -> None:
        from ministack.services import alb, ecs

        self._deployment = deployment
        settings = deployment.settings
        try:
            service = settings["ecsServices"][0]
            pair = settings["loadBalancerInfo"]["targetGroupPairInfoList"][0]
            names = [str(item["name"]) for item in pair["targetGroups"]]
            production = pair["prodTrafficRoute"]["listenerArns"]
        except (KeyError, IndexError, TypeError) as error:
            raise Refusal(
                "InvalidECSServiceException",
                f"the deployment group {deployment.group} has no service or target groups: {error!r}",
            ) from None
        cluster = ecs._resolve_cluster_name(service.get("clusterName"))
        self._key = f"{cluster}/{service['serviceName']}"
        if not task_sets.is_released_by_codedeploy(ecs._services.get(self._key)):
            raise Refusal(
                "InvalidECSServiceException",
                f"{self._key} is not an ECS service with the CODE_DEPLOY controller",
            )
        arns = {group["TargetGroupName"]: arn for arn, group in alb._tgs.items()}
        missing = [name for name in names if name not in arns]
        if missing or len(names) != 2:
            raise Refusal(
                "InvalidLoadBalancerInfoException", f"no pair of target groups: {', '.join(missing or names)}"
            )
        self._pair = [arns[name] for name in names]
        self._listeners = {
            "production": list(production),
            "test": list((pair.get("testTrafficRoute") or {}).get("listenerArns") or []),
        }
        self._blue = task_sets.serving(self._key)
        self._green = ""
        live = [
            item["targetGroupArn"]
            for item in ecs._services[self._blue].get("loadBalancers") or []
            if item.get("targetGroupArn") in self._pair
        ]
        if not live:
            raise Refusal(
                "InvalidECSServiceException", f"{self._key} is in no target group of the deployment group"
            )
        self._blue_group = live[0]
        self._green_group = next(arn for arn in self._pair if arn != self._blue_group)
        self._rollout: services.Rollout | None = None
        self.percent = 0

    def start_green(self) -> None:
        spec = self._deployment.spec
        codedeploy_role.start(
            self._deployment, self._key, definition=spec.task_definition, alarms=self._deployment.alarm_names
        )
        try:
            self._green = task_sets.add(
                self._key,
                task_definition=spec.task_definition,
                load_balancers=[
                    {
                        "targetGroupArn": self._green_group,
                        "containerName": spec.container_name,
                        "containerPort": spec.container_port,
                    }
                ],
                external_id=self._deployment.id,
                network=spec.network,
                platform_version=spec.platform_version,
            )
        except ValueError as error:
            raise Failure(
                "ECS_UPDATE_ERROR", f"The ECS service cannot be updated due to an unexpected error: {error}"
            ) from error
        self._rollout = services.Rollout(self._green)

    def green_is_healthy(self) -> bool:
        """Whether the new tasks serve; as long as they keep failing they do not, and nobody ends that but a stop.

        https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html
        """
        assert self._rollout is not None
        try:
            return self._rollout.is_complete()
        except RuntimeError:
            return False

    def move_test_traffic(self) -> None:
        codedeploy_role.route(self._deployment, self._routed("test"))
        self._route("test", {self._green_group: 100})

    def move_traffic(self, percent: int) -> None:
        codedeploy_role.route(self._deployment, self._routed("production"))
        self._route("production", {self._blue_group: 100 - percent, self._green_group: percent})
        self.percent = percent
        if percent == 100:
            task_sets.make_primary(self._key, self._green)

    def call_hook(self, function: str, hook: Hook) -> None:
        from ministack.core.concurrency import spawn_background

        found = custom_resources.find_function(function)
        if found is None:
            raise Failure("INVALID_LAMBDA_FUNCTION", f"The hook function {function} does not exist.")
        codedeploy_role.call(self._deployment, found["config"]["FunctionArn"])
        event = {
            "DeploymentId": self._deployment.id,
            "LifecycleEventHookExecutionId": hook.execution_id,
        }

        def call() -> None:
            try:
                custom_resources.call_function(found, event)
            except Exception as error:
                logger.warning("the hook function %s failed: %s", function, error)
                hook.close("Failed", str(error))

        spawn_background(call, thread_name=f"hook-{self._deployment.id}")

    def alarms(self) -> list[str]:
        from ministack.services import cloudwatch

        return [
            name
            for name in self._deployment.alarm_names
            if (cloudwatch._alarms.get(name) or {}).get("StateValue") == "ALARM"
        ]

    def stop_blue(self) -> None:
        task_sets.remove(self._blue)

    def take_back(self) -> None:
        for route in self._listeners:
            self._route(route, {self._blue_group: 100})
        self.percent = 0
        task_sets.make_primary(self._key, self._blue)

    def stop_green(self) -> None:
        if self._green:
            task_sets.remove(self._green)

    def task_sets_info(self) -> list[dict[str, Any]]:
        """Both task sets, as a deployment's target shows them."""
        from ministack.services import alb, ecs

        result = []
        for label, key, group, weight in (
            ("Blue", self._blue, self._blue_group, 100 - self.percent),
            ("Green", self._green, self._green_group, self.percent),
        ):
            record = ecs._services.get(key)
            if record is None:
                continue
            shown = task_sets.shown(record, ecs._services[self._key])
            result.append(
                {
                    "identifer": shown["id"],
                    "desiredCount": shown["computedDesiredCount"],
                    "pendingCount": shown["pendingCount"],
                    "runningCount": shown["runningCount"],
                    "status": shown["status"],
                    "trafficWeight": float(weight),
                    "targetGroup": {"name": alb._tgs[group]["TargetGroupName"]},
                    "taskSetLabel": label,
                }
            )
        return result

    def _route(self, route: str, weights: Mapping[str, int]) -> None:
        """Rewrite whatever forwards to the pair on the listeners of a route, and nothing else."""
        for _, record, name in self._forwarding(route):
            record[name] = releases.moved(record[name], self._pair, weights)

    def _routed(self, route: str) -> list[str]:
        return [arn for arn, _, _ in self._forwarding(route)]

    def _forwarding(self, route: str) -> list[tuple[str, dict[str, Any], str]]:
        """The rules and listeners of a route that forward to the pair: ARN, record, and the name of the actions."""
        from ministack.services import alb

        arns = self._listeners[route]
        found: list[tuple[str, dict[str, Any], str]] = [
            (arn, rule, "Actions") for arn, rule in alb._rules.items() if rule.get("ListenerArn") in arns
        ]
        found += [(arn, alb._listeners[arn], "DefaultActions") for arn in arns if arn in alb._listeners]
        return [each for each in found if releases.forwards_to(each[1].get(each[2]) or [], self._pair)]


def deployment_info(deployment: Deployment) -> dict[str, Any]:
    """A deployment as GetDeployment shows it."""
    settings = deployment.settings
    states: dict[str, int] = dict.fromkeys(
        ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"), 0
    )
    state = {"Created": "Pending", "Queued": "Pending", "Stopped": "Failed", "Baking": "InProgress"}
    states[state.get(deployment.status, deployment.status)] += 1
    info: dict[str, Any] = {
        "applicationName": deployment.application,
        "deploymentGroupName": deployment.group,
        "deploymentConfigName": deployment.config,
        "deploymentId": deployment.id,
        "revision": deployment.revision,
        "status": deployment.status,
        "createTime": deployment.created,
        "deploymentOverview": states,
        "description": deployment.description,
        "creator": deployment.creator,
        "ignoreApplicationStopFailures": False,
        "updateOutdatedInstancesOnly": False,
        "deploymentStyle": settings.get("deploymentStyle")
        or {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        "instanceTerminationWaitTimeStarted": deployment.bakes,
        "fileExistsBehavior": "DISALLOW",
        "deploymentStatusMessages": [],
        "computePlatform": "ECS",
    }
    for name in ("autoRollbackConfiguration", "blueGreenDeploymentConfiguration", "loadBalancerInfo"):
        if settings.get(name):
            info[name] = settings[name]
    moments = {"startTime": deployment.started, "completeTime": deployment.completed}
    info |= {name: moment for name, moment in moments.items() if moment}
    if deployment.failure:
        info["errorInformation"] = {"code": deployment.failure.code, "message": deployment.failure.message}
    if deployment.rollback:
        info["rollbackInfo"] = {
            "rollbackDeploymentId": deployment.rollback,
            "rollbackMessage": f"Deployment {deployment.rollback} sends all requests back to the old tasks.",
        }
    if deployment.triggered_by:
        info["rollbackInfo"] = {"rollbackTriggeringDeploymentId": deployment.triggered_by}
    return info


def _target(deployment: Deployment) -> dict[str, Any]:
    from ministack.core.responses import get_account_id, get_region

    service = deployment.settings["ecsServices"][0]
    cluster = str(service["clusterName"]).rsplit("/", 1)[-1]
    events = []
    for event in deployment.events:
        shown: dict[str, Any] = {"lifecycleEventName": event.name, "status": event.status}
        if event.started:
            shown["startTime"] = event.started
        if event.ended:
            shown["endTime"] = event.ended
        if event.message:
            shown["diagnostics"] = {"errorCode": "UnknownError", "message": event.message}
        events.append(shown)
    target = {
        "deploymentId": deployment.id,
        "targetId": f"{cluster}:{service['serviceName']}",
        "targetArn": f"arn:aws:ecs:{get_region()}:{get_account_id()}:service/{cluster}/{service['serviceName']}",
        "lastUpdatedAt": deployment.completed or releases.now(),
        "lifecycleEvents": events,
        "status": {"Stopped": "Failed", "Created": "Pending"}.get(deployment.status, deployment.status),
    }
    world = _store().worlds.get(deployment.id)
    if world is not None:
        target["taskSetsInfo"] = world.task_sets_info()
    return {"deploymentTargetType": "ECSTarget", "ecsTarget": target}


def _get_deployment_target(params: Record) -> dict[str, Any]:
    target = _target(_deployment(params))
    wanted = params.get("targetId")
    if wanted not in (target["ecsTarget"]["targetId"], target["ecsTarget"]["targetArn"]):
        raise Refusal("DeploymentTargetDoesNotExistException", f"{wanted} is no target of the deployment")
    return {"deploymentTarget": target}


def _list_deployment_targets(params: Record) -> dict[str, Any]:
    return {"targetIds": [_target(_deployment(params))["ecsTarget"]["targetId"]]}


def _batch_get_deployment_targets(params: Record) -> dict[str, Any]:
    target = _target(_deployment(params))
    wanted = params.get("targetIds") or [target["ecsTarget"]["targetId"]]
    return {"deploymentTargets": [target] if target["ecsTarget"]["targetId"] in wanted else []}


def _list_deployments(params: Record) -> dict[str, Any]:
    if params.get("applicationName"):
        _application(params)
    statuses = params.get("includeOnlyStatuses") or []
    found = sorted(_store().deployments.values(), key=lambda item: item.created, reverse=True)
    return {
        "deployments": [
            item.id
            for item in found
            if params.get("applicationName") in (None, item.application)
            and params.get("deploymentGroupName") in (None, item.group)
            and (not statuses or item.status in statuses)
        ]
    }


def _stop_deployment(params: Record) -> dict[str, Any]:
    deployment = _deployment(params)
    if not deployment.under_way:
        raise Refusal(
            "DeploymentAlreadyCompletedException", f"The deployment {deployment.id} is already completed"
        )
    deployment.stop_requested = True
    return {"status": "Pending", "statusMessage": "The deployment is being stopped and taken back."}


def _continue_deployment(params: Record) -> dict[str, Any]:
    deployment = _deployment(params)
    kind = str(params.get("deploymentWaitType") or "READY_WAIT")
    if kind not in ("READY_WAIT", "TERMINATION_WAIT"):
        raise Refusal("InvalidDeploymentWaitTypeException", f"{kind} is no wait of a deployment")
    if not deployment.under_way:
        raise Refusal(
            "DeploymentAlreadyCompletedException", f"The deployment {deployment.id} is already completed"
        )
    waits = deployment.status == "Ready" if kind == "READY_WAIT" else deployment.bakes
    if not waits:
        raise Refusal(
            "DeploymentIsNotInReadyStateException", f"The deployment {deployment.id} does not wait now"
        )
    deployment.goes_on.add(kind)
    return {}


def _put_hook_status(params: Record) -> dict[str, Any]:
    deployment = _deployment(params)
    identifier, status = str(params.get("lifecycleEventHookExecutionId")), params.get("status")
    hook = deployment.hooks.get(identifier)
    if hook is None:
        raise Refusal(
            "InvalidLifecycleEventHookExecutionIdException", f"{identifier} is no hook of {deployment.id}"
        )
    if status not in _HOOK_OUTCOMES:
        raise Refusal("InvalidLifecycleEventHookExecutionStatusException", f"{status} is not how a hook ends")
    if hook.outcome is not None:
        raise Refusal("LifecycleEventAlreadyCompletedException", "The hook has its status already")
    hook.close(str(status))
    return {"lifecycleEventHookExecutionId": identifier}


def _group_info(params: Record) -> dict[str, Any]:
    group = _group(params)
    deployments = _of_group(group["applicationName"], group["deploymentGroupName"])
    deployments.sort(key=lambda item: item.created)
    for name, items in (
        ("lastAttemptedDeployment", deployments),
        ("lastSuccessfulDeployment", [item for item in deployments if item.status == "Succeeded"]),
    ):
        if items:
            last = items[-1]
            group[name] = {"deploymentId": last.id, "status": last.status, "createTime": last.created}
            if last.completed:
                group[name]["endTime"] = last.completed
    return group


_OPERATIONS: Mapping[str, Callable[[Record], dict[str, Any]]] = {
    "BatchGetDeploymentTargets": _batch_get_deployment_targets,
    "BatchGetDeployments": lambda params: {
        "deploymentsInfo": [
            deployment_info(_deployment({"deploymentId": item})) for item in params.get("deploymentIds") or []
        ]
    },
    "ContinueDeployment": _continue_deployment,
    "CreateDeployment": _create_deployment,
    "GetApplication": lambda params: {"application": _application(params)},
    "GetDeployment": lambda params: {"deploymentInfo": deployment_info(_deployment(params))},
    "GetDeploymentGroup": lambda params: {"deploymentGroupInfo": _group_info(params)},
    "GetDeploymentTarget": _get_deployment_target,
    "ListApplications": lambda params: {"applications": sorted(_store().applications.keys())},
    "ListDeploymentGroups": lambda params: {
        "applicationName": _application(params)["applicationName"],
        "deploymentGroups": sorted(
            group["deploymentGroupName"]
            for group in _store().groups.values()
            if group["applicationName"] == params["applicationName"]
        ),
    },
    "ListDeploymentTargets": _list_deployment_targets,
    "ListDeployments": _list_deployments,
    "PutLifecycleEventHookExecutionStatus": _put_hook_status,
    "StopDeployment": _stop_deployment,
}
