"""What AWS will soon no longer run: the runtimes that the templates name, by a dated list of AWS's announcements."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from ops.doctor.findings import Finding, missing, ok, warning

_LIST = Path(__file__).with_name("runtimes.toml")
# Synthetics writes 60 days before, Lambda 180.
SOON = timedelta(days=180)
_OLD = timedelta(days=180)


@dataclass(frozen=True)
class Runtime:
    """A runtime, where AWS announces its end, and when that is if it was announced."""

    name: str
    page: str
    deprecated: date | None = None


@cache
def listed() -> tuple[date, Sequence[Runtime]]:
    """When AWS's pages were read, and what they say of each runtime."""
    document = tomllib.loads(_LIST.read_text(encoding="utf-8"))
    return document["read"], tuple(Runtime(**each) for each in document["runtime"])


def runtimes(today: date | None = None) -> Finding:
    """Whether AWS goes on running what the templates name."""
    now = today or datetime.now(UTC).date()
    read, found = listed()
    dated = [(each.deprecated, each) for each in found if each.deprecated is not None]
    gone = [f"{each.name} since {end}" for end, each in dated if end <= now]
    soon = [f"{each.name} on {end}" for end, each in dated if now < end <= now + SOON]
    pages = ", ".join(sorted({each.page for end, each in dated if end <= now + SOON}))
    if gone:
        return missing("runtimes", f"AWS has deprecated {', '.join(gone + soon)}", f"a newer one: {pages}")
    if soon:
        return warning("runtimes", f"AWS deprecates {', '.join(soon)}", f"a newer one: {pages}")
    if now - read > _OLD:
        return warning(
            "runtimes",
            f"AWS's dates were looked up on {read}",
            f"look them up again and note them in {_LIST.relative_to(_LIST.parents[2])}",
        )
    return ok("runtimes", f"{len(found)}, none of which AWS deprecates within {SOON.days} days")
