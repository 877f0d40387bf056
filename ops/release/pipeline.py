"""`pipeline`: the last execution of a service's pipeline, and what it failed of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from ops.aws.refusals import says
from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.errors import OpsError
from ops.terminal.options import AsJson, Env, complete_services
from ops.terminal.text import Listing, coloured, moment

_FAILED = "Failed"
_CODEBUILD = "CodeBuild"


@dataclass(frozen=True)
class Action:
    """One action of an execution; `log` are the last lines of a build that failed."""

    stage: str
    name: str
    status: str
    started: datetime | None
    summary: str
    log: Sequence[str]


@dataclass(frozen=True)
class Execution:
    """An execution of a pipeline; `trigger` is what started it."""

    pipeline: str
    id: str
    status: str
    trigger: str
    started: datetime | None
    revisions: Sequence[str]
    actions: Sequence[Action]


def command(
    service: Annotated[
        str, typer.Argument(autocompletion=complete_services, help="The service whose pipeline it is.")
    ],
    env: Env = "local",
    execution: Annotated[str, typer.Option(help="The id of an execution; default: the last one.")] = "",
    lines: Annotated[int, typer.Option(min=1, max=1000, help="How many of a failed build's log.")] = 40,
    as_json: AsJson = False,
) -> None:
    """Show the last execution of a service's pipeline: its actions, and of a build that failed the end of its log.

    The log of the action Image ends with the findings that stopped a release, if that is what did.

    Examples:

    \b
    suppliers pipeline customer --env prod
    suppliers pipeline customer --env prod --lines 200
    """
    with operating(env) as session:
        found = read(session, deployed.read(session).pipeline(service), execution, lines=lines)
        if as_json:
            session.print_json(asdict(found))
        else:
            _show(session, found)


def read(session: Session, pipeline: str, execution: str, *, lines: int) -> Execution:
    """An execution of a pipeline, the last one unless another is named; raises `OpsError` where there is none."""
    codepipeline = session.clients.client("codepipeline")
    pages = codepipeline.get_paginator("list_pipeline_executions").paginate(pipelineName=pipeline)
    summaries = (each for page in pages for each in page["pipelineExecutionSummaries"])
    summary = next(
        (each for each in summaries if not execution or each["pipelineExecutionId"].startswith(execution)),
        None,
    )
    if summary is None:
        raise OpsError(f"{session.name}: {pipeline} has no execution {execution}".rstrip())
    actions = codepipeline.get_paginator("list_action_executions").paginate(
        pipelineName=pipeline, filter={"pipelineExecutionId": summary["pipelineExecutionId"]}
    )
    details = [each for page in actions for each in page["actionExecutionDetails"]]
    return Execution(
        pipeline=pipeline,
        id=summary["pipelineExecutionId"],
        status=summary["status"],
        trigger=summary.get("trigger", {}).get("triggerType", "-"),
        started=summary.get("startTime"),
        revisions=[
            f"{each['revisionId'][:12]} {' '.join(each.get('revisionSummary', '').split())}".rstrip()
            for each in summary.get("sourceRevisions", [])
            if each.get("revisionId")
        ],
        # The newest comes first.
        actions=[_action(session, each, lines) for each in reversed(details)],
    )


def _action(session: Session, detail: Mapping[str, Any], lines: int) -> Action:
    result = detail.get("output", {}).get("executionResult", {})
    told = [
        result.get("externalExecutionSummary", ""),
        result.get("errorDetails", {}).get("message", ""),
    ]
    failed_build = detail["status"] == _FAILED and _provider(detail) == _CODEBUILD
    build = result.get("externalExecutionId")
    return Action(
        stage=detail["stageName"],
        name=detail["actionName"],
        status=detail["status"],
        started=detail.get("startTime"),
        summary="; ".join(dict.fromkeys(each for each in told if each)),
        log=_log(session, build, lines) if failed_build and build else (),
    )


def _provider(detail: Mapping[str, Any]) -> str:
    return str(detail.get("input", {}).get("actionTypeId", {}).get("provider", ""))


def _log(session: Session, build: str, lines: int) -> Sequence[str]:
    builds = session.clients.client("codebuild").batch_get_builds(ids=[build])["builds"]
    where = builds[0].get("logs", {}) if builds else {}
    if not where.get("groupName") or not where.get("streamName"):
        return ()
    try:
        events = session.clients.client("logs").get_log_events(
            logGroupName=where["groupName"],
            logStreamName=where["streamName"],
            limit=lines,
            startFromHead=False,
        )["events"]
    except ClientError as error:
        if not says(error, "ResourceNotFoundException"):
            raise
        return (f"its log {where['streamName']} is not kept any more",)
    return [event["message"].rstrip() for event in events]


def _show(session: Session, found: Execution) -> None:
    console = session.console
    console.print(
        f"{found.pipeline}, execution {found.id}, by {found.trigger}, {moment(found.started)}: ",
        coloured(found.status),
        sep="",
        soft_wrap=True,
    )
    for revision in found.revisions:
        console.print(f"  {revision}", markup=False, soft_wrap=True)
    made = Listing("stage", "action", "state", "since", "says", wraps=["says"], drops=["since"])
    for each in found.actions:
        made.add_row(each.stage, each.name, coloured(each.status), moment(each.started), each.summary)
    console.print(made)
    for each in found.actions:
        if each.log:
            console.print(f"The end of the log of {each.stage}, {each.name}:", style="bold")
            console.print("\n".join(each.log), markup=False, soft_wrap=True)
