"""What a change of the templates does to the monthly cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ops.cost.estimate import ZERO, Estimate, Total


@dataclass(frozen=True)
class Difference:
    """One resource whose cost differs, in USD a month; None where the resource was not or is no longer there."""

    stack: str
    resource: str
    before: Total | None
    after: Total | None

    @property
    def usd(self) -> Decimal:
        """What the change adds, or saves where it is negative."""
        return (self.after.usd if self.after else ZERO) - (self.before.usd if self.before else ZERO)


@dataclass(frozen=True)
class Comparison:
    """Two estimates of one environment; `revision` names what the first is of."""

    revision: str
    before: Estimate
    after: Estimate

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The resources whose fixed part, usage or maximum differ, by stack and resource."""
        old, new = (each.by(lambda line: (line.stack, line.resource)) for each in (self.before, self.after))
        return tuple(
            Difference(*name, old.get(name), new.get(name))
            for name in sorted({*old, *new})
            if (old.get(name) or Total()) != (new.get(name) or Total())
        )

    @property
    def usd(self) -> Decimal:
        """What the change adds to a month."""
        return self.after.total.usd - self.before.total.usd
