from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from rich.console import Console

import settings
from ops.deployment import deploy, leftovers
from ops.errors import OpsError
from ops.synthesis import cdk
from tests.unit.ops.recorded import Stacks

ENVIRONMENT_LOGS = (
    "/aws/codebuild/ImageBuild",
    "/aws/ecs/containerinsights/Cluster/performance",
    "/aws/lambda/Operations",
    "/aws/lambda/Rotation",
    "/aws/rds/instance/directory/error",
    "/aws/rds/instance/directory/slowquery",
)
OTHER_LOGS = (
    "/aws/lambda/OperationsOfSomebodyElse",
    "/aws/rds/instance/directory-of-somebody-else/error",
    "RDSOSMetrics",
)


class Account(Stacks):
    """Stacks as recorded, log groups in moto."""

    def client(self, service: str) -> Any:
        if service == "logs":
            keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
            return boto3.client("logs", region_name=self.region, **keys)
        return super().client(service)


def template(**resources: str) -> dict[str, Any]:
    return {"Resources": {logical_id: {"Type": kind} for logical_id, kind in resources.items()}}


def account(environment: str) -> Account:
    return Account(
        templates={
            f"suppliers-{environment}-data": template(
                directory="AWS::RDS::DBInstance", Nested="AWS::Serverless::Application"
            ),
            "Nested": template(Rotation="AWS::Lambda::Function"),
            f"suppliers-{environment}-compute": template(
                Cluster="AWS::ECS::Cluster", Operations="AWS::Lambda::Function", Topic="AWS::SNS::Topic"
            ),
            f"suppliers-{environment}-delivery": template(Artifacts="AWS::S3::Bucket"),
            f"suppliers-{environment}-delivery-customer": reading(
                environment, ImageBuild="AWS::CodeBuild::Project"
            ),
        }
    )


def reading(environment: str, **resources: str) -> dict[str, Any]:
    """A template that tells whose environment it is of."""
    asked = {"Fn::GetStackOutput": {"StackName": f"suppliers-{environment}-compute", "OutputName": "Cluster"}}
    return {**template(**resources), "Outputs": {"Cluster": {"Value": asked}}}


def without_delivery(project: Path) -> settings.Environment:
    file = project / "environments/dev.toml"
    file.write_text(re.sub(r"\[delivery\]\n.*\n", "", file.read_text()))
    return settings.load("dev", project)


def test_a_stack_whose_option_was_switched_off_is_still_there(project: Path) -> None:
    """The CDK CLI is about the stacks of the app only."""
    environment = without_delivery(project)
    found = leftovers.stacks_left(account("dev"), environment)
    assert found == ["suppliers-dev-delivery-customer", "suppliers-dev-delivery"]
    for stack, what in zip(
        found, ("its pipeline goes on releasing", "the key of the pipelines'"), strict=True
    ):
        line = leftovers.notice(stack, environment)
        assert "its section is no longer in the settings" in line
        assert what in line
        assert f"`aws cloudformation delete-stack --stack-name {stack}`; or put the section back" in line
    assert leftovers.stacks_left(account("dev"), settings.load("dev")) == []
    assert leftovers.stacks_left(Account(templates={}), without_delivery(project)) == []


def test_a_destroyed_environment_takes_the_stacks_along_whose_option_was_switched_off(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdk, "run", lambda *_, **__: None)
    recorded = account("dev")
    monkeypatch.setattr(deploy, "clients", lambda _: recorded)
    with mock_aws():
        deploy.destroy(without_delivery(project), console=Console(file=StringIO()))
    assert recorded.templates.keys() == {"suppliers-dev-data", "suppliers-dev-compute", "Nested"}


@pytest.mark.parametrize(
    ("environment", "kept"), [("dev", OTHER_LOGS), ("prod", ENVIRONMENT_LOGS + OTHER_LOGS)]
)
def test_a_destroyed_environment_leaves_the_logs_of_others_alone(
    monkeypatch: pytest.MonkeyPatch, environment: str, kept: Sequence[str]
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(cdk, "run", lambda arguments, **_: ran.append(arguments[0]))
    monkeypatch.setattr(deploy, "clients", lambda _: account(environment))
    with mock_aws():
        logs = account(environment).client("logs")
        for name in (*ENVIRONMENT_LOGS, *OTHER_LOGS):
            logs.create_log_group(logGroupName=name)
        deploy.destroy(settings.load(environment), console=Console(file=StringIO()), yes=True)
        left = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    assert ran == ["destroy"]
    assert left == set(kept)


def test_a_service_that_is_no_longer_in_the_settings_goes_with_its_pipeline_when_it_is_let_go() -> None:
    environment = settings.load("dev")
    names = ("network", "compute", "customer", "roasters", "delivery", "delivery-customer")
    account = Account(templates={f"suppliers-dev-{each}": template() for each in names})
    for environment_of_it, part in (
        ("dev", "roasters"),
        ("dev", "delivery-roasters"),
        ("dev-eu", "customer"),
    ):
        account.templates[f"suppliers-{environment_of_it}-{part}"] = reading(environment_of_it)
    said: list[str] = []
    assert leftovers.stacks_left(account, environment) == [
        "suppliers-dev-delivery-roasters",
        "suppliers-dev-roasters",
    ]
    line = leftovers.notice("suppliers-dev-delivery-roasters", environment)
    assert "its service is no longer in the settings, and its pipeline goes on releasing" in line
    with pytest.raises(
        OpsError, match=r"suppliers-dev-roasters is of .* its logs and images: .* --lose 'roasters/\*'"
    ):
        leftovers.services_to_go(account, environment, ())
    assert "suppliers-dev-roasters" in account.templates
    going = leftovers.services_to_go(account, environment, ("roasters/*",))
    assert leftovers.services_to_go(account, environment, None) == going
    leftovers.remove_stacks(account, environment, going, said.append)
    assert {*account.templates} == {
        "suppliers-dev-eu-customer",
        *(f"suppliers-dev-{each}" for each in names if each != "roasters"),
    }
    assert said == ["suppliers-dev-delivery-roasters: destroyed", "suppliers-dev-roasters: destroyed"]
