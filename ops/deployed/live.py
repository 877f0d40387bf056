"""What ECS and the load balancer answer about the microservices of a deployment, in as few calls as there can be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ops.aws.clients import Clients, each
from ops.deployed.deployment import DeployedService, Deployment
from ops.deployed.routes import Traffic, traffic_of
from ops.errors import OpsError
from platform_constructs.handlers.release_check.index import running_version as version_of_container

# What one request takes: the API references of DescribeServices and DescribeTasks.
SERVICES_PER_CALL = 10
TASKS_PER_CALL = 100
_LONG_AGO = datetime.fromtimestamp(0, UTC)

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Release:
    """The latest release of a service: how it is called, since when, and whether it is still under way."""

    name: str
    since: datetime
    state: str
    under_way: bool
    task_definition: str


@dataclass(frozen=True)
class Rule:
    """A rule of a listener as it is now; `traffic` is None where it forwards nothing."""

    listener: str
    priority: str
    conditions: str
    action: str
    traffic: Traffic | None


def services(clients: Clients, deployment: Deployment) -> dict[str, Record]:
    """By name, each microservice as ECS describes it."""
    wanted = list(deployment.services)
    batches = [wanted[at : at + SERVICES_PER_CALL] for at in range(0, len(wanted), SERVICES_PER_CALL)]
    ecs = clients.client("ecs")

    def describe(batch: Sequence[DeployedService]) -> list[Record]:
        names = [service.service_name for service in batch]
        return list(ecs.describe_services(cluster=deployment.cluster, services=names)["services"])

    records = {
        record["serviceName"]: record
        for answer in each(describe, batches)
        for record in answer
        if record["status"] != "INACTIVE"
    }
    missing = [service.name for service in wanted if service.service_name not in records]
    if missing:
        env = deployment.environment.name
        raise OpsError(
            f"{env}: ECS has no service {', '.join(missing)} although the stack names it: somebody deleted it by "
            "hand; remove it from services/ and deploy, then bring it back and deploy"
        )
    return {service.name: records[service.service_name] for service in wanted}


def service(clients: Clients, deployment: Deployment, name: str) -> Record:
    """One microservice as ECS describes it."""
    wanted = deployment.service(name)
    answer = clients.client("ecs").describe_services(
        cluster=deployment.cluster, services=[wanted.service_name]
    )
    for record in answer["services"]:
        if record["status"] != "INACTIVE":
            return dict(record)
    raise OpsError(f"{deployment.environment.name}: ECS has no service {name}: somebody deleted it by hand")


def release(record: Record) -> Release:
    """The latest release of a service, as its record tells it."""
    sets = record.get("taskSets") or []
    if sets:
        # CodeDeploy calls the task set that serves PRIMARY, until production traffic has moved.
        newest = max(sets, key=lambda each: each["createdAt"])
        under_way = len(sets) > 1
        return Release(
            name=newest.get("externalId") or newest["id"],
            since=newest["createdAt"],
            state="under way" if under_way else "complete",
            under_way=under_way,
            task_definition=newest["taskDefinition"],
        )
    primary = next(each for each in record["deployments"] if each["status"] == "PRIMARY")
    rollout = str(primary.get("rolloutState", "COMPLETED"))
    return Release(
        name=primary["id"],
        since=primary["createdAt"],
        state={"COMPLETED": "complete", "IN_PROGRESS": "under way", "FAILED": "failed"}.get(rollout, rollout),
        under_way=rollout == "IN_PROGRESS",
        task_definition=primary["taskDefinition"],
    )


def serving(record: Record) -> str:
    """The task definition whose tasks get the traffic."""
    for each_set in record.get("taskSets") or []:
        if each_set["status"] == "PRIMARY":
            return str(each_set["taskDefinition"])
    deployments = record.get("deployments") or []
    # A rolling deployment serves with both; what is complete is the version that people rely on.
    for deployment in deployments:
        if deployment.get("rolloutState", "COMPLETED") == "COMPLETED":
            return str(deployment["taskDefinition"])
    return str(record["taskDefinition"])


class Versions:
    """The version that a task definition runs; each asked for once."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        # A revision never changes.
        self._known: dict[str, Record] = {}

    def learn(self, arns: Iterable[str]) -> None:
        """Ask for all that is not known yet, at once."""
        new = sorted({*arns} - self._known.keys())
        self._known.update(zip(new, each(self._describe, new), strict=True))

    def of(self, arn: str) -> str:
        """The version of a task definition, or its revision where its image names none."""
        return version(self.definition(arn))

    def definition(self, arn: str) -> Record:
        """The whole task definition."""
        self.learn([arn])
        return self._known[arn]

    def _describe(self, arn: str) -> Record:
        answer = self._clients.client("ecs").describe_task_definition(taskDefinition=arn)
        return dict(answer["taskDefinition"])


def short(text: str) -> str:
    """A version as tables show it: digests by their first twelve digits."""
    return text[:12] if re.fullmatch(r"[0-9a-f]{40,}", text) else text


def version(definition: Record) -> str:
    """The version that a task definition's first container runs, or its revision where nothing says it."""
    return version_of_container(definition["containerDefinitions"][0]) or f"revision {definition['revision']}"


