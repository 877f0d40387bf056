"""One-off tasks: their output streamed as it comes, their exit status passed on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from ops.aws.refusals import says
from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live
from ops.errors import OpsError
from ops.service.tasks import ending
from ops.terminal.options import DryRun, Env, Rehearse, Yes, complete_services

_POLL_SECONDS = 1.0
# The log may come after the end of the task; what has not come by then does not come.
_LATE_SECONDS = 6.0
_STARTED_BY = "suppliers-ops"


@dataclass(frozen=True)
class Plan:
    """A task to run once: what, in which network, with which command instead of the image's own."""

    service: str
    task_definition: str
    cluster: str
    network: Mapping[str, Any]
    container: str
    command: Sequence[str]
    log_group: str | None
    log_prefix: str | None

    def __str__(self) -> str:
        what = f"run {self.task_definition.rpartition('/')[2]} once in the network of {self.service}"
        return f"{what}: {' '.join(self.command)}" if self.command else what


def migrate(
    service: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_services,
            help="The service that owns the schema; default: all that own one.",
        ),
    ] = None,
    env: Env = "local",
    rehearse: Rehearse = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Prepare the database: users, rights and schema, by the task that deployments run; its exit status is ours.

    It changes nothing where the database is as the deployed version wants it.

    Examples:

    \b
    suppliers migrate --env dev
    suppliers migrate employee --env prod --dry-run
    """
    with operating(env, rehearse=rehearse) as session:
        plans = _preparations(session, service)
        if dry_run:
            session.print_plan([str(plan) for plan in plans])
            return
        session.confirm("prepare the database with the deployed version", yes=yes)
        for plan in plans:
            status = run(session, plan)
            if status:
                raise typer.Exit(status)


def run_command(
    service: Annotated[
        str,
        typer.Argument(
            autocompletion=complete_services, help="The service whose image, rights and network the task has."
        ),
    ],
    command: Annotated[list[str], typer.Argument(help="What it runs.", metavar="COMMAND")],
    env: Env = "local",
    rehearse: Rehearse = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Run a command once, in a task of its own with a service's image; its output and exit status are passed on.

    Ctrl-C stops the task. What follows -- is the command's, options too.

    Examples:

    \b
    suppliers task run employee -- python -c "print('hello')"
    suppliers task run customer --env dev -- python -m directory.prepare
    """
    with operating(env, rehearse=rehearse) as session:
        plan = _of_service(session, service, command)
        if dry_run:
            session.print_plan([str(plan)])
            return
        session.confirm(str(plan), yes=yes)
        status = run(session, plan)
    raise typer.Exit(status)


def run(session: Session, plan: Plan) -> int:
    """Run the task to its end, its output on ours; answers with its exit status.

    Raises `OpsError` where it cannot start or ends without one. Interrupted, it stops the task.
    """
    ecs = session.clients.client("ecs")
    override = {"name": plan.container, **({"command": list(plan.command)} if plan.command else {})}
    answer = ecs.run_task(
        cluster=plan.cluster,
        taskDefinition=plan.task_definition,
        launchType="FARGATE",
        count=1,
        startedBy=_STARTED_BY,
        networkConfiguration=plan.network,
        overrides={"containerOverrides": [override]},
    )
    if not answer["tasks"]:
        why = "; ".join(f"{each.get('arn', '')} {each.get('reason', '')}" for each in answer["failures"])
        raise OpsError(f"{session.name}: the task was not started: {why.strip() or 'no reason told'}")
    arn = answer["tasks"][0]["taskArn"]
    session.notes.print(f"task {arn.rpartition('/')[2]} of {plan.service}", style="dim")
    try:
        record = _follow(session, plan, arn)
    except KeyboardInterrupt:
        session.notes.print(
            "interrupted: the task is asked to stop, and killed if it has not ended within its stop timeout, at most two "
            "minutes; Ctrl-C does not wait for that",
            style="yellow",
        )
        with suppress(KeyboardInterrupt):
            ecs.stop_task(cluster=plan.cluster, task=arn, reason="interrupted by its operator")
        return 130
    codes = [each.get("exitCode") for each in record["containers"] if each["name"] == plan.container]
    if not codes or codes[0] is None:
        raise OpsError(f"{session.name}: the task ended without an exit status: {ending(record)}")
    if codes[0]:
        session.notes.print(f"{plan.service}: {ending(record)}", style="red")
    return int(codes[0])


