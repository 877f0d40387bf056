"""The page docs/cost.md: what the environments cost, and what moves that. Generated, so that it stays true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal

from ops.cost.estimate import CENT, Estimate
from ops.cost.prices import Prices
from ops.cost.render import tables

_INTRODUCTION = """# What it costs

<!-- Written by `make snapshots`; a test keeps it current. The words are in ops/cost/page.py. -->

`python -m ops cost --env prod` estimates a month of an environment from its synthesized templates: a line for
each resource, sums by stack and by service, in USD. `--compare origin/main` tells what a change adds or saves,
`--format markdown` and `--json` write it for others, `--usage FILE` replaces assumptions.

- **Fixed** is what exists: hours, storage, alarms, keys, and each service at its minimum of tasks.
- **Usage** follows [ops/cost/usage.toml](../ops/cost/usage.toml), the assumed traffic, logs, pushes and so on.
- **At most** is the sum with every service at its maximum of tasks all month.
- What an account gets free every month is taken off once, in the order of the stacks; two environments of one
  account share it (`account.free_allowances = false`).
- Prices are list prices on demand without taxes, discounts and savings plans, each with its source and date in
  [ops/cost/prices.json](../ops/cost/prices.json). `--refresh` brings them up to date from the pricing API.
  A price without a source is told and left out of the sums, and so is a resource type nobody has told the price of.
- `--compare` reads the other revision's template snapshots instead of synthesizing it: they lack asset hashes and
  construct paths only, a test keeps them current in every commit, and it takes milliseconds.
"""
_LEVELS = """## Service levels

What AWS promises of the parts that every request needs, in a month:

| part | promise | minutes it may fail |
|---|---:|---:|
| [RDS, Multi-AZ](https://aws.amazon.com/rds/sla/) | 99.95 % | 22 |
| [Elastic Load Balancing](https://aws.amazon.com/elasticloadbalancing/sla/) | 99.99 % | 4 |
| [ECS and Fargate over several zones](https://aws.amazon.com/ecs/sla/) | 99.99 % | 4 |
| together | 99.93 % | 31 |

The three multiply, as each must hold. A single-AZ database is promised 99.5 %, 219 minutes, and then decides alone.
"""


def page(estimates: Sequence[Estimate], prices: Prices) -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for estimate in estimates:
        parts.append(f"## {estimate.environment}: {estimate.total.usd:,.2f} USD a month\n")
        parts.append("\n".join(tables(estimate)) + "\n")
    parts.append("## The main levers\n")
    names = [estimate.environment for estimate in estimates]
    parts.append(
        f"| setting | what it does to a month | {' | '.join(names)} |\n|---|---|{'---:|' * len(names)}"
    )
    rows = [list(_levers(estimate, prices)) for estimate in estimates]
    for same in zip(*rows, strict=True):
        setting, effect, _ = same[0]
        parts.append(f"| {setting} | {effect} | {' | '.join(value for _, _, value in same)} |")
    return "\n".join([*parts, "", *_gateways(prices), "", _LEVELS])


def _levers(estimate: Estimate, prices: Prices) -> Iterator[tuple[str, str, str]]:
    """A setting, what changing it does, and what of the environment depends on it, in USD."""

    def spent(*keys: str) -> Decimal:
        return sum(
            (line.usd or Decimal(0) for line in estimate.lines if line.key.startswith(keys)), Decimal(0)
        )

    def repriced(old: str, new: str) -> str:
        """What the lines cost more or less with another word in their keys."""
        difference = Decimal(0)
        for line in estimate.lines:
            if old in line.key and line.price is not None:
                other = prices.usd(line.key.replace(old, new))
                if other is None:
                    return "no price known"
                difference += (other - line.price) * (line.quantity - line.free)
        return f"{difference.quantize(CENT, ROUND_HALF_UP):+,.2f}"

    yield (
        "`network.nat_gateways`",
        "a gateway and its address each",
        _money(spent("nat.hour") + _addresses(estimate)),
    )
    yield "`network.interface_endpoints`", "each endpoint in each zone", _money(spent("vpce."))
    yield (
        "`database.multi_az = false`",
        "no standby, and no promise of 99.95 %",
        repriced("multi_az", "single_az"),
    )
    yield (
        "`scaling.max_tasks` all month",
        "all tasks instead of the fewest",
        f"{estimate.total.most - estimate.total.usd:+,.2f}",
    )
    yield '`architecture = "x86_64"`', "x86 instead of ARM tasks", repriced("fargate.arm", "fargate.x86")
    yield (
        "`spot_percent = 100`",
        "all tasks on spot capacity of their architecture",
        repriced("fargate.", "fargate_spot."),
    )
    yield (
        "Container Insights",
        "metrics of every task and container",
        _money(spent("cloudwatch.container_insights")),
    )
    yield (
        "customer keys",
        "one a month each, and two more after two rotations",
        _money(spent("kms.key_month")),
    )
    yield "`[waf]`", "a web ACL, its rules and requests", _money(spent("waf."))
    yield "`[canary]`", "each run", _money(spent("synthetics."))


def _addresses(estimate: Estimate) -> Decimal:
    return sum(
        (line.usd or Decimal(0) for line in estimate.lines if line.type == "AWS::EC2::EIP"), Decimal(0)
    )


def _gateways(prices: Prices) -> Iterator[str]:
    nat, address, endpoint = (
        prices.usd(key) for key in ("nat.hour", "public_ipv4.hour", "vpce.interface.az_hour")
    )
    if nat is None or address is None or endpoint is None:
        return
    gateway, interface = (nat + address) * prices.hours, endpoint * prices.hours
    yield (
        f"A NAT gateway costs {gateway:,.2f} USD a month with its address, an interface endpoint {interface:,.2f} in "
        f"each zone: a gateway in every zone is as dear as {gateway / interface:.0f} endpoints in every zone. Endpoints "
        "keep the traffic to AWS off the internet; only gateways reach what is not AWS."
    )


def _money(usd: Decimal) -> str:
    return f"{usd:,.2f}"
