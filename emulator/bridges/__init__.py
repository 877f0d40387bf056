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
    from emulator.bridges import (
        cache,
        certificates,
        codedeploy,
        containers,
        custom_resources,
        database,
        database_cluster,
        database_proxy,
        load_balancer,
        placement,
        private_addresses,
        record_only,
        registry,
        service_deployments,
        services,
        stack_status,
        stack_updates,
        target_health,
        task_sets,
        weighted_forward,
    )

    certificates.install(context)
    record_only.install(context)
    custom_resources.install(context)
    registry.install(context)
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
