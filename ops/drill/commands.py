"""`drill`: the commands, their options, and what they have in common."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import inspect
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import errors
from ops.aws.endpoint import Endpoint
from ops.aws.refusals import told_by_aws
from ops.aws.session import Session, operating
from ops.deployed.deployment import DeployedService, Deployment, endpoint, read
from ops.drill import report as reports
from ops.drill.conduct import Drill, Look, Schedule, conduct
from ops.drill.failover import failover
from ops.drill.kill import kill_task, kill_zone
from ops.drill.probes import probes
from ops.drill.rollback import rollback
from ops.errors import OpsError, WrongUsage
from ops.load.strength import Fleet, in_words
from ops.load.traffic import HttpSender
from ops.terminal.options import AsJson, DryRun, Env, Rehearse, Yes, complete_services
from ops.terminal.text import print_markdown
from settings import ROOT

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Make a failure and measure what users notice of it.\n\n"
    "A steady probe asks for the home page, a list and a supplier, and changes a supplier of its own, before, during "
    "and after the failure. Told are failed requests, seconds with errors, the longest gap and the time to full "
    "strength: as many tasks as are wanted, running and healthy.\n\n"
    "Exit status 3 where full strength does not come back or a limit is exceeded; see docs/drills.md.",
)

Rate = Annotated[float, typer.Option(min=1, max=1000, help="Requests a second, over all kinds.")]
Timeout = Annotated[float, typer.Option(min=0.1, max=60, help="Seconds after which a request failed.")]
Before = Annotated[
    float, typer.Option(min=0.5, max=600, help="Seconds of quiet measured before the failure.")
]
After = Annotated[float, typer.Option(min=0.5, max=600, help="Seconds that full strength has to last.")]
GiveUp = Annotated[float, typer.Option(min=1, max=7200, help="Seconds after which a recovery is given up.")]
Write = Annotated[
    bool | None,
    typer.Option(
        help="Probe writes too, on a supplier made for that and removed at the end. Default: where the environment "
        "is not protected."
    ),
]
ReportFiles = Annotated[
    list[Path] | None,
    typer.Option("--report", help="Write the report to this file, .md or .json; can be repeated."),
]
MaxFailed = Annotated[
    float | None, typer.Option("--max-failed-percent", min=0, max=100, help="Limit of failed requests.")
]
MaxErrors = Annotated[
    float | None, typer.Option("--max-error-seconds", min=0, help="Limit of seconds with a failed request.")
]
MaxRecovery = Annotated[
    float | None, typer.Option("--max-recovery-seconds", min=0, help="Limit of the time to full strength.")
]


@dataclass(frozen=True)
class Options:
    """What all drills are told."""

    env: str
    rehearse: bool
    schedule: Schedule
    limits: reports.Limits
    timeout: float
    write: bool | None
    files: Sequence[Path]
    as_json: bool
    dry_run: bool
    yes: bool


def shared(
    *,
    env: Env = "local",
    rehearse: Rehearse = False,
    rate: Rate = 20,
    timeout: Timeout = 5,
    before: Before = 10,
    after: After = 10,
    give_up: GiveUp = 900,
    write: Write = None,
    report: ReportFiles = None,
    max_failed_percent: MaxFailed = None,
    max_error_seconds: MaxErrors = None,
    max_recovery_seconds: MaxRecovery = None,
    as_json: AsJson = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> Options:
    """The options that every drill has; raises `OpsError` for a report that could not be written."""
    for file in report or ():
        if file.suffix not in (".md", ".json"):
            raise WrongUsage(f"--report {file}: a file that ends in .md or .json is needed")
        if not file.parent.is_dir():
            raise WrongUsage(f"--report {file}: there is no folder {file.parent}")
    return Options(
        env=env,
        rehearse=rehearse,
        schedule=Schedule(rate, before, after, give_up),
        limits=reports.Limits(max_failed_percent, max_error_seconds, max_recovery_seconds),
        timeout=timeout,
        write=write,
        files=report or (),
        as_json=as_json,
        dry_run=dry_run,
        yes=yes,
    )


@dataclass(frozen=True)
class Scene:
    """Where a drill takes place: what is deployed, all of it at full strength."""

    session: Session
    deployment: Deployment
    fleet: Fleet

    def service(self, name: str | None) -> DeployedService:
        """The service of that name, or without one the service of the home page."""
        home = next(
            (each.name for each in self.session.environment.services if "/*" in each.path_patterns), ""
        )
        return self.deployment.service(name or home)


def _command(name: str) -> Callable[[Callable[..., Drill]], Callable[..., None]]:
    """Make a command of what prepares a drill: its own options, then those that all drills share."""

    def make(prepare: Callable[..., Drill]) -> Callable[..., None]:
        own = list(inspect.signature(prepare, eval_str=True).parameters.values())[1:]
        common = list(inspect.signature(shared, eval_str=True).parameters.values())

        @functools.wraps(prepare)
        def command(**given: Any) -> None:
            options = shared(**{each.name: given.pop(each.name) for each in common})
            with operating(options.env, rehearse=options.rehearse) as session:
                scene = at_full_strength(session)
                _drill(scene, prepare(scene, **given), options)

        # typer reads options from the signature and the annotations.
        vars(command)["__signature__"] = inspect.Signature([*own, *common], return_annotation=None)
        command.__annotations__ = {each.name: each.annotation for each in (*own, *common)}
        return app.command(name)(command)

    return make


@_command("kill-task")
def kill_task_command(
    scene: Scene,
    *,
    service: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_services, help="Whose task. Default: the service of the home page."
        ),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Its id, or how it begins. Default: the oldest.")] = None,
) -> Drill:
    """Have ECS stop one task of a service.

    Examples:

    \b
    suppliers drill kill-task customer --env dev --max-failed-percent 0 --report kill-task.md
    """
    return kill_task(scene.fleet, scene.service(service).name, task)


@_command("kill-zone")
def kill_zone_command(
    scene: Scene,
    *,
    zone: Annotated[str | None, typer.Option(help="The zone. Default: the one with the most tasks.")] = None,
) -> Drill:
    """Have ECS stop all tasks in one availability zone at once.

    Examples:

    \b
    suppliers drill kill-zone --env dev --zone us-east-1a --max-failed-percent 1
    """
    return kill_zone(scene.fleet, zone)


@_command("failover")
def failover_command(scene: Scene) -> Drill:
    """Reboot the database with failover to its standby.

    Examples:

    \b
    suppliers drill failover --env dev --max-error-seconds 120 --report failover.md
    """
    return failover(scene.session, scene.fleet, scene.deployment.output("data", "DatabaseIdentifier"))


@_command("rollback")
def rollback_command(
    scene: Scene,
    *,
    service: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_services, help="Whose release. Default: the service of the home page."
        ),
    ] = None,
    hold: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds for which the new tasks serve before the way back.")
    ] = 5,
) -> Drill:
    """Release the version that serves once more, and take it back while its new tasks serve.

    Examples:

    \b
    suppliers drill rollback customer --env dev --max-failed-percent 0 --max-recovery-seconds 60
    """
    return rollback(scene.session, scene.deployment, scene.fleet, scene.service(service), hold=hold)


def at_full_strength(session: Session) -> Scene:
    """What is deployed; raises `OpsError` where it is not at full strength: a drill would measure that."""
    deployment = read(session)
    deployment.settled()
    fleet = Fleet(session.clients, deployment.cluster, deployment.services)
    strengths = fleet.strengths()
    if not all(strength.full for strength in strengths.values()):
        raise OpsError(
            f"{session.name}: not at full strength ({in_words(strengths)} tasks serve): a drill would measure that; "
            f"see `suppliers status --env {session.name}`"
        )
    return Scene(session, deployment, fleet)


def _drill(scene: Scene, drill: Drill, options: Options) -> None:
    session = scene.session
    place = endpoint(scene.deployment, session.instance)
    writes = options.write if options.write is not None else not session.environment.protected
    if options.dry_run:
        kinds = "reads, and writes to a supplier made for that" if writes else "reads"
        probing = f"send {options.schedule.rate:g} requests a second to {place.url}: {kinds}"
        session.print_plan([probing, *drill.steps, *_limit_lines(options.limits)])
        return
    session.confirm("; ".join(drill.steps), yes=options.yes)
    with _alone(session):
        _conduct(scene, drill, options, place, writes=writes)


@contextmanager
def _alone(session: Session) -> Iterator[None]:
    """One drill at a time on an environment: each would measure what the other does. Raises `OpsError`."""
    place = f"-{session.instance.port}" if session.instance else ""
    file = ROOT / ".local" / f"drill-{session.name}{place}.lock"
    file.parent.mkdir(exist_ok=True)
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise OpsError(
                f"{session.name}: another drill is at it ({lock.read().strip() or 'just started'}): wait for its end, as each "
                "would measure what the other does"
            ) from None
        lock.truncate(0)
        lock.write(f"pid {os.getpid()}, since {datetime.now().astimezone():%H:%M:%S %Z}")
        lock.flush()
        yield


def _conduct(scene: Scene, drill: Drill, options: Options, place: Endpoint, *, writes: bool) -> None:
    session = scene.session

    async def strike() -> None:
        with told_by_aws(session.name):
            await asyncio.to_thread(drill.strike)

    async def look() -> Look:
        with told_by_aws(session.name):
            return await asyncio.to_thread(drill.look)

    def say(text: str) -> None:
        session.notes.print(f"{datetime.now(UTC):%H:%M:%S}  {text}", markup=False)

    started = datetime.now(UTC)

    async def everything() -> reports.Report:
        async with (
            HttpSender(place, timeout=options.timeout) as sender,
            probes(sender, place.url, writes=writes, say=say) as requests,
        ):
            for step in drill.steps:
                say(f"in {options.schedule.before:g} s: {step}")
            course = await conduct(sender, requests, options.schedule, strike=strike, look=look, say=say)
        return reports.report(
            drill,
            course,
            requests,
            options.schedule,
            options.limits,
            environment=session.name,
            place=_place(session),
            started=f"{started:%Y-%m-%d %H:%M} UTC",
            command=shlex.join(["suppliers", *sys.argv[1:]]),
        )

    found = asyncio.run(everything())
    document, text = reports.document(found), reports.markdown(found)
    for file in options.files:
        content = json.dumps(document, indent=2) + "\n" if file.suffix == ".json" else text
        file.write_text(content, encoding="utf-8")
    if options.as_json:
        session.print_json(document)
    else:
        print_markdown(text)
    if not found.held:
        raise typer.Exit(errors.DOES_NOT_HOLD)


def _limit_lines(limits: reports.Limits) -> list[str]:
    named = {
        "failed requests in percent": limits.failed_percent,
        "seconds with errors": limits.error_seconds,
        "seconds to full strength": limits.recovery_seconds,
    }
    return [
        f"exit with status 3 above {value:g} {name}" for name, value in named.items() if value is not None
    ]


def _place(session: Session) -> str:
    if session.instance is not None:
        return "the emulator, where all tasks, the database and the probe share one machine"
    return f"AWS, {session.environment.region}"
