"""Task definitions with another image, and the version that a task definition runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from delivery.errors import DeliveryError

# The same code tells it to the check of a release; it needs nothing but boto3.
from platform_constructs.handlers.release_check.index import running_version as version_of_container

# What ECS adds to a registered task definition and refuses in a new one:
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html
_SET_BY_ECS = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    }
)
VERSION_LABEL = "version"


def with_image(definition: Mapping[str, Any], *, container: str, image: str, version: str) -> dict[str, Any]:
    """What to register for the same task with another image: everything else stays as it is live."""
    containers = [dict(each) for each in definition["containerDefinitions"]]
    named = [each for each in containers if each["name"] == container]
    if not named:
        found = ", ".join(each["name"] for each in containers)
        raise DeliveryError(f"{definition.get('family')}: has no container {container!r}, only {found}")
    for each in named:
        each["image"] = image
        each["dockerLabels"] = {**each.get("dockerLabels", {}), VERSION_LABEL: version}
    registered = {key: value for key, value in definition.items() if key not in _SET_BY_ECS}
    return {**registered, "containerDefinitions": containers}


def running_version(definition: Mapping[str, Any], *, container: str) -> str | None:
    """The version that a task definition runs; None where nothing says it."""
    named = [each for each in definition["containerDefinitions"] if each["name"] == container]
    return version_of_container(named[0]) if named else None
