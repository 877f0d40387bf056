"""What keeps a deployment from succeeding in an account is told before it begins: names, stacks, roles, quotas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

import settings
from ops.aws.clients import Clients
from ops.deployment import names, readiness, service_roles, stuck
from ops.doctor import quotas
from ops.doctor.findings import State
from ops.errors import OpsError
from ops.synthesis.templates import Templates
from tests.combinations import CASES, templates
from tests.conftest import Synthesize

DEV, PROD = settings.load("dev"), settings.load("prod")


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Called")


@dataclass(frozen=True)
class Account(Clients):
    """An account whose services answer calls, and pages, by `service.operation`."""

    region: str = "us-east-1"
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return Service(self, service)


@dataclass(frozen=True)
class Service:
    account: Account
    name: str

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**asked: Any) -> Any:
            self.account.calls.append((f"{self.name}.{operation}", asked))
            answer = self.account.answers.get(f"{self.name}.{operation}", {})
            answer = answer(asked) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def can_paginate(self, operation: str) -> bool:
        return operation != "describe_addresses"

    def get_paginator(self, operation: str) -> Any:
        account, name = self.account, self.name

        @dataclass(frozen=True)
        class Paginator:
            def paginate(self, **asked: Any) -> list[Any]:
                answer = account.answers.get(f"{name}.{operation}", {})
                return [answer(asked) if callable(answer) else answer]

        return Paginator()


def stacks(**statuses: str) -> dict[str, Any]:
    """What CloudFormation describes: statuses by the last part of the stacks' names."""
    found = [
        {"StackName": f"suppliers-dev-{part}", "StackStatus": status} for part, status in statuses.items()
    ]

    def described(asked: Mapping[str, Any]) -> Any:
        if "StackName" not in asked:
            return {"Stacks": found}
        named = [each for each in found if each["StackName"] == asked["StackName"]]
        if named:
            return {"Stacks": named}
        message = f"Stack with id {asked['StackName']} does not exist"
        return ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")

    return {
        "cloudformation.describe_stacks": described,
        "cloudformation.list_stack_resources": {"StackResourceSummaries": []},
    }


def kept(name: str, kind: str = "AWS::Logs::LogGroup", key: str = "LogGroupName") -> Templates:
    resource = {"Type": kind, "Properties": {key: name}, "DeletionPolicy": "RetainExceptOnCreate"}
    return {"Compute": {"Resources": {"Kept": resource}}}


# Names


def test_what_an_environment_left_keeps_a_new_one_from_succeeding_and_is_told_with_what_frees_it() -> None:
    there = {"logs.describe_log_groups": {"logGroups": [{"logGroupName": "/suppliers-dev/customer"}]}}
    account = Account(answers={**stacks(), **there})
    found = names.taken(account, DEV, kept("/suppliers-dev/customer"))
    with pytest.raises(OpsError) as raised:
        names.refuse(found, DEV)
    (line,) = str(raised.value).splitlines()
    assert "/suppliers-dev/customer exists already." in line
    assert "aws logs delete-log-group --log-group-name /suppliers-dev/customer" in line
    assert "--import-existing-resources" in line
    assert names.taken(account, DEV, kept("/suppliers-dev/employee")) == []


def test_the_repository_of_another_environment_is_used_and_not_made_again() -> None:
    there = {"codecommit.list_repositories": {"repositories": [{"repositoryName": "microservices"}]}}
    made = kept("microservices", "AWS::CodeCommit::Repository", "RepositoryName")
    (found,) = names.taken(Account(answers={**stacks(), **there}), DEV, made)
    assert "create_repository = false" in names.remedy(found, DEV)


# Stacks


@pytest.mark.parametrize(
    ("status", "blocks", "remedy"),
    [
        ("ROLLBACK_COMPLETE", False, "aws cloudformation delete-stack --stack-name suppliers-dev-data"),
        ("DELETE_FAILED", True, "aws cloudformation delete-stack --stack-name suppliers-dev-data"),
        ("CREATE_FAILED", False, "then make deploy ENV=dev"),
        ("REVIEW_IN_PROGRESS", False, "it holds nothing"),
        ("UPDATE_ROLLBACK_FAILED", True, "continue-update-rollback --stack-name suppliers-dev-data"),
        ("UPDATE_FAILED", True, "rollback-stack --stack-name suppliers-dev-data"),
    ],
)
def test_a_stack_that_stopped_half_way_is_told_with_what_leads_on(
    status: str, blocks: bool, remedy: str
) -> None:
    account = Account(answers=stacks(network="CREATE_COMPLETE", data=status))
    (found,) = stuck.find(account, DEV)
    assert found.blocks is blocks
    assert remedy in found.remedy
    if blocks:
        with pytest.raises(OpsError, match=f"suppliers-dev-data is {status}: "):
            stuck.refuse(account, DEV)
    else:
        stuck.refuse(account, DEV)


def test_what_is_protected_is_unprotected_before_it_is_deleted() -> None:
    left = {
        "ResourceType": "AWS::RDS::DBInstance",
        "PhysicalResourceId": "db",
        "ResourceStatus": "DELETE_FAILED",
    }
    answers = {
        **stacks(data="ROLLBACK_FAILED"),
        "cloudformation.list_stack_resources": {"StackResourceSummaries": [left]},
    }
    (found,) = stuck.find(Account(answers=answers), DEV)
    first, last = found.remedy.split(" && ")
    assert first.endswith("--no-deletion-protection --db-instance-identifier db")
    assert last == "aws cloudformation delete-stack --stack-name suppliers-dev-data"


