"""The policies that the templates hold, under load curves, in a model of Application Auto Scaling."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import settings
from ops.errors import OpsError
from ops.scaling import load_curve
from ops.scaling import policies as scaling_policies
from ops.scaling.load_curve import Load, LoadCurve
from ops.scaling.policies import ServicePolicies
from ops.scaling.simulation import Replay, replay
from tests.conftest import ENVIRONMENTS, Synthesize, synthesize
from tests.resources import of_type

EVERY_TARGET = """
[services.customer.scaling]
target_memory_percent = 80
target_requests_per_target = 600
max_tasks = 6
[[services.customer.scaling.schedules]]
name = "office"
weekdays = ["mon", "tue", "wed", "thu", "fri"]
hours = "09:00-17:00"
time_zone = "Europe/Berlin"
min_tasks = 3
max_tasks = 8
"""

# How often the count may turn from growing to shrinking or back: as often as the load itself does.
TURNS = {
    "steady-40": 0,
    "steady-55": 0,
    "steady-75": 0,
    "spike": 1,
    "night": 1,
    "sawtooth": 7,
    "release": 0,
    "rise-in-release": 0,
}


@pytest.fixture(scope="module")
def with_every_target(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A Compute template in which customer scales by CPU, memory, requests and the clock."""
    folder = tmp_path_factory.mktemp("every-target")
    for pattern in ("environments/*.toml", "services/*/service.toml", "services/*/Dockerfile"):
        for source in settings.ROOT.glob(pattern):
            target = folder / source.relative_to(settings.ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    with (folder / "environments/dev.toml").open("a") as file:
        file.write(EVERY_TARGET)
    return dict(synthesize(settings.load("dev", folder), folder / "out").platform)


@pytest.fixture
def policies(templates: Synthesize) -> ServicePolicies:
    return scaling_policies.read(templates("prod").platform, "customer")


@pytest.fixture
def every_target(with_every_target: dict[str, Any]) -> ServicePolicies:
    return scaling_policies.read(with_every_target, "customer")


def steady(
    minutes: int = 120,
    release: range = range(0),
    *,
    cpu: float,
    memory: float = 0.0,
    requests: float = 0.0,
) -> LoadCurve:
    loads = (Load(cpu, requests, memory, release=each in release) for each in range(minutes))
    return LoadCurve("steady", "", tuple(loads))


def after_a_swap() -> LoadCurve:
    """Few requests, a release under them, and then many that cost little."""
    quiet, swap = steady(30, cpu=0.3, requests=500), steady(20, range(20), cpu=0.3, requests=500)
    return LoadCurve("swap", "", (*quiet.loads, *swap.loads, *steady(60, cpu=0.3, requests=2300).loads))


def changed(template: dict[str, Any], change: Callable[[str, dict[str, Any]], None]) -> ServicePolicies:
    """The policies of customer in a template of which `change` has spoilt resources of a type."""
    spoilt = copy.deepcopy(template)
    for resource in spoilt["Resources"].values():
        change(resource["Type"], resource.get("Properties", {}))
    return scaling_policies.read(spoilt, "customer")


def as_the_original_asked(resource_type: str, properties: dict[str, Any]) -> None:
    """Targets that also scale in, and steps by the plain average CPU."""
    if resource_type == "AWS::ApplicationAutoScaling::ScalingPolicy":
        properties.get("TargetTrackingScalingPolicyConfiguration", {}).pop("DisableScaleIn", None)
    if (
        resource_type == "AWS::CloudWatch::Alarm"
        and properties["Threshold"] in (30, 70)
        and "Ref" in properties["AlarmActions"][0]
    ):
        (cpu,) = (each for each in properties.pop("Metrics") if each["Id"] == "cpu")
        metric = cpu["MetricStat"]["Metric"]
        properties.update(metric, Period=60, Statistic="Average")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("curve", TURNS)
def test_counts_stay_in_their_bounds_and_turn_no_more_often_than_the_load(
    templates: Synthesize, environment: str, curve: str
) -> None:
    template = templates(environment).platform
    for service in scaling_policies.services_of(template):
        found = replay(scaling_policies.read(template, service), load_curve.load(curve))
        assert all(2 <= minute.desired <= 4 for minute in found.minutes)
        assert all(2 <= minute.running <= 4 for minute in found.minutes)
        assert found.direction_changes <= TURNS[curve]
        assert not found.flaps


@pytest.mark.slow
@pytest.mark.parametrize("curve", TURNS)
def test_more_targets_do_not_fight_either(every_target: ServicePolicies, curve: str) -> None:
    # From Saturday on, so that the clock stays out of it.
    found = replay(every_target, load_curve.load(curve), start=datetime(2026, 1, 10, tzinfo=UTC))
    assert all(2 <= minute.desired <= 6 for minute in found.minutes)
    # Each target knows its own cooldown only, so that two of them may add one too many, which goes again once.
    assert found.direction_changes <= TURNS[curve] + 1
    assert len(found.flaps) <= 1


def test_every_built_in_curve_is_replayed_here() -> None:
    assert set(load_curve.names()) == set(TURNS)


def test_no_constant_cpu_makes_the_count_turn_with_or_without_a_release(policies: ServicePolicies) -> None:
    for percent in range(0, 260, 4):
        for release in (range(0), range(60, 90)):
            found = replay(policies, steady(cpu=percent / 100, release=release))
            assert found.direction_changes == 0, f"{percent} % with a release in {release}"


def test_under_every_constant_mix_of_cpu_memory_and_requests_the_count_settles(
    every_target: ServicePolicies,
) -> None:
    weekend = datetime(2026, 1, 10, tzinfo=UTC)
    for cpu, memory, requests in product((0.2, 0.9, 1.9), (0.3, 1.65, 2.4), (100, 1300, 2000)):
        load = steady(100, range(60, 80), cpu=cpu, memory=memory, requests=requests)
        found = replay(every_target, load, start=weekend)
        # What two targets together added too many goes again, and then nothing moves any more.
        assert found.direction_changes <= 1, load.loads[0]
        assert all(change.minute < 40 for change in found.changes), load.loads[0]


def test_what_the_original_asked_for_flaps_when_cpu_is_low_and_requests_are_many(
    with_every_target: dict[str, Any], every_target: ServicePolicies
) -> None:
    many_cheap_requests = steady(240, cpu=0.4, memory=0.5, requests=1400)
    weekend = datetime(2026, 1, 10, tzinfo=UTC)
    original = replay(changed(with_every_target, as_the_original_asked), many_cheap_requests, start=weekend)
    assert len(original.flaps) > 10
    ours = replay(every_target, many_cheap_requests, start=weekend)
    assert not ours.flaps
    assert [change.after for change in ours.changes] == [3]


def test_what_the_original_asked_for_loses_a_task_after_a_release_and_takes_it_back(
    templates: Synthesize,
) -> None:
    curve = load_curve.load("release")
    template = dict(templates("prod").platform)
    original = replay(changed(template, as_the_original_asked), curve)
    assert [(change.before, change.after) for change in original.changes] == [(2, 3), (3, 2), (2, 3)]
    assert original.flaps


def test_what_the_original_asked_for_does_not_see_the_load_that_rises_in_a_release(
    templates: Synthesize, policies: ServicePolicies
) -> None:
    curve = load_curve.load("rise-in-release")
    original = changed(dict(templates("prod").platform), as_the_original_asked)
    moved = curve.loads.index(Load(1.7, 1020, release=True))
    released = max(number for number, load in enumerate(curve.loads) if load.release)
    late = replay(original, curve).minutes_until(3, moved)
    assert late is None or late > released - moved
    soon = replay(policies, curve).minutes_until(3, moved)
    assert soon is not None
    assert soon <= 5


def test_a_spike_has_another_task_within_six_minutes_and_all_of_them_within_seven(
    policies: ServicePolicies,
) -> None:
    found = replay(policies, load_curve.load("spike"))
    spike = 61
    three, four = found.minutes_until(3, spike), found.minutes_until(4, spike)
    assert three is not None
    assert four is not None
    assert (three, four) <= (6, 7)
    assert found.minutes[-1].desired == 2


def test_slow_tasks_do_not_make_a_spike_run_away(policies: ServicePolicies) -> None:
    found = replay(policies, load_curve.load("spike"), start_minutes=8, publish_minutes=3)
    assert max(minute.desired for minute in found.minutes) == 4
    assert found.direction_changes == 1


def test_tasks_go_one_by_one_with_the_cooldown_between(policies: ServicePolicies) -> None:
    found = replay(policies, load_curve.load("spike"))
    removals = [change for change in found.changes if change.after < change.before]
    assert [(change.before, change.after) for change in removals] == [(4, 3), (3, 2)]
    assert removals[1].minute - removals[0].minute >= 5


def test_requests_alone_scale_out_before_and_after_a_swap(every_target: ServicePolicies) -> None:
    found = replay(every_target, after_a_swap(), start=datetime(2026, 1, 10, tzinfo=UTC))
    assert [change.after for change in found.changes] == [3, 4]
    assert "RequestCountPerTarget" in found.changes[1].by


def test_requests_of_one_group_alone_would_go_blind_after_a_swap(with_every_target: dict[str, Any]) -> None:
    def only_blue(resource_type: str, properties: dict[str, Any]) -> None:
        configuration = properties.get("TargetTrackingScalingPolicyConfiguration", {})
        for query in configuration.get("CustomizedMetricSpecification", {}).get("Metrics", ()):
            if "Expression" in query:
                query["Expression"] = "SUM([perTask_blue])"

    weekend = datetime(2026, 1, 10, tzinfo=UTC)
    blind = replay(changed(with_every_target, only_blue), after_a_swap(), start=weekend)
    # The step still sees them, one task at a time.
    assert not [change for change in blind.changes if "RequestCountPerTarget" in change.by]


LATE = (
    "RunningTaskCount",
    "DesiredTaskCount",
    "CPUUtilization",
    "MemoryUtilization",
    "RequestCountPerTarget",
)


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [1, 2])
@pytest.mark.parametrize("late", [*([each] for each in LATE), LATE])
@pytest.mark.parametrize(
    "load",
    [
        {"cpu": 1.45, "requests": 300, "memory": 0.4},
        {"cpu": 0.3, "requests": 1500, "memory": 0.4},
        {"cpu": 0.3, "requests": 100, "memory": 1.7},
        {"cpu": 0.5, "requests": 0, "memory": 0.4},
    ],
    ids=lambda load: f"{load['cpu']:g} cpu {load['requests']:g} requests {load['memory']:g} memory",
)
def test_what_is_published_late_makes_the_count_neither_fall_nor_turn(
    every_target: ServicePolicies, load: dict[str, float], late: list[str], minutes: int
) -> None:
    weekend = datetime(2026, 1, 10, tzinfo=UTC)
    curve = steady(180, range(60, 90), **load)
    needed = 2 if load["cpu"] == 0.5 else 3
    punctual = replay(every_target, curve, start=weekend)
    reached = punctual.minutes_until(needed)
    assert reached is not None
    delayed = replay(every_target, curve, start=weekend, late_minutes=dict.fromkeys(late, minutes))
    assert all(minute.desired >= needed for minute in delayed.minutes[reached + minutes :])
    # What looks back on older minutes may add one too many, which goes again once.
    assert delayed.direction_changes <= 1


