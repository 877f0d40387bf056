"""Which code a deployment ships: what a pipeline has released stays, unless the checkout is told to replace it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ops.aws.clients import Clients
from ops.deployed import stacks
from platform_constructs.handlers.ecs_operations.index import is_of_repository
from platform_constructs.service import build_context
from settings import ROOT, Environment, Service


def parameters(
    clients: Clients, environment: Environment, services: Sequence[Service], ship_checkout: bool
) -> list[str]:
    """The options of `cdk deploy` that say so.

    Where CloudFormation alone says what runs, an image that a stack was last deployed with stays, as the CLI keeps the
    values of parameters: one of a pipeline's repository on purpose, any other was the way back of an operator, after
    which the checkout is what is wanted.
    """
    return [
        option
        for service in services
        for value in _parameters(clients, environment, service, ship_checkout)
        for option in ("--parameters", f"{stacks.service_stack(environment.name, service.name)}:{value}")
    ]


def _parameters(
    clients: Clients, environment: Environment, service: Service, ship_checkout: bool
) -> Iterator[str]:
    if environment.release.controller == "codedeploy":
        if ship_checkout:
            version = build_context.version(ROOT / "services", service.name, service.architecture)
            # Another word each time: the one of before is kept by the stack, and says nothing any more.
            yield f"ShipCheckout={version}@{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        return
    stack = stacks.service_stack(environment.name, service.name)
    image = stacks.parameters(clients.client("cloudformation"), stack).get("Image", "")
    pipeline = f"suppliers-{environment.name}/{service.name}"
    if image and (ship_checkout or not is_of_repository(pipeline, image)):
        yield "Image="
        yield "Version="
