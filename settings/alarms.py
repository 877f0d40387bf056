"""`[alarms]`: who is told, of what."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.values import EachOnce, Section


def _email(value: str) -> str:
    if len(value) > 254 or not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+", value):
        raise ValueError(f"{value!r} is no email address")
    return value


def _runbook_url(value: str) -> str:
    # An alarm's description holds 1,024 characters, of which it needs some.
    if not re.fullmatch(r"[!-\"$-~]{1,500}", value):
        raise ValueError(f"{value!r} is no address or path of the runbook without '#' and blanks")
    return value


Email = Annotated[str, AfterValidator(_email)]


class Alarms(Section):
    """Who is told, of what, and where they read what to do."""

    emails: Annotated[tuple[Email, ...], EachOnce] = Field(default=(), max_length=20, strict=False)
    runbook_url: Annotated[str, AfterValidator(_runbook_url)] | None = None
    monthly_budget_usd: float | None = Field(default=None, gt=0)
    response_seconds: float = Field(default=2, gt=0, le=60)
    server_errors: int = Field(default=10, ge=0)
    server_error_percent: float = Field(default=5, gt=0, le=100)
    database_cpu_percent: float = Field(default=80, gt=0, lt=100)
    database_connections_percent: float = Field(default=80, gt=0, lt=100)
    certificate_days: int = Field(default=30, ge=1, le=60)
    blocked_requests: int = Field(default=1000, ge=1)
