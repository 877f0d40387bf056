"""The table of instance classes against what CloudFormation's own data says is offered for MySQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cfnlint
import pytest

import settings.facts.database_classes as classes

DATA = Path(cfnlint.__file__).parent / "data/schemas/extensions"


def offered() -> Iterator[str]:
    """Every class that is offered for an instance of MySQL, of whatever version, in any region."""
    regions = json.loads((DATA / "aws_rds_dbinstance/dbinstanceclass_enum.json").read_text())
    for region in regions.values():
        for rule in region["allOf"]:
            if rule["if"]["properties"].get("Engine") == {"const": "mysql"}:
                yield from rule["then"]["properties"]["DBInstanceClass"]["enum"]


OFFERED = frozenset(offered())
FAMILIES = sorted({each.split(".")[1] for each in OFFERED})
EARLIER = {"m1", "m2", "m3", "m4", "r3", "r4", "t1", "t2"}


def test_the_families_are_those_of_the_current_generations() -> None:
    assert set(FAMILIES) - EARLIER == {name for name, each in classes.FAMILIES.items() if each.instance}


@pytest.mark.parametrize("instance_class", sorted(OFFERED))
def test_a_class_that_is_offered_is_allowed(instance_class: str) -> None:
    if instance_class.split(".")[1] in EARLIER:
        assert not classes.offers_instance(instance_class)
    else:
        assert classes.offers_instance(instance_class)


def test_a_class_has_insights_unless_it_is_a_small_burstable_one() -> None:
    """https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DatabaseInsights.Engines.html"""
    without = {each for each in OFFERED if not classes.offers_insights(each)}
    assert without == {"db.t3.micro", "db.t3.small", "db.t4g.micro", "db.t4g.small"}


@pytest.mark.parametrize(
    ("instance_class", "memory"),
    [
        ("db.t4g.micro", 1),
        ("db.t4g.2xlarge", 32),
        ("db.m7g.large", 8),
        ("db.r6g.16xlarge", 512),
        ("db.x2iedn.xlarge", 128),
        ("db.c6gd.medium", 2),
        ("db.m7g.medium", 0),
        ("db.m7g.1xlarge", 0),
        ("cache.m7g.large", 0),
        ("db.m7g", 0),
    ],
)
def test_memory_is_that_of_the_size(instance_class: str, memory: float) -> None:
    assert classes.memory_gib(instance_class) == memory
