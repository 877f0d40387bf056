"""`validate`: the acceptance list of an environment, each line with its evidence."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer
from botocore.exceptions import ClientError
from rich.text import Text

from ops import errors
from ops.aws.clients import each, together
from ops.aws.endpoint import Endpoint, seconds_old
from ops.aws.refusals import explain, says
from ops.aws.session import Session, operating
from ops.deployed import database, live
from ops.deployed import deployment as deployed
from ops.deployed.deployment import Deployment
from ops.errors import OpsError
from ops.service import alarms, scaling
from ops.terminal.options import AsJson, Env, Rehearse
from ops.terminal.text import Listing
from platform_constructs.entrance.viewer_network import ADMIN, HEADER

_REQUESTS = 24
# CloudWatch Logs shows a line some seconds after it was written.
_LOG_SECONDS = 30.0
_POLL_SECONDS = 2.0
# An address that is nobody's (TEST-NET-3, RFC 5737), as the emulator is told to see it.
_OUTSIDE = {"X-Emulator-Source-Ip": "203.0.113.7"}
_METRICS_PER_CALL = 500
_METRIC_HOURS = 3
_FAILOVER_DAYS = 14
# A day, the hour in which a job may begin and the eight in which it has to end.
_BACKUP_AGE = timedelta(hours=33)
# What is measured of an environment that nobody uses and nothing happens in. Requests, releases, blocked requests and
# lines of level ERROR are counted once there are some, the certificate's days twice a day, the bill a few times.
_ALWAYS_MEASURED = frozenset(
    {"AWS/ApplicationELB", "AWS/ECS", "AWS/ElastiCache", "AWS/RDS", "ECS/ContainerInsights"}
    | {"CloudWatchSynthetics"}
)


class State(StrEnum):
    """What came of a check; `recorded`: the emulator only writes it down, so nothing is shown either way."""

    PASSED = "passed"
    FAILED = "failed"
    RECORDED = "not on the emulator"
    SKIPPED = "not tried"


@dataclass(frozen=True)
class Result:
    """One line of the acceptance list."""

    check: str
    state: State
    evidence: str


@dataclass(frozen=True)
class Facts:
    """What the checks look at, read once."""

    session: Session
    deployment: Deployment
    endpoint: Endpoint
    records: Mapping[str, live.Record]
    tasks: Sequence[live.Record]
    rules: Sequence[live.Rule]

    @property
    def emulated(self) -> bool:
        """Whether it is the emulator that answers."""
        return self.session.instance is not None


Check = Callable[[Facts], Result]


def command(
    env: Env = "local",
    rehearse: Rehearse = False,
    failover: Annotated[
        bool, typer.Option("--failover", help="Fail unless a failover was completed in the last 14 days.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the acceptance list on what is deployed, each line with its evidence.

    The exit status is 3 where a line fails. What the emulator only records counts as neither passed nor failed.

    Examples:

    \b
    suppliers validate --env prod
    suppliers validate --env dev --json | jq '.[] | select(.state == "failed")'
    """
    with operating(env, rehearse=rehearse, checkout=True) as session:
        facts = read(session)
        checks = [*CHECKS, _failover(required=failover)]
        with session.notes.status("checking"):
            results = each(lambda check: _tried(check, facts), checks)
        if as_json:
            session.print_json([asdict(result) for result in results])
        else:
            _show(session, results)
    if any(result.state is State.FAILED for result in results):
        raise typer.Exit(errors.DOES_NOT_HOLD)


def read(session: Session) -> Facts:
    """The facts that several checks share."""
    deployment = deployed.read(session)
    found = together(
        records=lambda: live.services(session.clients, deployment),
        tasks=lambda: live.tasks(session.clients, deployment, service_name=None, stopped=False),
        rules=lambda: live.rules(session.clients, deployment, "Production"),
    )
    endpoint = deployed.endpoint(deployment, session.instance)
    return Facts(session, deployment, endpoint, **found)


def stacks(facts: Facts) -> Result:
    """Every stack is complete."""
    bad = [
        notice
        for stack in facts.deployment.stacks.values()
        if (notice := stack.notice(facts.session.name)) is not None
    ]
    return _result(
        "the stacks are complete", not bad, "; ".join(bad) or f"{len(facts.deployment.stacks)} stacks"
    )


