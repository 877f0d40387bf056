"""What scales the services: their bounds and policies, as Application Auto Scaling answers them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emulator import lifecycle
from ops.aws.session import Session
from ops.deployed.deployment import DeployedService, Deployment

_SCALABLE_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
_DIMENSION = "ecs:service:DesiredCount"
# What one request takes: the API reference of DescribeScalableTargets.
_TARGETS_PER_CALL = 50


@dataclass(frozen=True)
class Bounds:
    """The fewest and the most tasks; `recorded` where they are only written down, as on the emulator."""

    minimum: int
    maximum: int
    recorded: bool = False


def is_recorded(session: Session, resource_type: str) -> bool:
    """Whether the emulator only wrote resources of a type down instead of making them."""
    if session.instance is None:
        return False
    rows = lifecycle.ledger(session.instance)["types"]
    return any(row["type"] == resource_type and row["recorded"] for row in rows)


def bounds(
    session: Session, deployment: Deployment, services: Sequence[DeployedService]
) -> dict[str, Bounds | None]:
    """By service, its bounds; None where it has none."""
    if is_recorded(session, _SCALABLE_TARGET):
        by_name = {each.name: each.scaling for each in session.environment.services}
        return {
            each.name: Bounds(by_name[each.name].min_tasks, by_name[each.name].max_tasks, recorded=True)
            if each.name in by_name
            else None
            for each in services
        }
    names = {resource_id(deployment, each): each.name for each in services}
    found: dict[str, Bounds | None] = dict.fromkeys(names.values())
    paginator = session.clients.client("application-autoscaling").get_paginator("describe_scalable_targets")
    for batch in _batches(sorted(names)):
        pages = paginator.paginate(ServiceNamespace="ecs", ResourceIds=batch, ScalableDimension=_DIMENSION)
        for page in pages:
            for target in page["ScalableTargets"]:
                found[names[target["ResourceId"]]] = Bounds(target["MinCapacity"], target["MaxCapacity"])
    return found


def policies(session: Session, deployment: Deployment) -> dict[str, list[str]]:
    """By service, the types of the policies that scale it: `TargetTrackingScaling`, `StepScaling`."""
    names = {resource_id(deployment, service): service.name for service in deployment.services}
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    # One request answers for one service or for all of the account; all of it takes fewer.
    pages = (
        session.clients.client("application-autoscaling")
        .get_paginator("describe_scaling_policies")
        .paginate(ServiceNamespace="ecs")
    )
    for page in pages:
        for policy in page["ScalingPolicies"]:
            name = names.get(policy["ResourceId"])
            if name is not None:
                found[name].append(policy["PolicyType"])
    return found


def resource_id(deployment: Deployment, service: DeployedService) -> str:
    """What Application Auto Scaling calls a service."""
    return f"service/{deployment.cluster}/{service.service_name}"


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), _TARGETS_PER_CALL):
        yield ids[at : at + _TARGETS_PER_CALL]
