"""What was asked of IAM and decided: each right once, with how often and when it was used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emulator.iam.evaluation import Decision, Policies, Request, needs


@dataclass
class _Use:
    needed: bool
    count: int
    first: datetime
    last: datetime


class Record:
    """Uses of rights, for `/_emulator/rights`; safe to be used by several threads."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._uses: dict[tuple[str, str, str, bool, str, str], _Use] = {}

    def add(self, request: Request, decision: Decision, policies: Policies) -> None:
        """Count a decision: by role or service, action, resource, and the statement that decided."""
        who = request.principal.role or request.principal.service or request.principal.arn
        statement = decision.statement
        source, sid = (statement.source, statement.sid) if statement else ("", "")
        key = (who, request.action, request.resource, decision.allowed, source, sid)
        now = self._now()
        with self._lock:
            use = self._uses.get(key)
            if use is None:
                needed = decision.allowed and statement is not None and needs(request, policies, statement)
                use = self._uses[key] = _Use(needed, 0, now, now)
            use.count += 1
            use.last = now

    def document(self) -> list[dict[str, Any]]:
        """Every use, in the order of who, action and resource.

        `policy` is the ARN of the policy whose statement decided, or of the resource that has the policy, and
        `statement` its Sid, else its place, counted from 1; both are empty where nothing allows. `needed`: without that
        statement it would have been denied. Times are ISO 8601.
        """
        with self._lock:
            uses = sorted(self._uses.items(), key=lambda each: each[0])
        return [
            {
                "principal": who,
                "action": action,
                "resource": resource,
                "allowed": allowed,
                "policy": source,
                "statement": sid,
                "needed": use.needed,
                "count": use.count,
                "first": use.first.isoformat(),
                "last": use.last.isoformat(),
            }
            for (who, action, resource, allowed, source, sid), use in uses
        ]
