"""When what roles are granted was used: by the emulator's record, on AWS by IAM's information of last accesses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from emulator import lifecycle
from emulator.iam.policies import matches
from emulator.instance import Instance
from ops.aws.clients import each
from ops.errors import OpsError
from ops.rights.grants import Grant

RIGHTS = "/_emulator/rights"
_POLL_SECONDS = 1.0
_REPORT_SECONDS = 60.0


@dataclass(frozen=True)
class Use:
    """The last use of a grant.

    `count` is how often it was used, and `needed` whether some of that would have been denied without the statement; IAM
    tells neither. `whole_service`: IAM tells no more than that some action of the service was used.
    """

    last: datetime
    count: int | None = None
    needed: bool | None = None
    whole_service: bool = False


class Uses(Protocol):
    """What tells whether a grant was used."""

    def of(self, grant: Grant) -> Use | None:
        """Its last use, or None where there is none."""


@dataclass(frozen=True)
class Recorded:
    """What the emulator wrote down; `ids` are the physical ids of roles and policies, by logical id after the stack's."""

    rows: Sequence[Mapping[str, Any]]
    ids: Mapping[str, str]

    def of(self, grant: Grant) -> Use | None:
        role = self.ids.get(grant.role.id)
        found = [row for row in self.rows if row["allowed"] and self._is_of(row, grant, role)]
        if not found:
            return None
        return Use(
            last=max(datetime.fromisoformat(row["last"]) for row in found),
            count=sum(row["count"] for row in found),
            needed=any(row["needed"] for row in found),
        )

    def _is_of(self, row: Mapping[str, Any], grant: Grant, role: str | None) -> bool:
        if row["principal"].rpartition("/")[2] != role:
            return False
        if grant.managed_by_aws:
            return bool(row["policy"] == grant.policy)
        policy = f"{row['principal']}/{grant.inline}" if grant.inline else self.ids.get(grant.policy)
        return (
            row["policy"] == policy
            and row["statement"] == grant.statement
            and matches(grant.action, row["action"], ignore_case=True)
        )


def recorded(instance: Instance, ids: Mapping[str, str]) -> Recorded:
    """The record of an emulator, from its start on."""
    return Recorded(lifecycle.ask(instance, RIGHTS), ids)


@dataclass(frozen=True)
class LastAccessed:
    """What IAM knows of the last 400 days, some hours late, by the physical ids of roles.

    Which actions it tells apart: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed-action-last-accessed.html
    """

    reports: Mapping[str, Sequence[Mapping[str, Any]]]
    ids: Mapping[str, str]

    def of(self, grant: Grant) -> Use | None:
        services = self.reports.get(self.ids.get(grant.role.id, ""), ())
        if grant.managed_by_aws:
            times = [each["LastAuthenticated"] for each in services if each.get("LastAuthenticated")]
            return Use(max(times), whole_service=True) if times else None
        prefix, _, name = grant.action.partition(":")
        for service in services:
            if service["ServiceNamespace"] != prefix or not service.get("LastAuthenticated"):
                continue
            tracked = [
                each
                for each in service.get("TrackedActionsLastAccessed", [])
                if matches(name, each["ActionName"], ignore_case=True)
            ]
            if not tracked:
                return Use(service["LastAuthenticated"], whole_service=True)
            times = [each["LastAccessedTime"] for each in tracked if each.get("LastAccessedTime")]
            return Use(max(times)) if times else None
        return None


def last_accessed(
    iam: Any, roles: Mapping[str, str], sleep: Callable[[float], None] = time.sleep
) -> LastAccessed:
    """IAM's reports on roles, given as physical by logical ids, for which it takes some seconds.

    Raises `OpsError` where IAM cannot make one, or takes longer than a minute.
    """
    names = sorted(set(roles.values()))
    return LastAccessed(
        dict(zip(names, each(lambda name: _report(iam, name, sleep), names), strict=True)), roles
    )


def _report(iam: Any, role: str, sleep: Callable[[float], None]) -> list[Mapping[str, Any]]:
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    job = iam.generate_service_last_accessed_details(Arn=arn, Granularity="ACTION_LEVEL")["JobId"]
    services: list[Mapping[str, Any]] = []
    more: dict[str, str] = {}
    waited = 0.0
    while True:
        answer = iam.get_service_last_accessed_details(JobId=job, **more)
        if answer["JobStatus"] == "IN_PROGRESS":
            if waited >= _REPORT_SECONDS:
                raise OpsError(
                    f"{role}: IAM takes longer than {_REPORT_SECONDS:.0f} s to tell what it used; repeat later"
                )
            sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
            continue
        if answer["JobStatus"] == "FAILED":
            raise OpsError(
                f"{role}: IAM cannot tell what it used: {answer.get('Error', {}).get('Message', '')}"
            )
        services += answer["ServicesLastAccessed"]
        if not answer.get("IsTruncated"):
            return services
        more = {"Marker": answer["Marker"]}
