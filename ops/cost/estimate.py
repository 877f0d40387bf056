"""From templates to an estimate: every resource priced, declared free, or said to have no price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from ops.cost import free
from ops.cost.catalogue import service_of
from ops.cost.model import Basis, Item, Resource, World
from ops.cost.prices import Allowance, Prices
from ops.cost.resources import ESTIMATORS
from ops.cost.usage import Usage
from ops.synthesis.templates import Templates

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
Name = TypeVar("Name")


@dataclass(frozen=True)
class Line:
    """One thing a resource consumes, with what it costs a month, in whole cents of USD.

    `usd` is None where no price is known. `most` is the amount with every service at its maximum of tasks;
    `free` is the part of the quantity that the account's allowance covers.
    """

    stack: str
    resource: str
    logical_id: str
    type: str
    service: str
    key: str
    basis: Basis
    quantity: Decimal
    free: Decimal
    price: Decimal | None
    usd: Decimal | None
    most: Decimal | None
    note: str


@dataclass(frozen=True)
class Total:
    """A sum of lines."""

    fixed: Decimal = ZERO
    usage: Decimal = ZERO
    most: Decimal = ZERO

    @property
    def usd(self) -> Decimal:
        """What a month costs with the assumed usage."""
        return self.fixed + self.usage


@dataclass(frozen=True)
class Estimate:
    """What an environment costs a month.

    `free` gives the number of resources of each type that cost nothing themselves; `unknown` those of types
    that nobody has told the price of. Sums are sums of the lines as they are shown.
    """

    environment: str
    region: str
    collected: str
    lines: tuple[Line, ...]
    free: Mapping[str, int]
    unknown: tuple[Resource, ...]

    @property
    def total(self) -> Total:
        """The sum of all lines that have a price."""
        return sum_of(self.lines)

    def by(self, name: Callable[[Line], Name]) -> dict[Name, Total]:
        """The sums of the lines by a name of theirs, in order of first appearance."""
        groups: dict[Name, list[Line]] = defaultdict(list)
        for line in self.lines:
            groups[name(line)].append(line)
        return {group: sum_of(lines) for group, lines in groups.items()}

    @property
    def without_price(self) -> tuple[str, ...]:
        """One sentence for each price and each type that is not known."""
        keys = dict.fromkeys(line.key for line in self.lines if line.price is None)
        types = dict.fromkeys(resource.type for resource in self.unknown)
        return (
            *(f"no price known for {key} in {self.region}" for key in keys),
            *(f"{each} is not priced: ops/cost/resources.py does not know the type" for each in types),
        )


def estimate(environment: str, templates: Templates, prices: Prices, usage: Usage) -> Estimate:
    """What the resources of the templates cost a month."""
    world = World(templates, usage, prices.hours)
    nothing: dict[str, int] = defaultdict(int)
    unknown = []
    consumed: list[tuple[Resource, Item]] = []
    for resource in world.resources:
        estimator = ESTIMATORS.get(resource.type)
        if estimator is not None:
            consumed += [(resource, item) for item in estimator(resource, world)]
        elif free.reason(resource.type) is not None:
            nothing[resource.type] += 1
        else:
            unknown.append(resource)
    allowances = prices.free if usage.account.free_allowances else {}
    lines = tuple(_priced(consumed, prices, allowances))
    return Estimate(environment, prices.region, prices.collected, lines, nothing, tuple(unknown))


def _priced(
    consumed: Iterable[tuple[Resource, Item]], prices: Prices, allowances: Mapping[str, Allowance]
) -> Iterator[Line]:
    left = {key: each.quantity for key, each in allowances.items()}
    left_at_most = dict(left)
    for resource, item in consumed:
        price = prices.usd(item.key)
        most = item.quantity if item.most is None else item.most
        covered = _take(left, item, item.quantity)
        covered_at_most = _take(left_at_most, item, most)
        yield Line(
            stack=resource.stack,
            resource=resource.name,
            logical_id=resource.logical_id,
            type=resource.type,
            service=service_of(item.key),
            key=item.key,
            basis=item.basis,
            quantity=item.quantity,
            free=covered,
            price=price,
            usd=_cents(price, item.quantity - covered),
            most=_cents(price, most - covered_at_most),
            note=item.note,
        )


def _take(left: dict[str, Decimal], item: Item, quantity: Decimal) -> Decimal:
    if not item.allowed or item.key not in left:
        return Decimal(0)
    covered = min(left[item.key], quantity)
    left[item.key] -= covered
    return covered


def _cents(price: Decimal | None, quantity: Decimal) -> Decimal | None:
    return None if price is None else (price * quantity).quantize(CENT, ROUND_HALF_UP)


def sum_of(lines: Iterable[Line]) -> Total:
    """The sum of the lines that have a price."""
    found = list(lines)

    def summed(basis: Basis) -> Decimal:
        return sum((line.usd or ZERO for line in found if line.basis == basis), ZERO)

    return Total(summed("fixed"), summed("usage"), sum((line.most or ZERO for line in found), ZERO))
