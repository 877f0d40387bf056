"""`approve`: letting a release of a pipeline pass, or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.errors import OpsError
from ops.terminal.options import DryRun, Env, Yes, complete_services


@dataclass(frozen=True)
class Waiting:
    """An approval that a pipeline waits for, with what it would let pass."""

    pipeline: str
    stage: str
    action: str
    token: str
    execution: str
    reason: str
    sources: tuple[str, ...]


def command(
    service: Annotated[
        str, typer.Argument(autocompletion=complete_services, help="The service whose pipeline waits.")
    ],
    env: Env = "local",
    reject: Annotated[bool, typer.Option("--reject", help="Stop the release instead.")] = False,
    comment: Annotated[str, typer.Option(help="Why; kept with the pipeline's execution.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Let the release pass that the pipeline of a service waits with, after showing what it is; or reject it.

    Examples:

    \b
    suppliers approve customer --env prod --dry-run
    suppliers approve customer --env prod --comment "checked on dev"
    suppliers approve customer --env prod --reject --comment "wait for Monday"
    """
    with operating(env) as session:
        waiting = find(session, deployed.read(session).pipeline(service))
        for line in summary(waiting):
            session.console.print(line, markup=False, soft_wrap=True)
        verdict = "Rejected" if reject else "Approved"
        what = f"{'reject' if reject else 'approve'} execution {waiting.execution[:8]} of {waiting.pipeline}"
        if dry_run:
            session.print_plan([what])
            return
        session.confirm(what, yes=yes)
        session.clients.client("codepipeline").put_approval_result(
            pipelineName=waiting.pipeline,
            stageName=waiting.stage,
            actionName=waiting.action,
            result={
                "summary": (comment or f"{verdict.lower()} by suppliers approve")[:512],
                "status": verdict,
            },
            token=waiting.token,
        )
        session.console.print(f"{waiting.pipeline}: {verdict.lower()}")


def find(session: Session, pipeline: str) -> Waiting:
    """The approval that a pipeline waits for; raises `OpsError` where it waits for none."""
    codepipeline = session.clients.client("codepipeline")
    stages = codepipeline.get_pipeline_state(name=pipeline)["stageStates"]
    for stage in stages:
        for action in stage.get("actionStates", []):
            latest = action.get("latestExecution") or {}
            # Only an approval that waits has a token.
            if latest.get("status") == "InProgress" and latest.get("token"):
                execution = stage["latestExecution"]["pipelineExecutionId"]
                return Waiting(
                    pipeline,
                    stage["stageName"],
                    action["actionName"],
                    latest["token"],
                    execution,
                    _reason(codepipeline, pipeline, execution, action["actionName"]),
                    tuple(_sources(codepipeline, pipeline, execution)),
                )
    states = ", ".join(
        f"{stage['stageName']} {(stage.get('latestExecution') or {}).get('status', 'has not run')}"
        for stage in stages
    )
    raise OpsError(f"{session.name}: {pipeline} waits for no approval: {states}")


def summary(waiting: Waiting) -> Iterator[str]:
    """What would be let pass, in lines."""
    yield f"{waiting.pipeline} waits in {waiting.stage} with execution {waiting.execution}"
    for source in waiting.sources:
        yield f"  {source}"
    if waiting.reason:
        yield f"  {waiting.reason}"


def _sources(codepipeline: Any, pipeline: str, execution: str) -> Iterator[str]:
    found = codepipeline.get_pipeline_execution(pipelineName=pipeline, pipelineExecutionId=execution)
    for revision in found["pipelineExecution"].get("artifactRevisions", []):
        text = " ".join(str(revision.get("revisionSummary", "")).split())
        yield f"{revision['name']} {str(revision.get('revisionId', ''))[:12]}: {text}"


def _reason(codepipeline: Any, pipeline: str, execution: str, action: str) -> str:
    """What the build wrote into the approval."""
    details = codepipeline.list_action_executions(
        pipelineName=pipeline, filter={"pipelineExecutionId": execution}
    )["actionExecutionDetails"]
    for detail in details:
        if detail["actionName"] == action:
            configuration = (detail.get("input") or {}).get("resolvedConfiguration") or {}
            return str(configuration.get("CustomData", ""))
    return ""
