"""A Multi-AZ DB cluster: as an instance is in all that protects it, and watched and used as three servers."""

from __future__ import annotations

import json
import re

import pytest

import settings
from ops.cost import prices, usage
from ops.cost.estimate import estimate
from ops.diagram import mermaid, overview_svg
from ops.diagram.overview import overview
from ops.release.stateful import losses
from tests.conftest import ENVIRONMENTS, Made, Synthesize, copy_settings, synthesize
from tests.resources import of_type, only
from tests.unit.platform_constructs.database.test_replica import variables

CLUSTER = "AWS::RDS::DBCluster"
MEMBERS = [f"suppliers-prod-data-instance-{number}" for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Production with two readable standbys."""
    project = copy_settings(tmp_path_factory.mktemp("clustered"))
    file = project / "environments/prod.toml"
    text = re.sub(r"^(instance_class|storage_gib) =.*\n", "", file.read_text(), flags=re.MULTILINE)
    asked = 'cluster = true\ninstance_class = "db.m6gd.large"\nstorage_gib = 400'
    file.write_text(text.replace("[database]", f"[database]\n{asked}"))
    return synthesize(settings.load("prod", project), tmp_path_factory.mktemp("out"))


def test_a_cluster_is_as_private_and_encrypted_as_an_instance(clustered: Made, templates: Synthesize) -> None:
    data = clustered["Data"]
    cluster = only(of_type(data, CLUSTER))
    instance = only(of_type(templates("prod")["Data"], "AWS::RDS::DBInstance"))
    for name in (
        *("Engine", "EngineVersion", "KmsKeyId", "Port", "PubliclyAccessible", "StorageEncrypted"),
        *("BackupRetentionPeriod", "DeletionProtection"),
        *("PreferredBackupWindow", "PreferredMaintenanceWindow", "CopyTagsToSnapshot", "MonitoringInterval"),
        *("MasterUserPassword", "AutoMinorVersionUpgrade"),
    ):
        assert str(cluster[name]) == str(instance[name]), name
    assert cluster["VpcSecurityGroupIds"] == instance["VPCSecurityGroups"]
    assert cluster["PerformanceInsightsEnabled"] is True
    assert cluster["PerformanceInsightsKmsKeyId"] == instance["PerformanceInsightsKMSKeyId"]
    assert {"error", "slowquery"} <= set(cluster["EnableCloudwatchLogsExports"])
    assert not of_type(data, "AWS::RDS::DBInstance")
    plain = only(of_type(templates("prod")["Data"], "AWS::RDS::DBParameterGroup"))["Parameters"]
    parameters = only(of_type(data, "AWS::RDS::DBClusterParameterGroup"))["Parameters"]
    assert parameters == {**plain, "max_connections": "512"}


def test_a_cluster_is_told_what_makes_it_one(clustered: Made) -> None:
    cluster = only(of_type(clustered["Data"], CLUSTER))
    told = ("DBClusterInstanceClass", "AllocatedStorage", "StorageType", "Iops")
    assert [cluster[name] for name in told] == ["db.m6gd.large", 400, "gp3", 12000]
    assert len(cluster["DBClusterIdentifier"]) <= 52
    assert len(only(of_type(clustered["Data"], "AWS::RDS::DBSubnetGroup"))["SubnetIds"]) == 3


def test_a_protected_cluster_leaves_a_snapshot_and_its_backups(clustered: Made) -> None:
    ((name, resource),) = (
        (name, each) for name, each in clustered["Data"]["Resources"].items() if each["Type"] == CLUSTER
    )
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    copied = only(of_type(clustered["Data"], "AWS::Backup::BackupSelection"))["BackupSelection"]["Resources"]
    assert copied == [{"Fn::GetAtt": [name, "DBClusterArn"]}]


def test_every_credential_is_the_clusters_and_rotates(clustered: Made) -> None:
    data = clustered["Data"]
    attached = of_type(data, "AWS::SecretsManager::SecretTargetAttachment").values()
    assert len(attached) == len(of_type(data, "AWS::SecretsManager::RotationSchedule")) == 4
    assert {each["TargetType"] for each in attached} == {CLUSTER}


def test_services_that_only_read_are_told_the_readers_address(clustered: Made) -> None:
    customer, employee = variables(clustered, "customer"), variables(clustered, "employee")
    assert "ReadEndpoint" in json.dumps(customer["DB_READER_HOST"])
    assert "ReadEndpoint" not in json.dumps(customer["DB_HOST"])
    assert customer["DB_READER_PORT"] == customer["DB_PORT"]
    assert customer["DB_HOST"] == employee["DB_HOST"]
    assert not {"DB_READER_HOST", "DB_READER_PORT"} & employee.keys()


def test_each_of_the_three_is_watched(clustered: Made) -> None:
    alarms = of_type(clustered["Observability"], "AWS::CloudWatch::Alarm").values()
    watched: dict[str, list[str]] = {}
    for alarm in alarms:
        for dimension in alarm.get("Dimensions", []):
            if dimension["Name"] == "DBInstanceIdentifier":
                watched.setdefault(alarm["MetricName"], []).append(dimension["Value"])
    metrics = ("CPUUtilization", "DatabaseConnections", "FreeStorageSpace", "FreeableMemory", "ReplicaLag")
    assert watched == dict.fromkeys(metrics, MEMBERS)
    gone = [
        alarm
        for alarm in alarms
        if alarm.get("MetricName") == "CPUUtilization" and alarm["Namespace"] == "AWS/RDS"
    ]
    assert {alarm["TreatMissingData"] for alarm in gone} == {"breaching"}
    dashboard = json.dumps(only(of_type(clustered["Observability"], "AWS::CloudWatch::Dashboard")))
    assert all(dashboard.count(name) >= len(metrics) for name in MEMBERS)


def test_every_alarm_of_a_server_has_a_section_in_the_runbook(clustered: Made) -> None:
    runbook = (settings.ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    sections = {
        heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", runbook, re.MULTILINE)
    }
    for alarm in of_type(clustered["Observability"], "AWS::CloudWatch::Alarm").values():
        if "AlarmDescription" in alarm:
            assert alarm["AlarmDescription"].rpartition("#")[2] in sections, alarm["AlarmName"]


def test_a_failover_is_an_event_of_the_cluster(clustered: Made) -> None:
    rules = [
        each["EventPattern"] for each in of_type(clustered["Observability"], "AWS::Events::Rule").values()
    ]
    (failover_rule,) = (each for each in rules if each["source"] == ["aws.rds"])
    assert failover_rule["detail-type"] == ["RDS DB Cluster Event"]
    assert failover_rule["detail"]["SourceIdentifier"] == ["suppliers-prod-data"]
    subscriptions = of_type(clustered["Observability"], "AWS::RDS::EventSubscription").values()
    (told,) = (each for each in subscriptions if each["SourceType"] == "db-cluster")
    assert told["SourceIds"] == ["suppliers-prod-data"]
    assert "db-instance" not in {each["SourceType"] for each in subscriptions}


def test_no_deployment_turns_one_kind_into_the_other(clustered: Made, templates: Synthesize) -> None:
    for before, after in ((templates("prod"), clustered), (clustered, templates("prod"))):
        (lost,) = losses(before, after)
        assert lost.resource_type in {CLUSTER, "AWS::RDS::DBInstance"}
        assert lost.what == "would be removed"


def test_a_price_that_nobody_told_is_unknown(clustered: Made) -> None:
    found = estimate("prod", clustered, prices.load("us-east-1"), usage.load())
    assert found.unknown == ()
    lines = {line.key: line for line in found.lines if line.type == CLUSTER}
    for key in (
        "rds.mysql.db.m6gd.large.readable_standbys_hour",
        "rds.storage.gp3.readable_standbys_gb_month",
    ):
        assert lines[key].price is None
        assert f"no price known for {key} in us-east-1" in found.without_price
    assert lines["rds.storage.gp3.readable_standbys_gb_month"].quantity == 400


def test_the_picture_has_both_standbys(clustered: Made) -> None:
    seen = overview(clustered, "prod", "us-east-1")
    assert overview_svg.draw(seen).count("is read as well") == 2
    assert "with two readable standbys" in mermaid.of_overview(seen)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_without_the_setting_there_is_none(templates: Synthesize, name: str) -> None:
    assert not of_type(templates(name)["Data"], CLUSTER)
