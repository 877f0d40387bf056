import copy

import pytest

from emulator.attributes import RecordedAttributes, physical_id


def attributes(resource_type: str = "AWS::EC2::EIP", identifier: str = "eipalloc-1") -> RecordedAttributes:
    return RecordedAttributes(
        resource_type, "Logical", identifier, account="000000000000", region="eu-west-1"
    )


def test_every_attribute_is_there_and_answered_alike_each_time() -> None:
    found = attributes()
    assert "AllocationId" in found
    assert found["AllocationId"] == found["AllocationId"] == "eipalloc-1"


@pytest.mark.parametrize(
    ("resource_type", "key", "expected"),
    [
        (
            "AWS::CodeDeploy::DeploymentGroup",
            "Arn",
            "arn:aws:codedeploy:eu-west-1:000000000000:deploymentgroup/x",
        ),
        (
            "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Arn",
            "arn:aws:autoscaling:eu-west-1:000000000000:scalingpolicy/x",
        ),
        (
            "AWS::Serverless::Application",
            "Outputs.RotationLambdaARN",
            "arn:aws:serverless:eu-west-1:000000000000:application/x",
        ),
        ("AWS::EC2::SecurityGroupIngress", "GroupId", "x"),
        ("AWS::RDS::DBProxy", "Endpoint", "x.invalid"),
        ("AWS::CodePipeline::Pipeline", "Name", "x"),
    ],
)
def test_an_attribute_has_the_form_that_its_name_promises(
    resource_type: str, key: str, expected: str
) -> None:
    assert attributes(resource_type, "x")[key] == expected


def test_a_public_address_is_one_that_belongs_to_nobody() -> None:
    assert attributes()["PublicIp"].startswith("203.0.113.")


def test_an_update_that_changes_nothing_keeps_them() -> None:
    found = attributes()
    assert (found or None) is found


def test_a_copy_is_still_known_as_recorded_and_answers_alike() -> None:
    original = attributes()
    duplicate = copy.deepcopy(original)
    assert isinstance(duplicate, RecordedAttributes)
    assert duplicate["AllocationId"] == original["AllocationId"]


def test_ids_have_the_prefix_of_their_type_and_do_not_change_between_runs() -> None:
    first = physical_id("AWS::EC2::NatGateway", "Nat", "stack", {})
    assert first.startswith("nat-")
    assert first == physical_id("AWS::EC2::NatGateway", "Nat", "stack", {})
    assert first != physical_id("AWS::EC2::NatGateway", "Other", "stack", {})


def test_a_resource_that_the_template_names_is_referred_to_by_that_name() -> None:
    assert physical_id("AWS::CodePipeline::Pipeline", "P", "s", {"Name": "release"}) == "release"
    named = {"DeploymentGroupName": "customer"}
    assert physical_id("AWS::CodeDeploy::DeploymentGroup", "G", "s", named) == "customer"
