"""`[logs]`: how long lines are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from settings.facts.log_retention import LOG_RETENTION_DAYS
from settings.values import Section


def _retention(value: int) -> int:
    if value not in LOG_RETENTION_DAYS:
        raise ValueError(f"{value} is not offered; allowed: {', '.join(map(str, LOG_RETENTION_DAYS))}")
    return value


class Logs(Section):
    """How long all log groups keep their lines."""

    retention_days: Annotated[int, AfterValidator(_retention)] = 365
