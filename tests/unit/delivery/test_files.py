"""taskdef.json and appspec.yaml against what ECS and CodeDeploy take."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator

from delivery.appspec import PLACEHOLDER, appspec, to_yaml
from delivery.errors import DeliveryError
from delivery.task_definition import running_version, with_image
from platform_constructs.handlers.ecs_operations.index import app_spec
from tests.unit.delivery.conftest import REPOSITORY, definition

REGISTER: Any = (
    botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
).input_shape
OLD, NEW = "1" * 64, "2" * 64
HOOK = "arn:aws:lambda:us-east-1:000000000000:function:hook"

# https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
# and .../reference-appspec-file-structure-hooks.html (lifecycle events of Amazon ECS deployments)
PROPERTIES = {
    "TaskDefinition": str,
    "LoadBalancerInfo": dict,
    "PlatformVersion": str,
    "NetworkConfiguration": dict,
    "CapacityProviderStrategy": list,
}
EVENTS = {
    "BeforeInstall",
    "AfterInstall",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
}


def check_schema(document: dict[str, Any]) -> None:
    """CodeDeploy's documented structure of an ECS AppSpec file."""
    assert set(document) <= {"version", "Resources", "Hooks"}
    assert document["version"] == 0.0
    (resource,) = document["Resources"]
    assert set(resource) == {"TargetService"}
    service = resource["TargetService"]
    assert set(service) == {"Type", "Properties"}
    assert service["Type"] == "AWS::ECS::Service"
    for key, value in service["Properties"].items():
        assert isinstance(value, PROPERTIES[key]), key
    assert service["Properties"]["TaskDefinition"]
    load_balancer = service["Properties"]["LoadBalancerInfo"]
    assert set(load_balancer) == {"ContainerName", "ContainerPort"}
    assert isinstance(load_balancer["ContainerName"], str)
    assert isinstance(load_balancer["ContainerPort"], int)
    for hook in document.get("Hooks", []):
        assert len(hook) == 1
        assert set(hook) <= EVENTS
        assert all(isinstance(function, str) for function in hook.values())


@pytest.mark.parametrize("hook", [None, HOOK])
def test_the_appspec_has_the_structure_that_codedeploy_documents(hook: str | None) -> None:
    document = yaml.safe_load(to_yaml(appspec(container="customer", port=8080, hook=hook)))
    check_schema(document)
    assert document == appspec(container="customer", port=8080, hook=hook)


def test_a_pipeline_releases_as_cloudformation_does() -> None:
    document = appspec(container="customer", port=8080, hook=HOOK)
    assert document == app_spec(
        {
            "TaskDefinition": PLACEHOLDER,
            "ContainerName": "customer",
            "ContainerPort": "8080",
            "CheckFunction": HOOK,
        }
    )


def test_the_deploy_action_finds_where_to_put_the_revision() -> None:
    assert 'TaskDefinition: "<TASK_DEFINITION>"' in to_yaml(
        appspec(container="customer", port=8080, hook=None)
    )


def test_the_hook_is_called_before_the_new_tasks_and_after_the_test_traffic_and_only_if_there_is_one() -> (
    None
):
    document = appspec(container="customer", port=8080, hook=HOOK)
    assert document["Hooks"] == [{"BeforeInstall": HOOK}, {"AfterAllowTestTraffic": HOOK}]
    assert "Hooks" not in appspec(container="customer", port=8080, hook=None)


def test_the_task_definition_is_one_that_ecs_registers() -> None:
    new = with_image(
        definition(f"{REPOSITORY}:{OLD}"), container="customer", image=f"{REPOSITORY}:{NEW}", version=NEW
    )
    assert set(new) <= set(REGISTER.members)
    assert not ParamValidator().validate(new, REGISTER).has_errors()


def test_a_live_definition_as_it_is_would_be_refused() -> None:
    assert not set(definition("image")) <= set(REGISTER.members)


def test_nothing_but_the_image_and_its_version_changes() -> None:
    live = definition(f"{REPOSITORY}:{OLD}", label=OLD)
    new = with_image(live, container="customer", image=f"{REPOSITORY}:{NEW}", version=NEW)
    (before,) = live["containerDefinitions"]
    (after,) = new["containerDefinitions"]
    assert after == {**before, "image": f"{REPOSITORY}:{NEW}", "dockerLabels": {"version": NEW}}
    assert all(new[key] == live[key] for key in new if key != "containerDefinitions")
    assert before["image"] == f"{REPOSITORY}:{OLD}", "the live definition is left as it was read"


def test_containers_beside_the_service_keep_their_image() -> None:
    live = definition(f"{REPOSITORY}:{OLD}")
    live["containerDefinitions"].append({"name": "proxy", "image": "proxy:1"})
    new = with_image(live, container="customer", image=f"{REPOSITORY}:{NEW}", version=NEW)
    assert new["containerDefinitions"][1] == {"name": "proxy", "image": "proxy:1"}


def test_a_task_without_the_services_container_is_refused() -> None:
    with pytest.raises(DeliveryError, match="has no container 'roasters', only customer"):
        with_image(definition("image"), container="roasters", image="x", version="y")


@pytest.mark.parametrize(
    ("image", "label", "expected"),
    [
        (f"{REPOSITORY}:{NEW}", None, NEW),
        # A native release copies the label of the revision before.
        (f"{REPOSITORY}:{NEW}", OLD, NEW),
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-assets:abc", OLD, OLD),
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-assets:abc", None, None),
    ],
)
def test_the_version_of_an_image_is_known_wherever_it_was_pushed(
    image: str, label: str | None, expected: str | None
) -> None:
    assert running_version(definition(image, label=label), container="customer") == expected