def test_a_part_that_is_late_would_take_tasks_away_if_it_were_taken_for_nothing(
    templates: Synthesize, policies: ServicePolicies
) -> None:
    def unguarded(resource_type: str, properties: dict[str, Any]) -> None:
        if resource_type == "AWS::CloudWatch::Alarm" and properties["Threshold"] in (30, 70):
            for query in properties.get("Metrics", ()):
                if "cpu" in query.get("Expression", ""):
                    query["Expression"] = "cpu * running / desired"

    busy, late = steady(180, cpu=1.2), {"RunningTaskCount": 2}
    naive = changed(dict(templates("prod").platform), unguarded)
    assert len(replay(naive, busy, late_minutes=late).flaps) > 5
    assert not replay(policies, busy, late_minutes=late).flaps


def test_tasks_still_go_when_values_are_late(every_target: ServicePolicies) -> None:
    loads = (*steady(60, cpu=1.9, requests=900).loads, *steady(60, cpu=0.3, requests=100).loads)
    for minutes in (0, 1, 2):
        found = replay(
            every_target,
            LoadCurve("fall", "", loads),
            start=datetime(2026, 1, 10, tzinfo=UTC),
            late_minutes=dict.fromkeys(LATE, minutes),
        )
        assert found.minutes[-1].desired == 2, minutes


