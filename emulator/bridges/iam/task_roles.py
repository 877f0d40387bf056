"""A task starts with what its execution role lets ECS do, and runs with the rights of its task role.

Why and until when: see `account`.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

from typing import Any

from emulator.bridges.iam import authority, sessions
from emulator.iam import services

TASKS = "ecs-tasks.amazonaws.com"

# The credentials of each task that has not ended, by its ARN: all its containers have the same.
_credentials: dict[str, dict[str, str]] = {}


class _CannotStart(Exception):
    """Why a task does not start, in ECS's words."""


def credentials(task_arn: str) -> dict[str, str]:
    """Variables with the credentials of a task's role; none where it has no role."""
    return _credentials.get(task_arn, {})


def starting(original: Any) -> Any:
    def start(task: dict[str, Any], td: dict[str, Any], container_overrides: Any, docker_client: Any) -> None:
        from ministack.services import ecs

        try:
            _begin(task, td)
        except _CannotStart as error:
            ecs._fail_task_start(task, docker_client, str(error))
            return
        original(task, td, container_overrides, docker_client)

    return start


def _begin(task: dict[str, Any], definition: dict[str, Any]) -> None:
    """Do with the roles what ECS does with them before it starts a container."""
    arn = str(task["taskArn"])
    _, _, _, region, account, _ = arn.split(":", 5)
    name = arn.rsplit("/", 1)[-1]
    overrides = task.get("overrides") or {}
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    source = {"aws:sourcearn": f"arn:aws:ecs:{region}:{account}:*", "aws:sourceaccount": account}
    execution, own = (
        str(overrides.get(member) or definition.get(member) or "")
        for member in ("executionRoleArn", "taskRoleArn")
    )
    try:
        if execution:
            authority.assume(execution, TASKS, source)
        if own:
            _credentials[arn] = sessions.of_service(own, name, TASKS, source)
    except authority.NotAssumable as error:
        raise _CannotStart(services.cannot_assume(error.role)) from error
    for step in services.starting_a_task(definition, name, region, account):
        if not execution:
            raise _CannotStart(services.NO_EXECUTION_ROLE)
        try:
            authority.require(authority.session_of(execution, name), [step.ask], region)
        except authority.Denied as denied:
            raise _CannotStart(step.refusal.format(denied)) from denied
