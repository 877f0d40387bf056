import types
from typing import Any

import pytest

from emulator import bridges
from emulator.attributes import RecordedAttributes
from emulator.bridges.cloudformation import record_only, stack_status
from emulator.bridges.ecs import containers, service_deployments


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def record(kind: str, logical_id: str, stack: str, props: dict[str, Any]) -> Any:
        return f"{stack}-{logical_id}", RecordedAttributes(kind, logical_id, f"{stack}-{logical_id}")

    monkeypatch.setattr(record_only, "record", record)


def test_a_bridge_refuses_a_ministack_that_lacks_what_it_builds_on() -> None:
    module = types.ModuleType("ministack.services.ecs")
    with pytest.raises(RuntimeError, match=r"ministack\.services\.ecs has no _run_task"):
        bridges.replace(module, "_run_task", lambda original: original)


def test_unknown_types_are_known_and_recorded_while_known_ones_keep_their_handler() -> None:
    known: dict[str, Any] = {"create": lambda *arguments: ("real", {})}
    handlers = record_only.RecordingHandlers({"AWS::EC2::VPC": known})
    assert handlers.get("AWS::EC2::VPC") is known
    assert "AWS::EC2::NatGateway" in handlers
    identifier, attributes = handlers["AWS::EC2::NatGateway"]["create"]("Nat", {}, "stack")
    assert identifier == "stack-Nat"
    assert isinstance(attributes, RecordedAttributes)


def test_misspelled_and_custom_types_are_not_recorded_as_resources() -> None:
    handlers = record_only.RecordingHandlers()
    for kind in ("AWS::CloudFormation::Stak", "Custom::Thing", "EC2::VPC", "AWS::EC2"):
        assert kind not in handlers
        assert handlers.get(kind) is None


def test_a_recorded_resource_keeps_its_id_in_an_update() -> None:
    handler = record_only.RecordingHandlers()["AWS::EC2::FlowLog"]
    identifier, attributes = handler["update"]("fl-1", {}, {"TrafficType": "ALL"}, "stack", "Log")
    assert identifier == attributes["Id"] == "fl-1"


def refusing(message: str) -> dict[str, Any]:
    def create(logical_id: str, props: dict[str, Any], stack: str) -> Any:
        if "Metrics" in props:
            raise ValueError(message)
        return "alarm", {"Arn": "arn"}

    def delete(identifier: str, props: dict[str, Any]) -> None:
        raise AssertionError(f"{identifier} was never created")

    return record_only._recording_what_it_cannot(
        "AWS::CloudWatch::Alarm", {"create": create, "delete": delete}
    )


def test_a_resource_with_a_property_that_ministack_refuses_is_recorded_and_forgotten() -> None:
    handler = refusing("Properties.Metrics (metric math) is not supported")
    identifier, attributes = handler["create"]("A", {"Metrics": []}, "s")
    assert isinstance(attributes, RecordedAttributes)
    handler["delete"](identifier, {})


def test_a_mistake_in_a_template_is_still_an_error() -> None:
    with pytest.raises(ValueError, match="MetricName is missing"):
        refusing("MetricName is missing")["create"]("A", {"Metrics": []}, "s")


def test_what_ministack_can_create_is_created() -> None:
    assert refusing("is not supported")["create"]("A", {}, "s") == ("alarm", {"Arn": "arn"})


def test_names_of_a_container_definition_become_the_apis_at_every_depth_but_data_stays() -> None:
    given = {
        "LinuxParameters": {"Capabilities": {"Drop": ["ALL"]}},
        "Secrets": [{"Name": "A", "ValueFrom": "arn"}],
        "DockerLabels": {"Team": "x"},
        "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "g"}},
    }
    assert containers.camel_case(given) == {
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
        "secrets": [{"name": "A", "valueFrom": "arn"}],
        "dockerLabels": {"Team": "x"},
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}},
    }


def test_a_container_gets_the_limits_of_its_definition() -> None:
    definition = {
        "readonlyRootFilesystem": True,
        "user": "10001",
        "linuxParameters": {"initProcessEnabled": "true", "capabilities": {"drop": ["ALL"]}},
    }
    assert containers.container_options(definition, {"memory": "512"}) == {
        "read_only": True,
        "init": True,
        "user": "10001",
        "cap_drop": ["ALL"],
        "mem_limit": "512m",
    }


def test_a_volume_without_a_host_path_lives_with_its_task() -> None:
    task = {"volumes": [{"name": "tmp"}, {"name": "data", "host": {"sourcePath": "/data"}}]}
    definition = {
        "mountPoints": [
            {"sourceVolume": "tmp", "containerPath": "/tmp"},
            {"sourceVolume": "data", "containerPath": "/data"},
        ]
    }
    assert containers.ephemeral_mounts(definition, task) == ["/tmp"]


def test_a_task_works_in_its_own_region() -> None:
    found = containers.task_environment("arn:aws:ecs:eu-west-1:111111111111:task/cluster/id")
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "eu-west-1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"Action=DescribeStacks&Version=2010-05-15&StackName=suppliers-local-data", "suppliers-local-data"),
        (b"StackName=arn%3Aaws%3Ax%2Fy&Action=DescribeStacks", "arn:aws:x/y"),
        (b"Action=DescribeStacks&Version=2010-05-15", None),
        (b"Action=DescribeStackEvents&StackName=x", None),
        (b"", None),
    ],
)
def test_only_a_question_about_one_stack_is_held(body: bytes, expected: str | None) -> None:
    assert stack_status.described_stack(body) == expected


def test_only_the_cdk_cli_is_held() -> None:
    assert stack_status.is_cdk({"user-agent": "aws-sdk-js/3.9 ua/2.1 lang/js aws-cdk/2.1148.1"})
    assert not stack_status.is_cdk({"user-agent": "Boto3/1.43 md/Botocore#1.43 lang/python"})
    assert not stack_status.is_cdk({})


@pytest.mark.parametrize(
    ("rollout", "status", "told"),
    [
        ("COMPLETED", "PRIMARY", "SUCCESSFUL"),
        ("COMPLETED", "ACTIVE", "SUCCESSFUL"),
        ("FAILED", "ACTIVE", "ROLLBACK_SUCCESSFUL"),
        ("IN_PROGRESS", "PRIMARY", "IN_PROGRESS"),
        # Another one took its place before it was complete.
        ("IN_PROGRESS", "ACTIVE", "STOPPED"),
    ],
)
def test_a_deployment_of_a_service_is_told_in_the_words_of_ecs(rollout: str, status: str, told: str) -> None:
    assert service_deployments.status({"rolloutState": rollout, "status": status}) == told
