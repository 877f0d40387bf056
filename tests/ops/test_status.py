from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from ops.aws.session import Session, operating
from ops.deployed import deployment, live
from ops.errors import OpsError
from ops.service import status
from settings import load
from tests.ops.account import refuse, signed_in
from tests.ops.conftest import Run
from tests.ops.platform import NOW, Platform, group, task_definition

# A round trip to AWS that a person would call slow.
LATENCY = 0.1


def test_status_tells_tasks_version_side_targets_database_alarms_and_release(run: Run) -> None:
    platform = Platform()
    platform.live["customer"] = {"green": 1}
    platform.health[group("customer", "green")] = platform.health[group("customer", "blue")]
    platform.alarms[0]["StateValue"] = "ALARM"
    found = json.loads(run(platform.account(), "status", "--json").stdout)
    customer, employee = found["services"]
    assert {key: customer[key] for key in ("desired", "running", "pending", "version", "live")} == {
        "desired": 2,
        "running": 2,
        "pending": 0,
        "version": "customer-seven",
        "live": "green",
    }
    assert customer["targets"] == {"us-east-1a": {"healthy": 1}, "us-east-1b": {"healthy": 1}}
    assert employee["live"] == "blue"
    assert (employee["release"], employee["release_state"]) == ("d-EMPLOYEE7", "complete")
    assert found["database"]["standby"] == "us-east-1b"
    assert found["alarms"] == {"ALARM": 1, "OK": 9}
    assert found["alarms_firing"] == ["suppliers-dev-observability-customer-ServerErrors"]
    assert set(found["stacks"].values()) == {"UPDATE_COMPLETE"}


def test_status_tells_how_a_read_replica_is(run: Run) -> None:
    platform = Platform()
    platform.database["ReadReplicaDBInstanceIdentifiers"] = ["suppliers-dev-data-replica"]
    found = json.loads(run(platform.account(), "status", "--json").stdout)
    assert found["database"]["replicas"] == {"suppliers-dev-data-replica": "available"}
    assert "read replica available" in " ".join(run(platform.account(), "status").stdout.split())


def test_status_for_people_says_the_same(run: Run) -> None:
    platform = Platform()
    platform.records["customer"]["runningCount"] = 1
    platform.records["customer"]["pendingCount"] = 1
    platform.health[group("customer", "blue")][0]["TargetHealth"]["State"] = "unhealthy"
    platform.alarms[0]["StateValue"] = "ALARM"
    shown = run(platform.account(), "status").stdout
    for text in (
        "1 of 2, 1 pending",
        "customer-seven",
        "us-east-1a 1 unhealthy; us-east-1b 1 healthy",
        "mysql 8.4.9, db.t4g.small, in us-east-1a, standby in us-east-1b",
        "1 ALARM, 9 OK",
        "suppliers-dev-observability-customer-ServerErrors",
    ):
        assert text in shown, shown


def test_status_during_a_release_shows_both_versions_and_the_share_of_the_traffic(run: Run) -> None:
    platform = Platform()
    old = platform.records["customer"]["taskSets"][0]
    platform.records["customer"]["taskSets"].append(
        {
            **old,
            "id": "ecs-svc/new",
            "status": "ACTIVE",
            "externalId": "d-NEW",
            "taskDefinition": task_definition("customer", 8),
            "createdAt": NOW + timedelta(minutes=1),
        }
    )
    platform.versions[task_definition("customer", 8)] = "customer-eight"
    platform.live["customer"] = {"blue": 9, "green": 1}
    platform.health[group("customer", "green")] = [platform.target("10.0.9.9", "us-east-1c", "initial")]
    (customer, _) = json.loads(run(platform.account(), "status", "--json").stdout)["services"]
    assert customer["live"] == "blue 90 %, green 10 %"
    assert (customer["version"], customer["releasing"]) == ("customer-seven", "customer-eight")
    assert (customer["release"], customer["release_state"]) == ("d-NEW", "under way")
    assert customer["targets"]["us-east-1c"] == {"initial": 1}


def test_status_of_a_rolling_release_names_the_version_that_is_complete(run: Run) -> None:
    platform = Platform(controller="ECS")
    record = platform.records["customer"]
    record["deployments"][0]["status"] = "ACTIVE"
    record["deployments"].insert(
        0,
        {
            "id": "ecs-svc/new",
            "status": "PRIMARY",
            "rolloutState": "IN_PROGRESS",
            "taskDefinition": task_definition("customer", 8),
            "createdAt": NOW,
        },
    )
    record["taskDefinition"] = task_definition("customer", 8)
    (customer, _) = json.loads(run(platform.account(), "status", "--json").stdout)["services"]
    assert (customer["version"], customer["releasing"]) == ("customer-seven", "customer-8")


