from __future__ import annotations

import subprocess

import boto3
import pytest
from moto import mock_aws

from delivery import plan
from delivery.errors import DeliveryError
from delivery.target import Target
from tests.unit.delivery.conftest import REGISTRY, REPOSITORY, VARIABLES, Ecr, Ecs, definition

OLD, NEW = "1" * 64, "2" * 64


def test_a_service_that_runs_the_version_of_the_push_is_skipped(target: Target) -> None:
    decided = plan.decide(target, version=NEW, running=NEW, pushed=False)
    assert (decided.release, decided.build) == (False, False)
    assert decided.reason == "customer is untouched: version 222222222222 runs"


def test_a_changed_service_is_built_and_released(target: Target) -> None:
    decided = plan.decide(target, version=NEW, running=OLD, pushed=False)
    assert (decided.release, decided.build) == (True, True)
    assert decided.image == f"{REPOSITORY}:{NEW}"
    assert decided.reason == "customer: version 222222222222 replaces 111111111111"


def test_a_version_that_the_registry_holds_is_released_without_a_build(target: Target) -> None:
    decided = plan.decide(target, version=OLD, running=NEW, pushed=True)
    assert (decided.release, decided.build) == (True, False)


def test_a_service_whose_version_is_unknown_is_released(target: Target) -> None:
    assert plan.decide(target, version=NEW, running=None, pushed=False).release


def test_the_shell_reads_the_plan_as_it_is(target: Target) -> None:
    decided = plan.decide(target, version=NEW, running=OLD, pushed=True)
    script = decided.as_shell() + 'printf "%s|%s|%s|%s" "$IMAGE" "$RELEASE" "$BUILD" "$REASON"'
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{REPOSITORY}:{NEW}|yes|no|{decided.reason}"


def test_the_version_with_the_traffic_is_that_of_the_primary_task_set(target: Target) -> None:
    ecs = Ecs(
        {"old": definition(f"{REPOSITORY}:{OLD}"), "new": definition(f"{REPOSITORY}:{NEW}")},
        {
            "status": "ACTIVE",
            "taskDefinition": "first",
            "taskSets": [
                {"status": "ACTIVE", "taskDefinition": "new"},
                {"status": "PRIMARY", "taskDefinition": "old"},
            ],
        },
    )
    assert plan.find_running(ecs, target) == OLD


def test_without_task_sets_it_is_that_of_the_service(target: Target) -> None:
    ecs = Ecs({"new": definition(f"{REPOSITORY}:{NEW}")}, {"status": "ACTIVE", "taskDefinition": "new"})
    assert plan.find_running(ecs, target) == NEW


@pytest.mark.parametrize(("push", "released"), [(OLD, False), (NEW, True)])
def test_the_first_push_after_cdk_deploy_releases_what_changed_and_nothing_else(
    target: Target, monkeypatch: pytest.MonkeyPatch, push: str, released: bool
) -> None:
    """`cdk deploy` ran an image of its own repository, and the pipeline's is empty."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    assets = f"{REGISTRY}/cdk-hnb659fds-container-assets-000000000000-us-east-1:{'a' * 64}"
    ecs = Ecs({"first": definition(assets, label=OLD)}, {"status": "ACTIVE", "taskDefinition": "first"})
    with mock_aws():
        ecr = boto3.client("ecr", region_name="us-east-1")
        ecr.create_repository(repositoryName=target.repository_name)
        pushed = plan.is_pushed(ecr, target, push)
    decided = plan.decide(target, version=push, running=plan.find_running(ecs, target), pushed=pushed)
    assert (decided.release, decided.build) == (released, released)


@pytest.mark.parametrize("service", [None, {"status": "INACTIVE", "taskDefinition": "x"}])
def test_a_service_that_does_not_exist_is_said_so(target: Target, service: dict[str, str] | None) -> None:
    with pytest.raises(DeliveryError, match="there is no service customer-service in suppliers"):
        plan.find_running(Ecs({}, service), target)


def test_a_pushed_version_is_found_by_its_tag(target: Target) -> None:
    assert plan.is_pushed(Ecr(tags=[NEW]), target, NEW)
    assert not plan.is_pushed(Ecr(tags=[NEW]), target, OLD)


def test_missing_variables_are_named(target: Target) -> None:
    with pytest.raises(DeliveryError, match="are missing: CLUSTER, FAMILY"):
        Target.from_environment({**VARIABLES, "CLUSTER": "", "FAMILY": ""})
