"""Taking back what nobody else judges: where tasks are replaced in place, a version that answers wrongly has the traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ops.aws.session import Session
from ops.deployed import deployment, live
from ops.deployment.smoke import SmokeTestFailed
from ops.errors import OpsError
from ops.release import rollback


def versions(session: Session) -> dict[str, str]:
    """By service the version that serves; none where nothing is deployed, or where releases are judged on their way."""
    if session.environment.release.controller != "rolling":
        return {}
    try:
        found = deployment.read(session)
        records = live.services(session.clients, found)
    except OpsError:
        # Nothing that could be taken back to: a first deployment, or one that mends what somebody deleted.
        return {}
    known = live.Versions(session.clients)
    return {name: known.of(live.serving(record)) for name, record in records.items()}


def take_back(
    session: Session, failed: SmokeTestFailed, before: Mapping[str, str], say: Callable[[str], None]
) -> OpsError:
    """Release again what served before a deployment whose smoke test failed; what to tell the operator at the end.

    Where the failing service runs what it ran before, or had not run before, nothing is changed.
    """
    name, old = failed.service, before.get(failed.service)
    new = versions(session).get(name)
    if old is None or new is None or old == new:
        return failed
    say(f"{name}: back to {live.short(old)}, which served before")
    try:
        found = rollback.plan(session, deployment.read(session), name, to=old)
        if not isinstance(found, rollback.ByStack):
            return failed
        found.release(session)
    except OpsError as error:
        return OpsError(f"{failed}\n{name} could not be taken back to {live.short(old)}: {error}")
    return OpsError(
        f"{failed.what}\n{name} is taken back: {live.short(old)} serves again in place of {live.short(new)}\n"
        f"why: `suppliers logs {name} --env {session.name} --since 10m`"
    )
