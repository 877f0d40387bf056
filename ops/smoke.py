"""The smoke test: does what was deployed answer as it should, from here?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from ops.endpoint import Endpoint
from ops.errors import OpsError
from settings import Access

_WAIT_SECONDS = 120.0
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Probe:
    """One request and the answers that pass."""

    path: str
    statuses: frozenset[int]
    content_type: str
    meaning: str


def probes(access: Access) -> list[Probe]:
    """What must hold right after a deployment; nothing of it changes data.

    The administration must be closed where no network was named, and may be closed to this machine where
    some were. Where users sign in, this machine is sent to do so.
    """
    admin = {403}
    if access.admin_cidrs:
        admin.add(302 if access.oidc else 200)
    ok = frozenset({200})
    return [
        Probe("/", ok, "text/html", "home page"),
        Probe("/suppliers", ok, "text/html", "list"),
        Probe("/api/suppliers", ok, "application/json", "list as JSON"),
        Probe("/suppliers/999999999", frozenset({404}), "text/html", "a supplier that is not there"),
        Probe("/admin/suppliers", frozenset(admin), "text/", "administration"),
        Probe("/admin/api/suppliers", frozenset(admin), "", "administration as JSON"),
    ]


def run(endpoint: Endpoint, access: Access, *, detail: Callable[[str], None]) -> None:
    """Send each probe until it passes, at most two minutes in all; raises `OpsError` naming what does not."""
    deadline = time.monotonic() + _WAIT_SECONDS
    with endpoint.client() as client:
        for probe in probes(access):
            answer = _until_passing(client, probe, deadline)
            detail(f"{probe.path}: {answer.status_code} ({probe.meaning})")


def _until_passing(client: httpx.Client, probe: Probe, deadline: float) -> httpx.Response:
    problem = "no answer"
    while True:
        try:
            answer = client.get(probe.path)
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            kind = answer.headers.get("content-type", "")
            if answer.status_code in probe.statuses and kind.startswith(probe.content_type):
                return answer
            problem = f"{answer.status_code} {kind}"
        if time.monotonic() > deadline:
            wanted = " or ".join(map(str, sorted(probe.statuses)))
            raise OpsError(f"smoke test: {probe.path} ({probe.meaning}) gives {problem}, not {wanted}")
        time.sleep(_POLL_SECONDS)
