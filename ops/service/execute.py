"""`exec`: a command inside a running task."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from emulator import engine
from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live
from ops.errors import OpsError
from ops.terminal.options import Env, Rehearse, Yes, complete_services

_PLUGIN = "session-manager-plugin"
_INSTALL = "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"


def command(
    service: Annotated[str, typer.Argument(autocompletion=complete_services, help="The service.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="What to run; default: a shell.", metavar="COMMAND")
    ] = None,
    env: Env = "local",
    rehearse: Rehearse = False,
    task: Annotated[
        str | None, typer.Option(help="The task, or how its id begins; default: the newest one.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Run a command inside a running task: on AWS by ECS Exec, on the emulator by Docker.

    ECS Exec has to be on for the environment (\\[access] exec = true). It always runs as root and does not
    tell the exit status of the command; Docker runs it as the task's user and does.

    Examples:

    \b
    suppliers exec customer
    suppliers exec employee --env dev -- python -V
    """
    words = command or ["/bin/sh"]
    with operating(env, rehearse=rehearse) as session:
        deployment = deployed.read(session)
        record = _task(session, deployment, service, task)
        session.confirm(f"run {shlex.join(words)} inside {record['taskArn'].rpartition('/')[2]}", yes=yes)
        run = _by_docker if session.instance is not None else _by_ecs
        status = run(session, record, words)
    raise typer.Exit(status)


def _task(session: Session, deployment: deployed.Deployment, name: str, wanted: str | None) -> live.Record:
    service = deployment.service(name)
    found = live.tasks(session.clients, deployment, service_name=service.service_name, stopped=False)
    running = [
        record
        for record in found
        if record["lastStatus"] == "RUNNING"
        and (wanted is None or record["taskArn"].rpartition("/")[2].startswith(wanted))
    ]
    if not running:
        which = f" whose id begins with {wanted}" if wanted else ""
        raise OpsError(f"{session.name}: no task of {name}{which} runs: `suppliers tasks {name}` lists them")
    return running[0]


def _by_docker(session: Session, record: live.Record, words: Sequence[str]) -> int:
    client = engine.client()
    terminal = ["--interactive", *(["--tty"] if sys.stdin.isatty() else [])]
    container = record["containers"][0]["runtimeId"]
    done = subprocess.run([client.path, "exec", *terminal, container, *words], check=False)
    return done.returncode


def _by_ecs(session: Session, record: live.Record, words: Sequence[str]) -> int:
    refuse_unless_possible(session, record)
    plugin = shutil.which(_PLUGIN)
    if plugin is None:
        raise OpsError(f"{_PLUGIN} is not installed on this machine: {_INSTALL}")
    ecs = session.clients.client("ecs")
    container = record["containers"][0]
    answer = ecs.execute_command(
        cluster=record["clusterArn"],
        task=record["taskArn"],
        container=container["name"],
        interactive=True,
        command=shlex.join(words),
    )
    cluster = record["clusterArn"].rpartition("/")[2]
    task = record["taskArn"].rpartition("/")[2]
    # The arguments that the AWS CLI gives the plugin too.
    target = {"Target": f"ecs:{cluster}_{task}_{container['runtimeId']}"}
    region = session.environment.region
    done = subprocess.run(
        [
            plugin,
            json.dumps(answer["session"]),
            region,
            "StartSession",
            "",
            json.dumps(target),
            f"https://ssm.{region}.amazonaws.com",
        ],
        check=False,
    )
    return done.returncode


def refuse_unless_possible(session: Session, record: live.Record) -> None:
    """Raise `OpsError` with what is missing for ECS Exec, and how to get it."""
    task = record["taskArn"].rpartition("/")[2]
    if not record.get("enableExecuteCommand"):
        raise OpsError(
            f"{session.name}: ECS Exec is off for task {task}: set exec = true under [access] in "
            f"environments/{session.name}.toml and deploy; tasks that started before stay without it"
        )
    agents = [
        agent
        for container in record["containers"]
        for agent in container.get("managedAgents", [])
        if agent["name"] == "ExecuteCommandAgent"
    ]
    if not any(agent["lastStatus"] == "RUNNING" for agent in agents):
        state = agents[0]["lastStatus"] if agents else "missing"
        raise OpsError(
            f"{session.name}: the agent of ECS Exec in task {task} is {state}: its root file system is read-only, "
            "so the agent needs its volumes, which deploying with exec = true adds; or it has just started: repeat"
        )
