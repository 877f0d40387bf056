"""`secrets`: when the environment's secrets were changed and read, and their rotation; never what they hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from ops.aws.clients import each
from ops.aws.session import Session, operating
from ops.deployed import deployment, stacks
from ops.errors import OpsError
from ops.terminal.options import AsJson, DryRun, Env, Rehearse, Yes
from ops.terminal.text import Listing, moment

_TYPE = "AWS::SecretsManager::Secret"
_POLL_SECONDS = 3.0
# Four calls of the rotation's function, each of which may be repeated:
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
_LIMIT_SECONDS = 600.0
_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"


@dataclass(frozen=True)
class Secret:
    """A secret by what the template calls it. `read` is told by the day: Secrets Manager keeps no more."""

    name: str
    arn: str
    rotates: bool
    changed: datetime | None
    rotated: datetime | None
    next: datetime | None
    read: datetime | None


def listed(env: Env = "local", rehearse: Rehearse = False, as_json: AsJson = False) -> None:
    """List the secrets: when each was changed, read, rotated, and when it is next.

    Example: suppliers secrets list --env prod
    """
    with operating(env, rehearse=rehearse) as session:
        found = read(session)
        if as_json:
            session.print_json([asdict(secret) for secret in found])
            return
        made = Listing(*("secret", "rotated", "next", "changed", "read"), drops=["read", "changed", "next"])
        for secret in found:
            rotated = moment(secret.rotated) if secret.rotates else "does not rotate"
            made.add_row(
                secret.name,
                rotated,
                moment(secret.next),
                moment(secret.changed),
                f"{secret.read:%Y-%m-%d}" if secret.read else "-",
            )
        session.console.print(made)


def rotate(
    name: Annotated[str, typer.Argument(help="The secret, as `secrets list` calls it, or how it begins.")],
    env: Env = "local",
    rehearse: Rehearse = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Rotate a secret now, and wait until its new value is the current one; services take it with their next connection.

    Example: suppliers secrets rotate DatabaseCustomerUser --env prod
    """
    with operating(env, rehearse=rehearse) as session:
        if session.instance is not None:
            raise OpsError(f"{env}: the emulator only records rotations; it rotates nothing")
        secret = chosen(read(session), name, env)
        if dry_run:
            session.print_plan([f"rotate {secret.name} ({secret.arn})"])
            return
        session.confirm(f"rotate {secret.name}", yes=yes)
        turn(session, secret)
        session.console.print(f"{secret.name}: rotated")


def read(session: Session) -> list[Secret]:
    """Every secret of the environment's stacks, by name."""
    cloudformation = session.clients.client("cloudformation")
    usable = [stack.name for stack in deployment.read(session).stacks.values() if stack.usable]
    by_stack = each(lambda stack: stacks.resources_of_type(cloudformation, stack, _TYPE), usable)
    known = {name: arn for found in by_stack for name, arn in found.items()}
    secrets = session.clients.client("secretsmanager")
    records = each(lambda arn: secrets.describe_secret(SecretId=arn), known.values())
    found = [_secret(name, record) for name, record in zip(known, records, strict=True)]
    return sorted(found, key=lambda secret: secret.name)


def _secret(logical_id: str, record: Any) -> Secret:
    return Secret(
        name=stacks.readable(logical_id),
        arn=record["ARN"],
        rotates=bool(record.get("RotationEnabled")),
        changed=record.get("LastChangedDate"),
        rotated=record.get("LastRotatedDate"),
        next=record.get("NextRotationDate"),
        read=record.get("LastAccessedDate"),
    )


def chosen(found: list[Secret], name: str, env: str) -> Secret:
    """The one secret that is called so or begins so, and that rotates; raises `OpsError` with those there are."""
    rotating = [secret for secret in found if secret.rotates]
    exact = [secret for secret in rotating if secret.name == name]
    matching = exact or [secret for secret in rotating if secret.name.startswith(name)]
    if len(matching) != 1:
        what = "no secret that rotates" if not matching else "the beginning of several secrets"
        names = ", ".join(secret.name for secret in rotating) or "none"
        raise OpsError(f"{env}: {name!r} is {what}; those that rotate: {names}")
    return matching[0]


def turn(session: Session, secret: Secret, sleep: Callable[[float], None] = time.sleep) -> None:
    """Rotate and wait, at most ten minutes; raises `OpsError` where the new value did not become the current one."""
    manager = session.clients.client("secretsmanager")
    version = manager.rotate_secret(SecretId=secret.arn)["VersionId"]
    session.notes.print(f"{secret.name}: waiting until version {version} is the current one")
    waited = 0.0
    while True:
        stages = manager.describe_secret(SecretId=secret.arn)["VersionIdsToStages"].get(version, [])
        if _CURRENT in stages:
            return
        if waited >= _LIMIT_SECONDS:
            state = "is still pending" if _PENDING in stages else "is gone"
            raise OpsError(
                f"{session.name}: {secret.name}: the new version {state} after {_LIMIT_SECONDS / 60:.0f} minutes, the one before "
                "goes on to be the current one; the log of the rotation's function tells why: docs/runbook.md#rotation-failed"
            )
        sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS
