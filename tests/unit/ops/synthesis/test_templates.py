"""The templates of an environment: in the order of their deployment, and put together as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import settings
from ops.synthesis import templates as of
from tests.conftest import ENVIRONMENTS, Synthesize, stacks_of
from tests.resources import of_type


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_templates_are_in_the_order_of_their_deployment(
    templates: Synthesize, tmp_path: Path, name: str
) -> None:
    for stack, template in templates(name).items():
        (tmp_path / f"{stack}.template.json").write_text(json.dumps(template))
    assert tuple(of.in_folder(tmp_path, settings.load(name))) == stacks_of(name)


def test_outputs_of_each_service_and_pipeline_are_told_apart(templates: Synthesize) -> None:
    outputs = of.merged(templates("dev"))["Outputs"]
    assert {each for each in outputs if each.endswith("PipelineUrl")} == {
        "DeliveryCustomerPipelineUrl",
        "DeliveryEmployeePipelineUrl",
    }
    assert {
        "CustomerServiceName",
        "EmployeeServiceName",
        "RepositoryCloneUrl",
        "ApplicationUrl",
    } <= outputs.keys()


def test_what_a_pipeline_reads_of_others_is_a_reference_to_them(templates: Synthesize) -> None:
    whole = of.merged(templates("dev"))
    pipelines = of_type(whole, "AWS::CodePipeline::Pipeline")
    assert {each.removeprefix("Delivery")[:8] for each in pipelines} == {"Customer", "Employee"}
    for logical_id, pipeline in pipelines.items():
        assert "Fn::GetStackOutput" not in json.dumps(pipeline)
        store = pipeline["ArtifactStore"]
        assert whole["Resources"][store["Location"]["Ref"]]["Type"] == "AWS::S3::Bucket"
        assert whole["Resources"][store["EncryptionKey"]["Id"]["Fn::GetAtt"][0]]["Type"] == "AWS::KMS::Key"
        service = logical_id.removeprefix("Delivery")[:8]
        group = pipeline["Stages"][-1]["Actions"][-1]["Configuration"]["DeploymentGroupName"]["Ref"]
        assert group.startswith(f"{service}ReleaseDeploymentGroup")


def test_an_output_is_read_of_the_stack_that_the_whole_name_is_of() -> None:
    def publishing(logical_id: str) -> dict[str, Any]:
        return {"Resources": {}, "Outputs": {"Arn": {"Value": {"Ref": logical_id}}}}

    def reading(*stacks: str) -> dict[str, Any]:
        asked = [
            {"Fn::GetStackOutput": {"StackName": f"suppliers-dev-{each}", "OutputName": "Arn"}}
            for each in stacks
        ]
        return {"Resources": {"Reader": {"Type": "Custom::Reader", "Properties": {"Read": asked}}}}

    stacks = ("Foo", "GreenTea", "Tea", "Deliveryfoo", "DeliveryFoo", "Roasters1")
    found = of.merged(
        {
            **{each: publishing("Resource") for each in stacks},
            "Observability": reading(
                "foo", "green-tea", "tea", "deliveryfoo", "delivery-foo", "roasters-1", "delivery-tea"
            ),
        },
        {"Tea": "", "GreenTea": "Green"},
    )
    assert found["Resources"]["ObservabilityReader"]["Properties"]["Read"] == [
        {"Ref": "FooResource"},
        {"Ref": "GreenResource"},
        {"Ref": "Resource"},
        {"Ref": "DeliveryfooResource"},
        {"Ref": "DeliveryFooResource"},
        {"Ref": "Roasters1Resource"},
        {"Ref": "Resource"},
    ]
