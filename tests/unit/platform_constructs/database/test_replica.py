"""A read replica: as its instance is, read by whoever only reads, and nothing of it where it is not asked for."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from tests.conftest import ENVIRONMENTS, Made, Synthesize, copy_settings, synthesize
from tests.resources import of_type, only

INSTANCE = "AWS::RDS::DBInstance"


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Production with a read replica."""
    project = copy_settings(tmp_path_factory.mktemp("replicated"))
    file = project / "environments/prod.toml"
    file.write_text(file.read_text().replace("[database]", "[database]\nread_replicas = 1"))
    return synthesize(settings.load("prod", project), tmp_path_factory.mktemp("out"))


def instance_and_replica(templates: Made) -> tuple[dict[str, Any], dict[str, Any]]:
    found = {
        "SourceDBInstanceIdentifier" in each["Properties"]: each
        for each in templates["Data"]["Resources"].values()
        if each["Type"] == INSTANCE
    }
    return found[False], found[True]


def variables(templates: Made, service: str) -> dict[str, Any]:
    (container,) = (
        container
        for definition in of_type(templates.platform, "AWS::ECS::TaskDefinition").values()
        for container in definition["ContainerDefinitions"]
        if container["Name"] == service and "Command" not in container
    )
    return {each["Name"]: each["Value"] for each in container["Environment"]}


def test_a_replica_is_as_its_instance_is(replicated: Made) -> None:
    instance, replica = (each["Properties"] for each in instance_and_replica(replicated))
    own = {
        *("SourceDBInstanceIdentifier", "DBSubnetGroupName", "MultiAZ"),
        # Inherited, so that they must not be said.
        *("Engine", "EngineVersion", "DBName", "MasterUsername", "MasterUserPassword", "AllocatedStorage"),
        *("StorageEncrypted", "KmsKeyId"),
        # Switching it off must delete it.
        "DeletionProtection",
        # There is nothing to back up.
        *("BackupRetentionPeriod", "PreferredBackupWindow", "DeleteAutomatedBackups"),
    }
    assert {key: value for key, value in replica.items() if key not in own} == {
        key: value for key, value in instance.items() if key not in own
    }
    assert replica["MultiAZ"] is False
    groups = of_type(replicated["Data"], "AWS::RDS::DBSubnetGroup")
    subnets = [groups[each["DBSubnetGroupName"]["Ref"]]["SubnetIds"] for each in (instance, replica)]
    assert subnets[0] == subnets[1]


def test_nothing_is_kept_of_a_replica(replicated: Made) -> None:
    _, replica = instance_and_replica(replicated)
    assert (replica["DeletionPolicy"], replica["UpdateReplacePolicy"]) == ("Delete", "Delete")
    assert "BackupRetentionPeriod" not in replica["Properties"]
    assert replica["Properties"]["DeletionProtection"] is False


def test_services_that_only_read_are_told_where(replicated: Made) -> None:
    customer, employee = variables(replicated, "customer"), variables(replicated, "employee")
    assert customer["DB_READER_HOST"] != customer["DB_HOST"]
    assert customer["DB_READER_PORT"]
    assert customer["DB_HOST"] == employee["DB_HOST"]
    assert not {"DB_READER_HOST", "DB_READER_PORT"} & employee.keys()


def test_amazon_rds_tells_of_both_instances(replicated: Made) -> None:
    (events,) = (
        each
        for each in of_type(replicated["Observability"], "AWS::RDS::EventSubscription").values()
        if each["SourceType"] == "db-instance"
    )
    assert len(events["SourceIds"]) == 2


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_without_the_setting_there_is_none(templates: Synthesize, name: str) -> None:
    only(of_type(templates(name)["Data"], INSTANCE))
    assert "DB_READER_HOST" not in variables(templates(name), "customer")
