"""What docs/scale.md says of this project's own numbers is so."""

from __future__ import annotations

import re

import pytest

import settings
from settings import limits
from settings.facts import quotas

DOCUMENT = (settings.ROOT / "docs/scale.md").read_text(encoding="utf-8")
KINDS: dict[str, dict[str, object]] = {
    "public, no database": {"access": "public"},
    "public, reads": {"access": "public", "database": "read"},
    "public, migrates": {"access": "public", "database": "write", "migrations": True},
    "restricted, migrates": {"access": "admin", "database": "write", "migrations": True},
}


def environment(controller: str, kind: str, count: int) -> settings.Environment:
    """`prod` with that controller and so many services of one kind."""
    services = tuple(
        settings.Service.model_validate(
            {"name": f"s{number}", "path_patterns": [f"/s{number}/*"], "priority": 1 + number, **KINDS[kind]}
        )
        for number in range(count)
    )
    prod = settings.load("prod")
    release = prod.release.model_copy(update={"controller": controller})
    return prod.model_copy(update={"services": services, "release": release})


def fit(controller: str, kind: str) -> tuple[int, str]:
    """How many services of a kind fit one environment with pipelines, and what the next one has no room in."""
    beyond = environment(controller, kind, 60)
    problems = [
        (problem[0], limit.what) for limit in limits.LIMITS if (problem := limit.problem(beyond)) is not None
    ]
    return min(problems)


@pytest.mark.parametrize("controller", ["codedeploy", "ecs", "rolling"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_what_fits_is_right(controller: str, kind: str) -> None:
    count, what = fit(controller, kind)
    assert count >= 25
    assert f"| `{controller}` | {kind} | {count} | {what} |" in DOCUMENT


def test_the_limits_are_those_of_the_code() -> None:
    for source, name in (
        (quotas, "RESOURCES_PER_STACK"),
        (quotas, "OUTPUTS_PER_STACK"),
        (quotas, "TEMPLATE_BYTES"),
        (quotas, "TARGET_GROUPS_PER_LOAD_BALANCER"),
        (quotas, "RULES_PER_LOAD_BALANCER"),
        (quotas, "RULES_PER_SECURITY_GROUP"),
        (quotas, "TARGETS_PER_LOAD_BALANCER"),
        (quotas, "ADDRESSES_PER_SUBNET"),
        (limits, "CONNECTIONS_PER_TASK"),
        (limits, "CONNECTIONS_KEPT"),
    ):
        assert f"`{name}` = {getattr(source, name):,}" in DOCUMENT, name


def test_every_quotient_is_worked_out_right() -> None:
    """A line `a / b = c` is rounded up, a line `a x b = c` is exact."""
    quotients = re.findall(r"([\d,.]+) / ([\d,.]+) = ([\d,]+)", DOCUMENT)
    products = re.findall(r"([\d,.]+) x ([\d,.]+) = ([\d,.]+\d)", DOCUMENT)
    assert len(quotients) >= 9
    assert len(products) >= 9
    for over, under, result in quotients:
        assert number(result) == -(-number(over) // number(under)), (over, under, result)
    for first, second, result in products:
        assert number(result) == pytest.approx(number(first) * number(second), abs=0.51), (
            first,
            second,
            result,
        )


def number(text: str) -> float:
    return float(text.replace(",", ""))
