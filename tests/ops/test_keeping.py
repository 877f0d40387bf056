"""Alarms with their runbook, secrets and their rotation, backups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from ops.deployment import backups
from ops.errors import OpsError
from ops.service import secrets
from tests.ops.account import ACCOUNT, REGION, Account
from tests.ops.conftest import Run
from tests.ops.platform import NOW, Platform

SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
ALARM = {
    "AlarmName": "suppliers-dev-customer-SlowAnswers",
    "StateValue": "ALARM",
    "StateUpdatedTimestamp": NOW,
    "StateReason": "Threshold Crossed: 2 datapoints",
    "AlarmDescription": "customer answers slowly. Runbook: https://example.org/runbook.md#slow-answers",
}


def test_alarms_in_alarm_come_first_with_reason_and_runbook(run: Run) -> None:
    platform = Platform()
    well = {**ALARM, "AlarmName": "suppliers-dev-a", "StateValue": "OK"}
    platform.alarms = [
        well,
        ALARM,
        {**well, "AlarmName": "suppliers-dev-b", "StateValue": "INSUFFICIENT_DATA"},
    ]
    account = platform.account()
    told = json.loads(run(account, "alarms", "--json").stdout)
    assert [each["state"] for each in told] == ["ALARM", "INSUFFICIENT_DATA", "OK"]
    assert told[0]["says"] == "customer answers slowly."
    assert told[0]["runbook"] == "https://example.org/runbook.md#slow-answers"
    shown = run(account, "alarms").stdout
    assert "suppliers-dev-customer-SlowAnswers: Threshold Crossed: 2 datapoints" in shown
    only = run(account, "alarms", "--firing").stdout
    assert "customer-SlowAnswers" in only
    assert "INSUFFICIENT_DATA" not in only
    platform.alarms = [well]
    assert run(platform.account(), "alarms", "--firing").stdout == "dev: no alarm is firing\n"


def keeping(**operations: Any) -> Account:
    """The platform with two secrets, of which one rotates."""
    account = Platform().account()

    def resources(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        names = (
            ("CustomerUserSecret0123ABCD", "Login89ABCDEF") if asked["StackName"].endswith("-data") else ()
        )
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": f"{SECRET}{name}",
                    "ResourceType": kind,
                    "ResourceStatus": "CREATE_COMPLETE",
                    "LastUpdatedTimestamp": NOW,
                }
                for name in names
                for kind in ("AWS::SecretsManager::Secret", "AWS::SecretsManager::RotationSchedule")
            ]
        }

    def secret(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        rotates = "CustomerUser" in asked["SecretId"]
        return {
            "ARN": asked["SecretId"],
            "Name": "x",
            "LastChangedDate": NOW,
            **({"RotationEnabled": True, "LastRotatedDate": NOW} if rotates else {}),
        }

    account.operations.update(
        {
            "cloudformation:ListStackResources": resources,
            "secretsmanager:DescribeSecret": secret,
            **{name.replace("_", ":"): answer for name, answer in operations.items()},
        }
    )
    return account


def test_secrets_are_listed_without_what_they_hold(run: Run) -> None:
    account = keeping()
    found = json.loads(run(account, "secrets", "list", "--json").stdout)
    assert [(each["name"], each["rotates"]) for each in found] == [
        ("CustomerUserSecret", True),
        ("Login", False),
    ]
    shown = run(account, "secrets", "list").stdout
    assert "does not rotate" in shown
    assert account.calls["secretsmanager:GetSecretValue"] == 0


def test_a_rotation_is_over_when_the_new_version_is_current(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = iter([["AWSPENDING"], ["AWSPENDING"], ["AWSCURRENT", "AWSPENDING"]])
    account = keeping(secretsmanager_RotateSecret=lambda asked: {"VersionId": "v" * 32})
    described = account.operations["secretsmanager:DescribeSecret"]

    def rotating(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        started = account.calls["secretsmanager:RotateSecret"]
        return {**described(asked), **({"VersionIdsToStages": {"v" * 32: next(stages)}} if started else {})}

    account.operations["secretsmanager:DescribeSecret"] = rotating
    monkeypatch.setattr(secrets, "_POLL_SECONDS", 0.0)
    assert run(account, "secrets", "rotate", "Customer").stdout == "CustomerUserSecret: rotated\n"
    assert next(stages, None) is None
    assert account.requests("secretsmanager:RotateSecret") == [
        {"SecretId": f"{SECRET}CustomerUserSecret0123ABCD"}
    ]


def test_a_rotation_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    account = keeping(secretsmanager_RotateSecret=lambda asked: {"VersionId": "v" * 32})
    monkeypatch.setattr(secrets, "_LIMIT_SECONDS", 0.0)
    described = account.operations["secretsmanager:DescribeSecret"]
    pending = {"VersionIdsToStages": {"v" * 32: ["AWSPENDING"]}}
    account.operations["secretsmanager:DescribeSecret"] = lambda asked: {**described(asked), **pending}
    with pytest.raises(OpsError, match="dev: CustomerUserSecret: the new version is still pending"):
        run(account, "secrets", "rotate", "CustomerUserSecret")


@pytest.mark.parametrize("name", ["Nobody", "Login"])
def test_only_what_rotates_can_be_rotated(run: Run, name: str) -> None:
    with pytest.raises(
        OpsError, match=rf"dev: '{name}' is no secret that rotates; those that rotate: CustomerUserSecret"
    ):
        run(keeping(), "secrets", "rotate", name)


def test_backups_are_listed_with_the_moments_that_can_be_restored(run: Run) -> None:
    def snapshots(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        taken = NOW - timedelta(days={"automated": 1, "manual": 0, "awsbackup": 2}[asked["SnapshotType"]])
        made = {"Status": "available", "AllocatedStorage": 20, "SnapshotType": asked["SnapshotType"]}
        name = {"DBSnapshotIdentifier": f"a-{asked['SnapshotType']}"}
        return {
            "DBSnapshots": [{**made, **name, "SnapshotCreateTime": taken}, {**made, "Status": "creating"}]
        }

    window = {"EarliestTime": NOW - timedelta(days=7), "LatestTime": NOW}
    account = keeping(
        rds_DescribeDBSnapshots=snapshots,
        rds_DescribeDBInstanceAutomatedBackups=lambda asked: {
            "DBInstanceAutomatedBackups": [{"RestoreWindow": window}]
        },
    )
    found = json.loads(run(account, "backups", "--json").stdout)
    assert [each["name"] for each in found["backups"]] == ["a-manual", "a-automated", "a-awsbackup"]
    assert len(found["any_moment"]) == 2
    shown = run(account, "backups").stdout
    assert "any moment from 2026-11-13" in shown


def test_without_backups_it_is_told_how_to_make_one(run: Run) -> None:
    account = keeping(
        rds_DescribeDBSnapshots=lambda asked: {"DBSnapshots": []},
        rds_DescribeDBInstanceAutomatedBackups=lambda asked: {"DBInstanceAutomatedBackups": []},
    )
    assert run(account, "backups").stdout == "dev: has no backups: `suppliers backup --env dev` makes one\n"


def test_dumps_of_the_emulator_are_those_of_this_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(backups, "FOLDER", tmp_path)
    for name in ("local-20260101-000000", "dev-20260101-000000"):
        (tmp_path / f"{name}.sql").write_text("x")
    session = type("Session", (), {"name": "local", "instance": object()})
    assert [each.name for each in backups.read(session)] == [str(tmp_path / "local-20260101-000000.sql")]  # type: ignore[arg-type]
