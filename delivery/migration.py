"""The preparation of the database by a new image, before any traffic reaches it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from delivery.errors import DeliveryError
from delivery.task_definition import with_image

# The same code runs the task in `cdk deploy`; it needs nothing but boto3.
from platform_constructs.handlers.ecs_operations.index import OperationFailed, run_to_end

REQUIRED = (
    "SERVICE",
    "CLUSTER",
    "PREPARE_FAMILY",
    "SUBNETS",
    "SECURITY_GROUPS",
    "LOG_GROUP",
    "LOG_PREFIX",
    "IMAGE",
    "VERSION",
)
TIME_LIMIT_SECONDS = 45 * 60.0


@dataclass(frozen=True)
class Deadline:
    """The time left, asked for as a function asks its context."""

    at: float

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the deadline."""
        return int((self.at - time.monotonic()) * 1000)


def migrate(ecs: Any, variables: Mapping[str, str]) -> str:
    """Run the prepare task once with the new image, and answer with the ARN of its task definition.

    Raises `DeliveryError` with the end of the task's log when it fails.
    """
    missing = [name for name in REQUIRED if not variables.get(name)]
    if missing:
        raise DeliveryError(f"environment variables are missing: {', '.join(missing)}")
    live = ecs.describe_task_definition(taskDefinition=variables["PREPARE_FAMILY"])["taskDefinition"]
    new = with_image(
        live, container=variables["SERVICE"], image=variables["IMAGE"], version=variables["VERSION"]
    )
    arn = str(ecs.register_task_definition(**new)["taskDefinition"]["taskDefinitionArn"])
    try:
        run_to_end(
            {
                "Cluster": variables["CLUSTER"],
                "TaskDefinition": arn,
                "Subnets": variables["SUBNETS"].split(","),
                "SecurityGroups": variables["SECURITY_GROUPS"].split(","),
                "LogGroup": variables["LOG_GROUP"],
                "LogPrefix": variables["LOG_PREFIX"],
            },
            Deadline(time.monotonic() + TIME_LIMIT_SECONDS),
            token=uuid4().hex,
        )
    except OperationFailed as error:
        raise DeliveryError(
            f"{variables['SERVICE']}: the database was not prepared, no traffic moves: {error}"
        ) from None
    return arn
