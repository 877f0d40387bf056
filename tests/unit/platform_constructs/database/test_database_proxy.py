"""The option that puts an RDS proxy between the services and the database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import settings
from directory.storage import mysql as client
from ops.deployed.routes import reference
from platform_constructs.database.database_proxy import PROXY_PORT
from tests.conftest import ENVIRONMENTS, Made, Synthesize, Template, synthesize
from tests.resources import of_type, only

PROXY = "AWS::RDS::DBProxy"
GROUP = "AWS::EC2::SecurityGroup"


@pytest.fixture(scope="module", params=["dev", "prod"])
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An environment with the option on."""
    environment = settings.load(request.param)
    database = environment.database.model_copy(update={"proxy": True})
    return synthesize(
        environment.model_copy(update={"database": database}), tmp_path_factory.mktemp(request.param)
    )


@pytest.fixture(scope="module")
def data(behind: Made) -> Template:
    return behind["Data"]


def refers_to(value: Any, logical_id: str) -> bool:
    return f'"{logical_id}"' in json.dumps(value)


def group(template: Template, description: str) -> str:
    (found,) = [
        logical_id
        for logical_id, each in of_type(template, GROUP).items()
        if each["GroupDescription"] == description
    ]
    return found


def secrets_of_services(data: Template) -> set[str]:
    return {
        logical_id
        for logical_id in of_type(data, "AWS::SecretsManager::SecretTargetAttachment")
        if not logical_id.startswith(("DatabaseMigrator", "DatabaseAdministrator"))
    }


def sources(data: Template, reached: str) -> dict[str, int]:
    """Who may connect to a group, and on which port."""
    return {
        reference(rule["SourceSecurityGroupId"]): rule["FromPort"]
        for rule in of_type(data, f"{GROUP}Ingress").values()
        if reference(rule["GroupId"]) == reached and rule["FromPort"] == rule["ToPort"]
    }


def environment_of(definition: Mapping[str, Any]) -> dict[str, Any]:
    (container,) = definition["ContainerDefinitions"]
    return {each["Name"]: each["Value"] for each in container["Environment"]}