def spread(facts: Facts) -> Result:
    """Requests are answered, and by more than one task: they carry a trace id, which the tasks' logs tell.

    CloudFront passes no id on, nor a request that it can answer from its cache: so none asks for what another one did,
    and any line counts that has an id, which the load balancer gives to all but its health checks:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
    """
    check = "the load balancer answers and spreads the requests"
    trace = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    by_edge = facts.session.environment.cdn is not None and not facts.emulated
    start = int((time.time() - 5) * 1000)
    public = next(
        (each_one.name for each_one in facts.session.environment.services if each_one.access == "public"),
        None,
    )
    if public is None:
        return Result(check, State.SKIPPED, "no service is public")
    statuses: Counter[str] = Counter()
    with facts.endpoint.client() as client:
        for number in range(_REQUESTS):
            try:
                answer = client.get(
                    _path(facts, public),
                    params={"validate": f"{trace}-{number}"} if by_edge else None,
                    headers={"X-Amzn-Trace-Id": f"Root={trace}"},
                )
                statuses[str(answer.status_code)] += 1
            except httpx.HTTPError as error:
                statuses[type(error).__name__] += 1
    told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    if set(statuses) != {"200"}:
        return Result(check, State.FAILED, f"{facts.endpoint.url}{_path(facts, public)}: {told}")
    answered = _answering(facts, public, "Root=1-" if by_edge else trace, start)
    running = facts.records[public]["runningCount"]
    evidence = f"{told}; answered by {len(answered)} of {running} tasks of {public}"
    return _result(check, len(answered) > 1, evidence)


def zones(facts: Facts) -> Result:
    """Each service runs at least two tasks, in different zones."""
    check = "each service runs in two zones or more"
    found = {
        service.name: Counter(
            str(task.get("availabilityZone", "-"))
            for task in facts.tasks
            if task.get("group") == f"service:{service.service_name}" and task["lastStatus"] == "RUNNING"
        )
        for service in facts.deployment.services
    }
    evidence = "; ".join(
        f"{name}: {', '.join(f'{count} in {zone}' for zone, count in sorted(counts.items())) or 'no task'}"
        for name, counts in found.items()
    )
    if facts.emulated and len({zone for counts in found.values() for zone in counts}) < 2:
        return Result(check, State.RECORDED, f"{evidence}: the emulator knows one zone")
    return _result(check, all(len(counts) > 1 for counts in found.values()), evidence)


def counts(facts: Facts) -> Result:
    """Each service runs as many tasks as it wants, and two at least."""
    told = [
        f"{name}: {record['runningCount']} of {record['desiredCount']}"
        for name, record in facts.records.items()
    ]
    ok = all(record["runningCount"] >= max(2, record["desiredCount"]) for record in facts.records.values())
    return _result("each service runs all its tasks, two at least", ok, "; ".join(told))


def targets(facts: Facts) -> Result:
    """All targets that get traffic are healthy."""
    shares = live.traffic_by_service(facts.deployment, facts.rules)
    groups = {group for share in shares.values() for group in share}
    health = live.target_health(facts.session.clients, groups)
    states: Counter[str] = Counter()
    per_service: list[str] = []
    for service in facts.deployment.services:
        of_service: Counter[str] = Counter(
            target["TargetHealth"]["State"]
            for group in shares.get(service.name, {})
            for target in health[group]
        )
        states.update(of_service)
        told = ", ".join(f"{count} {state}" for state, count in sorted(of_service.items())) or "none"
        per_service.append(f"{service.name}: {told}")
    ok = (
        set(states) == {"healthy"}
        and len(shares) == len(facts.deployment.services)
        and not any(line.endswith(": none") for line in per_service)
    )
    return _result("all targets are healthy", ok, "; ".join(per_service))


