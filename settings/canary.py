"""`[canary]`: a visitor that is a machine."""

from __future__ import annotations

from pydantic import Field

from settings.values import Section


class Canary(Section):
    """A visitor that is a machine: with this section it walks through home, list, add and delete."""

    interval_minutes: int = Field(default=5, ge=1, le=60)
