"""The shared cache that an environment asks for with [cache]."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import settings
from ops.cost import prices, usage
from ops.cost.estimate import Estimate, estimate
from ops.deployed.routes import reference
from platform_constructs.cache.shared_cache import CACHE_PORT
from tests.compliance.test_policies import identity_statements, plain
from tests.conftest import ENVIRONMENTS, Made, Synthesize, synthesize
from tests.resources import by_path, of_type, only

GROUP = "AWS::ElastiCache::ReplicationGroup"


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Production with a cache of a primary and two replicas."""
    cache = settings.Cache(node_type="cache.t4g.small", replicas=2)
    environment = settings.load("prod").model_copy(update={"cache": cache})
    return synthesize(environment, tmp_path_factory.mktemp("cached"))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_of_it_is_there_unless_an_environment_asks_for_it(templates: Synthesize, name: str) -> None:
    for stack, template in templates(name).items():
        text = json.dumps(template)
        assert "ElastiCache" not in text, stack
        assert "CACHE_" not in text, stack
        assert f'"From": {CACHE_PORT}' not in text, stack


def test_it_is_encrypted_everywhere_and_fails_over_by_itself(cached: Made) -> None:
    group = only(of_type(cached["Data"], GROUP))
    assert (group["Engine"], group["CacheNodeType"]) == ("valkey", "cache.t4g.small")
    assert (group["NumCacheClusters"], group["MultiAZEnabled"], group["AutomaticFailoverEnabled"]) == (
        3,
        True,
        True,
    )
    assert group["TransitEncryptionEnabled"] is True
    assert group["TransitEncryptionMode"] == "required"
    assert group["AtRestEncryptionEnabled"] is True
    key = cached["Data"]["Resources"][group["KmsKeyId"]["Fn::GetAtt"][0]]
    assert key["Properties"]["EnableKeyRotation"] is True
    assert group["AutoMinorVersionUpgrade"] is True
    assert group["Port"] == CACHE_PORT != 6379


def test_it_keeps_nothing(cached: Made) -> None:
    (group,) = (each for each in cached["Data"]["Resources"].values() if each["Type"] == GROUP)
    assert group["Properties"]["SnapshotRetentionLimit"] == 0
    assert (group["DeletionPolicy"], group["UpdateReplacePolicy"]) == ("Delete", "Delete")


def test_its_logs_are_kept_as_all_others(cached: Made) -> None:
    deliveries = only(of_type(cached["Data"], GROUP))["LogDeliveryConfigurations"]
    assert {each["LogType"] for each in deliveries} == {"engine-log", "slow-log"}
    logs = of_type(cached["Data"], "AWS::Logs::LogGroup")
    for each in deliveries:
        log = logs[each["DestinationDetails"]["CloudWatchLogsDetails"]["LogGroup"]["Ref"]]
        assert log["RetentionInDays"] == settings.load("prod").logs.retention_days
        assert "KmsKeyId" in log


def test_a_node_alone_does_not_fail_over(tmp_path: Path) -> None:
    environment = settings.load("dev").model_copy(update={"cache": settings.Cache(replicas=0)})
    templates = synthesize(environment, tmp_path)
    group = only(of_type(templates["Data"], GROUP))
    assert (group["NumCacheClusters"], group["MultiAZEnabled"], group["AutomaticFailoverEnabled"]) == (
        1,
        False,
        False,
    )
    alarms = by_path(templates["Observability"], "CacheAlarms/")
    assert not any("Lag" in each for each in alarms)


def test_it_is_in_the_isolated_subnets_and_only_clients_reach_it(cached: Made) -> None:
    data, network = cached["Data"], cached["Network"]
    subnets = only(of_type(data, "AWS::ElastiCache::SubnetGroup"))["SubnetIds"]
    assert len(subnets) == len(settings.load("prod").availability_zones)
    assert all("DataSubnet" in each["Fn::GetStackOutput"]["OutputName"] for each in subnets)
    (group,) = only(of_type(cached.whole, GROUP))["SecurityGroupIds"]
    rules = [
        each
        for each in of_type(cached.whole, "AWS::EC2::SecurityGroupIngress").values()
        if each["GroupId"] == group
    ]
    assert {reference(rule["SourceSecurityGroupId"])[:-8] for rule in rules} == {
        "CustomerSecurityGroup",
        "EmployeeSecurityGroup",
    }
    for rule in rules:
        assert (rule["FromPort"], rule["ToPort"]) == (CACHE_PORT, CACHE_PORT)
    entries = [
        each
        for each in of_type(network, "AWS::EC2::NetworkAclEntry").values()
        if not each["Egress"] and each["PortRange"]["From"] == CACHE_PORT
    ]
    application = {
        each["CidrBlock"]
        for logical_id, each in of_type(network, "AWS::EC2::Subnet").items()
        if "ApplicationSubnet" in logical_id
    }
    assert {each["CidrBlock"] for each in entries} == application
    numbers = [
        (each["Egress"], each["RuleNumber"])
        for each in of_type(network, "AWS::EC2::NetworkAclEntry").values()
    ]
    assert len(numbers) == len(set(numbers))


