"""Names that are fixed: of the form that AWS demands, each once in an account, and none that replaces itself."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import settings
from ops.deployment import names
from ops.release.stateful import replacing
from settings.names import NAMES, Name
from tests import combinations
from tests.resources import of_type

# What looks like a name and may be given twice: it is one within its parent only, or means something else.
NO_NAMES: frozenset[tuple[str, str]] = frozenset(
    {
        ("AWS::ApplicationAutoScaling::ScalingPolicy", "PolicyName"),
        ("AWS::Backup::BackupPlan", "BackupPlan.BackupPlanName"),
        ("AWS::Backup::BackupSelection", "BackupSelection.SelectionName"),
        ("AWS::CertificateManager::Certificate", "DomainName"),
        ("AWS::CodeDeploy::DeploymentGroup", "DeploymentConfigName"),
        ("AWS::EC2::VPCEndpoint", "ServiceName"),
        # Each registration is a revision more.
        ("AWS::ECS::TaskDefinition", "Family"),
        ("AWS::ElastiCache::User", "UserName"),
        ("AWS::Logs::MetricFilter", "LogGroupName"),
        ("AWS::Logs::QueryDefinition", "Name"),
        ("AWS::RDS::DBCluster", "DatabaseName"),
        ("AWS::RDS::DBInstance", "DBName"),
        ("AWS::RDS::DBProxyTargetGroup", "TargetGroupName"),
        ("AWS::RDS::DBProxy", "EngineFamily"),
        ("AWS::ECS::TaskDefinition", "RuntimePlatform.OperatingSystemFamily"),
        ("Custom::CodeDeployRelease", "ContainerName"),
        ("Custom::LiveImage", "PipelineRepository"),
        ("Custom::LiveImage", "ServiceLogicalId"),
        ("Custom::HealthCheckPath", "ServiceLogicalId"),
        # Of the hosted zone; settings have one domain an environment.
        ("AWS::Route53::RecordSet", "Name"),
        ("AWS::Route53::RecordSet", "HostedZoneId"),
        ("AWS::WAFv2::WebACL", "VisibilityConfig.MetricName"),
        ("AWS::RDS::DBParameterGroup", "Family"),
        ("AWS::RDS::DBClusterParameterGroup", "Family"),
        ("AWS::CloudWatch::Alarm", "MetricName"),
        ("AWS::RDS::DBInstance", "CACertificateIdentifier"),
        ("AWS::EC2::SecurityGroupIngress", "SourcePrefixListId"),
    }
)


def resources(case: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for stack, template in combinations.templates(case).items():
        for logical_id, resource in template["Resources"].items():
            yield stack, logical_id, resource


def test_the_cases_are_those_that_are_tested() -> None:
    assert set(combinations.environments()) == set(combinations.CASES)


@pytest.mark.parametrize("case", combinations.CASES)
def test_every_property_that_may_be_a_name_is_known_as_one_or_as_none(case: str) -> None:
    """A literal by which AWS tells one resource from another is what a second environment collides with."""
    for stack, logical_id, resource in resources(case):
        for path, literal in literals(resource.get("Properties", {})):
            known = names.NAMED.get(resource["Type"]) == path or (resource["Type"], path) in NO_NAMES
            assert known, f"{case}: {stack}/{logical_id}: {path} is {literal!r}"


def literals(properties: dict[str, Any], owner: str = "") -> Iterator[tuple[str, str]]:
    for key, value in properties.items():
        if isinstance(value, dict) and not owner:
            yield from literals(value, f"{key}.")
        elif isinstance(value, str) and re.search(r"(Name|Id|Identifier|Family)$", key):
            yield f"{owner}{key}", value


@pytest.mark.parametrize(
    ("one", "other"), [("dev", "twin"), ("twin", "prod"), ("dev", "prod"), ("dev", "cluster")]
)
def test_two_environments_of_an_account_share_no_name(one: str, other: str) -> None:
    def of(case: str) -> set[tuple[str, str]]:
        return {(each.resource_type, each.name) for each in names.fixed(combinations.templates(case))}

    shared = of(one) & of(other)
    if {one, other} == {"dev", "twin"}:
        # Both create it as dev does: the second says create_repository = false, which `make deploy` asks for.
        assert shared == {("AWS::CodeCommit::Repository", "microservices")}
    else:
        assert not shared


def test_environments_as_they_are_share_no_name() -> None:
    assert settings.load("dev").delivery != settings.load("prod").delivery
    for one, other in pairwise(("plain", "prod")):
        found = [names.fixed(combinations.templates(case)) for case in (one, other)]
        taken = [{(each.resource_type, each.name) for each in each_case} for each_case in found]
        assert not taken[0] & taken[1]


@pytest.mark.parametrize("case", combinations.CASES)
def test_no_name_is_given_twice_in_an_environment(case: str) -> None:
    counted = Counter((each.resource_type, each.name) for each in names.fixed(combinations.templates(case)))
    assert [each for each, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("case", combinations.CASES)
def test_a_creation_that_failed_leaves_nothing_that_keeps_the_next_one_from_succeeding(case: str) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html"""
    for stack, logical_id, resource in resources(case):
        assert resource.get("DeletionPolicy") != "Retain", f"{case}: {stack}/{logical_id}"


@pytest.mark.parametrize("case", combinations.CASES)
def test_what_people_made_outlives_every_environment(case: str) -> None:
    for _, _, resource in resources(case):
        if resource["Type"] == "AWS::CodeCommit::Repository":
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
            assert resource["UpdateReplacePolicy"] == "Retain"
            # A key of ours would go with the environment that made it, and the sources with the key.
            assert "KmsKeyId" not in resource["Properties"]


