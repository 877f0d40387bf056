"""The drill that fails the database over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ops.aws import Clients
from ops.drill.conduct import Look
from ops.errors import OpsError
from ops.session import Session
from ops.strength import Fleet, in_words


@dataclass
class Failover:
    """The database is rebooted, with failover to its standby where it has one."""

    clients: Clients
    fleet: Fleet
    identifier: str
    multi_az: bool
    emulated: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    name: str = "failover"
    _struck: datetime = field(default_factory=lambda: datetime.now(UTC))
    _was_away: bool = False

    @property
    def steps(self) -> Sequence[str]:
        how = "with failover to its standby" if self.multi_az else "without failover: it has no standby"
        return [f"reboot the database {self.identifier} {how}"]

    @property
    def meaning(self) -> str:
        if self.emulated:
            return (
                "The database server's container is stopped and started again, the nearest the emulator has to a "
                "failover: connections break and new ones are refused for a while. There is no standby, no change "
                "of address and no DNS, so the times say nothing about AWS, where a failover of a Multi-AZ "
                "instance takes 60 to 120 seconds."
            )
        if self.multi_az:
            return (
                "The database is rebooted with failover: the standby in another zone takes over and the endpoint's "
                "name leads to it, as when the primary or its zone fails."
            )
        return (
            "The database is rebooted in its place, as in a maintenance. It has no standby (multi_az = false), so "
            "that the loss of its host or zone would take far longer."
        )

    def strike(self) -> None:
        self.facts["zone before"] = self._instance()["AvailabilityZone"]
        self._struck = datetime.now(UTC)
        self.clients.client("rds").reboot_db_instance(
            DBInstanceIdentifier=self.identifier, ForceFailover=self.multi_az
        )

    def look(self) -> Look:
        instance = self._instance()
        status = str(instance["DBInstanceStatus"])
        self._was_away |= status != "available"
        messages = self._events()
        strengths = self.fleet.strengths()
        # For a moment after the order the instance still calls itself available.
        done = self._was_away or any("restarted" in text or "failover completed" in text for text in messages)
        self.facts["zone after"] = instance["AvailabilityZone"]
        if messages:
            self.facts["events of RDS"] = "; ".join(messages)
        recovered = done and status == "available" and all(each.full for each in strengths.values())
        return Look(f"database {status}; {in_words(strengths)}", recovered)

    def _instance(self) -> Mapping[str, Any]:
        (found,) = self.clients.client("rds").describe_db_instances(DBInstanceIdentifier=self.identifier)[
            "DBInstances"
        ]
        return dict(found)

    def _events(self) -> Sequence[str]:
        found = self.clients.client("rds").describe_events(
            SourceIdentifier=self.identifier, SourceType="db-instance", StartTime=self._struck
        )["Events"]
        return list(dict.fromkeys(event["Message"] for event in found))


def failover(session: Session, fleet: Fleet, identifier: str) -> Failover:
    """The environment's database; raises `OpsError` where it is not available now."""
    (instance,) = session.clients.client("rds").describe_db_instances(DBInstanceIdentifier=identifier)[
        "DBInstances"
    ]
    if instance["DBInstanceStatus"] != "available":
        raise OpsError(f"{session.name}: the database is {instance['DBInstanceStatus']}: wait and repeat")
    return Failover(
        session.clients,
        fleet,
        identifier,
        multi_az=bool(instance["MultiAZ"]),
        emulated=session.instance is not None,
        facts={"database": identifier, "Multi-AZ": "yes" if instance["MultiAZ"] else "no"},
    )
