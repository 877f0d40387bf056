"""The service that a build releases, as the pipeline describes it in the environment of its builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from delivery.errors import DeliveryError


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a service runs and how it is released; its container carries its name."""

    service: str
    architecture: str
    container_port: int
    controller: str
    repository_uri: str
    cluster: str
    ecs_service: str
    family: str
    hook: str | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Target:
        """Raises `DeliveryError` that names every missing variable."""
        missing = [name for name in REQUIRED if not variables.get(name)]
        if missing:
            raise DeliveryError(f"environment variables are missing: {', '.join(missing)}")
        return cls(
            service=variables["SERVICE"],
            architecture=variables["ARCHITECTURE"],
            container_port=int(variables["CONTAINER_PORT"]),
            controller=variables["CONTROLLER"],
            repository_uri=variables["REPOSITORY_URI"],
            cluster=variables["CLUSTER"],
            ecs_service=variables["ECS_SERVICE"],
            family=variables["FAMILY"],
            hook=variables.get("HOOK") or None,
        )

    @property
    def repository_name(self) -> str:
        """The repository without its registry."""
        return self.repository_uri.partition("/")[2]

    def image(self, version: str) -> str:
        """The image of a version; tags are immutable, so the name means one content."""
        return f"{self.repository_uri}:{version}"


REQUIRED = (
    "SERVICE",
    "ARCHITECTURE",
    "CONTAINER_PORT",
    "CONTROLLER",
    "REPOSITORY_URI",
    "CLUSTER",
    "ECS_SERVICE",
    "FAMILY",
)
