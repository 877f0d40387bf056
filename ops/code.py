"""Which code a deployment ships: what a pipeline has released stays, unless the checkout is told to replace it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ops import stacks
from ops.aws import Clients
from platform_constructs import build_context
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
        for option in ("--parameters", f"suppliers-{environment.name}-{service.name}:{value}")
    ]


def _parameters(
    clients: Clients, environment: Environment, service: Service, ship_checkout: bool
) -> Iterator[str]:
    if environment.release.controller == "codedeploy":
        if ship_checkout:
            version = build_context.version(ROOT / "services", service.name, service.architecture)
            yield f"ShipCheckout={version}"
        return
    stack = f"suppliers-{environment.name}-{service.name}"
    image = stacks.parameters(clients.client("cloudformation"), stack).get("Image", "")
    if image and (ship_checkout or not is_of_pipeline(image, environment, service)):
        yield "Image="
        yield "Version="


def is_of_pipeline(image: str, environment: Environment, service: Service) -> bool:
    """Whether an image is in the repository of the service's pipeline."""
    repository = image.partition("@")[0].rpartition(":")[0]
    return repository.endswith(f"/suppliers-{environment.name}/{service.name}")
