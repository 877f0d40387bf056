"""`scale`, `task run`, `migrate` and `exec`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.aws.session import Session
from ops.errors import OpsError
from ops.service import execute, one_off
from settings import load
from tests.ops.account import Account, noting, refusal
from tests.ops.conftest import Run
from tests.ops.platform import CLUSTER, ECS, Platform, ecs_name, task_definition


def scalable(platform: Platform, low: int = 2, high: int = 4) -> Account:
    def update(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        for record in platform.records.values():
            if record["serviceName"] == asked["service"]:
                record |= {"desiredCount": asked["desiredCount"], "runningCount": asked["desiredCount"]}
        return {}

    account = platform.account(
        ecs__UpdateService=update,
    )
    account.operations["application-autoscaling:DescribeScalableTargets"] = lambda asked: {
        "ScalableTargets": [
            {
                "ServiceNamespace": "ecs",
                "ResourceId": resource,
                "ScalableDimension": "ecs:service:DesiredCount",
                "MinCapacity": low,
                "MaxCapacity": high,
                "RoleARN": "arn:aws:iam::1:role/x",
                "CreationTime": 1,
            }
            for resource in asked["ResourceIds"]
        ]
    }
    return account


def test_scaling_sets_the_count_and_says_that_it_may_move_again(run: Run) -> None:
    account = scalable(Platform())
    shown = run(account, "scale", "customer", "3").stdout
    assert account.requests("ecs:UpdateService") == [
        {"cluster": CLUSTER, "service": ecs_name("customer"), "desiredCount": 3}
    ]
    assert "it adds and removes tasks by itself, from 2 to 4" in shown
    assert "customer: 3 of 3 tasks run" in shown
    (asked,) = account.requests("application-autoscaling:DescribeScalableTargets")
    assert asked["ResourceIds"] == [f"service/{CLUSTER}/{ecs_name('customer')}"]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_count_outside_of_the_bounds_is_refused_with_where_to_change_them(run: Run, count: int) -> None:
    account = scalable(Platform())
    with pytest.raises(OpsError) as caught:
        run(account, "scale", "customer", str(count))
    assert f"customer: {count} tasks is outside of 2 to 4" in str(caught.value)
    assert "services/customer/service.toml" in str(caught.value)
    assert account.calls["ecs:UpdateService"] == 0


def test_a_dry_run_changes_nothing(run: Run) -> None:
    account = scalable(Platform())
    assert run(account, "scale", "customer", "3", "--dry-run").stdout == (
        "would set customer from 2 to 3 tasks, of 2 to 4\n"
    )
    assert account.calls["ecs:UpdateService"] == 0


def test_nothing_is_scaled_while_the_stack_changes(run: Run) -> None:
    with pytest.raises(OpsError, match="is being changed"):
        run(scalable(Platform(statuses={"customer": "UPDATE_IN_PROGRESS"})), "scale", "customer", "3")


def test_a_service_without_a_scalable_target_is_told(run: Run) -> None:
    account = scalable(Platform())
    account.operations["application-autoscaling:DescribeScalableTargets"] = lambda asked: {
        "ScalableTargets": []
    }
    with pytest.raises(OpsError, match="customer has no scalable target"):
        run(account, "scale", "customer", "3")


class Tasks:
    """A task that runs for some looks, writes some lines, and ends."""

    def __init__(
        self, exit_code: int | None = 0, looks: int = 2, lines: tuple[str, ...] = ("a", "b", "c")
    ) -> None:
        self.exit_code, self.looks, self.lines = exit_code, looks, lines
        self.stopped: list[Mapping[str, Any]] = []
        self.arn = f"{ECS}:task/{CLUSTER}/{'e' * 32}"

    def account(self, platform: Platform) -> Account:
        account = platform.account(
            ecs__RunTask=lambda asked: {"tasks": [{"taskArn": self.arn}]},
            ecs__StopTask=noting(self.stopped, {}),
            logs__GetLogEvents=self._events,
        )
        account.operations["ecs:DescribeTasks"] = self._look
        return account

    def _look(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        self.looks -= 1
        container: dict[str, Any] = {"name": "employee", "lastStatus": "RUNNING"}
        ended = self.looks <= 0
        if ended and self.exit_code is not None:
            container["exitCode"] = self.exit_code
        state = {"lastStatus": "STOPPED", "stoppedReason": "Essential container in task exited"}
        return {
            "tasks": [
                {
                    "taskArn": self.arn,
                    "lastStatus": "RUNNING",
                    "containers": [container],
                    **(state if ended else {}),
                }
            ]
        }

    def _events(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert asked["logGroupName"] == "/suppliers-dev/employee"
        assert asked["logStreamName"] == f"employee/employee/{'e' * 32}"
        start = int(asked.get("nextToken", "f/0")[2:])
        if self.looks == 1:
            raise refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        new = self.lines[start : start + 2]
        return {
            "events": [{"message": line, "timestamp": 1} for line in new],
            "nextForwardToken": f"f/{start + len(new)}",
        }


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_off, "_POLL_SECONDS", 0)
    monkeypatch.setattr(one_off, "_LATE_SECONDS", 0.05)


@pytest.mark.parametrize("status", [0, 3, 137])
def test_a_one_off_task_passes_on_its_output_and_its_exit_status(run: Run, status: int) -> None:
    account = Tasks(status).account(Platform())
    done = run(account, "task", "run", "employee", "--", "python", "-c", "print(1)", "--env")
    assert done.exit_code == status
    assert done.stdout.splitlines() == ["a", "b", "c"]
    (asked,) = account.requests("ecs:RunTask")
    assert asked["taskDefinition"] == task_definition("employee", 7)
    assert asked["overrides"]["containerOverrides"] == [
        {"name": "employee", "command": ["python", "-c", "print(1)", "--env"]}
    ]
    assert asked["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] == ["sg-1"]


def test_a_task_that_never_started_its_container_is_told_with_the_reason(run: Run) -> None:
    with pytest.raises(OpsError, match="ended without an exit status: Essential container in task exited"):
        run(Tasks(None).account(Platform()), "task", "run", "employee", "--", "true")


def test_a_task_that_ecs_does_not_start_is_told_with_the_reason(run: Run) -> None:
    account = Tasks().account(Platform())
    account.operations["ecs:RunTask"] = lambda asked: {
        "tasks": [],
        "failures": [{"arn": "x", "reason": "RESOURCE:MEMORY"}],
    }
    with pytest.raises(OpsError, match="the task was not started: x RESOURCE:MEMORY"):
        run(account, "task", "run", "employee", "--", "true")


def test_interrupting_stops_the_task(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(one_off, "_follow", interrupted)
    tasks = Tasks()
    done = run(tasks.account(Platform()), "task", "run", "employee", "--", "sleep", "600")
    assert done.exit_code == 130
    assert [asked["task"] for asked in tasks.stopped] == [tasks.arn]


def test_migrating_runs_the_newest_preparation_in_the_network_of_the_service(run: Run) -> None:
    account = Tasks().account(Platform())
    assert run(account, "migrate").exit_code == 0
    (asked,) = account.requests("ecs:RunTask")
    assert asked["taskDefinition"] == task_definition("employee-prepare", 3)
    assert asked["overrides"] == {"containerOverrides": [{"name": "employee"}]}


def test_a_failed_migration_passes_its_exit_status_on(run: Run) -> None:
    assert run(Tasks(4).account(Platform()), "migrate").exit_code == 4


def test_a_service_without_a_schema_is_not_migrated(run: Run) -> None:
    with pytest.raises(OpsError, match=r"customer owns no schema .*; allowed: employee"):
        run(Tasks().account(Platform()), "migrate", "customer")


def with_exec(platform: Platform, agent: str | None = "RUNNING") -> Platform:
    for task in platform.tasks:
        task["enableExecuteCommand"] = True
        task["containers"][0]["managedAgents"] = (
            [{"name": "ExecuteCommandAgent", "lastStatus": agent}] if agent else []
        )
    return platform


def test_exec_says_when_it_is_off(run: Run) -> None:
    with pytest.raises(OpsError, match=r"ECS Exec is off for task .*: set exec = true under \[access\]"):
        run(Platform().account(), "exec", "customer")


@pytest.mark.parametrize("agent", ["STOPPED", None])
def test_exec_says_when_its_agent_does_not_run(run: Run, agent: str | None) -> None:
    with pytest.raises(OpsError, match="its root file system is read-only"):
        run(with_exec(Platform(), agent).account(), "exec", "customer")


def test_exec_says_when_the_plugin_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        OpsError, match="session-manager-plugin is not installed on this machine: https://docs"
    ):
        run(with_exec(Platform()).account(), "exec", "customer")


def test_exec_hands_the_session_to_the_plugin_and_passes_its_status_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plugin = tmp_path / "session-manager-plugin"
    plugin.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/asked\nexit 9\n')
    plugin.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    account = with_exec(Platform()).account(
        ecs__ExecuteCommand=lambda asked: {
            "session": {"sessionId": "s", "streamUrl": "wss://x", "tokenValue": "t"}
        }
    )
    done = run(account, "exec", "customer", "--task", "0000", "--", "python", "-c", "print('a b')")
    assert done.exit_code == 9
    (asked,) = account.requests("ecs:ExecuteCommand")
    assert asked["command"] == """python -c 'print('"'"'a b'"'"')'"""
    given = (tmp_path / "asked").read_text().splitlines()
    assert json.loads(given[0])["tokenValue"] == "t"
    assert given[1:4] == ["us-east-1", "StartSession", ""]
    task = asked["task"].rpartition("/")[2]
    assert json.loads(given[4]) == {"Target": f"ecs:{CLUSTER}_{task}_{task}-1"}


def test_a_task_that_does_not_run_is_told(run: Run) -> None:
    with pytest.raises(OpsError, match="no task of customer whose id begins with zzz runs"):
        run(Platform().account(), "exec", "customer", "--task", "zzz")


def test_what_exec_needs_is_checked_on_the_task_not_on_the_service() -> None:
    platform = with_exec(Platform())
    session = Session(load("dev"), platform.account())
    execute.refuse_unless_possible(session, platform.tasks[0])
