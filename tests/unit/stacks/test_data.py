from __future__ import annotations

import json
import re

import pytest

import settings
from tests.conftest import ENVIRONMENTS, Synthesize
from tests.resources import of_type, only


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_database_is_private_encrypted_and_doubled(templates: Synthesize, name: str) -> None:
    instance = only(of_type(templates(name)["Data"], "AWS::RDS::DBInstance"))
    assert instance["Engine"] == "mysql"
    assert instance["EngineVersion"] == "8.4", "a release would be refused once the living one is newer"
    assert instance["AutoMinorVersionUpgrade"] is True
    assert instance["MultiAZ"] is True
    assert instance["StorageEncrypted"] is True
    assert instance["KmsKeyId"]
    assert instance["PubliclyAccessible"] is False
    assert instance["EnableIAMDatabaseAuthentication"] is True
    assert instance["MonitoringInterval"] == 60
    assert {"error", "slowquery"} <= set(instance["EnableCloudwatchLogsExports"])
    assert instance["BackupRetentionPeriod"] == settings.load(name).database.backup_days


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_insights_are_asked_for_where_aws_offers_them(templates: Synthesize, name: str) -> None:
    """https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DatabaseInsights.Engines.html"""
    instance = only(of_type(templates(name)["Data"], "AWS::RDS::DBInstance"))
    burstable = re.fullmatch(r"db\.t[234]g?\.(micro|small)", instance["DBInstanceClass"])
    assert instance.get("EnablePerformanceInsights", False) is not bool(burstable)
    assert ("PerformanceInsightsKMSKeyId" in instance) is not bool(burstable)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_failed_rotation_is_told(templates: Synthesize, name: str) -> None:
    functions = {
        each["Parameters"]["functionName"]
        for each in of_type(templates(name)["Data"], "AWS::Serverless::Application").values()
    }
    watched = {
        alarm["Dimensions"][0]["Value"]
        for alarm in of_type(templates(name)["Observability"], "AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "Errors" and alarm["Namespace"] == "AWS/Lambda"
    }
    assert watched == functions
    # https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
    assert all(re.fullmatch(r"[A-Za-z0-9-_]{1,64}", each) for each in functions)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_plain_connections_are_refused(templates: Synthesize, name: str) -> None:
    group = only(of_type(templates(name)["Data"], "AWS::RDS::DBParameterGroup"))
    assert group["Parameters"]["require_secure_transport"] == "1"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_only_the_clients_group_reaches_the_database(templates: Synthesize, name: str) -> None:
    template = templates(name)["Data"]
    groups = of_type(template, "AWS::EC2::SecurityGroup")
    assert not [group for group in groups.values() if group.get("SecurityGroupIngress")]
    for rule in of_type(template, "AWS::EC2::SecurityGroupIngress").values():
        assert "SourceSecurityGroupId" in rule
        assert "CidrIp" not in rule


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_credential_rotates_within_thirty_days(templates: Synthesize, name: str) -> None:
    template = templates(name)["Data"]
    secrets = of_type(template, "AWS::SecretsManager::Secret")
    schedules = of_type(template, "AWS::SecretsManager::RotationSchedule")
    assert len(schedules) == len(secrets)
    for schedule in schedules.values():
        assert schedule["RotationRules"] == {"ScheduleExpression": "rate(30 days)"}
        assert schedule["RotateImmediatelyOnUpdate"] is False


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_service_has_a_user_of_its_own(templates: Synthesize, name: str) -> None:
    secrets = of_type(templates(name)["Data"], "AWS::SecretsManager::Secret").values()
    # The administrator's secret refers to the stack, so its template is no plain string in every case.
    text = json.dumps(list(secrets))
    for user in ("directory_admin", "migrator", *settings.load(name).database_users):
        assert f'\\"username\\":\\"{user}\\"' in text


def test_a_protected_environment_keeps_its_data(templates: Synthesize) -> None:
    for logical_id, resource in templates("prod")["Data"]["Resources"].items():
        kept = {
            "AWS::RDS::DBInstance": ("Snapshot", "Snapshot"),
            "AWS::SecretsManager::Secret": ("RetainExceptOnCreate", "Retain"),
            "AWS::KMS::Key": ("RetainExceptOnCreate", "Retain"),
        }
        if resource["Type"] in kept:
            policies = (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
            assert policies == kept[resource["Type"]], logical_id
    assert only(of_type(templates("prod")["Data"], "AWS::RDS::DBInstance"))["DeletionProtection"] is True


def test_the_development_environment_leaves_nothing_behind_but_sources(templates: Synthesize) -> None:
    for stack, template in templates("dev").items():
        for logical_id, resource in template["Resources"].items():
            if resource["Type"] == "AWS::CodeCommit::Repository":
                continue
            assert resource.get("DeletionPolicy", "Delete") == "Delete", f"{stack}/{logical_id}"
