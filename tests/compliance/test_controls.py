"""Security Hub's controls that the templates answer, one row each: what must hold, and the function that shows it.

https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-controls-reference.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

import settings
from tests.conftest import Synthesize, Template
from tests.resources import of_type

ENVIRONMENTS = ("dev", "prod")
YEAR_DAYS = 365

Templates = Mapping[str, Template]


@dataclass(frozen=True)
class Control:
    """`holds` gets the resources of `kind` one after the other, of which there must be one at least."""

    number: str
    claim: str
    kind: str
    holds: Callable[[Any], bool]
    environments: tuple[str, ...] = ENVIRONMENTS


def _containers(definition: Any) -> list[Any]:
    return list(definition["ContainerDefinitions"])


def _of_containers(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda definition: all(map(holds, _containers(definition)))


def _attribute(balancer: Any, key: str) -> str | None:
    found = {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}
    return found.get(key)


def _network(service: Any) -> Any:
    return service["NetworkConfiguration"]["AwsvpcConfiguration"]


def _no_secret(container: Any) -> bool:
    secretive = ("PASSWORD", "ACCESS_KEY", "TOKEN", "CREDENTIAL")
    return not any(
        word in variable["Name"].upper() or "resolve:secretsmanager" in json.dumps(variable["Value"])
        for variable in container.get("Environment", [])
        for word in secretive
    )


def _parameter(key: str, value: str) -> Callable[[Any], bool]:
    return lambda group: group["Parameters"].get(key) == value


def _denies_plain_http(policy: Any) -> bool:
    return any(
        statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in policy["PolicyDocument"]["Statement"]
    )


def _nobody_unnamed(policy: Any) -> bool:
    return all(
        statement["Principal"] not in ("*", {"AWS": "*"})
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    )


def _closed_but_for(ports: set[int]) -> Callable[[Any], bool]:
    return lambda group: all(
        rule["FromPort"] == rule["ToPort"] and rule["FromPort"] in ports
        for rule in group.get("SecurityGroupIngress", [])
        if rule.get("CidrIp") == "0.0.0.0/0"
    )


def _variables(project: Any) -> list[Any]:
    return list(project["Environment"].get("EnvironmentVariables", []))


_TASK, _SERVICE = "AWS::ECS::TaskDefinition", "AWS::ECS::Service"
_BALANCER, _LISTENER = (
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::ElasticLoadBalancingV2::Listener",
)
_INSTANCE, _REPOSITORY = "AWS::RDS::DBInstance", "AWS::ECR::Repository"
_PROJECT, _BUCKET = "AWS::CodeBuild::Project", "AWS::S3::Bucket"
_DATA_PORT = 3306

CONTROLS = (
    Control(
        "ECS.1",
        "a task has a network of its own and a user that is named",
        _TASK,
        lambda each: each["NetworkMode"] == "awsvpc" and all(box["User"] for box in _containers(each)),
    ),
    Control(
        "ECS.2",
        "a service gives its tasks no public address",
        _SERVICE,
        lambda each: _network(each)["AssignPublicIp"] == "DISABLED",
    ),
    Control("ECS.3", "a task does not see the host's processes", _TASK, lambda each: "PidMode" not in each),
    Control(
        "ECS.4", "no container is privileged", _TASK, _of_containers(lambda each: each["Privileged"] is False)
    ),
    Control(
        "ECS.5",
        "a container cannot write to its root file system",
        _TASK,
        _of_containers(lambda each: each["ReadonlyRootFilesystem"] is True),
    ),
    Control("ECS.8", "no secret is in an environment variable", _TASK, _of_containers(_no_secret)),
    Control(
        "ECS.9",
        "a container logs to CloudWatch",
        _TASK,
        _of_containers(lambda each: each["LogConfiguration"]["LogDriver"] == "awslogs"),
    ),
    Control(
        "ECS.10",
        "a service runs on the newest platform",
        _SERVICE,
        lambda each: each["PlatformVersion"] == "LATEST",
    ),
    Control(
        "ECS.12",
        "the cluster has Container Insights",
        "AWS::ECS::Cluster",
        lambda each: {"Name": "containerInsights", "Value": "enhanced"} in each["ClusterSettings"],
    ),
    Control(
        "ECS.17",
        "no task uses the host's network",
        _TASK,
        lambda each: each["NetworkMode"] != "host",
    ),
    Control(
        "ECS.20",
        "no container runs as root",
        _TASK,
        _of_containers(lambda each: each["User"].partition(":")[0] not in ("", "0", "root")),
    ),
    Control(
        "ELB.1",
        "plain HTTP is redirected to HTTPS",
        _LISTENER,
        lambda each: (
            each["Protocol"] == "HTTPS" or each["DefaultActions"][0]["RedirectConfig"]["Protocol"] == "HTTPS"
        ),
        environments=("prod",),
    ),
    Control(
        "ELB.4",
        "invalid headers are dropped",
        _BALANCER,
        lambda each: _attribute(each, "routing.http.drop_invalid_header_fields.enabled") == "true",
    ),
    Control(
        "ELB.5",
        "requests are logged",
        _BALANCER,
        lambda each: _attribute(each, "access_logs.s3.enabled") == "true",
    ),
    Control(
        "ELB.6",
        "the load balancer cannot be deleted by mistake",
        _BALANCER,
        lambda each: _attribute(each, "deletion_protection.enabled") == "true",
        environments=("prod",),
    ),
    Control(
        "ELB.12",
        "requests that servers may read differently are refused",
        _BALANCER,
        lambda each: _attribute(each, "routing.http.desync_mitigation_mode") == "strictest",
    ),
    Control(
        "ELB.13", "the load balancer is in several zones", _BALANCER, lambda each: len(each["Subnets"]) >= 2
    ),
    Control(
        "ELB.17",
        "TLS is spoken by a recommended policy",
        _LISTENER,
        lambda each: each["Protocol"] == "HTTP" or "TLS13-1-2" in each["SslPolicy"],
        environments=("prod",),
    ),
    Control("RDS.2", "the database is private", _INSTANCE, lambda each: each["PubliclyAccessible"] is False),
    Control(
        "RDS.3",
        "the database is encrypted with a customer key",
        _INSTANCE,
        lambda each: each["StorageEncrypted"] is True and "KmsKeyId" in each,
    ),
    Control("RDS.5", "the database is in two zones", _INSTANCE, lambda each: each["MultiAZ"] is True),
    Control(
        "RDS.6",
        "the operating system is monitored",
        _INSTANCE,
        lambda each: each["MonitoringInterval"] in (1, 5, 10, 15, 30, 60),
    ),
    Control(
        "RDS.8",
        "the database cannot be deleted by mistake",
        _INSTANCE,
        lambda each: each["DeletionProtection"] is True,
        environments=("prod",),
    ),
    Control(
        "RDS.9",
        "the database's logs are exported",
        _INSTANCE,
        lambda each: {"audit", "error", "general", "slowquery"} <= set(each["EnableCloudwatchLogsExports"]),
    ),
    Control(
        "RDS.10",
        "IAM can authenticate at the database",
        _INSTANCE,
        lambda each: each["EnableIAMDatabaseAuthentication"] is True,
    ),
    Control(
        "RDS.11",
        "the database is backed up for a week at least",
        _INSTANCE,
        lambda each: each["BackupRetentionPeriod"] >= 7,
    ),
    Control(
        "RDS.13",
        "minor versions are installed by themselves",
        _INSTANCE,
        lambda each: each["AutoMinorVersionUpgrade"] is True,
    ),
    Control("RDS.17", "snapshots carry the tags", _INSTANCE, lambda each: each["CopyTagsToSnapshot"] is True),
    Control(
        "RDS.23",
        "the port is not the engine's default",
        _INSTANCE,
        lambda each: int(each["Port"]) != _DATA_PORT,
    ),
    Control(
        "RDS.25",
        "the administrator has no default name",
        _INSTANCE,
        lambda each: "admin" not in json.dumps(each["MasterUsername"]).strip('"').split(":"),
    ),
    Control(
        "RDS.26",
        "the database is in a backup plan",
        "AWS::Backup::BackupSelection",
        lambda each: "DatabaseInstance" in json.dumps(each["BackupSelection"]["Resources"]),
        environments=("prod",),
    ),
    Control(
        "RDS.39",
        "connections are encrypted",
        "AWS::RDS::DBParameterGroup",
        _parameter("require_secure_transport", "1"),
    ),
    Control(
        "Backup.1",
        "the vault is encrypted with a customer key",
        "AWS::Backup::BackupVault",
        lambda each: "EncryptionKeyArn" in each,
        environments=("prod",),
    ),
    Control(
        "EC2.6",
        "all traffic of the VPC is logged",
        "AWS::EC2::FlowLog",
        lambda each: each["TrafficType"] == "ALL",
    ),
    Control(
        "EC2.15",
        "no subnet gives out public addresses",
        "AWS::EC2::Subnet",
        lambda each: each["MapPublicIpOnLaunch"] is False,
    ),
    Control(
        "EC2.18",
        "the world reaches the ports of the public only",
        "AWS::EC2::SecurityGroup",
        _closed_but_for({80, 443}),
    ),
    Control(
        "ECR.1",
        "images are scanned when they are pushed",
        _REPOSITORY,
        lambda each: each["ImageScanningConfiguration"]["ScanOnPush"] is True,
    ),
    Control(
        "ECR.2",
        "a tag never changes",
        _REPOSITORY,
        lambda each: each["ImageTagMutability"] == "IMMUTABLE",
    ),
    Control(
        "ECR.3", "old images go", _REPOSITORY, lambda each: each["LifecyclePolicy"]["LifecyclePolicyText"]
    ),
    Control(
        "ECR.5",
        "images are encrypted with a customer key",
        _REPOSITORY,
        lambda each: each["EncryptionConfiguration"]["EncryptionType"] == "KMS",
    ),
    Control(
        "SecretsManager.4",
        "secrets rotate within ninety days",
        "AWS::SecretsManager::RotationSchedule",
        lambda each: each["RotationRules"]["ScheduleExpression"] == "rate(30 days)",
    ),
    Control("SNS.1", "messages are encrypted", "AWS::SNS::Topic", lambda each: "KmsMasterKeyId" in each),
    Control("SNS.4", "no topic is public", "AWS::SNS::TopicPolicy", _nobody_unnamed),
    Control("SNS.5", "messages are sent over TLS only", "AWS::SNS::TopicPolicy", _denies_plain_http),
    Control("KMS.4", "keys rotate", "AWS::KMS::Key", lambda each: each["EnableKeyRotation"] is True),
    Control(
        "CodeBuild.1",
        "a build has no credentials of a repository",
        _PROJECT,
        lambda each: each["Source"]["Type"] == "CODEPIPELINE" and "Auth" not in each["Source"],
    ),
    Control(
        "CodeBuild.2",
        "no variable of a build holds credentials",
        _PROJECT,
        lambda each: not any("SECRET" in one["Name"] or "KEY" in one["Name"] for one in _variables(each)),
    ),
    Control(
        "CodeBuild.3",
        "what builds leave is encrypted with a customer key",
        _PROJECT,
        lambda each: "EncryptionKey" in each,
    ),
    Control(
        "CodeBuild.4",
        "builds are logged",
        _PROJECT,
        lambda each: each["LogsConfig"]["CloudWatchLogs"]["Status"] == "ENABLED",
    ),
    Control(
        "CodeBuild.5",
        "only what builds images is privileged",
        _PROJECT,
        lambda each: (
            each["Environment"]["PrivilegedMode"] is False or "image" in each["Description"].partition(",")[2]
        ),
    ),
    Control(
        "CloudWatch.15",
        "an alarm does something",
        "AWS::CloudWatch::Alarm",
        lambda each: bool(each["AlarmActions"]),
    ),
    Control(
        "CloudWatch.16",
        "logs are kept for a year",
        "AWS::Logs::LogGroup",
        lambda each: each["RetentionInDays"] >= YEAR_DAYS,
        # Elsewhere as long as set.
        environments=("prod",),
    ),
    Control(
        "CloudWatch.17",
        "no alarm's actions are switched off",
        "AWS::CloudWatch::Alarm",
        lambda each: each.get("ActionsEnabled", True) is True,
    ),
    Control(
        "S3.5",
        "buckets refuse plain HTTP",
        "AWS::S3::BucketPolicy",
        _denies_plain_http,
    ),
    Control(
        "S3.8",
        "no bucket can become public",
        _BUCKET,
        lambda each: (
            all(each["PublicAccessBlockConfiguration"].values())
            and len(each["PublicAccessBlockConfiguration"]) == 4
        ),
    ),
    Control("S3.13", "old objects go", _BUCKET, lambda each: bool(each["LifecycleConfiguration"]["Rules"])),
    Control(
        "S3.14",
        "objects have versions",
        _BUCKET,
        lambda each: each["VersioningConfiguration"]["Status"] == "Enabled",
    ),
)


def _resources(templates: Templates, kind: str) -> Iterator[tuple[str, Any]]:
    for stack, template in templates.items():
        for logical_id, properties in of_type(template, kind).items():
            yield f"{stack}/{logical_id}", properties


@pytest.mark.parametrize(
    ("name", "control"),
    [
        pytest.param(name, control, id=f"{control.number}-{name}")
        for control in CONTROLS
        for name in control.environments
    ],
)
def test_the_control_is_met(templates: Synthesize, name: str, control: Control) -> None:
    found = dict(_resources(templates(name), control.kind))
    assert found, f"{control.number}: no {control.kind}"
    unmet = [where for where, properties in found.items() if not control.holds(properties)]
    assert not unmet, f"{control.number}: {control.claim}"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_secret_rotates_and_every_one_is_used(templates: Synthesize, name: str) -> None:
    """SecretsManager.1 and 3."""
    everything = json.dumps(templates(name))
    secrets = of_type(templates(name)["Data"], "AWS::SecretsManager::Secret")
    schedules = of_type(templates(name)["Data"], "AWS::SecretsManager::RotationSchedule")
    assert len(schedules) == len(secrets)
    for logical_id in secrets:
        assert everything.count(f'"{logical_id}') > 1


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_people_are_told_what_happens_to_the_database_its_parameters_and_groups(
    templates: Synthesize, name: str
) -> None:
    """RDS.20, 21 and 22; RDS.19 is about clusters, which there are none of."""
    told = {
        each["SourceType"]: set(each["EventCategories"])
        for each in of_type(templates(name)["Observability"], "AWS::RDS::EventSubscription").values()
    }
    assert told["db-instance"] >= {"failure", "maintenance", "configuration change"}
    assert told["db-parameter-group"] >= {"configuration change"}
    assert told["db-security-group"] >= {"failure", "configuration change"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_default_security_group_is_closed(templates: Synthesize, name: str) -> None:
    """EC2.2."""
    assert of_type(templates(name)["Network"], "Custom::VpcRestrictDefaultSG")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_database_has_no_public_subnet(templates: Synthesize, name: str) -> None:
    """RDS.46."""
    (group,) = of_type(templates(name)["Data"], "AWS::RDS::DBSubnetGroup").values()
    zones = settings.load(name).availability_zones
    assert len(group["SubnetIds"]) == len(zones)
    assert all("DataSubnet" in json.dumps(subnet) for subnet in group["SubnetIds"])


def test_each_control_is_named_once() -> None:
    numbers = [control.number for control in CONTROLS]
    assert len(set(numbers)) == len(numbers)