def standby(facts: Facts) -> Result:
    """The database has a standby in another zone."""
    check = "the database has a standby in another zone"
    identifier = facts.deployment.output("data", "DatabaseIdentifier")
    found = database.of(facts.session, identifier).look()
    if found is None:
        return _result(check, False, f"{identifier}: is not there")
    told = f"{identifier}: MultiAZ {str(found.multi_az).lower()}, {found.zone}, standby {found.standby or 'none'}"
    if facts.emulated:
        return Result(check, State.RECORDED, f"{told}: one server, MultiAZ is a word")
    return _result(check, bool(found.multi_az and found.standbys and found.zone not in found.standbys), told)


def backups(facts: Facts) -> Result:
    """A snapshot of the last day is in the vault, which no alarm misses before the first one."""
    check = "a snapshot of the last day is kept"
    if facts.session.environment.backup is None:
        return Result(check, State.SKIPPED, "no [backup]: the database's own backups only")
    if facts.emulated:
        return Result(check, State.RECORDED, "nobody makes snapshots here")
    identifier = facts.deployment.output("data", "DatabaseIdentifier")
    since = datetime.now(UTC) - _BACKUP_AGE
    pages = (
        facts.session.clients.client("backup")
        .get_paginator("list_backup_jobs")
        .paginate(ByState="COMPLETED", ByCreatedAfter=since)
    )
    done = [
        job["CreationDate"]
        for page in pages
        for job in page["BackupJobs"]
        if job["ResourceArn"].endswith(f":{identifier}")
    ]
    if done:
        return Result(check, State.PASSED, f"{identifier}: {max(done):%Y-%m-%d %H:%M} UTC")
    stack = facts.deployment.stacks["data"].name
    (found,) = facts.session.clients.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    if found["CreationTime"] > since:
        return Result(check, State.SKIPPED, f"{identifier} is younger than its first one")
    hours = _BACKUP_AGE // timedelta(hours=1)
    return Result(
        check, State.FAILED, f"{identifier}: none completed in {hours} hours; runbook: Backup missing"
    )


def scales(facts: Facts) -> Result:
    """Each service has its bounds and a policy that adds tasks."""
    check = "scaling policies are attached, with the right bounds"
    wanted = {service.name: service.scaling for service in facts.session.environment.services}
    bounds = scaling.bounds(facts.session, facts.deployment, facts.deployment.services)
    if any(found is not None and found.recorded for found in bounds.values()):
        told = "; ".join(
            f"{name}: {found.minimum} to {found.maximum} written down"
            for name, found in bounds.items()
            if found
        )
        return Result(check, State.RECORDED, told)
    attached = scaling.policies(facts.session, facts.deployment)
    problems, lines = [], []
    for name, found in bounds.items():
        expected = wanted.get(name)
        if found is None:
            problems.append(f"{name}: no scalable target")
            continue
        kinds = Counter(attached[name])
        lines.append(
            f"{name}: {found.minimum} to {found.maximum}, "
            + (", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no policy")
        )
        if not kinds:
            problems.append(f"{name}: no policy")
        # A schedule may have raised them, so only what is narrower than the manifest is wrong.
        if expected and (found.minimum < expected.min_tasks or found.maximum < expected.max_tasks):
            problems.append(
                f"{name}: {found.minimum} to {found.maximum}, not {expected.min_tasks} to {expected.max_tasks}"
            )
    return _result(check, not problems, "; ".join(problems or lines))


def dashboard(facts: Facts) -> Result:
    """Metrics that the dashboard shows have data; some have none as long as nothing happens."""
    check = "the dashboard shows data"
    cloudwatch = facts.session.clients.client("cloudwatch")
    name = facts.deployment.output("observability", "DashboardUrl").rpartition("/")[2]
    try:
        body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    except ClientError as error:
        if says(error, "ResourceNotFound", "DashboardNotFoundError"):
            return Result(check, State.FAILED, f"there is no dashboard {name}")
        raise
    metrics = sorted(set(dashboard_metrics(body)))
    if facts.emulated:
        return Result(
            check, State.RECORDED, f"{name} names {len(metrics)} metrics; nobody measures them here"
        )
    measured = _measured(cloudwatch, metrics)
    spaces = {metric[0] for metric in metrics}
    silent = spaces - {metric[0] for metric in measured}
    told = f"{name}: {len(measured)} of {len(metrics)} metrics have data of the last {_METRIC_HOURS} hours"
    if silent:
        told += f", none of {', '.join(sorted(silent))}"
    return _result(check, bool(measured) and not silent & _ALWAYS_MEASURED, told)


