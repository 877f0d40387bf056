"""`status`: how an environment is, on one page."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import httpx
import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from ops.aws.clients import together
from ops.aws.endpoint import seconds_old
from ops.aws.session import Session, operating, told_by_emulator
from ops.deployed import database, live
from ops.deployed import deployment as deployed
from ops.deployed.deployment import Deployment
from ops.errors import OpsError
from ops.service import alarms
from ops.terminal.options import AsJson, Env, Rehearse
from ops.terminal.text import Listing, coloured, moment


@dataclass(frozen=True)
class ServiceStatus:
    """One microservice: its tasks, the version that serves and the side that gets the traffic."""

    name: str
    desired: int
    running: int
    pending: int
    version: str
    live: str
    targets: Mapping[str, Mapping[str, int]]
    release: str
    released: datetime
    release_state: str
    releasing: str | None


@dataclass(frozen=True)
class Application:
    """Where users are, and what the first public page that needs the database answers there."""

    url: str
    path: str
    well: bool
    answer: str


@dataclass(frozen=True)
class DatabaseStatus:
    """The database; `standby` is the zone, or zones, that take over, `replicas` are the states of those that follow it."""

    name: str
    state: str
    engine: str
    instance_class: str
    multi_az: bool
    zone: str
    standby: str | None
    replicas: Mapping[str, str]


@dataclass(frozen=True)
class Status:
    """How an environment was at one moment."""

    environment: str
    at: datetime
    stacks: Mapping[str, str]
    notices: Sequence[str]
    services: Sequence[ServiceStatus]
    application: Application | None
    database: DatabaseStatus | None
    alarms: Mapping[str, int]
    alarms_firing: Sequence[str]


def command(
    env: Env = "local",
    rehearse: Rehearse = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two looks of --watch.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show stacks, services, targets by zone, the database, alarms and the latest releases.

    Examples:

    \b
    suppliers status --env prod
    suppliers status --env prod --watch
    suppliers status --env prod --json | jq '.services[] | {name, running, live}'
    """
    with operating(env, rehearse=rehearse) as session:
        versions = live.Versions(session.clients)
        found = read(session, versions)
        if as_json:
            session.print_json(asdict(found))
        elif not (watch and session.console.is_terminal):
            session.console.print(rendered(found, session))
        if watch:
            _watch(session, versions, found, interval=interval, as_json=as_json)


def read(session: Session, versions: live.Versions) -> Status:
    """The status now: at most three rounds of calls, each round at once."""
    deployment = deployed.read(session)
    clients = session.clients
    has_services = deployment.stacks["compute"].usable
    has_database = deployment.stacks["data"].usable
    first = together(
        services=lambda: live.services(clients, deployment) if has_services else {},
        rules=lambda: live.rules(clients, deployment, "Production") if has_services else [],
        database=lambda: _database(session, deployment) if has_database else None,
        alarms=lambda: alarms.states(session),
        application=lambda: _application(session, deployment) if has_services else None,
    )
    records: Mapping[str, live.Record] = first["services"]
    shares = live.traffic_by_service(deployment, first["rules"]) if has_services else {}
    definitions = {
        arn
        for record in records.values()
        for arn in (live.serving(record), live.release(record).task_definition)
    }
    groups = {
        group
        for service in (deployment.services if has_services else ())
        for group in _groups_of_interest(service, records[service.name], shares.get(service.name, {}))
    }
    second = together(
        versions=lambda: versions.learn(definitions),
        targets=lambda: live.target_health(clients, groups),
    )
    states: Mapping[str, str] = first["alarms"]
    return Status(
        environment=session.name,
        at=datetime.now(UTC),
        stacks={stack.name: stack.status for stack in deployment.stacks.values()},
        notices=[
            notice
            for stack in deployment.stacks.values()
            if (notice := stack.notice(session.name)) is not None
        ],
        services=[
            _service(
                service, records[service.name], shares.get(service.name, {}), second["targets"], versions
            )
            for service in (deployment.services if has_services else ())
        ],
        application=first["application"],
        database=first["database"],
        alarms=dict(Counter(states.values())),
        alarms_firing=alarms.firing(states),
    )


def rendered(found: Status, session: Session) -> RenderableType:
    """The status for people."""
    return Group(*_parts(found, session))


def _watch(
    session: Session, versions: live.Versions, found: Status, *, interval: float, as_json: bool
) -> None:
    try:
        if as_json or not session.console.is_terminal:
            while True:
                time.sleep(interval)
                found = read(session, versions)
                if as_json:
                    session.print_json(asdict(found))
                else:
                    session.console.print(rendered(found, session))
        with Live(console=session.console, auto_refresh=False, vertical_overflow="visible") as display:
            while True:
                display.update(_fitting(found, session), refresh=True)
                time.sleep(interval)
                found = read(session, versions)
    except KeyboardInterrupt:
        # The way out of a watch, no failure.
        return


def _fitting(found: Status, session: Session) -> RenderableType:
    """The status; where a terminal is too short for it, stacks that are as they should be are only counted."""
    whole = rendered(found, session)
    console = session.console
    if len(console.render_lines(whole, pad=False)) < console.height:
        return whole
    return Group(*_parts(found, session, brief=True))


