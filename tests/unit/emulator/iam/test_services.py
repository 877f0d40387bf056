from __future__ import annotations

from typing import Any

import pytest

from emulator import iam
from emulator.errors import EmulatorError
from emulator.iam import services
from emulator.iam.actions import Ask

REGION, ACCOUNT = "us-east-1", "111122223333"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-AbCdEf"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"


def container(**changes: Any) -> dict[str, Any]:
    return {"name": "web", "image": "python:3.13", **changes}


def steps(*containers: dict[str, Any]) -> list[tuple[str, str]]:
    found = services.starting_a_task({"containerDefinitions": list(containers)}, "t1", REGION, ACCOUNT)
    return [(step.ask.action, step.ask.resource) for step in found]


def test_a_task_from_a_public_registry_without_secrets_and_logs_needs_nothing() -> None:
    assert steps(container()) == []


def test_an_image_in_the_accounts_registry_is_pulled_by_the_execution_role() -> None:
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/customer"
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop/customer"
    for written in (f"{image}:1", f"{image}@sha256:abc"):
        assert steps(container(image=written)) == [
            ("ecr:GetAuthorizationToken", "*"),
            ("ecr:BatchCheckLayerAvailability", repository),
            ("ecr:BatchGetImage", repository),
            ("ecr:GetDownloadUrlForLayer", repository),
        ]


def test_secrets_and_parameters_are_read_by_the_execution_role() -> None:
    written = [
        {"name": "A", "valueFrom": SECRET},
        {"name": "B", "valueFrom": f"{SECRET}:password::"},
        {"name": "C", "valueFrom": "/shop/mode"},
    ]
    assert steps(container(secrets=written)) == [
        ("secretsmanager:GetSecretValue", SECRET),
        ("secretsmanager:GetSecretValue", SECRET),
        ("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/shop/mode"),
    ]


def test_a_log_is_written_by_the_execution_role() -> None:
    options = {"awslogs-group": "/shop", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "p"}
    logged = container(logConfiguration={"logDriver": "awslogs", "options": options})
    stream = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/shop:log-stream:p/web/t1"
    expected = [("logs:CreateLogStream", stream), ("logs:PutLogEvents", stream)]
    assert steps(logged) == expected
    options["awslogs-create-group"] = "true"
    group = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/shop:log-stream:"
    assert steps(logged) == [("logs:CreateLogGroup", group), *expected]


def test_what_is_encrypted_needs_its_key_through_the_service() -> None:
    (needed,) = services.key_asks(Ask("secretsmanager:GetSecretValue", SECRET), KEY, REGION)
    assert (needed.action, needed.resource) == ("kms:Decrypt", KEY)
    assert needed.context["kms:viaservice"] == "secretsmanager.us-east-1.amazonaws.com"
    assert needed.context["kms:encryptioncontext:secretarn"] == SECRET
    assert list(services.key_asks(Ask("secretsmanager:GetSecretValue", SECRET), None, REGION)) == []
    assert list(services.key_asks(Ask("secretsmanager:DescribeSecret", SECRET), KEY, REGION)) == []


def test_a_release_needs_rights_on_what_it_changes() -> None:
    rule = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener-rule/app/a/b/c/d"
    listener = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/a/b/c"
    assert [each.action for each in services.moving_traffic([rule, listener])] == [
        "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:ModifyListener",
    ]
    started = list(services.starting_a_release("service", "task-set", ["role"], ["alarm"]))
    assert Ask("cloudwatch:DescribeAlarms", "alarm") in started
    assert Ask("ecs:CreateTaskSet", "task-set") in started
    assert started[-1].context == {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}


def test_policies_are_enforced_unless_somebody_says_off() -> None:
    assert iam.is_enforced({})
    assert iam.is_enforced({"EMULATOR_IAM": "on"})
    assert not iam.is_enforced({"EMULATOR_IAM": "off"})
    with pytest.raises(EmulatorError, match="EMULATOR_IAM=no: `on` or `off`"):
        iam.is_enforced({"EMULATOR_IAM": "no"})