def _follow(session: Session, plan: Plan, arn: str) -> live.Record:
    ecs = session.clients.client("ecs")
    output = _Output(session, plan, arn.rpartition("/")[2])
    while True:
        (record,) = ecs.describe_tasks(cluster=plan.cluster, tasks=[arn])["tasks"]
        output.print_new()
        if record["lastStatus"] == "STOPPED":
            output.print_rest()
            return dict(record)
        time.sleep(_POLL_SECONDS)


class _Output:
    """The log stream of one task, printed as it grows."""

    def __init__(self, session: Session, plan: Plan, task: str) -> None:
        self._logs = session.clients.client("logs")
        self._group = plan.log_group
        self._stream = f"{plan.log_prefix}/{plan.container}/{task}"
        self._token: str | None = None
        # The emulator has written all of a task's lines when it calls the task stopped.
        self._late = 0.0 if session.instance else _LATE_SECONDS

    def print_new(self) -> bool:
        """Print what came since; answers whether anything did."""
        came = False
        while self._group is not None:
            asked: dict[str, Any] = {"nextToken": self._token} if self._token else {}
            try:
                answer = self._logs.get_log_events(
                    logGroupName=self._group, logStreamName=self._stream, startFromHead=True, **asked
                )
            except ClientError as error:
                # The stream is made with the first line.
                if says(error, "ResourceNotFoundException"):
                    return came
                raise
            for event in answer["events"]:
                print(event["message"].rstrip(), flush=True)
            came = came or bool(answer["events"])
            # The end of the stream answers with the token that it was asked with.
            if answer["nextForwardToken"] == self._token or not answer["events"]:
                return came
            self._token = answer["nextForwardToken"]
        return came

    def print_rest(self) -> None:
        """Print until nothing more comes."""
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < self._late:
            if self.print_new():
                return
            time.sleep(_POLL_SECONDS)


def _of_service(session: Session, name: str, command: Sequence[str]) -> Plan:
    deployment = deployed.read(session)
    record = live.service(session.clients, deployment, name)
    return _plan(session, deployment, name, record, live.serving(record), command)


def _preparations(session: Session, name: str | None) -> list[Plan]:
    owners = [service.name for service in session.environment.services if service.migrations]
    if name is not None and name not in owners:
        raise OpsError(
            f"{session.name}: {name} owns no schema (migrations in its service.toml); allowed: "
            f"{', '.join(owners) or 'none'}"
        )
    deployment = deployed.read(session)
    records = live.services(session.clients, deployment)
    plans = []
    for owner in [name] if name else owners:
        deployment.service(owner)
        # The family alone means its newest revision: the one the last deployment or pipeline ran.
        plans.append(
            _plan(session, deployment, owner, records[owner], f"{deployment.stacks[owner].name}-prepare", ())
        )
    return plans


def _plan(
    session: Session,
    deployment: deployed.Deployment,
    service: str,
    record: live.Record,
    task_definition: str,
    command: Sequence[str],
) -> Plan:
    definition = live.Versions(session.clients).definition(task_definition)
    container = definition["containerDefinitions"][0]
    options = (container.get("logConfiguration") or {}).get("options") or {}
    network = record.get("networkConfiguration") or (record.get("taskSets") or [{}])[0].get(
        "networkConfiguration", {}
    )
    return Plan(
        service=service,
        task_definition=definition["taskDefinitionArn"],
        cluster=deployment.cluster,
        network=network,
        container=container["name"],
        command=tuple(command),
        log_group=options.get("awslogs-group"),
        log_prefix=options.get("awslogs-stream-prefix"),
    )
