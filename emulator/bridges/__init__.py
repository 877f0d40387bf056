"""What is added to ministack so that unchanged CDK stacks deploy, one gap a module.

Each module says why it exists and what would make it unnecessary, and installs itself by replacing the
functions of ministack that it improves on. They are written against the version pinned in
requirements.txt: `replace` refuses to go on when a function it builds on is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulator.instance import Instance


@dataclass(frozen=True)
class Context:
    """What the bridges need to know about the instance they run in."""

    instance: Instance
    gateway_address: str
    subnet: str


def replace(module: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of a module's function."""
    if not hasattr(module, name):
        raise RuntimeError(
            f"{module.__name__} has no {name}: the bridge does not fit this version of ministack"
        )
    setattr(module, name, make(getattr(module, name)))


def install(context: Context) -> None:
    """Install every bridge; before ministack serves its first request."""
    from emulator.bridges.acm import certificates
    from emulator.bridges.cloudformation import custom_resources, record_only, stack_status, stack_updates
    from emulator.bridges.codedeploy import deployments as codedeploy
    from emulator.bridges.ecr import registry
    from emulator.bridges.ecs import containers, placement, service_deployments, services, task_sets
    from emulator.bridges.elasticache import cache
    from emulator.bridges.elbv2 import load_balancer, private_addresses, target_health, weighted_forward
    from emulator.bridges.iam import authority, managed_policies, sessions
    from emulator.bridges.rds import database, database_cluster, database_proxy
    from emulator.bridges.secretsmanager import resource_policies

    authority.install(context)
    managed_policies.install(context)
    sessions.install(context)
    certificates.install(context)
    record_only.install(context)
    custom_resources.install(context)
    registry.install(context)
    resource_policies.install(context)
    database.install(context)
    database_cluster.install(context)
    database_proxy.install(context)
    cache.install(context)
    containers.install(context)
    placement.install(context)
    task_sets.install(context)
    services.install(context)
    service_deployments.install(context)
    codedeploy.install(context)
    stack_status.install(context)
    stack_updates.install(context)
    weighted_forward.install(context)
    target_health.install(context)
    load_balancer.install(context)
    private_addresses.install(context)
