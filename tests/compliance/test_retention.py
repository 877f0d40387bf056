"""What becomes of everything that keeps data, when a resource or its stack goes away."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from ops.deployed.routes import references
from ops.release.stateful import stateful_types
from tests.conftest import ENVIRONMENTS, Synthesize, Template
from tests.resources import of_type, only

# Made of nothing but what is in the template: nothing is lost with them.
NOTHING_INSIDE = {"AWS::EC2::VPC", "AWS::EC2::Subnet"}


def keys_of_topics(template: Template) -> set[str]:
    """Keys that encrypt messages on their way and nothing that is kept."""
    users: dict[str, set[str]] = {}
    for resource in template["Resources"].values():
        for logical_id in references(resource.get("Properties", {})):
            users.setdefault(logical_id, set()).add(resource["Type"])
    return {
        logical_id
        for logical_id in of_type(template, "AWS::KMS::Key")
        if "AWS::SNS::Topic" in users.get(logical_id, set()) and not users[logical_id] & stateful_types()
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_whatever_keeps_data_says_what_becomes_of_it(templates: Synthesize, name: str) -> None:
    protected = settings.load(name).protected
    seen = set()
    for stack, template in templates(name).items():
        for logical_id, resource in template["Resources"].items():
            resource_type = resource["Type"]
            if resource_type not in stateful_types() - NOTHING_INSIDE:
                continue
            seen.add(resource_type)
            policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            made_by_people = resource_type == "AWS::CodeCommit::Repository"
            if logical_id in keys_of_topics(template) or not (protected or made_by_people):
                expected = ("Delete", "Delete")
            elif resource_type == "AWS::RDS::DBInstance":
                expected = ("Snapshot", "Snapshot")
            else:
                expected = ("RetainExceptOnCreate", "Retain")
            assert policies == expected, f"{name}: {stack}/{logical_id}"
    assert {"AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::KMS::Key"} <= seen


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_bucket_that_may_go_away_is_emptied_first(templates: Synthesize, name: str) -> None:
    for stack, template in templates(name).items():
        emptied = {
            each["BucketName"]["Ref"] for each in of_type(template, "Custom::S3AutoDeleteObjects").values()
        }
        going = {
            logical_id
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] == "AWS::S3::Bucket" and resource["DeletionPolicy"] == "Delete"
        }
        assert emptied == going, stack


def test_the_load_balancer_stops_writing_logs_before_their_bucket_is_emptied(templates: Synthesize) -> None:
    compute = templates("dev").platform
    balancer = only(
        {
            logical_id: resource
            for logical_id, resource in compute["Resources"].items()
            if resource["Type"] == "AWS::ElasticLoadBalancingV2::LoadBalancer"
        }
    )
    attributes = {each["Key"]: each["Value"] for each in balancer["Properties"]["LoadBalancerAttributes"]}
    emptying = {
        each["BucketName"]["Ref"]: logical_id
        for logical_id, each in of_type(compute, "Custom::S3AutoDeleteObjects").items()
    }
    assert emptying[attributes["access_logs.s3.bucket"]["Ref"]] in balancer["DependsOn"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_repositories_of_images_go_with_their_images_or_not_at_all(templates: Synthesize, name: str) -> None:
    protected = settings.load(name).protected
    for template in templates(name).values():
        for repository in of_type(template, "AWS::ECR::Repository").values():
            assert bool(repository.get("EmptyOnDelete")) is not protected


def test_a_protected_database_leaves_its_backups_too(templates: Synthesize) -> None:
    def database(name: str) -> Any:
        return only(of_type(templates(name)["Data"], "AWS::RDS::DBInstance"))

    assert database("prod")["DeleteAutomatedBackups"] is False
    assert database("prod")["DeletionProtection"] is True
    assert database("dev")["DeleteAutomatedBackups"] is True
    assert database("dev").get("DeletionProtection", False) is False


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_load_balancers_are_protected_as_their_environment_is(templates: Synthesize, name: str) -> None:
    balancer = only(of_type(templates(name).platform, "AWS::ElasticLoadBalancingV2::LoadBalancer"))
    attributes = {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}
    assert attributes["deletion_protection.enabled"] == str(settings.load(name).protected).lower()
