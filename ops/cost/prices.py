"""The dated table of list prices: what is not in it has no price, and nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ops.errors import OpsError

TABLE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True)
class Price:
    """A list price in USD for one unit; None where the figure was looked for and no source found."""

    usd: Decimal | None
    source: str
    collected: str


@dataclass(frozen=True)
class Allowance:
    """What an account gets of something each month before it is charged."""

    quantity: Decimal
    what: str


@dataclass(frozen=True)
class Prices:
    """The prices of one region."""

    region: str
    entries: Mapping[str, Price]
    free: Mapping[str, Allowance]
    hours: Decimal

    def usd(self, key: str) -> Decimal | None:
        """The price of one unit, or None where none is known."""
        entry = self.entries.get(key)
        return entry.usd if entry else None

    @property
    def collected(self) -> str:
        """The dates between which the figures were collected."""
        dates = sorted({entry.collected for entry in self.entries.values()})
        return "no date" if not dates else " to ".join(dict.fromkeys((dates[0], dates[-1])))


def document(file: Path = TABLE) -> dict[str, Any]:
    """The whole table as it is in its file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not found.keys() >= {"regions", "free", "hours_per_month"}:
            raise KeyError
    except OSError as error:
        raise OpsError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, AttributeError):
        raise OpsError(f"{file}: is no table of prices; git has the last good one") from None
    return dict(found)


def load(region: str, file: Path = TABLE) -> Prices:
    """The prices of a region; a region without any has an empty table."""
    found = document(file)
    return Prices(
        region,
        {key: _price(value) for key, value in found["regions"].get(region, {}).items()},
        {key: Allowance(Decimal(each["quantity"]), each["what"]) for key, each in found["free"].items()},
        Decimal(found["hours_per_month"]),
    )


def _price(entry: Mapping[str, Any]) -> Price:
    usd = entry["usd"]
    return Price(None if usd is None else Decimal(usd), entry["source"], entry["collected"])
