"""`tasks`, `logs` and `listeners`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.errors import OpsError
from ops.service import logs
from tests.ops.conftest import Run
from tests.ops.platform import NOW, Platform, task_definition


def test_tasks_are_read_a_hundred_at_a_time_and_told_with_zone_address_and_version(run: Run) -> None:
    platform = Platform(page_size=100)
    platform.tasks = [
        platform.task("customer", f"{number:032x}", "us-east-1a", revision=6 + number % 2)
        for number in range(150)
    ]
    account = platform.account()
    found = json.loads(run(account, "tasks", "--json").stdout)
    assert len(found) == 150
    assert {row["version"] for row in found} == {"customer-six", "customer-seven"}
    assert found[0]["address"] == "10.0.1.17"
    assert account.calls["ecs:ListTasks"] == 2
    assert account.calls["ecs:DescribeTasks"] == 2
    assert account.calls["ecs:DescribeTaskDefinition"] == 2


def test_tasks_of_one_service_are_asked_for_alone(run: Run) -> None:
    account = Platform().account()
    found = json.loads(run(account, "tasks", "employee", "--json").stdout)
    assert {row["service"] for row in found} == {"employee"}
    assert account.calls["ecs:ListTasks"] == 1


def test_a_stopped_task_tells_why_and_a_one_off_task_its_family(run: Run) -> None:
    platform = Platform()
    task = platform.task("employee", "f" * 32, "us-east-1a")
    task |= {
        "group": "family:suppliers-dev-employee-prepare",
        "taskDefinitionArn": task_definition("employee-prepare", 3),
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "stoppedReason": "Essential container in task exited",
        "createdAt": NOW + timedelta(minutes=5),
    }
    task["containers"][0] |= {"exitCode": 3, "reason": "OutOfMemoryError"}
    platform.tasks.append(task)
    first, *others = json.loads(run(platform.account(), "tasks", "--stopped", "--json").stdout)
    assert (first["service"], first["family"]) == (None, "suppliers-dev-employee-prepare:3")
    assert first["ended"] == "Essential container in task exited; OutOfMemoryError (exit status 3)"
    assert [row["ended"] for row in others] == [None] * 4
    assert "OutOfMemoryError" in run(platform.account(), "tasks", "--stopped").stdout


def test_no_tasks_are_said_to_be_none(run: Run) -> None:
    platform = Platform()
    platform.tasks = []
    assert run(platform.account(), "tasks").stdout == "no tasks\n"


def log_of(*messages: str) -> Any:
    """A log group that holds these lines, two a page."""
    events = [
        {
            "eventId": str(number),
            "timestamp": 1_795_308_000_000 + number,
            "message": message,
            "logStreamName": f"customer/customer/{number:032x}",
        }
        for number, message in enumerate(messages)
    ]

    def handler(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        start = int(asked.get("nextToken", 0))
        found: dict[str, Any] = {"events": events[start : start + 2]}
        if start + 2 < len(events):
            found["nextToken"] = str(start + 2)
        return found

    return handler


REQUEST = json.dumps(
    {"time": 1, "level": "INFO", "message": "request", "service": "customer", "route": "/x", "status": 200,
     "trace": "Root=1-2"}
)  # fmt: skip
ERROR = json.dumps({"level": "ERROR", "message": "no database", "attempt": 3})
HEALTH = json.dumps({"level": "INFO", "message": "request", "route": "/", "status": 200, "trace": ""})
MOMENT = r"2026-11-2\d \d\d:\d\d:\d\d \S+"
METRICS = '{"_aws": {"Timestamp": 1}}'


def test_a_line_is_shown_by_its_parts_and_metrics_are_left_out(run: Run) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, ERROR, METRICS, "plain words"))
    shown = run(account, "logs", "customer").stdout.splitlines()
    assert len(shown) == 3
    assert re.fullmatch(
        MOMENT + r" INFO    request route=/x status=200 trace=Root=1-2 task=00000000", shown[0]
    )
    assert re.fullmatch(MOMENT + r" ERROR   no database attempt=3 task=00000000", shown[1])
    assert shown[2].endswith(" plain words")
    assert account.calls["logs:FilterLogEvents"] == 2


def test_json_lines_keep_everything(run: Run) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, METRICS, "plain words"))
    found = [json.loads(line) for line in run(account, "logs", "customer", "--json").stdout.splitlines()]
    assert [each["event"] for each in found] == [json.loads(REQUEST), json.loads(METRICS), "plain words"]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("no database", None),
        ("attempt=3", None),
        # Of a task's id, or of a time.
        ("0000", None),
        ("ERROR", "%ERROR%"),
    ],
)
def test_the_line_that_is_shown_is_searched_by_cloudwatch_where_it_finds_as_much(
    run: Run, text: str, pattern: str | None
) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, ERROR, METRICS))
    shown = run(account, "logs", "customer", "--grep", text).stdout.splitlines()
    assert any("no database attempt=3" in line for line in shown)
    assert len(shown) == (2 if text == "0000" else 1)
    assert account.requests("logs:FilterLogEvents")[0].get("filterPattern") == pattern


def test_that_nothing_matches_is_said(run: Run) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST))
    done = run(account, "logs", "customer", "--since", "2h", "--grep", "status=503")
    assert done.stdout == ""
    assert done.stderr == "no line holds 'status=503' since 2h ago, of customer\n"


def test_health_checks_come_when_asked_for(run: Run) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, HEALTH))
    assert len(run(account, "logs", "customer").stdout.splitlines()) == 1
    assert len(run(account, "logs", "customer", "--health-checks").stdout.splitlines()) == 2


def test_several_services_come_in_one_order_by_name(run: Run) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, ERROR))
    account.operations["logs:FilterLogEvents"] = lambda asked: {
        "events": [
            {
                "eventId": f"{asked['logGroupName']}{number}",
                "timestamp": 1_795_308_000_000 + number * 2 + asked["logGroupName"].endswith("employee"),
                "message": f"line {number}",
                "logStreamName": f"x/x/{number}abc",
            }
            for number in range(2)
        ]
    }
    shown = run(account, "logs", "customer", "employee").stdout.splitlines()
    assert [line.split()[3] for line in shown] == ["customer", "employee", "customer", "employee"]
    assert [line[-1] for line in shown] == ["0", "0", "1", "1"]
    assert [line[-1] for line in run(account, "logs", "customer", "-n", "1").stdout.splitlines()] == ["1"]
    assert [line[-1] for line in run(account, "logs", "customer", "--task", "0a").stdout.splitlines()] == [
        "0"
    ]


def test_until_ends_the_time_that_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "time", SimpleNamespace(time=lambda: 1_795_308_000.0))
    account = Platform().account(logs__FilterLogEvents=log_of())
    run(account, "logs", "customer", "--since", "2h", "--until", "1h")
    (asked,) = account.requests("logs:FilterLogEvents")
    assert (asked["startTime"], asked["endTime"]) == (1_795_300_800_000, 1_795_304_400_000)
    assert run(account, "logs", "customer", "--until", "1h", "--follow").exit_code == 2


def test_following_shows_each_line_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([None, None])

    def sleep(seconds: float) -> None:
        if next(looks, "end") == "end":
            raise KeyboardInterrupt

    # Long before the lines, so that all of them are within the time in which lines may come late.
    monkeypatch.setattr(logs, "time", SimpleNamespace(sleep=sleep, time=lambda: 1_795_308_000.0))
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, ERROR))
    done = run(account, "logs", "customer", "--follow")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 2
    assert account.calls["logs:FilterLogEvents"] == 3


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "5 m", "1w", "1.5h"])
def test_a_wrong_duration_is_one_line(text: str) -> None:
    with pytest.raises(OpsError, match="allowed: a number with s, m, h or d, such as 10m"):
        logs.duration(text)


def test_durations() -> None:
    assert [logs.duration(text) for text in ("30s", "10m", "2h", "1d")] == [30, 600, 7200, 86400]


def test_listeners_show_each_rule_and_the_side_that_is_live(run: Run) -> None:
    platform = Platform()
    platform.live["customer"] = {"blue": 50, "green": 50}
    found = json.loads(run(platform.account(), "listeners", "--json").stdout)
    assert [row["listener"] for row in found].count("test") == 3
    employee, customer, default = found[:3]
    assert employee["conditions"] == "path /admin*; from 10.0.0.0/16"
    assert employee["leads_to"] == "employee blue"
    assert customer["leads_to"] == "customer blue 50 %, green 50 %"
    assert (default["priority"], default["leads_to"]) == ("default", "answer 404")
    assert "customer blue 50 %, green 50 %" in run(platform.account(), "listeners").stdout


def test_listeners_before_and_after_a_release(run: Run, tmp_path: Path) -> None:
    platform = Platform()
    before = tmp_path / "before.json"
    before.write_text(run(platform.account(), "listeners", "--json").stdout)
    same = run(platform.account(), "listeners", "--compare", str(before)).stdout
    assert same == "every rule leads where it led before\n"
    platform.live["customer"] = {"green": 1}
    changed = json.loads(run(platform.account(), "listeners", "--compare", str(before), "--json").stdout)
    assert [(row["listener"], row["priority"], row["before"], row["now"]) for row in changed] == [
        ("production", "200", "customer blue", "customer green"),
        ("test", "200", "customer blue", "customer green"),
    ]


@pytest.mark.parametrize("content", ["{", "[1]", '[{"a": 1}]'])
def test_a_file_that_is_no_saved_listeners_is_one_line(run: Run, tmp_path: Path, content: str) -> None:
    file = tmp_path / "before.json"
    file.write_text(content)
    with pytest.raises(OpsError, match="is not what `suppliers listeners --json` writes"):
        run(Platform().account(), "listeners", "--compare", str(file))