def test_office_hours_raise_the_minimum_by_the_clock_of_their_zone(every_target: ServicePolicies) -> None:
    monday = datetime(2026, 7, 6, tzinfo=UTC)
    found = replay(every_target, steady(24 * 60, cpu=0.2), start=monday)
    # In summer 9 in Berlin is 7 in UTC; after 17 only the low step removes the third task.
    assert [(change.minute, change.after, change.by) for change in found.changes[:1]] == [
        (7 * 60, 3, "schedule office-start")
    ]
    assert [(change.after, change.by) for change in found.changes[1:]] == [(2, "step -1 at 30")]
    assert 15 * 60 <= found.changes[1].minute <= 15 * 60 + 5
    assert not found.flaps
    saturday = replay(every_target, steady(24 * 60, cpu=0.2), start=datetime(2026, 7, 11, tzinfo=UTC))
    assert not saturday.changes


def test_scaling_in_waits_for_the_end_of_a_release(policies: ServicePolicies) -> None:
    loads = [*steady(30, cpu=1.9).loads, *steady(40, range(40), cpu=0.3).loads, *steady(30, cpu=0.3).loads]
    found = replay(policies, LoadCurve("fall", "", tuple(loads)))
    removals = [change.minute for change in found.changes if change.after < change.before]
    assert removals[0] >= 70


