"""The smoke test: does what was deployed answer as it should, from here?"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from ops.aws.endpoint import Endpoint, seconds_old
from ops.errors import OpsError
from settings import Access, Environment, Service

# A new name takes its time to be known; a wrong answer of tasks that are in service seldom mends itself.
_WAIT_SECONDS = 120.0
_WRONG_SECONDS = 20.0
_POLL_SECONDS = 1.0


class SmokeTestFailed(OpsError):
    """What a service did not answer, with what an operator does next."""

    def __init__(self, service: str, environment: str, what: str) -> None:
        super().__init__(
            f"{what}\n"
            f"why: `suppliers logs {service} --env {environment} --since 10m`; if the version before did better: "
            f"`suppliers rollback {service} --env {environment}`"
        )
        self.service = service
        self.what = what


@dataclass(frozen=True)
class Probe:
    """One request and the statuses that pass."""

    service: str
    path: str
    statuses: frozenset[int]


def probes(environment: Environment) -> list[Probe]:
    """What must hold right after a deployment: each service answers its `check_paths`; nothing changes data.

    Answers are of the database: a list of before is none.

    A restricted service must be closed where no network was named, and may be closed to this machine where
    some were. Where users sign in, this machine is sent to do so.
    """
    return [
        Probe(service.name, path, _statuses(service, environment.access))
        for service in environment.services
        for path in service.check_paths
    ]


def _statuses(service: Service, access: Access) -> frozenset[int]:
    if service.access == "public":
        return frozenset({200})
    if not access.admin_cidrs:
        return frozenset({403})
    return frozenset({403, 302 if access.oidc else 200})


def run(endpoint: Endpoint, environment: Environment, *, detail: Callable[[str], None]) -> None:
    """Send each probe until it passes; raises `SmokeTestFailed` naming what does not, and what to do.

    It waits two minutes in all where there is no answer, 20 seconds where it is a wrong one, and says that it waits.
    """
    started = time.monotonic()
    with endpoint.client() as client:
        for probe in probes(environment):
            answer = _until_passing(client, probe, environment, started, detail)
            detail(f"{probe.path}: {answer.status_code} ({probe.service})")


def _until_passing(
    client: httpx.Client,
    probe: Probe,
    environment: Environment,
    started: float,
    detail: Callable[[str], None],
) -> httpx.Response:
    told = ""
    while True:
        seconds = _WAIT_SECONDS
        try:
            answer = client.get(probe.path)
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            seconds = _WRONG_SECONDS
            old = seconds_old(answer)
            if answer.status_code in probe.statuses and not old:
                return answer
            problem = (
                f"what was read {old} s ago, as the database is away" if old else str(answer.status_code)
            )
        if time.monotonic() > started + seconds:
            wanted = " or ".join(map(str, sorted(probe.statuses)))
            raise SmokeTestFailed(
                probe.service,
                environment.name,
                f"smoke test: {probe.path} ({probe.service}) gives {problem}, not {wanted}",
            )
        kind = re.sub(r"\d+ s", "", problem)
        if kind != told:
            detail(f"{probe.path}: {problem} ({probe.service}), waiting at most {seconds:.0f} s")
            told = kind
        time.sleep(_POLL_SECONDS)
