from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from ops.errors import OpsError
from ops.load import command as load
from ops.load.command import Plan, Preset, Result, Round, exceeded, plan_of
from ops.load.strength import Counts
from tests.ops import virtual_time
from tests.ops.virtual_time import Application

NOTHING: dict[str, Any] = dict.fromkeys(
    ("path", "requests", "concurrency", "rate", "duration", "rounds", "timeout")
)


def plan(preset: Preset | None = None, **given: Any) -> Plan:
    return plan_of(preset, **{**NOTHING, **given})


def result(plan: Plan = Plan()) -> Result:  # noqa: B008
    return Result(plan, "http://suppliers.example.com")


async def two_tasks() -> Mapping[str, Counts]:
    return {"customer": Counts(2, 2, 0)}


def run(application: Application, made: Result, **given: Any) -> Result:
    virtual_time.run(load.run(application, made, **{"watch": two_tasks, **given}))
    return made


def test_presets_are_what_the_help_says() -> None:
    assert str(plan(Preset.BASIC)) == "1000 requests, 50 at once, to /"
    assert str(plan(Preset.SCALE)) == "5 rounds of 5000 requests, 100 at once, to /"
    assert plan() == plan(Preset.BASIC)


def test_options_change_a_preset() -> None:
    changed = plan(Preset.SCALE, path="/suppliers", rounds=2)
    assert str(changed) == "2 rounds of 5000 requests, 100 at once, to /suppliers"


def test_a_duration_ends_a_round_unless_a_number_of_requests_does_so_first() -> None:
    assert str(plan(duration="5m", rate=20.0)) == "300 s, 20 a second, to /"
    both = plan(duration="10s", requests=50)
    assert both.ends(0.0, 50)
    assert both.ends(10.0, 3)
    assert not both.ends(9.9, 49)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rate": 5.0, "concurrency": 2}, "--rate and --concurrency"),
        ({"path": "suppliers"}, "--path suppliers: a path begins with /"),
        ({"duration": "5 minutes"}, "--duration 5 minutes: a time above 0"),
        ({"duration": "0s"}, "--duration 0s: a time above 0"),
    ],
)
def test_what_contradicts_itself_is_one_line(given: Mapping[str, Any], told: str) -> None:
    with pytest.raises(OpsError) as raised:
        plan(**given)
    assert str(raised.value).startswith(told)
    assert "\n" not in str(raised.value)


def test_every_round_sends_what_was_asked_for() -> None:
    made = run(Application(), result(Plan(requests=120, concurrency=10, rounds=3)))
    assert [each.requests for each in made.rounds] == [120, 120, 120]
    assert [each.seconds for each in made.rounds] == [pytest.approx(0.12)] * 3
    assert made.per_second == pytest.approx(1000)
    assert (made.requests, made.failed, len(made.answers)) == (360, 0, 360)


def test_failures_are_counted_by_kind_and_are_no_answers() -> None:
    def failure(now: float, request: object) -> str | None:
        return "HTTP 503" if 1 <= now < 2 else "timeout" if 3 <= now < 3.5 else None

    made = run(
        Application(failure=failure), result(Plan(requests=None, seconds=10, rate=20, path="/suppliers"))
    )
    assert made.failures == {"HTTP 503": 20, "timeout": 10}
    assert (made.requests, made.failed, len(made.answers)) == (200, 30, 170)


def test_task_counts_are_told_when_they_change() -> None:
    async def growing() -> Mapping[str, Counts]:
        now = asyncio.get_running_loop().time()
        return {"customer": Counts(2, 2, 0) if now < 30 else Counts(4, 3, 1) if now < 60 else Counts(4, 4, 0)}

    made = run(Application(), result(Plan(requests=None, seconds=120, rate=2)), watch=growing)
    assert [(round(seen.at), seen.services["customer"].running) for seen in made.timeline] == [
        (0, 2),
        (30, 3),
        (60, 4),
    ]


def test_a_load_goes_on_where_the_tasks_cannot_be_seen_and_says_so() -> None:
    async def refused() -> Mapping[str, Counts]:
        raise OpsError("prod: you may not do ecs:DescribeServices")

    made = run(Application(), result(Plan(requests=50, concurrency=5)), watch=refused)
    assert made.requests == 50
    assert made.unseen == "prod: you may not do ecs:DescribeServices"


def test_a_path_that_does_not_answer_is_refused_before_the_load() -> None:
    made = result()
    application = Application(failure=lambda now, request: "HTTP 404")
    with pytest.raises(OpsError, match=r"http://suppliers\.example\.com/ "):
        run(application, made)
    assert len(application.sent) == 1


def test_an_interrupted_round_is_told_as_far_as_it_came() -> None:
    made = result(Plan(requests=None, seconds=1000, rate=10))

    async def interrupted() -> None:
        task = asyncio.create_task(load.run(Application(), made, watch=two_tasks))
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_time.run(interrupted())
    assert 48 <= made.requests <= 51


def answered(*milliseconds: float, failed: int = 0) -> Result:
    made = result()
    took = [each / 1000 for each in milliseconds]
    made.rounds.append(Round(len(took) + failed, failed, 1.0, {"timeout": failed} if failed else {}, took, 0))
    return made


@pytest.mark.parametrize(
    ("made", "limits", "told"),
    [
        (answered(10, 20), {"max_failed": 0, "max_p95": None}, []),
        (answered(10, failed=1), {"max_failed": 0, "max_p95": None}, ["1 requests failed, allowed: 0"]),
        (answered(10, failed=1), {"max_failed": 1, "max_p95": 10}, []),
        (answered(10, 250), {"max_failed": 0, "max_p95": 249}, ["p95 is 250 ms, allowed: 249 ms"]),
        (answered(failed=3), {"max_failed": 3, "max_p95": 100}, ["p95 is -, allowed: 100 ms"]),
    ],
)
def test_limits_hold_or_are_told(made: Result, limits: Mapping[str, Any], told: list[str]) -> None:
    assert exceeded(made, **limits) == told


def test_the_document_is_json_with_times_in_milliseconds() -> None:
    made = run(Application(), result(Plan(requests=100, concurrency=10)))
    document = json.loads(json.dumps(load.document(made)))
    assert document["milliseconds"] == dict.fromkeys(("p50", "p90", "p95", "p99", "max"), 10.0)
    assert sum(bar["count"] for bar in document["histogram"]) == 100
    assert document["tasks"] == [
        {"second": 0.0, "services": {"customer": {"desired": 2, "running": 2, "pending": 0}}}
    ]