def test_what_is_not_modelled_is_said_and_not_guessed(templates: Synthesize) -> None:
    template = dict(templates("prod").platform)

    def of_another_kind(resource_type: str, properties: dict[str, Any]) -> None:
        configuration = properties.get("TargetTrackingScalingPolicyConfiguration", {})
        if "PredefinedMetricSpecification" in configuration:
            configuration["PredefinedMetricSpecification"] = {
                "PredefinedMetricType": "ALBRequestCountPerTarget"
            }

    with pytest.raises(OpsError, match="target tracking of ALBRequestCountPerTarget is not modelled"):
        changed(template, of_another_kind)
    with pytest.raises(OpsError, match="'nope' is not scaled; allowed: "):
        scaling_policies.read(template, "nope")


def test_every_scaling_policy_of_a_template_is_replayed(with_every_target: dict[str, Any]) -> None:
    read = [
        scaling_policies.read(with_every_target, service)
        for service in scaling_policies.services_of(with_every_target)
    ]
    in_template = of_type(with_every_target, "AWS::ApplicationAutoScaling::ScalingPolicy").values()
    assert sorted(name for each in read for name in each.names) == sorted(
        policy["PolicyName"] for policy in in_template
    )


def write(folder: Path, text: str) -> str:
    file = folder / "load.csv"
    file.write_text(text)
    return str(file)


def test_load_between_two_points_changes_evenly_and_a_release_lasts_until_the_next(tmp_path: Path) -> None:
    text = "# Up.\nminute,release,cpu\n\n0, 1, 0\n2, 0, 1\n3, 0, 1\n"
    curve = load_curve.load(write(tmp_path, text))
    assert [load.cpu for load in curve.loads] == [0, 0.5, 1, 1]
    assert [load.release for load in curve.loads] == [True, True, False, False]
    assert (curve.name, curve.about) == ("load", "Up.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 points; at least 2 are needed"),
        ("minute,cpu\n0,1\n", "1 points; at least 2 are needed"),
        ("minute\n0\n1\n", "line 1: columns must be minute, cpu and any of requests, memory, release, not"),
        ("minute,cpu,cpu\n0,1,1\n", "line 1: columns must be"),
        ("minute,cpu,speed\n0,1,1\n", "line 1: columns must be .* not minute, cpu, speed"),
        ("minute,cpu\n0,1\n1\n", r"line 3: 1 values for 2 columns \(minute, cpu\)"),
        ("minute,cpu\n5,1\n6,1\n", "line 2: the first minute must be 0, not 5"),
        ("minute,cpu\n0,1\n0,1\n", "line 3: minute 0 must be above 0, the one before"),
        ("minute,cpu\n0,1\n1.5,1\n", r"line 3: minute '1\.5' is no whole number"),
        ("minute,cpu\n0,1\n99999,1\n", "line 3: minute 99999 is beyond 14 days"),
        ("minute,cpu\n0,1\n1,-1\n", "line 3: cpu '-1' is no number from 0 to 10000000"),
        ("minute,cpu\n0,1\n1,nan\n", "line 3: cpu 'nan' is no number"),
        ("minute,cpu,release\n0,1,yes\n1,1,0\n", "line 2: release 'yes' is not 0 or 1"),
    ],
)
def test_a_wrong_curve_is_one_line_that_names_file_line_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(OpsError, match=message) as caught:
        load_curve.load(file)
    assert str(caught.value).startswith(f"curve: {file}: ")
    assert "\n" not in str(caught.value)


def test_a_curve_that_is_not_there_is_told_with_the_built_in_ones() -> None:
    with pytest.raises(OpsError, match=r"^curve: nope\.csv: no such file; built-in curves are night, "):
        load_curve.load("nope.csv")


def flat(found: Replay) -> list[int]:
    return [minute.desired for minute in found.minutes]


def test_a_count_beyond_the_maximum_is_never_desired(policies: ServicePolicies) -> None:
    assert max(flat(replay(policies, steady(cpu=50)))) == 4