@pytest.mark.parametrize(
    ("observability", "option"),
    [(None, ["--no-rollback"]), ("CREATE_FAILED", ["--no-rollback"]), ("CREATE_COMPLETE", [])],
)
def test_a_first_creation_goes_on_where_it_stopped(observability: str | None, option: list[str]) -> None:
    """A rollback would delete what refuses to be deleted."""
    found = {"observability": observability} if observability else {}
    assert readiness.rollback(Account(answers=stacks(**found)), DEV) == option


# Roles


@pytest.mark.parametrize("case", CASES)
def test_whatever_needs_a_role_of_its_service_is_known(case: str) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html"""
    types = {each["Type"] for template in templates(case).values() for each in template["Resources"].values()}
    roles = {role.name for role in service_roles.needed(templates(case))}
    for kind, role in (
        ("AWS::CodeStarNotifications::NotificationRule", "AWSServiceRoleForCodeStarNotifications"),
        ("AWS::ElastiCache::ReplicationGroup", "AWSServiceRoleForElastiCache"),
        ("AWS::CloudFront::VpcOrigin", "AWSServiceRoleForCloudFrontVPCOrigin"),
        ("AWS::Backup::BackupPlan", "AWSServiceRoleForBackup"),
    ):
        assert (role in roles) is (kind in types)
    assert {"AWSServiceRoleForECS", "AWSServiceRoleForRDS", "AWSServiceRoleForElasticLoadBalancing"} <= roles


def notifying() -> Templates:
    return {"Delivery": {"Resources": {"Rule": {"Type": "AWS::CodeStarNotifications::NotificationRule"}}}}


def test_roles_that_are_absent_are_made_before_what_needs_them() -> None:
    account = Account(answers={"iam.get_role": refused("NoSuchEntity")})
    said: list[str] = []
    service_roles.ensure(account, DEV, notifying(), said.append)
    assert (
        "iam.create_service_linked_role",
        {"AWSServiceName": "codestar-notifications.amazonaws.com"},
    ) in account.calls
    assert said == ["AWSServiceRoleForCodeStarNotifications: made"]
    service_roles.ensure(Account(), DEV, notifying(), said.append)
    assert len(said) == 1, "one that is there is left alone"


def test_a_role_that_is_needed_beforehand_and_may_not_be_made_is_told_with_the_command() -> None:
    account = Account(
        answers={
            "iam.get_role": refused("NoSuchEntity"),
            "iam.create_service_linked_role": refused("AccessDenied"),
        }
    )
    with pytest.raises(OpsError) as raised:
        service_roles.ensure(account, DEV, notifying(), print)
    assert str(raised.value).endswith(
        "aws iam create-service-linked-role --aws-service-name codestar-notifications.amazonaws.com"
    )


# Quotas


def limited(value: float | None) -> dict[str, Any]:
    if value is None:
        absent = refused("NoSuchResourceException")
        return {
            "service-quotas.get_service_quota": absent,
            "service-quotas.get_aws_default_service_quota": absent,
        }
    return {"service-quotas.get_service_quota": {"Quota": {"Value": value}}}


def finding(name: str, synthesized: Templates, **answers: Any) -> Any:
    (quota,) = (each for each in quotas.QUOTAS if each.name == name)
    account = Account(answers={key.replace("__", "."): value for key, value in answers.items()})
    return quota.finding(account, account, DEV, synthesized, synthesized)


def test_a_quota_that_leaves_no_room_is_told_with_how_to_ask_for_more(templates: Synthesize) -> None:
    # Two services of at most 4 tasks of a quarter vCPU, twice during a release: 4 vCPUs.
    found = finding("Fargate vCPUs", templates("dev"), **limited(2.0))
    assert found.state is State.MISSING
    assert found.detail.startswith("4 of 2")
    assert found.remedy == (
        "aws service-quotas request-service-quota-increase --service-code fargate "
        "--quota-code L-3032A538 --desired-value 4"
    )
    assert finding("Fargate vCPUs", templates("dev"), **limited(6.0)).state is State.OK


def test_a_new_account_builds_one_thing_at_a_time(templates: Synthesize) -> None:
    found = finding("concurrent builds, ARM/Small", templates("dev"), **limited(1.0))
    assert found.state is State.MISSING
    assert finding("concurrent builds, Linux/Small", templates("dev"), **limited(0.0)).state is State.OK


def test_what_is_there_counts_beside_what_is_to_be_made(templates: Synthesize) -> None:
    there: dict[str, Any] = {"ec2.describe_addresses": {"Addresses": [{}] * 5}}
    found = finding("elastic IP addresses", templates("dev"), **limited(5.0), **there)
    assert found.detail.startswith("6 of 5: 5 there, 1 to be made")


def test_a_quota_that_nobody_knows_is_not_checked(templates: Synthesize) -> None:
    assert finding("Fargate vCPUs", templates("dev"), **limited(None)).state is State.UNCHECKED


def test_every_quota_has_a_page_and_a_code_of_its_own() -> None:
    codes = [(each.service, each.code) for each in quotas.QUOTAS]
    assert len(codes) == len(set(codes))
    assert all(each.page.startswith("https://docs.aws.amazon.com/") for each in quotas.QUOTAS)
