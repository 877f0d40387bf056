"""Task definitions with another image, and the version that a task definition runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from delivery.errors import DeliveryError

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


def running_version(definition: Mapping[str, Any], *, container: str, repository_uri: str) -> str | None:
    """The version of the image: its tag in the pipeline's repository, else what its label says.

    The label is set where `cdk deploy` names an image of its own repository. It is stale where ECS put another
    image into a copy of the task definition, as native releases do; those images have the version as their tag.
    """
    for each in definition["containerDefinitions"]:
        if each["name"] == container:
            repository, _, tag = str(each["image"]).rpartition(":")
            if repository == repository_uri:
                return tag
            label: str | None = each.get("dockerLabels", {}).get(VERSION_LABEL)
            return label
    return None