def _groups_of_interest(
    service: deployed.DeployedService, record: live.Record, shares: Mapping[str, float]
) -> set[str]:
    """The side that serves; both while a release is under way."""
    if live.release(record).under_way or not shares:
        return {service.blue, service.green} if shares or record.get("taskSets") else {service.blue}
    return set(shares)


def _service(
    service: deployed.DeployedService,
    record: live.Record,
    shares: Mapping[str, float],
    targets: Mapping[str, Sequence[live.Record]],
    versions: live.Versions,
) -> ServiceStatus:
    release = live.release(record)
    serving = live.serving(record)
    found = [
        target
        for group in (service.blue, service.green)
        for target in targets.get(group, ())
        if target["TargetHealth"]["State"] != "unused" or group in shares
    ]
    return ServiceStatus(
        name=service.name,
        desired=record["desiredCount"],
        running=record["runningCount"],
        pending=record["pendingCount"],
        version=versions.of(serving),
        live=live.shares_text(service, shares),
        targets=live.states_by_zone(found),
        release=release.name,
        released=release.since,
        release_state=release.state,
        releasing=versions.of(release.task_definition) if release.under_way else None,
    )


def _application(session: Session, deployment: Deployment) -> Application | None:
    paths = [
        path
        for service in session.environment.services
        if service.access == "public" and service.database != "none"
        for path in service.check_paths
    ]
    # The last, as the first may be a page that needs nothing.
    path = paths[-1] if paths else "/"
    try:
        with told_by_emulator():
            endpoint = deployed.endpoint(deployment, session.instance)
    except OpsError as error:
        return Application(
            deployment.output("compute", "ApplicationUrl"), path, well=False, answer=str(error)
        )
    try:
        with endpoint.client() as client:
            answer = client.get(path)
    except httpx.HTTPError as error:
        return Application(endpoint.url, path, well=False, answer=f"gives no answer ({type(error).__name__})")
    old = seconds_old(answer)
    told = f"answers {answer.status_code}"
    if old:
        told += f" with what was read {old} s ago, as the database is away"
    return Application(endpoint.url, path, well=answer.status_code == 200 and not old, answer=told)


def _database(session: Session, deployment: Deployment) -> DatabaseStatus | None:
    identifier = deployment.output("data", "DatabaseIdentifier")
    found = database.of(session, identifier).look()
    if found is None:
        return None
    return DatabaseStatus(
        name=identifier,
        state=found.state,
        engine=found.engine,
        instance_class=found.instance_class,
        multi_az=found.multi_az,
        zone=found.zone,
        standby=found.standby,
        replicas={name: database.state(session.clients, name) or "gone" for name in found.replicas},
    )


def _parts(found: Status, session: Session, *, brief: bool = False) -> Iterator[RenderableType]:
    yield Text.assemble((found.environment, "bold"), f"  {session.environment.region}  {moment(found.at)}")
    stacks = Listing("stack", "state")
    states = {
        name: state
        for name, state in found.stacks.items()
        if not brief or state not in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    }
    for name, state in states.items():
        stacks.add_row(name, coloured(state))
    if states:
        yield stacks
    if brief:
        yield Text(f"stacks    {len(found.stacks) - len(states)} complete")
    for notice in found.notices:
        yield Text(notice, "yellow")
    if found.services:
        yield _services(found)
    if found.application is not None:
        seen_at = found.application
        yield Text.assemble(
            ("address   ", "bold"),
            f"{seen_at.url}  ",
            (f"{seen_at.path} {seen_at.answer}", "" if seen_at.well else "red"),
        )
    if found.database is not None:
        seen = found.database
        standby = f"standby in {seen.standby}" if seen.standby else "zone of the standby not told"
        yield Text.assemble(
            ("database  ", "bold"),
            coloured(seen.state),
            f"  {seen.engine}, {seen.instance_class}, in {seen.zone}, ",
            standby if seen.multi_az else "no standby",
            *(part for state in seen.replicas.values() for part in (", read replica ", coloured(state))),
        )
    else:
        yield Text.assemble(("database  ", "bold"), ("is not there", "red"))
    told = ", ".join(f"{count} {state}" for state, count in sorted(found.alarms.items())) or "none"
    yield Text.assemble(("alarms    ", "bold"), told)
    for name in found.alarms_firing:
        yield Text(f"          {name}", "red")


def _services(found: Status) -> Listing:
    made = Listing(
        *("service", "tasks", "version", "live", "targets by zone", "latest release"),
        wraps=["targets by zone", "latest release"],
        drops=["latest release", "version"],
    )
    for service in found.services:
        tasks = f"{service.running} of {service.desired}"
        if service.pending:
            tasks += f", {service.pending} pending"
        zones = "; ".join(
            f"{'' if zone == '-' else zone + ' '}"
            + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
            for zone, states in service.targets.items()
        )
        release = f"{service.release} {moment(service.released)} {service.release_state}"
        if service.releasing:
            release += f": {live.short(service.releasing)}"
        made.add_row(
            service.name,
            Text(tasks, "green" if service.running >= service.desired else "yellow"),
            live.short(service.version),
            Text(service.live, {"blue": "blue", "green": "green"}.get(service.live, "yellow")),
            Text(zones or "none", "red" if "unhealthy" in zones or not zones else ""),
            release,
        )
    return made
