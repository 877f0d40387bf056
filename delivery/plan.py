"""Whether a push changes a service, decided by what runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from delivery.errors import DeliveryError
from delivery.target import Target
from delivery.task_definition import running_version


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a build does, and why; the pipeline's stages ask `release`."""

    version: str
    image: str
    release: bool
    build: bool
    reason: str
    base_image: str | None = None

    def as_shell(self) -> str:
        """Assignments for the build's shell."""
        values = {
            "VERSION": self.version,
            "IMAGE": self.image,
            "RELEASE": "yes" if self.release else "no",
            "BUILD": "yes" if self.build else "no",
            "BASE_IMAGE": self.base_image or "",
            "REASON": self.reason,
        }
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def decide(
    target: Target, *, version: str, running: str | None, pushed: bool, base_image: str | None = None
) -> Plan:
    """Release what does not run yet; build what the registry does not hold yet."""
    release = running != version
    if not release:
        reason = f"{target.service} is untouched: version {_short(version)} runs"
    elif running is None:
        reason = f"{target.service}: first release, version {_short(version)}"
    else:
        reason = f"{target.service}: version {_short(version)} replaces {_short(running)}"
    return Plan(
        version=version,
        image=target.image(version),
        release=release,
        build=release and not pushed,
        reason=reason,
        base_image=base_image,
    )


def find_running(ecs: Any, target: Target) -> str | None:
    """The version that has the production traffic."""
    services = ecs.describe_services(cluster=target.cluster, services=[target.ecs_service])["services"]
    if not services or services[0]["status"] != "ACTIVE":
        raise DeliveryError(f"there is no service {target.ecs_service} in {target.cluster}: deploy it first")
    definition = ecs.describe_task_definition(taskDefinition=_serving(services[0]))["taskDefinition"]
    return running_version(definition, container=target.service)


def is_pushed(ecr: Any, target: Target, version: str) -> bool:
    """Whether the registry holds the version."""
    try:
        ecr.describe_images(repositoryName=target.repository_name, imageIds=[{"imageTag": version}])
    except ecr.exceptions.ImageNotFoundException:
        return False
    return True


def _serving(service: Mapping[str, Any]) -> str:
    # CodeDeploy replaces task sets below the service, whose own task definition stays the first one.
    primary = [each for each in service.get("taskSets", []) if each["status"] == "PRIMARY"]
    return str((primary[0] if primary else service)["taskDefinition"])


def _short(version: str) -> str:
    return version[:12]