def definitions(compute: Template, *, preparing: bool) -> dict[str, Any]:
    return {
        logical_id: each
        for logical_id, each in of_type(compute, "AWS::ECS::TaskDefinition").items()
        if ("Command" in each["ContainerDefinitions"][0]) == preparing
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_there_is_no_proxy_unless_it_is_asked_for(templates: Synthesize, name: str) -> None:
    assert not settings.load(name).database.proxy
    assert not of_type(templates(name)["Data"], PROXY)
    assert "DB_PROXY" not in json.dumps(templates(name).platform)


def test_the_proxy_signs_in_as_the_users_of_services_alone_and_over_tls_only(data: Template) -> None:
    proxy = only(of_type(data, PROXY))
    assert proxy["RequireTLS"] is True
    assert proxy["EngineFamily"] == "MYSQL"
    # Statements have personal data in them.
    assert proxy["DebugLogging"] is False
    assert len(secrets_of_services(data)) == 2
    assert {each["SecretArn"]["Ref"] for each in proxy["Auth"]} == secrets_of_services(data)
    for each in proxy["Auth"]:
        assert (each["AuthScheme"], each["IAMAuth"]) == ("SECRETS", "DISABLED")
        assert each["ClientPasswordAuthType"] == "MYSQL_CACHING_SHA2_PASSWORD"


def test_the_proxys_role_reads_just_these_secrets(data: Template) -> None:
    role = only(of_type(data, PROXY))["RoleArn"]["Fn::GetAtt"][0]
    trusted = data["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert [each["Principal"] for each in trusted] == [{"Service": "rds.amazonaws.com"}]
    policies = [
        policy
        for policy in of_type(data, "AWS::IAM::ManagedPolicy").values()
        if refers_to(policy["Roles"], role)
    ]
    statements = [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]
    decrypting, reading = sorted(statements, key=lambda each: str(each["Action"]), reverse=False)[::-1]
    assert decrypting["Action"] == "kms:Decrypt"
    assert list(decrypting["Condition"]["StringEquals"]) == ["kms:ViaService"]
    assert reading["Action"] == ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    assert {each["Ref"] for each in reading["Resource"]} == secrets_of_services(data)


def test_services_reach_the_proxy_only_and_preparations_the_database(behind: Made) -> None:
    whole = behind.whole
    proxy, database = group(whole, "The proxy of the database"), group(whole, "The database")
    services = {group(whole, f"Tasks of {name}"): PROXY_PORT for name in ("customer", "employee")}
    assert sources(whole, proxy) == services
    assert sources(whole, database) == {
        proxy: 3307,
        (preparations := group(whole, "Clients of the database")): 3307,
        group(whole, "Functions that rotate the credentials of the database"): 3307,
    }
    preparing = only(of_type(whole, "Custom::OneOffTask"))
    assert preparations in {reference(each) for each in preparing["SecurityGroups"]}


def test_services_connect_to_the_proxy_and_preparations_to_the_database(
    behind: Made,
) -> None:
    compute = behind.platform
    for definition in definitions(compute, preparing=False).values():
        found = environment_of(definition)
        assert refers_to(found["DB_HOST"], only_output(behind["Data"], "Endpoint", PROXY))
        assert (found["DB_PORT"], found["DB_PROXY"]) == ("3306", "true")
        assert found["DB_TLS_CA"] == "/etc/ssl/certs/rds-and-proxy.pem"
    (preparation,) = definitions(compute, preparing=True).values()
    found = environment_of(preparation)
    assert refers_to(
        found["DB_HOST"], only_output(behind["Data"], "Endpoint.Address", "AWS::RDS::DBInstance")
    )
    assert "DB_PROXY" not in found
    assert found["DB_TLS_CA"] == "/etc/ssl/certs/rds-global-bundle.pem"


def only_output(data: Template, attribute: str, resource_type: str) -> str:
    """The output of Data by which other stacks learn an attribute of its one resource of a type."""
    (resource,) = of_type(data, resource_type)
    outputs: Mapping[str, Mapping[str, Any]] = data["Outputs"]
    return next(
        name for name, each in outputs.items() if each["Value"] == {"Fn::GetAtt": [resource, attribute]}
    )


def test_the_proxy_is_where_the_database_can_be_reached_from(behind: Made) -> None:
    subnets = json.dumps(only(of_type(behind["Data"], PROXY))["VpcSubnetIds"])
    network = behind["Network"]
    shared = {
        name: each["Value"].get("Ref")
        for name, each in network["Outputs"].items()
        if isinstance(each["Value"], dict) and f'"{name}"' in subnets
    }
    assert len(shared) >= 2
    assert all(str(each).startswith("NetworkVpcApplicationSubnet") for each in shared.values())


def test_the_pool_leaves_room_and_its_times_fit_those_of_the_clients(data: Template) -> None:
    targets = only(of_type(data, "AWS::RDS::DBProxyTargetGroup"))
    assert [each["Ref"] for each in targets["DBInstanceIdentifiers"]] == list(
        of_type(data, "AWS::RDS::DBInstance")
    )
    pool = targets["ConnectionPoolConfigurationInfo"]
    assert pool["MaxConnectionsPercent"] == 75
    # What clients say to each connection themselves without a proxy.
    assert pool["InitQuery"] == client.SESSION
    # Else clients give up before the proxy tells them why, and write to what it has closed.
    assert pool["ConnectionBorrowTimeout"] < client.STATEMENT_SECONDS
    assert only(of_type(data, PROXY))["IdleClientTimeout"] > client.RECYCLE_SECONDS
    assert "SessionPinningFilters" not in pool


def test_the_log_is_there_before_the_proxy_would_make_it_itself(data: Template) -> None:
    (logical_id,) = (each for each in of_type(data, "AWS::Logs::LogGroup") if each.startswith("Proxy"))
    log_group, proxy = data["Resources"][logical_id], only(of_type(data, PROXY))
    assert log_group["Properties"]["LogGroupName"] == f"/aws/rds/proxy/{proxy['DBProxyName']}"
    assert log_group["Properties"]["KmsKeyId"]
    assert log_group["Properties"]["RetentionInDays"]
    assert (log_group["DeletionPolicy"], log_group["UpdateReplacePolicy"]) in (
        ("RetainExceptOnCreate", "Retain"),
        ("Delete", "Delete"),
    )
    ((_, resource),) = [each for each in data["Resources"].items() if each[1]["Type"] == PROXY]
    assert logical_id in resource["DependsOn"]


def test_a_protected_environment_keeps_the_log_and_no_other_does(behind: Made) -> None:
    name = only(of_type(behind["Data"], PROXY))["DBProxyName"].removeprefix("suppliers-")
    kept = {
        each["DeletionPolicy"]
        for logical_id, each in behind["Data"]["Resources"].items()
        if each["Type"] == "AWS::Logs::LogGroup" and logical_id.startswith("Proxy")
    }
    assert kept == {"RetainExceptOnCreate" if settings.load(name).protected else "Delete"}


def test_readers_go_to_a_replica_directly_and_write_nowhere(tmp_path: Path) -> None:
    environment = settings.load("dev")
    database = environment.database.model_copy(update={"proxy": True, "read_replicas": 1})
    found = synthesize(environment.model_copy(update={"database": database}), tmp_path)
    data, compute = found["Data"], found.platform
    # A proxy has one target, and never a replica.
    (target,) = only(of_type(data, "AWS::RDS::DBProxyTargetGroup"))["DBInstanceIdentifiers"]
    assert "Replica" not in target["Ref"]
    for logical_id, definition in definitions(compute, preparing=False).items():
        variables = environment_of(definition)
        assert refers_to(variables["DB_HOST"], only_output(data, "Endpoint", PROXY))
        assert ("Customer" in logical_id) == ("DB_READER_HOST" in variables)
    # The database's servers share a group, which who writes does not reach.
    whole = found.whole
    customer, employee = (group(whole, f"Tasks of {name}") for name in ("customer", "employee"))
    assert {customer, employee} <= sources(whole, group(whole, "The proxy of the database")).keys()
    directly = sources(whole, group(whole, "The database"))
    assert customer in directly
    assert employee not in directly
