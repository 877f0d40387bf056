"""`tasks`: what runs, where, since when, and why it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import typer

from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live
from ops.terminal.options import AsJson, Env, Rehearse, complete_services
from ops.terminal.text import Listing, coloured, moment


@dataclass(frozen=True)
class TaskRow:
    """One task; `service` is None for a one-off task, `ended` says how it stopped."""

    id: str
    service: str | None
    family: str
    version: str
    state: str
    health: str
    zone: str
    address: str | None
    started: datetime | None
    ended: str | None


def command(
    service: Annotated[
        str | None, typer.Argument(autocompletion=complete_services, help="Only the tasks of this service.")
    ] = None,
    env: Env = "local",
    rehearse: Rehearse = False,
    stopped: Annotated[
        bool, typer.Option("--stopped", help="Also those that stopped within the last hour, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the tasks: service, version, state, zone, address and start; one-off tasks too.

    Examples:

    \b
    suppliers tasks --env prod
    suppliers tasks customer --env prod --stopped
    """
    with operating(env, rehearse=rehearse) as session:
        found = read(session, service, stopped=stopped)
        if as_json:
            session.print_json([asdict(row) for row in found])
        else:
            _show(session, found)


def read(session: Session, service: str | None, *, stopped: bool) -> list[TaskRow]:
    """The tasks, the newest first."""
    deployment = deployed.read(session)
    wanted = None if service is None else deployment.service(service).service_name
    records = live.tasks(session.clients, deployment, service_name=wanted, stopped=stopped)
    versions = live.Versions(session.clients)
    versions.learn(record["taskDefinitionArn"] for record in records)
    names = {each.service_name: each.name for each in deployment.services}
    return [_row(record, names, versions) for record in records]


def address(record: live.Record) -> str | None:
    """The private address of a task."""
    for attachment in record.get("attachments", []):
        for detail in attachment.get("details", []):
            if detail["name"] == "privateIPv4Address":
                return str(detail["value"])
    return None


def ending(record: live.Record) -> str | None:
    """How a task stopped: the reason, and the exit status of its containers."""
    if record["lastStatus"] != "STOPPED":
        return None
    codes = [str(each["exitCode"]) for each in record["containers"] if each.get("exitCode") is not None]
    reasons = [record.get("stoppedReason", ""), *(each.get("reason", "") for each in record["containers"])]
    text = "; ".join(reason for reason in reasons if reason)
    return f"{text or 'no reason told'} (exit status {', '.join(codes) or 'unknown'})"


def _row(record: live.Record, names: Mapping[str, str], versions: live.Versions) -> TaskRow:
    group = str(record.get("group", "")).removeprefix("service:")
    family = record["taskDefinitionArn"].rpartition("/")[2]
    return TaskRow(
        id=record["taskArn"].rpartition("/")[2],
        service=names.get(group),
        family=family,
        version=versions.of(record["taskDefinitionArn"]),
        state=record["lastStatus"],
        health=record.get("healthStatus", "UNKNOWN"),
        zone=record.get("availabilityZone", "-"),
        address=address(record),
        started=record.get("startedAt"),
        ended=ending(record),
    )


def _show(session: Session, found: Sequence[TaskRow]) -> None:
    if not found:
        session.console.print("no tasks")
        return
    made = Listing(
        *("task", "of", "version", "state", "zone", "address", "started", "ended"),
        wraps=["ended"],
        drops=["address", "zone", "version", "started"],
    )
    for row in found:
        made.add_row(
            row.id,
            row.service or row.family,
            live.short(row.version),
            coloured(row.state),
            row.zone,
            row.address or "-",
            moment(row.started),
            row.ended or "",
        )
    session.console.print(made)