def names(facts: Facts) -> Result:
    """The address that people use resolves and answers."""
    check = "the application answers under its DNS name"
    url = facts.deployment.output("compute", "ApplicationUrl")
    host = urlsplit(url).hostname or ""
    if facts.emulated:
        by = (
            "CloudFront's, which is only recorded"
            if facts.session.environment.cdn
            else "this machine by convention (RFC 6761)"
        )
        return Result(check, State.RECORDED, f"{host} is {by}, not by DNS")
    try:
        addresses = sorted(
            {str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)}
        )
    except OSError as error:
        return Result(check, State.FAILED, f"{host} does not resolve: {error.strerror or error}")
    try:
        with facts.endpoint.client() as client:
            status = client.get("/").status_code
    except httpx.HTTPError as error:
        return Result(check, State.FAILED, f"{url}: {type(error).__name__}: {error}")
    return _result(check, status == 200, f"{host} is {', '.join(addresses)}; {url} answers {status}")


def current(facts: Facts) -> Result:
    """What is shown is read from the database."""
    check = "what is shown is read from the database"
    paths = [
        path
        for service in facts.session.environment.services
        if service.access == "public" and service.database != "none" and service.name in facts.records
        for path in service.check_paths
    ]
    if not paths:
        return Result(check, State.SKIPPED, "no public service has a database")
    wrong: list[str] = []
    with facts.endpoint.client() as client:
        for path in paths:
            answer = client.get(path)
            if answer.status_code != 200:
                wrong.append(f"{path} answers {answer.status_code}")
            elif old := seconds_old(answer):
                wrong.append(f"{path} shows what was read {old} s ago, as the database is away")
    return _result(check, not wrong, "; ".join(wrong) or f"{', '.join(paths)} show what is there now")


def closed(facts: Facts) -> Result:
    """No rule leads the world to a restricted service, and it answers 403 from outside."""
    check = "the administration is closed from outside"
    restricted = {
        service.name: service.health_check_path
        for service in facts.session.environment.services
        if service.access == "admin" and service.name in facts.records
    }
    guarded: list[str] = []
    unguarded: list[str] = []
    for rule in facts.rules:
        leads_to = live.traffic_by_service(facts.deployment, [rule]).keys() & restricted.keys()
        if leads_to:
            named = "from " in rule.conditions or f"{HEADER} {ADMIN}" in rule.conditions
            everybody = not named or "0.0.0.0/0" in rule.conditions
            (unguarded if everybody else guarded).append(rule.priority)
    if unguarded:
        return Result(check, State.FAILED, f"rule {', '.join(unguarded)} leads everybody to it")
    told = f"rule {', '.join(guarded)} takes named networks only" if guarded else "no rule leads to it"
    if not facts.emulated and facts.session.environment.access.admin_cidrs:
        # This machine may be in one of the networks that are let in.
        return Result(check, State.PASSED, told)
    with facts.endpoint.client() as client:
        answers = {
            path: client.get(path, headers=_OUTSIDE if facts.emulated else {}).status_code
            for path in restricted.values()
        }
    asked = "; ".join(f"{path} answers {status}" for path, status in answers.items())
    return _result(check, set(answers.values()) <= {403, 404}, f"{told}; {asked}")


def quiet(facts: Facts) -> Result:
    """No alarm that tells people fires."""
    check = "no alarm fires"
    states = alarms.states(facts.session)
    firing = alarms.firing(states)
    if facts.emulated and not firing:
        return Result(check, State.RECORDED, f"{len(states)} alarms that do not watch")
    return _result(check, not firing, ", ".join(firing) or f"{len(states)} alarms")


CHECKS: Sequence[Check] = (
    stacks,
    counts,
    zones,
    targets,
    spread,
    names,
    current,
    closed,
    standby,
    backups,
    scales,
    dashboard,
    quiet,
)


