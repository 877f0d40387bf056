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
METRICS = '{"_aws": {"Timestamp": 1}}'


def test_a_line_is_shown_by_its_parts_and_metrics_are_left_out(run: Run) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, ERROR, METRICS, "plain words"))
    shown = run(account, "logs", "customer").stdout.splitlines()
    assert len(shown) == 3
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d INFO    request route=/x status=200 trace=Root=1-2 task=00000000", shown[0]
    )
    assert re.fullmatch(r"\d\d:\d\d:\d\d ERROR   no database attempt=3 task=00000000", shown[1])
    assert shown[2].endswith(" plain words")
    assert account.calls["logs:FilterLogEvents"] == 2


def test_json_lines_keep_everything(run: Run) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, METRICS, "plain words"))
    found = [json.loads(line) for line in run(account, "logs", "customer", "--json").stdout.splitlines()]
    assert [each["event"] for each in found] == [json.loads(REQUEST), json.loads(METRICS), "plain words"]


def test_a_plain_text_is_searched_by_cloudwatch_another_one_here(run: Run) -> None:
    account = Platform().account(logs__FilterLogEvents=log_of(REQUEST, ERROR))
    shown = run(account, "logs", "customer", "--grep", "no database").stdout.splitlines()
    assert len(shown) == 1
    assert "filterPattern" not in account.requests("logs:FilterLogEvents")[0]
    run(account, "logs", "customer", "--grep", "Root=1-2")
    assert account.requests("logs:FilterLogEvents")[-1]["filterPattern"] == "%Root=1-2%"


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