def rules(clients: Clients, deployment: Deployment, *listeners: str) -> list[Rule]:
    """The rules of the listeners named (`Production`, `Test`), in the order in which they are asked."""
    elbv2 = clients.client("elbv2")

    def of(listener: str) -> list[Rule]:
        arn = deployment.output("compute", f"{listener}ListenerArn")
        pages = elbv2.get_paginator("describe_rules").paginate(ListenerArn=arn)
        found = [
            Rule(
                listener=listener.lower(),
                priority=rule["Priority"],
                conditions=_conditions(rule.get("Conditions", [])),
                action=_action(rule["Actions"]),
                traffic=traffic_of(rule["Actions"]),
            )
            for page in pages
            for rule in page["Rules"]
        ]
        return sorted(found, key=lambda rule: (not rule.priority.isdigit(), rule.priority.rjust(6)))

    return [rule for found in each(of, listeners) for rule in found]


def traffic_by_service(deployment: Deployment, found: Iterable[Rule]) -> dict[str, dict[str, float]]:
    """By service, the share of its requests in percent that each of its target groups (by ARN) receives.

    Of several rules of a service the first one counts: a release moves them together.
    """
    shares: dict[str, dict[str, float]] = {}
    owners = {
        group: service.name for service in deployment.services for group in (service.blue, service.green)
    }
    for rule in found:
        total = sum((rule.traffic or {}).values())
        for group, weight in (rule.traffic or {}).items():
            owner = owners.get(group)
            if owner is not None:
                share = shares.setdefault(owner, {})
                share.setdefault(group, 100 * weight / total)
    return shares


def shares_text(service: DeployedService, shares: Mapping[str, float]) -> str:
    """`blue`, or `blue 90 %, green 10 %` while a release is moving the traffic, or `nobody`."""
    if not shares:
        return "nobody"
    ordered = sorted((service.side(group), share) for group, share in shares.items())
    if len(ordered) == 1:
        return ordered[0][0]
    return ", ".join(f"{side} {share:.3g} %" for side, share in ordered)


def target_health(clients: Clients, groups: Iterable[str]) -> dict[str, list[Record]]:
    """By target group, its targets with their states."""
    wanted = sorted(groups)
    elbv2 = clients.client("elbv2")

    def of(group: str) -> list[Record]:
        return list(elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"])

    return dict(zip(wanted, each(of, wanted), strict=True))


def states_by_zone(targets: Iterable[Record]) -> dict[str, dict[str, int]]:
    """By zone, how many targets are in each state; `-` where the load balancer names no zone."""
    found: dict[str, dict[str, int]] = {}
    for target in targets:
        states = found.setdefault(target["Target"].get("AvailabilityZone") or "-", {})
        state = target["TargetHealth"]["State"]
        states[state] = states.get(state, 0) + 1
    return dict(sorted(found.items()))


def tasks(
    clients: Clients, deployment: Deployment, *, service_name: str | None, stopped: bool
) -> list[Record]:
    """The tasks of the cluster, or of one service (by its name in ECS), as ECS describes them, the newest first."""
    ecs = clients.client("ecs")
    asked: dict[str, Any] = {"cluster": deployment.cluster}
    if service_name is not None:
        asked["serviceName"] = service_name
    wanted = ["RUNNING", "STOPPED"] if stopped else ["RUNNING"]

    def listed(status: str) -> list[str]:
        pages = ecs.get_paginator("list_tasks").paginate(**asked, desiredStatus=status)
        return [arn for page in pages for arn in page["taskArns"]]

    arns = [arn for found in each(listed, wanted) for arn in found]
    batches = [arns[at : at + TASKS_PER_CALL] for at in range(0, len(arns), TASKS_PER_CALL)]

    def described(batch: Sequence[str]) -> list[Record]:
        return list(ecs.describe_tasks(cluster=deployment.cluster, tasks=batch)["tasks"])

    found = [task for answer in each(described, batches) for task in answer]
    return sorted(found, key=lambda task: task.get("createdAt") or _LONG_AGO, reverse=True)


def _conditions(conditions: Sequence[Record]) -> str:
    return "; ".join(_condition(each_condition) for each_condition in conditions) or "everything else"


def _condition(condition: Record) -> str:
    names = {"path-pattern": "path", "source-ip": "from", "host-header": "host"}
    field = str(condition["Field"])
    values: Sequence[Any] = condition.get("Values") or next(
        (each_value["Values"] for key, each_value in condition.items() if key.endswith("Config")), []
    )
    header = condition.get("HttpHeaderConfig", {}).get("HttpHeaderName")
    return f"{header or names.get(field, field)} {', '.join(map(str, values))}"


def _action(actions: Sequence[Record]) -> str:
    return " then ".join(_steps(actions))


def _steps(actions: Sequence[Record]) -> Iterator[str]:
    for action in actions:
        match action["Type"]:
            case "fixed-response":
                yield f"answer {action['FixedResponseConfig']['StatusCode']}"
            case "redirect":
                target = action["RedirectConfig"]
                yield f"redirect to {target.get('Protocol', '').lower()} port {target.get('Port', '')}"
            case other:
                yield str(other)
