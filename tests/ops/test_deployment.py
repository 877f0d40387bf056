from __future__ import annotations

import pytest

from ops.aws.session import Session
from ops.deployed import deployment
from ops.deployed.deployment import Deployment
from ops.errors import OpsError
from settings import load
from tests.conftest import stacks_of
from tests.ops.platform import CLUSTER, Platform, ecs_name, group


def read(platform: Platform) -> Deployment:
    return deployment.read(Session(load("dev"), platform.account()))


def test_facts_come_from_the_outputs_of_the_stacks() -> None:
    found = read(Platform(services=("employee", "customer")))
    assert found.cluster == CLUSTER
    assert [service.name for service in found.services] == ["customer", "employee"]
    customer = found.service("customer")
    assert customer.service_name == ecs_name("customer")
    assert customer.side(group("customer", "green")) == "green"


def test_an_unknown_service_is_told_with_those_there_are() -> None:
    with pytest.raises(OpsError) as caught:
        read(Platform()).service("custmer")
    assert str(caught.value) == "dev: there is no service 'custmer'; deployed: customer, employee"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("NOT_DEPLOYED", "suppliers-dev-compute (NOT_DEPLOYED): is not deployed: `make deploy ENV=dev`"),
        ("REVIEW_IN_PROGRESS", "was never deployed, only reviewed"),
        ("CREATE_IN_PROGRESS", "is being created: wait for its end and repeat"),
        ("ROLLBACK_IN_PROGRESS", "is being rolled back"),
        ("ROLLBACK_COMPLETE", "was rolled back: `make deploy ENV=dev` makes it anew"),
        ("ROLLBACK_FAILED", "`make destroy ENV=dev`, then deploy"),
        ("DELETE_IN_PROGRESS", "is being deleted: wait for its end"),
        ("DELETE_FAILED", "was deleted only in part"),
    ],
)
def test_a_stack_without_outputs_is_told_with_its_state_and_the_remedy(status: str, said: str) -> None:
    found = read(Platform(statuses={"compute": status}))
    with pytest.raises(OpsError) as caught:
        _ = found.services
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_IN_PROGRESS"])
def test_a_stack_that_was_deployed_once_goes_on_to_answer(status: str) -> None:
    assert len(read(Platform(statuses={"compute": status})).services) == 2


def test_nothing_is_changed_while_cloudformation_changes_the_same() -> None:
    read(Platform(statuses={"customer": "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})).settled()
    changing = Platform(statuses={"customer": "UPDATE_IN_PROGRESS"})
    read(changing).settled("employee")
    for services in (("customer",), ()):
        with pytest.raises(OpsError, match=r"is being changed \(UPDATE_IN_PROGRESS\): wait"):
            read(changing).settled(*services)


def test_an_environment_without_pipelines_has_no_delivery_stack() -> None:
    services = tuple(each.name for each in load("local").services)
    assert deployment.parts(load("local")) == ("network", "data", "compute", *services, "observability")
    *_, shared, customer, employee, last = deployment.parts(load("prod"))
    assert (shared, customer, employee) == ("delivery", "delivery-customer", "delivery-employee")
    assert last == "observability"


def test_the_stacks_of_what_is_deployed_are_those_of_the_app() -> None:
    names = deployment.stack_names(load("local"))
    assert tuple(names) == stacks_of("local")
    assert names["Students"] == "suppliers-local-students"
    assert tuple(deployment.stack_names(load("dev"))) == stacks_of("dev")
    hyphen = load("dev").services[0].model_copy(update={"name": "latte-art"})
    named = deployment.stack_names(load("dev").model_copy(update={"services": (hyphen,)}))
    assert named["LatteArt"] == "suppliers-dev-latte-art"
    assert named["DeliveryLatteArt"] == "suppliers-dev-delivery-latte-art"


def test_a_stack_of_a_pipeline_is_no_service() -> None:
    assert [each.name for each in read(Platform()).services] == ["customer", "employee"]
    assert read(Platform()).pipeline("customer") == "suppliers-dev-customer"
    with pytest.raises(OpsError, match=r"suppliers-dev-delivery-customer \(NOT_DEPLOYED\): is not deployed"):
        read(Platform(statuses={"delivery-customer": "NOT_DEPLOYED"})).pipeline("customer")
