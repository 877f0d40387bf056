"""A service to release, and recorded answers of AWS about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from delivery.target import Target

REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORY = f"{REGISTRY}/suppliers-dev/customer"
# What the builds of a pipeline find in their environment.
VARIABLES = {
    "SERVICE": "customer",
    "ARCHITECTURE": "arm64",
    "CONTAINER_PORT": "8080",
    "CONTROLLER": "codedeploy",
    "REPOSITORY_URI": REPOSITORY,
    "CLUSTER": "suppliers",
    "ECS_SERVICE": "customer-service",
    "FAMILY": "suppliers-dev-customer",
}


def definition(image: str, *, label: str | None = None, revision: int = 7) -> dict[str, Any]:
    """A task definition as `ecs.describe_task_definition` answers, recorded from a registered one."""
    arn = "arn:aws:ecs:us-east-1:000000000000:task-definition"
    container: dict[str, Any] = {
        "name": "customer",
        "image": image,
        "cpu": 0,
        "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}],
        "essential": True,
        "environment": [
            {"name": "SERVICE_NAME", "value": "customer"},
            {"name": "PORT", "value": "8080"},
        ],
        "mountPoints": [],
        "volumesFrom": [],
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
        "stopTimeout": 30,
        "user": "10001:10001",
        "privileged": False,
        "readonlyRootFilesystem": True,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": "/suppliers-dev/customer",
                "awslogs-region": "us-east-1",
                "awslogs-stream-prefix": "customer",
                "mode": "non-blocking",
                "max-buffer-size": "26214400b",
            },
        },
        "systemControls": [],
    }
    if label is not None:
        container["dockerLabels"] = {"version": label}
    return {
        "taskDefinitionArn": f"{arn}/suppliers-dev-customer:{revision}",
        "containerDefinitions": [container],
        "family": "suppliers-dev-customer",
        "taskRoleArn": "arn:aws:iam::000000000000:role/task",
        "executionRoleArn": "arn:aws:iam::000000000000:role/execution",
        "networkMode": "awsvpc",
        "revision": revision,
        "volumes": [],
        "status": "ACTIVE",
        "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.logging-driver.awslogs"}],
        "placementConstraints": [],
        "compatibilities": ["EC2", "FARGATE"],
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "registeredAt": "2026-11-01T12:00:00Z",
        "registeredBy": "arn:aws:sts::000000000000:assumed-role/deploy/session",
    }


class Ecs:
    """An ECS with task definitions by name, and one service."""

    def __init__(self, definitions: dict[str, dict[str, Any]], service: dict[str, Any] | None = None) -> None:
        self.definitions = definitions
        self.service = service
        self.registered: list[dict[str, Any]] = []

    def describe_services(self, *, cluster: str, services: Sequence[str]) -> dict[str, Any]:
        assert (cluster, services) == ("suppliers", ["customer-service"])
        return {"services": [self.service] if self.service else []}

    def describe_task_definition(self, *, taskDefinition: str) -> dict[str, Any]:
        return {"taskDefinition": self.definitions[taskDefinition]}

    def register_task_definition(self, **request: Any) -> dict[str, Any]:
        self.registered.append(request)
        return {"taskDefinition": {"taskDefinitionArn": f"{request['family']}:{8 + len(self.registered)}"}}


class Ecr:
    """A registry with the given tags, whose scans go through recorded answers."""

    class exceptions:
        class ImageNotFoundException(Exception):
            pass

        class ScanNotFoundException(Exception):
            pass

    def __init__(self, tags: Sequence[str] = (), scans: Sequence[dict[str, Any] | None] = ()) -> None:
        self.tags = tags
        self.scans = list(scans)

    def describe_images(self, *, repositoryName: str, imageIds: list[dict[str, str]]) -> dict[str, Any]:
        assert repositoryName == "suppliers-dev/customer"
        if imageIds[0]["imageTag"] not in self.tags:
            raise self.exceptions.ImageNotFoundException
        return {"imageDetails": [{}]}

    def describe_image_scan_findings(self, *, repositoryName: str, **request: Any) -> dict[str, Any]:
        assert repositoryName == "suppliers-dev/customer"
        scan = self.scans.pop(0) if len(self.scans) > 1 else self.scans[0]
        if scan is None:
            raise self.exceptions.ScanNotFoundException
        return scan


@pytest.fixture
def target() -> Target:
    return Target.from_environment(VARIABLES)
