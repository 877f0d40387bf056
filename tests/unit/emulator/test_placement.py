from __future__ import annotations

from collections import Counter

from emulator.bridges.ecs.placement import subnet_for

ZONES = {"subnet-1": "us-east-1a", "subnet-2": "us-east-1b", "subnet-3": "us-east-1c"}


def test_a_task_goes_to_the_zone_with_the_fewest_of_its_service() -> None:
    taken = Counter({"us-east-1a": 2, "us-east-1b": 1, "us-east-1c": 1})
    assert subnet_for(list(ZONES), ZONES, taken) == "subnet-2"


def test_tasks_of_one_service_are_spread_over_all_zones() -> None:
    taken: Counter[str] = Counter()
    for _ in range(7):
        taken[ZONES[subnet_for(list(ZONES), ZONES, taken)]] += 1
    assert sorted(taken.values()) == [2, 2, 3]