def test_fifty_services_are_asked_for_at_once_and_not_more_often_than_needed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = [f"service-{number:02d}" for number in range(50)]
    parts = ("network", "data", "compute", *services, "delivery", "observability")
    monkeypatch.setattr(deployment, "parts", lambda _: parts)
    account = Platform(services=services).account(latency=LATENCY)
    found = json.loads(run(account, "status", "--json").stdout)
    assert len(found["services"]) == 50
    assert account.calls == {
        "cloudformation:DescribeStacks": 55,
        # Ten services a request.
        "ecs:DescribeServices": 5,
        # Neither of these takes more than one; the idle sides are left out.
        "ecs:DescribeTaskDefinition": 50,
        "elbv2:DescribeTargetHealth": 50,
        "elbv2:DescribeRules": 1,
        "rds:DescribeDBInstances": 1,
        # A hundred alarms a page.
        "cloudwatch:DescribeAlarms": 3,
    }
    # One after the other they would be 165 round trips.
    assert account.most_at_once[1] >= 16


def test_a_stack_that_is_half_deployed_is_told_with_the_remedy_and_the_rest_is_shown(run: Run) -> None:
    platform = Platform(statuses={"compute": "UPDATE_ROLLBACK_FAILED", "observability": "ROLLBACK_COMPLETE"})
    shown = run(platform.account(), "status").stdout
    assert "aws cloudformation continue-update-rollback --stack-name suppliers-dev-compute" in shown
    assert "suppliers-dev-observability (ROLLBACK_COMPLETE): failed to be created" in shown
    assert "customer-seven" in shown


def test_without_compute_there_are_no_services_and_no_calls_for_them(run: Run) -> None:
    account = Platform(statuses={"compute": "ROLLBACK_COMPLETE"}).account()
    found = json.loads(run(account, "status", "--json").stdout)
    assert found["services"] == []
    assert not [name for name in account.calls if name.startswith(("ecs:", "elbv2:"))]


def test_nothing_deployed_is_one_line_that_names_the_account() -> None:
    account = Platform(statuses=dict.fromkeys(deployment.parts(load("dev")), "NOT_DEPLOYED")).account()
    with pytest.raises(OpsError) as caught:
        deployment.read(Session(load("dev"), account))
    assert str(caught.value) == (
        "dev: nothing is deployed in account 111122223333, us-east-1: choose another account (AWS_PROFILE=...), "
        "or `make deploy ENV=dev`"
    )


def test_a_missing_permission_is_one_line(run: Run) -> None:
    account = Platform().account()
    account.operations["rds:DescribeDBInstances"] = refuse(
        "AccessDenied",
        "User: arn:aws:iam::111122223333:user/reader is not authorized to perform: rds:DescribeDBInstances on "
        "resource: arn:aws:rds:us-east-1:111122223333:db:x because no identity-based policy allows it",
    )
    with pytest.raises(OpsError) as caught:
        run(account, "status")
    assert str(caught.value) == (
        "dev: arn:aws:iam::111122223333:user/reader may not do rds:DescribeDBInstances on "
        "arn:aws:rds:us-east-1:111122223333:db:x: ask an administrator for this permission, or choose another "
        "role (AWS_PROFILE=...)"
    )


def test_watching_asks_for_each_task_definition_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([None, None])

    def sleep(seconds: float) -> None:
        if next(looks, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=sleep))
    account = Platform().account()
    shown = run(account, "status", "--watch", "--json")
    assert shown.exit_code == 0
    assert account.calls["ecs:DescribeServices"] == 3
    assert account.calls["ecs:DescribeTaskDefinition"] == 2


@pytest.mark.parametrize(("height", "whole"), [(60, True), (12, False)])
def test_a_watch_counts_stacks_that_are_well_where_the_terminal_is_short(height: int, whole: bool) -> None:
    console = Console(width=200, height=height, force_terminal=True, color_system=None, file=StringIO())
    with signed_in(Platform().account(), pytest.MonkeyPatch()), operating("dev") as session:
        shown = replace(session, console=console)
        found = status.read(shown, live.Versions(session.clients))
        lines = console.render_lines(status._fitting(found, shown), pad=False)
    text = "\n".join("".join(part.text for part in line) for line in lines)
    assert ("suppliers-dev-network" in text) == whole
    assert (f"{len(found.stacks)} complete" in text) != whole
    assert "alarms" in text
    assert len(lines) < height
