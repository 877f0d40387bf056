"""`release watch`, and what a deployment started: releases side by side to their ends, and why one did not succeed."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ops import errors
from ops.aws.clients import each
from ops.aws.refusals import told_by_aws
from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live
from ops.deployed.deployment import DeployedService, Deployment
from ops.errors import InterruptedWork, OpsError
from ops.release import half_way, listeners, reasons, releases
from ops.release.releases import Release
from ops.terminal.options import Env, Rehearse, complete_services
from ops.terminal.progress import Progress

_POLL_SECONDS = 2.0
# CodeDeploy starts the rollback of a release that failed a moment after it, if at all.
_LOOKS_FOR_ROLLBACK = 5
_LAST = 5
# Who starts to watch after a release has ended so lately wants to know how.
_LATELY = timedelta(minutes=10)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """A release that came to its end, with the reasons where it did not succeed."""

    release: Release
    reasons: Sequence[str] = ()

    def __str__(self) -> str:
        release = self.release
        version = live.short(release.version or "a version that is not told")
        text = f"{release.service}: release {short(release)} of {version} {release.status}"
        if release.takes_back:
            text = f"{release.service}: the way back, {short(release)} from {release.takes_back}, {release.status}"
        return "\n  ".join((text, *self.reasons))


@dataclass(frozen=True)
class Outcome:
    """How the releases ended that were followed."""

    ended: Sequence[Ended] = ()

    @property
    def failed(self) -> Sequence[Ended]:
        """Those whose version did not take over, and rollbacks of theirs that failed too."""
        return [one for one in self.ended if not one.release.succeeded]


@dataclass
class _Followed:
    """One release under way, and what was told of it last."""

    service: DeployedService
    release: Release
    look: Callable[[], releases.Progress]
    told: dict[str, str] = field(default_factory=dict)

    def news(self, found: releases.Progress) -> Iterator[str]:
        lines = {
            **{f"{name}: ": state for name, state in found.steps if state not in ("Pending", "Unknown")},
            "traffic: ": found.traffic,
            **{f"{label}: ": text for label, text in map(_halves, found.tasks)},
        }
        for name, state in lines.items():
            if self.told.get(name) != state:
                self.told[name] = state
                yield f"{self.service.name}: {name}{state}"


def short(release: Release) -> str:
    """A release as people call it."""
    return release.id.rpartition("/")[2]


def watch(
    service: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_services, help="The service; default: all that are being released."
        ),
    ] = None,
    env: Env = "local",
    rehearse: Rehearse = False,
) -> None:
    """Follow releases to their ends: steps, share of the traffic, tasks; then the listener rules before and after.

    The exit status is 0 where the new versions took over, 3 where one did not: then its reasons are told, as its
    stopped tasks and their last lines. It ends with the way on from where a release or its stack stopped half-way;
    where none is under way too. Started late, it tells those that ended within ten minutes.

    Examples:

    \b
    suppliers release watch --env prod
    suppliers release watch customer --env dev
    """
    with operating(env, rehearse=rehearse) as session:
        deployment = deployed.read(session)
        wanted = [deployment.service(service)] if service else list(deployment.services)

        def say(line: str) -> None:
            session.console.print(line, markup=False, soft_wrap=True)

        before = listeners.read(session, deployment)
        found = follow(session, deployment, wanted, say=say)
        if not found.ended:
            found = just_ended(session, deployment, wanted)
        if not found.ended:
            for line in half_way.lines(session, deployment, wanted):
                say(line)
            raise OpsError(
                f"{session.name}: no release of {service or 'any service'} is under way; `suppliers releases` shows "
                "the past"
            )
        listeners.show_changes(session, list(listeners.changes(before, listeners.read(session, deployment))))
        for one in found.ended:
            say(str(one))
        followed = {one.release.service for one in found.ended}
        for line in half_way.lines(session, deployment, [one for one in wanted if one.name in followed]):
            say(line)
    if found.failed:
        raise typer.Exit(errors.DOES_NOT_HOLD)


def follow(
    session: Session,
    deployment: Deployment,
    services: Sequence[DeployedService],
    *,
    say: Say,
    known: Container[str] | None = None,
) -> Outcome:
    """Follow all releases of the services that are under way, side by side to their ends; `say` gets their steps.

    With `known`, the ids of releases from before, all others are followed, those that have ended too. A release that
    CodeDeploy takes back ends with the end of its rollback.
    """
    by_name = {service.name: service for service in services}
    found = releases.history(session, deployment, services, last=_LAST)
    wanted = [one for one in found if (one.under_way if known is None else one.id not in known)]
    ended: list[Release] = [one for one in wanted if not one.under_way]
    pending = [_followed(session, deployment, by_name[one.service], one) for one in wanted if one.under_way]
    pending += _rollbacks(session, deployment, by_name, ended, {one.id for one in wanted})
    for one in pending:
        say(
            f"{one.service.name}: release {short(one.release)} of {live.short(one.release.version or '')} is under way"
        )
    while pending:
        going: list[_Followed] = []
        finished: list[Release] = []
        for one, progress in zip(pending, each(lambda one: one.look(), pending), strict=True):
            for line in one.news(progress):
                say(line)
            (going.append(one) if progress.release.under_way else finished.append(progress.release))
        ended += finished
        seen = {one.id for one in ended} | {one.release.id for one in going}
        going += _rollbacks(session, deployment, by_name, finished, seen, say)
        pending = going
        if pending:
            time.sleep(_POLL_SECONDS)
    return Outcome(
        [
            Ended(
                one,
                () if one.succeeded else reasons.of(session, deployment, by_name[one.service], one),
            )
            for one in sorted(ended, key=lambda one: (one.service, one.started))
        ]
    )


def just_ended(session: Session, deployment: Deployment, services: Sequence[DeployedService]) -> Outcome:
    """The last release of each service, where it has ended a moment ago."""
    by_name = {service.name: service for service in services}
    latest: dict[str, Release] = {}
    for one in releases.history(session, deployment, services, last=_LAST):
        latest.setdefault(one.service, one)
    since = datetime.now(UTC) - _LATELY
    return Outcome(
        [
            Ended(one, () if one.succeeded else reasons.of(session, deployment, by_name[name], one))
            for name, one in sorted(latest.items())
            if one.ended is not None and one.ended > since
        ]
    )


def known(session: Session) -> frozenset[str]:
    """The ids of the latest releases of an environment; none where nothing is deployed."""
    try:
        deployment = deployed.read(session)
        services = list(deployment.services)
    except OpsError:
        return frozenset()
    return frozenset(one.id for one in releases.history(session, deployment, services, last=_LAST))


@contextmanager
def started_within(session: Session, progress: Progress) -> Iterator[None]:
    """Follow to their ends the releases that what is done inside started, also where that failed.

    Raises `OpsError` with the releases that did not succeed, and why, and with what failed inside.
    """
    with told_by_aws(session.name):
        before = known(session)
    problems: list[str] = []
    try:
        yield
    except InterruptedWork:
        raise
    except OpsError as error:
        problems.append(str(error))
    try:
        with (
            progress.step("Releases: follow those that were started to their ends"),
            told_by_aws(session.name),
        ):
            deployment = deployed.read(session)
            found = follow(session, deployment, list(deployment.services), say=progress.detail, known=before)
            problems += map(str, found.failed)
            bad = {one.release.service for one in found.failed}
            problems += half_way.lines(
                session, deployment, [one for one in deployment.services if one.name in bad]
            )
    except OpsError as error:
        # Where the stacks could not be deployed there may be nothing to follow.
        problems = problems or [str(error)]
    if problems:
        raise OpsError("\n".join(problems))


def _followed(
    session: Session, deployment: Deployment, service: DeployedService, release: Release
) -> _Followed:
    return _Followed(service, release, releases.progress_of(session.clients, deployment, service, release))


def _rollbacks(
    session: Session,
    deployment: Deployment,
    services: Mapping[str, DeployedService],
    ended: Iterable[Release],
    seen: Container[str],
    say: Say = lambda line: None,
) -> list[_Followed]:
    """The deployments by which CodeDeploy takes back those that failed."""
    found = []
    for release in ended:
        if release.controller == "codedeploy" and not release.succeeded and not release.takes_back:
            back = _rollback_of(session, deployment, services[release.service], release)
            if back is not None and back.id not in seen:
                say(f"{release.service}: {short(release)} {release.status}; {back.id} takes it back")
                found.append(_followed(session, deployment, services[release.service], back))
    return found


def _rollback_of(
    session: Session, deployment: Deployment, service: DeployedService, failed: Release
) -> Release | None:
    for look in range(_LOOKS_FOR_ROLLBACK):
        if look:
            time.sleep(_POLL_SECONDS)
        for release in releases.history(session, deployment, [service], last=_LAST):
            if release.takes_back == failed.id:
                return release
    return None


def _halves(line: str) -> tuple[str, str]:
    label, _, text = line.partition(": ")
    return label, text