def _failover(*, required: bool) -> Check:
    def failed_over(facts: Facts) -> Result:
        """The standby has taken over once, lately."""
        check = "a failover of the database was tried"
        if facts.emulated:
            return Result(check, State.RECORDED, "there is no standby to take over")
        identifier = facts.deployment.output("data", "DatabaseIdentifier")
        pages = (
            facts.session.clients.client("rds")
            .get_paginator("describe_events")
            .paginate(
                SourceIdentifier=identifier,
                SourceType=database.of(facts.session, identifier).source_type,
                EventCategories=["failover"],
                Duration=_FAILOVER_DAYS * 24 * 60,
            )
        )
        events = [
            event for page in pages for event in page["Events"] if "complete" in event["Message"].lower()
        ]
        if events:
            last = max(events, key=lambda event: event["Date"])
            return Result(check, State.PASSED, f"{last['Date']:%Y-%m-%d %H:%M} UTC: {last['Message']}")
        told = f"none completed in the last {_FAILOVER_DAYS} days; `suppliers drill failover` tries one"
        return Result(check, State.FAILED if required else State.SKIPPED, told)

    return failed_over


def dashboard_metrics(body: Mapping[str, Any]) -> Iterator[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """The metrics that the widgets of a dashboard name: namespace, name, dimensions."""
    for widget in body["widgets"]:
        for entry in widget.get("properties", {}).get("metrics", []):
            words = [word for word in entry if isinstance(word, str)]
            if len(words) >= 2 and "..." not in words and "." not in words:
                yield words[0], words[1], tuple(zip(words[2::2], words[3::2], strict=False))


def _measured(
    cloudwatch: Any, metrics: Sequence[tuple[str, str, tuple[tuple[str, str], ...]]]
) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
    now = datetime.now(UTC)
    found = []
    for at in range(0, len(metrics), _METRICS_PER_CALL):
        batch = metrics[at : at + _METRICS_PER_CALL]
        queries = [
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": name,
                        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
                    },
                    "Period": 300,
                    "Stat": "SampleCount",
                },
            }
            for number, (namespace, name, dimensions) in enumerate(batch)
        ]
        pages = cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=now - timedelta(hours=_METRIC_HOURS), EndTime=now
        )
        ids = {result["Id"] for page in pages for result in page["MetricDataResults"] if result["Values"]}
        found += [metric for number, metric in enumerate(batch) if f"m{number}" in ids]
    return found


def _path(facts: Facts, service: str) -> str:
    for each_one in facts.session.environment.services:
        if each_one.name == service:
            return each_one.health_check_path
    raise OpsError(f"{facts.session.name}: there is no service {service}")


def _answering(facts: Facts, service: str, trace: str, start: int) -> set[str]:
    """The tasks whose logs hold a trace id with this in it; it ends as soon as two of them are found."""
    logs = facts.session.clients.client("logs")
    group = facts.deployment.service(service).log_group
    pattern = {} if facts.emulated else {"filterPattern": f'"{trace}"'}
    deadline = time.monotonic() + _LOG_SECONDS
    while True:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=start, **pattern
        )
        found = {
            event["logStreamName"] for page in pages for event in page["events"] if trace in event["message"]
        }
        if len(found) > 1 or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_SECONDS)


def _tried(check: Check, facts: Facts) -> Result:
    """A check that cannot be made has failed, with what AWS says."""
    try:
        return check(facts)
    except OpsError as error:
        return Result(_title(check), State.FAILED, str(error))
    except ClientError as error:
        return Result(_title(check), State.FAILED, explain(error, facts.session.name))
    except httpx.HTTPError as error:
        return Result(_title(check), State.FAILED, f"{type(error).__name__}: {error}")


def _title(check: Check) -> str:
    return (check.__doc__ or check.__name__).partition("\n")[0].rstrip(".").lower()


def _result(check: str, ok: bool, evidence: str) -> Result:
    return Result(check, State.PASSED if ok else State.FAILED, evidence)


def _show(session: Session, results: Sequence[Result]) -> None:
    colours = {State.PASSED: "green", State.FAILED: "red"}
    made = Listing("check", "state", "evidence", wraps=["check", "evidence"])
    for result in results:
        made.add_row(result.check, Text(result.state, colours.get(result.state, "yellow")), result.evidence)
    session.console.print(made)
    summary = Counter(result.state for result in results)
    session.console.print(", ".join(f"{summary[state]} {state}" for state in State if summary[state]))