def test_each_service_is_a_user_with_its_own_keys_and_nobody_is_default(
    cached: Made,
) -> None:
    users = of_type(cached["Data"], "AWS::ElastiCache::User")
    assert {each["UserId"]: each["AccessString"] for each in users.values()} == {
        "suppliers-prod-customer": "on ~customer:* %R~table:suppliers:version -@all "
        "+del +get +getdel +getex +mget +ping +set",
        "suppliers-prod-employee": "on ~employee:* ~table:suppliers:version -@all "
        "+del +get +getdel +getex +mget +ping +set",
    }
    for user in users.values():
        assert user["UserName"] == user["UserId"]
        assert user["AuthenticationMode"] == {"Type": "iam"}
        assert "Passwords" not in user
    group = only(of_type(cached["Data"], "AWS::ElastiCache::UserGroup"))
    assert {each["Ref"] for each in group["UserIds"]} == set(users)
    (named,) = only(of_type(cached["Data"], GROUP))["UserGroupIds"]
    assert named["Ref"] in of_type(cached["Data"], "AWS::ElastiCache::UserGroup")


def test_a_task_signs_in_to_this_cache_as_its_own_user_only(cached: Made) -> None:
    allowed = [
        (role, sorted(plain(each) for each in statement["Resource"]))
        for role, statement in identity_statements(cached)
        if "elasticache" in json.dumps(statement["Action"])
    ]
    assert [role for role, _ in allowed] == ["Employee/Default/TaskRole", "Customer/Default/TaskRole"]
    for role, resources in allowed:
        user, group = sorted(resources, key=lambda each: "replicationgroup" in each)
        assert f"{role.split('/')[0]}User" in user
        assert group.startswith("arn:aws:elasticache:")
        assert "*" not in user + group


def test_tasks_are_told_where_it_is_and_who_they_are(cached: Made) -> None:
    for name in ("customer", "employee"):
        (definition,) = [
            each
            for each in of_type(cached.platform, "AWS::ECS::TaskDefinition").values()
            if each["Family"].endswith(f"-{name}")
        ]
        (container,) = definition["ContainerDefinitions"]
        given = {each["Name"]: each["Value"] for each in container["Environment"]}
        assert given["CACHE_PORT"] == str(CACHE_PORT)
        assert "PrimaryEndPoint" in json.dumps(given["CACHE_HOST"])
        assert f"{name.capitalize()}User" in json.dumps(given["CACHE_USER"])
        assert "CacheGroup" in json.dumps(given["CACHE_NAME"])
        assert given["CACHE_TLS_CA"].startswith("/etc/ssl/")


def test_the_task_that_prepares_the_database_knows_nothing_of_it(cached: Made) -> None:
    for definition in of_type(cached.platform, "AWS::ECS::TaskDefinition").values():
        if definition["Family"].endswith("prepare"):
            assert "CACHE_" not in json.dumps(definition)


def test_alarms_look_at_every_node_whichever_is_the_primary(cached: Made) -> None:
    alarms = [
        each["Properties"]
        for each in by_path(cached["Observability"], "CacheAlarms/").values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert len(alarms) == 4
    for alarm in alarms:
        nodes = {
            plain(dimension["Value"])[-4:]
            for query in alarm["Metrics"]
            if "MetricStat" in query
            for dimension in query["MetricStat"]["Metric"]["Dimensions"]
            if dimension["Name"] == "CacheClusterId"
        }
        assert nodes == {"-001", "-002", "-003"}


def costs(**group: Any) -> Estimate:
    resource = {"Type": GROUP, "Properties": {"Engine": "valkey", **group}}
    return estimate(
        "test", {"Data": {"Resources": {"Group": resource}}}, prices.load("us-east-1"), usage.load()
    )


def test_it_costs_its_nodes(cached: Made) -> None:
    # 2 nodes x 730 h x 0.0128
    assert str(costs(CacheNodeType="cache.t4g.micro", NumCacheClusters=2).total.fixed) == "18.69"
    everything = estimate("prod", cached, prices.load("us-east-1"), usage.load())
    assert not [each for each in everything.unknown if "ElastiCache" in each.type]


def test_a_price_that_nobody_states_is_unknown() -> None:
    told = costs(CacheNodeType="cache.t4g.small", NumCacheClusters=3).without_price
    assert told == ("no price known for elasticache.valkey.cache.t4g.small_hour in us-east-1",)


def test_a_service_without_a_database_does_not_ask_for_it(project: Path) -> None:
    file = project / "environments/dev.toml"
    file.write_text(file.read_text() + "\n[cache]\n")
    for manifest in (project / "services").glob("*/service.toml"):
        text = manifest.read_text()
        for old in ('database = "read"', 'database = "write"', "migrations = true"):
            text = text.replace(old, "")
        manifest.write_text("\n".join(line for line in text.splitlines() if not line.startswith("tables")))
    with pytest.raises(settings.SettingsError, match="cache: no service has a database"):
        settings.load("dev", project)
