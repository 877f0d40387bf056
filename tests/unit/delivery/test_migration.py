"""The migration of a release, by the code that also migrates in `cdk deploy`."""

from __future__ import annotations

from typing import Any

import pytest

from delivery.errors import DeliveryError
from delivery.migration import migrate
from tests.unit.delivery.conftest import REPOSITORY, Ecs, definition

NEW = "2" * 64
TASK = "arn:aws:ecs:us-east-1:000000000000:task/suppliers/0123456789abcdef"
VARIABLES = {
    "SERVICE": "customer",
    "CLUSTER": "suppliers",
    "PREPARE_FAMILY": "suppliers-dev-customer-prepare",
    "SUBNETS": "subnet-1,subnet-2",
    "SECURITY_GROUPS": "sg-1,sg-2",
    "LOG_GROUP": "/suppliers-dev/customer",
    "LOG_PREFIX": "customer",
    "IMAGE": f"{REPOSITORY}:{NEW}",
    "VERSION": NEW,
}


class Cluster(Ecs):
    """An ECS whose one-off task ends with the given exit status."""

    def __init__(self, status: int) -> None:
        live = definition("old-image")
        live["family"] = VARIABLES["PREPARE_FAMILY"]
        live["containerDefinitions"][0]["command"] = ["python", "-m", "directory.prepare"]
        super().__init__({VARIABLES["PREPARE_FAMILY"]: live})
        self.status = status
        self.ran: list[dict[str, Any]] = []

    def run_task(self, **request: Any) -> dict[str, Any]:
        self.ran.append(request)
        return {"tasks": [{"taskArn": TASK}], "failures": []}

    def describe_tasks(self, **request: Any) -> dict[str, Any]:
        assert request["tasks"] == [TASK]
        container = {"name": "customer", "exitCode": self.status}
        return {"tasks": [{"lastStatus": "STOPPED", "containers": [container]}]}


class Logs:
    def get_log_events(self, **request: Any) -> dict[str, Any]:
        assert request["logGroupName"] == "/suppliers-dev/customer"
        return {"events": [{"message": "column phone is missing"}]}


def run(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> str:
    monkeypatch.setattr("boto3.client", {"ecs": cluster, "logs": Logs()}.__getitem__)
    return migrate(cluster, VARIABLES)


def test_the_new_image_prepares_the_database_in_the_services_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(status=0)
    arn = run(monkeypatch, cluster)
    (registered,) = cluster.registered
    (container,) = registered["containerDefinitions"]
    assert container["image"] == VARIABLES["IMAGE"]
    assert container["command"] == ["python", "-m", "directory.prepare"]
    (request,) = cluster.ran
    assert request["taskDefinition"] == arn == "suppliers-dev-customer-prepare:9"
    network = request["networkConfiguration"]["awsvpcConfiguration"]
    assert network["subnets"] == ["subnet-1", "subnet-2"]
    assert network["securityGroups"] == ["sg-1", "sg-2"]


def test_a_failing_migration_stops_the_release_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeliveryError) as raised:
        run(monkeypatch, Cluster(status=3))
    assert "customer: the database was not prepared, no traffic moves: exit status 3." in str(raised.value)
    assert str(raised.value).endswith("column phone is missing")


def test_missing_variables_are_named() -> None:
    with pytest.raises(DeliveryError, match="are missing: IMAGE, VERSION"):
        migrate(Cluster(status=0), {**VARIABLES, "IMAGE": "", "VERSION": ""})
