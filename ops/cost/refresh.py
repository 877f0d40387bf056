"""Bringing the price table up to date from the pricing API of AWS."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from ops.aws.clients import each
from ops.cost.catalogue import Query, query
from ops.cost.prices import TABLE, document

# The API exists in a few regions and answers for all: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
ENDPOINT_REGION = "us-east-1"
SOURCE = "AWS pricing API"


@dataclass(frozen=True)
class Change:
    """What the API answered for one key; `new` is None where it has no single price, `why` then says so."""

    key: str
    old: Decimal | None
    new: Decimal | None
    why: str = ""

    def __str__(self) -> str:
        old = "none" if self.old is None else f"{self.old}"
        if self.new is None:
            return f"{self.key}: kept at {old}: {self.why}"
        return f"{self.key}: {old} to {self.new}" if self.new != self.old else f"{self.key}: {old}, confirmed"


def ask(pricing: Any, region: str, keys: Iterable[str], known: Mapping[str, Decimal | None]) -> list[Change]:
    """What the API answers for the keys, asked for at once."""

    def one(key: str) -> Change:
        how = query(key)
        if how is None:
            return Change(key, known.get(key), None, "the API has no query for it")
        found = {price * how.units for price in _prices(pricing, region, how)}
        if len(found) != 1:
            return Change(key, known.get(key), None, f"the API answers {len(found)} prices")
        return Change(key, known.get(key), found.pop())

    return each(one, sorted(keys))


def _prices(pricing: Any, region: str, how: Query) -> Iterator[Decimal]:
    """The price of the first tier that is not free, of every product that matches."""
    wanted = {**how.filters, how.region_field: region}
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=how.service, Filters=filters)
    for page in pages:
        for text in page["PriceList"]:
            product = json.loads(text)
            if not how.matches(product["product"]["attributes"].get("usagetype", "")):
                continue
            tiers = [
                (Decimal(tier["beginRange"]), Decimal(tier["pricePerUnit"]["USD"]))
                for term in product["terms"].get("OnDemand", {}).values()
                for tier in term["priceDimensions"].values()
            ]
            charged = sorted(tier for tier in tiers if tier[1])
            if charged:
                yield charged[0][1]


def write(region: str, changes: Iterable[Change], today: date, file: Path = TABLE) -> None:
    """Put the answers into the table, each with its date and source; what has no answer stays as it is."""
    table = document(file)
    prices = table["regions"].setdefault(region, {})
    for change in changes:
        if change.new is not None:
            prices[change.key] = {
                "usd": f"{change.new.normalize():f}",
                "source": SOURCE,
                "collected": today.isoformat(),
            }
    table["regions"][region] = dict(sorted(prices.items()))
    file.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
