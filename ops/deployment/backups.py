"""`backups`: what the database can be brought back to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ops.aws.session import Session, operating
from ops.deployed import deployment
from ops.deployment.backup import FOLDER
from ops.terminal.options import AsJson, Env, Rehearse
from ops.terminal.text import Listing, coloured, moment

# Those of AWS Backup are told only to who asks for them:
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html
_KINDS = ("automated", "manual", "awsbackup")


@dataclass(frozen=True)
class Backup:
    """A backup by its name, which for a dump is its file; sizes in GiB, of a dump of its file."""

    name: str
    kind: str
    taken: datetime
    size_gib: float
    state: str


def command(env: Env = "local", rehearse: Rehearse = False, as_json: AsJson = False) -> None:
    """List the backups of the database, the newest first, and the moments it can be brought back to.

    Example: suppliers backups --env prod
    """
    with operating(env, rehearse=rehearse) as session:
        found = read(session)
        window = restorable(session)
        if as_json:
            session.print_json({"backups": [asdict(each) for each in found], "any_moment": window})
            return
        if not found:
            session.console.print(f"{env}: has no backups: `suppliers backup --env {env}` makes one")
        else:
            made = Listing(*("backup", "kind", "taken", "GiB", "state"), drops=["GiB", "state"])
            for each in found:
                made.add_row(
                    each.name, each.kind, moment(each.taken), f"{each.size_gib:.3g}", coloured(each.state)
                )
            session.console.print(made)
        if window:
            session.console.print(
                f"any moment from {moment(window[0])} to {moment(window[1])}: docs/restore.md"
            )


def read(session: Session) -> list[Backup]:
    """The backups, the newest first: dumps of the emulator's database in this checkout, or snapshots on AWS."""
    found = _dumps(session) if session.instance is not None else list(_snapshots(session))
    return sorted(found, key=lambda each: each.taken, reverse=True)


def _dumps(session: Session) -> list[Backup]:
    return [
        Backup(
            name=str(file),
            kind="dump",
            taken=datetime.fromtimestamp(file.stat().st_mtime, UTC),
            size_gib=file.stat().st_size / 2**30,
            state="complete",
        )
        for file in FOLDER.glob(f"{session.name}-*.sql")
    ]


def _snapshots(session: Session) -> list[Backup]:
    identifier = deployment.read(session).output("data", "DatabaseIdentifier")
    rds = session.clients.client("rds")
    cluster = session.environment.database.cluster
    operation, key, which, names = (
        (
            "describe_db_cluster_snapshots",
            "DBClusterSnapshots",
            "DBClusterIdentifier",
            "DBClusterSnapshotIdentifier",
        )
        if cluster
        else ("describe_db_snapshots", "DBSnapshots", "DBInstanceIdentifier", "DBSnapshotIdentifier")
    )
    return [
        Backup(
            name=each[names],
            kind=each["SnapshotType"],
            taken=each["SnapshotCreateTime"],
            size_gib=float(each["AllocatedStorage"]),
            state=each["Status"],
        )
        for kind in _KINDS
        for page in rds.get_paginator(operation).paginate(**{which: identifier, "SnapshotType": kind})
        for each in page[key]
        # One that is being made has no time yet.
        if each.get("SnapshotCreateTime")
    ]


def restorable(session: Session) -> tuple[datetime, datetime] | None:
    """The first and the last moment that RDS can restore; None on the emulator, and where there is no automated backup."""
    if session.instance is not None:
        return None
    identifier = deployment.read(session).output("data", "DatabaseIdentifier")
    rds: Any = session.clients.client("rds")
    if session.environment.database.cluster:
        (found,) = rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
        first, last = found.get("EarliestRestorableTime"), found.get("LatestRestorableTime")
    else:
        answer = rds.describe_db_instance_automated_backups(DBInstanceIdentifier=identifier)
        windows = [each.get("RestoreWindow", {}) for each in answer["DBInstanceAutomatedBackups"]]
        window = windows[0] if windows else {}
        first, last = window.get("EarliestTime"), window.get("LatestTime")
    return (first, last) if first and last else None
