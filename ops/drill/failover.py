"""The drill that fails the database over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.aws.clients import Clients
from ops.aws.session import Session
from ops.deployed.database import Database, Seen, of
from ops.drill.conduct import Look
from ops.errors import OpsError
from ops.load.strength import Fleet, in_words


@dataclass
class Failover:
    """The database is rebooted, with failover to its standby where it has one."""

    clients: Clients
    database: Database
    fleet: Fleet
    multi_az: bool
    emulated: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    name: str = "failover"
    _struck: datetime = field(default_factory=lambda: datetime.now(UTC))
    _was_away: bool = False

    @property
    def steps(self) -> Sequence[str]:
        if self._is_cluster:
            return [f"fail the database {self.database.identifier} over to one of its standbys"]
        how = "with failover to its standby" if self.multi_az else "without failover: it has no standby"
        return [f"reboot the database {self.database.identifier} {how}"]

    @property
    def meaning(self) -> str:
        if self.emulated:
            return (
                "The database server's container is stopped and started again, the nearest the emulator has to a "
                "failover: connections break and new ones are refused for a while. There is no standby, no change "
                "of address and no DNS, so the times say nothing about AWS, where a failover of a Multi-AZ "
                "instance takes 60 to 120 seconds."
            )
        if self._is_cluster:
            return (
                "The instance that takes writes is ended and one of the two standbys takes its place: both endpoints' "
                "names lead elsewhere, as when that instance or its zone fails. Amazon RDS says less than 35 seconds."
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
        self.facts["zone before"] = self._seen().zone
        self._struck = datetime.now(UTC)
        self.database.fail_over(standby=self.multi_az)

    def look(self) -> Look:
        seen = self._seen()
        status = seen.state
        self._was_away |= status != "available"
        messages = self._events()
        strengths = self.fleet.strengths()
        # For a moment after the order the instance still calls itself available.
        done = self._was_away or any(_done(text) for text in messages)
        self.facts["zone after"] = seen.zone
        if messages:
            self.facts["events of RDS"] = "; ".join(messages)
        recovered = done and status == "available" and all(each.full for each in strengths.values())
        return Look(f"database {status}; {in_words(strengths)}", recovered)

    @property
    def _is_cluster(self) -> bool:
        return self.database.source_type == "db-cluster"

    def _seen(self) -> Seen:
        found = self.database.look()
        if found is None:
            raise OpsError(f"the database {self.database.identifier} is not there any more")
        return found

    def _events(self) -> Sequence[str]:
        found = self.clients.client("rds").describe_events(
            SourceIdentifier=self.database.identifier,
            SourceType=self.database.source_type,
            StartTime=self._struck,
        )["Events"]
        return list(dict.fromkeys(event["Message"] for event in found))


def failover(session: Session, fleet: Fleet, identifier: str) -> Failover:
    """The environment's database; raises `OpsError` where it is not available now."""
    database = of(session, identifier)
    seen = database.look()
    if seen is None or seen.state != "available":
        raise OpsError(
            f"{session.name}: the database is {seen.state if seen else 'not there'}: wait and repeat"
        )
    return Failover(
        session.clients,
        database,
        fleet,
        multi_az=seen.multi_az,
        emulated=session.instance is not None,
        facts={"database": identifier, "Multi-AZ": "yes" if seen.multi_az else "no"},
    )


def _done(message: str) -> bool:
    """Whether Amazon RDS says that an instance is back, or a cluster has failed over: "Completed failover to ..."."""
    text = message.lower()
    return "restarted" in text or "failover completed" in text or "completed failover" in text
