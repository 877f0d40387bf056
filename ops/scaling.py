"""What scales the services: their bounds and policies, as Application Auto Scaling answers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulator import lifecycle
from ops.deployment import DeployedService, Deployment
from ops.session import Session

_SCALABLE_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
_DIMENSION = "ecs:service:DesiredCount"


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
    # With resource ids (50 at most) AWS answers for these alone; an account may have many others.
    for page in _pages(paginator, sorted(names)):
        for target in page["ScalableTargets"]:
            name = names.get(target["ResourceId"])
            if name is not None:
                found[name] = Bounds(target["MinCapacity"], target["MaxCapacity"])
    return found
