"""The database as Amazon RDS knows it: one instance, or a Multi-AZ DB cluster of three."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from botocore.exceptions import ClientError

from ops.aws.clients import Clients
from ops.aws.refusals import says
from ops.aws.session import Session


@dataclass(frozen=True)
class Seen:
    """A database at one moment; `standbys` are the zones that take over, `replicas` those who follow it."""

    state: str
    engine: str
    instance_class: str
    multi_az: bool
    zone: str
    standbys: tuple[str, ...]
    replicas: tuple[str, ...] = ()

    @property
    def standby(self) -> str | None:
        """The zones that take over as text."""
        return " and ".join(self.standbys) or None


class Database(Protocol):
    """A database that can be looked at, copied and failed over."""

    @property
    def identifier(self) -> str:
        """The name that Amazon RDS has for it."""
        ...

    @property
    def source_type(self) -> Literal["db-instance", "db-cluster"]:
        """What it is in the events of Amazon RDS."""
        ...

    def look(self) -> Seen | None:
        """How it is now; None if it is not there."""
        ...

    def fail_over(self, *, standby: bool) -> None:
        """Have a standby take over, or the one server restart where there is no `standby`."""
        ...

    def snapshot(self, name: str, *, delay: int, attempts: int) -> None:
        """Make a snapshot and wait for it; raises `WaiterError`."""
        ...


def of(session: Session, identifier: str) -> Database:
    """The database of an environment."""
    return named(session.clients, identifier, cluster=session.environment.database.cluster)


def named(clients: Clients, identifier: str, *, cluster: bool) -> Database:
    """A database by its name."""
    return Cluster(clients, identifier) if cluster else Instance(clients, identifier)


def state(clients: Clients, instance: str) -> str | None:
    """The state of one instance; None if it is not there."""
    found = _instance(clients, instance)
    return None if found is None else str(found["DBInstanceStatus"])


@dataclass(frozen=True)
class Instance:
    """One instance, with a standby in another zone or without."""

    clients: Clients
    identifier: str
    source_type: Literal["db-instance", "db-cluster"] = "db-instance"

    def look(self) -> Seen | None:
        found = _instance(self.clients, self.identifier)
        if found is None:
            return None
        standby = found.get("SecondaryAvailabilityZone")
        return Seen(
            state=found["DBInstanceStatus"],
            engine=f"{found.get('Engine')} {found.get('EngineVersion')}",
            instance_class=found.get("DBInstanceClass", "-"),
            multi_az=bool(found["MultiAZ"]),
            zone=found.get("AvailabilityZone", "-"),
            standbys=(standby,) if standby else (),
            replicas=tuple(found.get("ReadReplicaDBInstanceIdentifiers", ())),
        )

    def fail_over(self, *, standby: bool) -> None:
        self.clients.client("rds").reboot_db_instance(
            DBInstanceIdentifier=self.identifier, ForceFailover=standby
        )

    def snapshot(self, name: str, *, delay: int, attempts: int) -> None:
        rds = self.clients.client("rds")
        rds.create_db_snapshot(DBInstanceIdentifier=self.identifier, DBSnapshotIdentifier=name)
        rds.get_waiter("db_snapshot_available").wait(
            DBSnapshotIdentifier=name, WaiterConfig={"Delay": delay, "MaxAttempts": attempts}
        )


@dataclass(frozen=True)
class Cluster:
    """A Multi-AZ DB cluster: the zone is the one of the instance that takes writes, standbys are the others."""

    clients: Clients
    identifier: str
    source_type: Literal["db-instance", "db-cluster"] = "db-cluster"

    def look(self) -> Seen | None:
        rds = self.clients.client("rds")
        try:
            (found,) = rds.describe_db_clusters(DBClusterIdentifier=self.identifier)["DBClusters"]
        except ClientError as error:
            if says(error, "DBClusterNotFoundFault"):
                return None
            raise
        members = {
            each["DBInstanceIdentifier"]: each["IsClusterWriter"] for each in found["DBClusterMembers"]
        }
        instances = {name: _instance(self.clients, name) or {} for name in sorted(members)}
        zones = {name: str(each.get("AvailabilityZone", "-")) for name, each in instances.items()}
        writer = next((name for name in instances if members[name]), None)
        return Seen(
            state=found["Status"],
            engine=f"{found['Engine']} {found['EngineVersion']}",
            instance_class=found.get("DBClusterInstanceClass")
            or next((str(each["DBInstanceClass"]) for each in instances.values() if each), "-"),
            multi_az=True,
            zone=zones[writer] if writer else "-",
            standbys=tuple(zones[name] for name in instances if not members[name]),
        )

    def fail_over(self, *, standby: bool) -> None:
        # It has its standbys always.
        del standby
        self.clients.client("rds").failover_db_cluster(DBClusterIdentifier=self.identifier)

    def snapshot(self, name: str, *, delay: int, attempts: int) -> None:
        rds = self.clients.client("rds")
        rds.create_db_cluster_snapshot(DBClusterIdentifier=self.identifier, DBClusterSnapshotIdentifier=name)
        rds.get_waiter("db_cluster_snapshot_available").wait(
            DBClusterSnapshotIdentifier=name, WaiterConfig={"Delay": delay, "MaxAttempts": attempts}
        )


def _instance(clients: Clients, identifier: str) -> Mapping[str, Any] | None:
    try:
        answer = clients.client("rds").describe_db_instances(DBInstanceIdentifier=identifier)
    except ClientError as error:
        if says(error, "DBInstanceNotFound", "DBInstanceNotFoundFault"):
            return None
        raise
    return dict(answer["DBInstances"][0])
