"""Why a release did not succeed: what its controller says, what its check found, and how its tasks stopped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.aws.refusals import explain
from ops.aws.session import Session
from ops.deployed import live
from ops.deployed.deployment import DeployedService, Deployment
from ops.release import releases
from ops.release.releases import Release
from ops.service.tasks import ending

_LOG_LINES = 15
# A hook's function may go on a little after CodeDeploy has its answer, and its lines come late.
_AFTER_A_HOOK = timedelta(minutes=2)


def of(session: Session, deployment: Deployment, service: DeployedService, release: Release) -> list[str]:
    """A line each, the controller's own first; what cannot be read is said to be so and hides none of the others."""
    hooks = _hooks_of_codedeploy if release.controller == "codedeploy" else _hooks_of_ecs
    return [
        release.reason or f"{release.controller} tells no reason",
        *_readable(session, "its steps", lambda: hooks(session, deployment, service, release)),
        *_readable(session, "its tasks", lambda: _tasks(session, deployment, service, release)),
    ]


def _readable(session: Session, what: str, read: Callable[[], Iterator[str]]) -> list[str]:
    try:
        return list(read())
    except (BotoCoreError, ClientError) as error:
        return [f"{what} cannot be read: {explain(error, session.name)}"]


def _hooks_of_codedeploy(
    session: Session, deployment: Deployment, service: DeployedService, release: Release
) -> Iterator[str]:
    target = releases.targets(session.clients.client("codedeploy"), release.id)
    failed = [event for event in target.get("lifecycleEvents", []) if event["status"] == "Failed"]
    for event in failed:
        diagnostics = event.get("diagnostics") or {}
        yield f"{event['lifecycleEventName']}: {diagnostics.get('message') or 'failed'}"
    function = None
    if failed:
        function = releases.codedeploy_groups(session.clients, deployment, [service])[service.name].check
    if function is not None:
        since = min(
            (event["startTime"] for event in failed if event.get("startTime")), default=release.started
        )
        until = max((event["endTime"] for event in failed if event.get("endTime")), default=None)
        yield from _errors_of(session, function, release, since, until)


def _hooks_of_ecs(
    session: Session, deployment: Deployment, service: DeployedService, release: Release
) -> Iterator[str]:
    (record,) = session.clients.client("ecs").describe_service_deployments(
        serviceDeploymentArns=[release.id]
    )["serviceDeployments"]
    for hook in record.get("lifecycleHookDetails") or []:
        if hook.get("status") == "FAILED" and hook.get("targetArn"):
            yield from _errors_of(session, hook["targetArn"], release, release.started, release.ended)


def _errors_of(
    session: Session, function: str, release: Release, since: datetime, until: datetime | None
) -> Iterator[str]:
    """What a check wrote as errors: one check may serve several services, and names the version that it is about."""
    configuration = session.clients.client("lambda").get_function_configuration(FunctionName=function)
    name = function.rpartition(":function:")[2]
    group = (configuration.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
    asked: dict[str, Any] = {"logGroupName": group, "startTime": _milliseconds(since)}
    if until is not None:
        asked["endTime"] = _milliseconds(until + _AFTER_A_HOOK)
    pages = session.clients.client("logs").get_paginator("filter_log_events").paginate(**asked)
    errors = [text for page in pages for event in page["events"] if (text := _error(event["message"]))]
    its_own = [text for text in errors if live.short(release.version or "?") in text or release.id in text]
    yield from (f"{name}: {text}" for text in dict.fromkeys(its_own or errors))


def _error(message: str) -> str | None:
    try:
        document = json.loads(message)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("level") != "ERROR":
        return None
    return str(document.get("message") or "") or None


def _tasks(
    session: Session, deployment: Deployment, service: DeployedService, release: Release
) -> Iterator[str]:
    stopped = [
        task
        for task in live.tasks(session.clients, deployment, service_name=service.service_name, stopped=True)
        if task["lastStatus"] == "STOPPED" and _is_of(task, release) and not _is_scaled_in(task)
    ]
    for text, count in Counter(ending(task) for task in stopped).most_common():
        yield f"{count} {'task' if count == 1 else 'tasks'} stopped: {text}"
    if stopped:
        last = stopped[0]
        lines = _readable(session, "its log", lambda: iter(_end_of_log(session, last)))
        yield f"the last lines of task {last['taskArn'].rpartition('/')[2]}:" if lines else "it wrote no line"
        yield from (f"| {line}" for line in lines)


def _is_of(task: live.Record, release: Release) -> bool:
    mine = release.task_definition in (None, task["taskDefinitionArn"])
    return mine and (task.get("createdAt") or release.started) >= release.started


def _is_scaled_in(task: live.Record) -> bool:
    """Whether it was stopped because it was no longer wanted, as the others are when a release is taken back."""
    return str(task.get("stoppedReason", "")).startswith("Scaling activity")


def _end_of_log(session: Session, task: live.Record) -> Sequence[str]:
    definition = live.Versions(session.clients).definition(task["taskDefinitionArn"])
    container = next((each for each in task["containers"] if each.get("exitCode")), task["containers"][0])
    options = next(
        (each.get("logConfiguration") or {}).get("options") or {}
        for each in definition["containerDefinitions"]
        if each["name"] == container["name"]
    )
    if "awslogs-stream-prefix" not in options:
        return []
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
    stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task['taskArn'].rpartition('/')[2]}"
    answer = session.clients.client("logs").get_log_events(
        logGroupName=options["awslogs-group"], logStreamName=stream, limit=_LOG_LINES, startFromHead=False
    )
    return [event["message"].rstrip() for event in answer["events"]]


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