@pytest.mark.parametrize("case", combinations.CASES)
def test_a_changed_tag_replaces_nothing_that_has_a_name(case: str) -> None:
    for each in names.fixed(combinations.templates(case)):
        tags = [path for path in replacing(each.resource_type) if "Tag" in path]
        assert not tags, f"{each.resource_type}: {tags}"
    # Reported, though its schema says that tags are changed in place:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-codestarnotifications-notificationrule.html
    for template in combinations.templates(case).values():
        for rule in of_type(template, "AWS::CodeStarNotifications::NotificationRule").values():
            assert "Tags" not in rule


@pytest.mark.parametrize("case", combinations.CASES)
def test_the_form_of_every_name_is_checked_when_settings_are_loaded(case: str) -> None:
    """Of alarms, dashboards and queries, which take nearly anything, the longest is counted here."""
    environment = combinations.environments()[case]
    known = {name for each in NAMES for name in each.of(environment)}
    prefix = f"suppliers-{environment.name}"
    for each in names.fixed(combinations.templates(case)):
        if each.name in known or prefix not in each.name:
            continue
        longest = len(each.name) + 23 - len(environment.name) + 16
        assert longest <= 255, f"{each.resource_type} {each.name}"
        assert each.resource_type in {
            "AWS::CloudWatch::Alarm",
            "AWS::CloudWatch::CompositeAlarm",
            "AWS::CloudWatch::Dashboard",
            "AWS::Logs::LogGroup",
            "AWS::Logs::ResourcePolicy",
            "AWS::SSM::Parameter",
            "AWS::CloudFront::CachePolicy",
            "AWS::CloudFront::OriginRequestPolicy",
            "AWS::CloudFront::ResponseHeadersPolicy",
            "AWS::CloudFront::VpcOrigin",
            # That of the migrator, whose name is shorter than the administrator's.
            "AWS::Serverless::Application",
        }, f"{each.resource_type} {each.name}"


# Settings


def copied(project: Path, name: str) -> Path:
    shutil.copy(project / "environments/dev.toml", project / f"environments/{name}.toml")
    return project


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("staging_eu", "names of stacks, repositories and more are made of 'staging_eu', and AWS allows"),
        ("Staging", "names of stacks, repositories and more are made of 'Staging', and AWS allows"),
        ("eu-", "names of stacks, repositories and more are made of 'eu-', and AWS allows"),
        ("1st", "names of stacks, repositories and more are made of '1st', and AWS allows"),
        (
            "emea-preproduction-blue",
            "name: the load balancer would be called 'suppliers-emea-preproduction-blue', which is 33 characters "
            "long, 32 are allowed (https://docs.aws.amazon.com/elasticloadbalancing/",
        ),
    ],
)
def test_a_name_that_aws_would_refuse_is_one_line(project: Path, name: str, line: str) -> None:
    with pytest.raises(settings.SettingsError) as refused:
        settings.load(name, copied(project, name))
    (told,) = str(refused.value).splitlines()
    assert told.startswith(f"environments/{name}.toml: name: ")
    assert line in told
    assert "https://docs.aws.amazon.com/" in told


def test_the_longest_names_are_allowed(project: Path) -> None:
    name = "emea-preproduction-bl1"
    assert len(name) == 22
    assert settings.load(name, copied(project, name)).name == name


@pytest.mark.parametrize("each", NAMES, ids=lambda each: f"{each.what}, {each.form}")
def test_a_name_that_is_too_long_or_of_another_form_is_told(each: Name) -> None:
    everything = combinations.environments()
    environment = next(one for one in everything.values() if list(each.of(one)))
    assert list(each.problems(environment)) == []
    long = environment.model_copy(update={"name": "e" * 600})
    assert all(each.page in line and f"{each.longest} are" in line for line in each.problems(long))
    assert list(each.problems(long))
    wrong = environment.model_copy(update={"name": "e!"})
    assert all(each.pattern in line for line in each.problems(wrong))
    assert list(each.problems(wrong))


@pytest.mark.parametrize("name", ["roasters-", "roasters--eu", "Roasters", "a-name-of-17-char"])
def test_a_service_whose_name_would_spoil_others_is_refused(project: Path, name: str) -> None:
    added(project, name)
    with pytest.raises(settings.SettingsError, match=rf"services/{name}/service.toml: name: "):
        settings.load("dev", project)


def test_services_that_differ_by_a_hyphen_only_are_refused(project: Path) -> None:
    added(project, "roasters1", 160)
    added(project, "roasters-1", 170)
    with pytest.raises(settings.SettingsError, match=r"differs from roasters-1 by a hyphen only"):
        settings.load("dev", project)


def test_two_environments_do_not_mean_different_services_by_the_same_name(project: Path) -> None:
    added(project, "eu-customer")
    assert settings.load("dev", project)
    copied(project, "dev-eu")
    with pytest.raises(
        settings.SettingsError, match=r"eu-customer: .* of customer in environment dev-eu; rename"
    ):
        settings.load("dev", project)


def test_pipelines_of_an_environment_are_not_called_as_services_of_another(project: Path) -> None:
    assert settings.load("dev", copied(project, "delivery"))
    copied(project, "dev-delivery")
    with pytest.raises(
        settings.SettingsError, match=r"delivery: .* in environment dev-delivery; rename environments/dev-del"
    ):
        settings.load("dev", project)
    file = project / "environments/dev.toml"
    file.write_text(re.sub(r"\[delivery\]\n.*\n", "", file.read_text()))
    assert settings.load("dev", project)


def added(project: Path, name: str, priority: int = 160) -> None:
    folder = project / "services" / name
    folder.mkdir()
    (folder / "Dockerfile").touch()
    (folder / "service.toml").write_text(
        f'path_patterns = ["/{name}"]\npriority = {priority}\nhealth_check_path = "/{name}"\n'
    )
