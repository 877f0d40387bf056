from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

import boto3
import pytest
from moto import mock_aws
from rich.console import Console

import settings
from ops import cdk, deploy
from ops.aws import Clients
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


def account(environment: str) -> Clients:
    return Account(
        templates={
            f"suppliers-{environment}-data": template(
                directory="AWS::RDS::DBInstance", Nested="AWS::Serverless::Application"
            ),
            "Nested": template(Rotation="AWS::Lambda::Function"),
            f"suppliers-{environment}-compute": template(
                Cluster="AWS::ECS::Cluster", Operations="AWS::Lambda::Function", Topic="AWS::SNS::Topic"
            ),
            f"suppliers-{environment}-delivery": template(ImageBuild="AWS::CodeBuild::Project"),
        }
    )


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
        deploy.destroy(settings.load(environment), console=Console(file=StringIO()))
        left = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    assert ran == ["destroy"]
    assert left == set(kept)
