"""Which services a deployment deploys, with whose code, and what it does when one fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import settings
from ops.deployed.deployment import stack_names
from ops.deployment import code, deploy, inputs
from ops.deployment.deploy import Wanted
from ops.errors import OpsError
from ops.synthesis import cdk
from ops.terminal.progress import Progress
from platform_constructs.service import build_context
from tests.ops.account import Account, refusal
from tests.ops.platform import NOW

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PIPELINES = f"{REGISTRY}/suppliers-dev/customer:{'1' * 64}"
BUILT = f"{REGISTRY}/cdk-hnb659fds-container-assets-123456789012-us-east-1:abc"


@dataclass
class CloudFormation:
    """Stacks by name: their status, and their parameters."""

    statuses: dict[str, str]
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def account(self) -> Account:
        return Account(operations={"cloudformation:DescribeStacks": self._describe})

    def _describe(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        name = asked["StackName"]
        if name not in self.statuses:
            raise refusal("ValidationError", f"Stack with id {name} does not exist")
        given = self.parameters.get(name, {}).items()
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given]
        return {
            "Stacks": [
                {
                    "StackName": name,
                    "StackStatus": self.statuses[name],
                    "CreationTime": NOW,
                    "Parameters": parameters,
                }
            ]
        }


def controlled(controller: str) -> settings.Environment:
    dev = settings.load("dev")
    return dev.model_copy(update={"release": dev.release.model_copy(update={"controller": controller})})


def parameters(controller: str, image: str, *, ship: bool) -> list[str]:
    environment = controlled(controller)
    account = CloudFormation(
        {"suppliers-dev-customer": "UPDATE_COMPLETE"}, {"suppliers-dev-customer": {"Image": image}}
    ).account()
    options = code.parameters(account, environment, environment.services, ship)
    assert options[::2] == ["--parameters"] * (len(options) // 2)
    return options[1::2]


@pytest.mark.parametrize("controller", ["ecs", "rolling"])
@pytest.mark.parametrize(
    ("image", "ship", "reset"),
    [(PIPELINES, False, False), (PIPELINES, True, True), (BUILT, False, True), ("", True, False)],
    ids=["kept", "shipped over", "after the way back", "of the checkout already"],
)
def test_the_image_of_a_pipeline_stays_unless_the_checkout_is_shipped(
    controller: str, image: str, ship: bool, reset: bool
) -> None:
    expected = ["suppliers-dev-customer:Image=", "suppliers-dev-customer:Version="] if reset else []
    assert parameters(controller, image, ship=ship) == expected


def test_codedeploys_stacks_are_told_the_version_to_ship_and_another_word_each_time() -> None:
    assert parameters("codedeploy", "", ship=False) == []
    told = dict(each.split("=") for each in parameters("codedeploy", "", ship=True))
    for service in settings.load("dev").services:
        version, _, word = told[f"suppliers-dev-{service.name}:ShipCheckout"].partition("@")
        assert version == build_context.version(
            settings.ROOT / "services", service.name, service.architecture
        )
        assert word


@dataclass
class Cdk:
    """The CLI, which fails to deploy some stacks; `--all` ends at the first of them."""

    cloudformation: CloudFormation
    fails: Sequence[str]
    ran: list[str] = field(default_factory=list)

    def run(self, arguments: Sequence[str], **_: Any) -> None:
        wanted = arguments[arguments.index("never") + 1]
        self.ran.append(wanted)
        for stack in self.fails if wanted == "--all" else [wanted]:
            if stack in self.fails:
                self.cloudformation.statuses[f"suppliers-dev-{stack.lower()}"] = "UPDATE_ROLLBACK_COMPLETE"
                raise OpsError(f"{stack} failed")

    def deploy(self, wanted: Wanted | None = None) -> None:
        account, progress = self.cloudformation.account(), Progress(Console(quiet=True))
        deploy.deploy_stacks(settings.load("dev"), account, {}, progress, wanted=wanted or Wanted())


Failing = Callable[[Sequence[str]], Cdk]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Failing:
    """Dev, whose stacks are all there, and a CLI that fails to deploy some of them."""
    monkeypatch.setattr(deploy, "ASSEMBLY", tmp_path)
    monkeypatch.setattr(inputs, "readers", lambda *_: {})
    monkeypatch.setattr(inputs, "dropped", lambda *_: [])
    monkeypatch.setattr(inputs, "templates", lambda *_: {})

    def made(fails: Sequence[str]) -> Cdk:
        names = stack_names(settings.load("dev")).values()
        cli = Cdk(CloudFormation(dict.fromkeys(names, "UPDATE_COMPLETE")), fails)
        monkeypatch.setattr(cdk, "run", cli.run)
        return cli

    return made


def test_one_service_is_deployed_alone(failing: Failing) -> None:
    cli = failing([])
    cli.deploy(Wanted(service="customer"))
    assert cli.ran == ["Customer"]


def test_a_service_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(OpsError, match="dev: there is no service 'custmer'; allowed: customer, employee"):
        Wanted(service="custmer").services(settings.load("dev"))


@pytest.mark.parametrize(("bad", "good"), [("Employee", "Customer"), ("Customer", "Employee")])
def test_a_service_that_fails_leaves_the_other_deployed_and_is_told(
    failing: Failing, bad: str, good: str
) -> None:
    cli = failing([bad])
    with pytest.raises(OpsError) as raised:
        cli.deploy()
    assert str(raised.value) == f"{bad} failed"
    assert cli.ran == ["--all", good]


def test_where_several_fail_all_are_told(failing: Failing) -> None:
    with pytest.raises(OpsError) as raised:
        failing(["Employee", "Customer"]).deploy()
    assert str(raised.value).splitlines() == ["Employee failed", "Customer failed"]


def test_what_services_share_must_be_there_before_any_is_deployed_alone(failing: Failing) -> None:
    cli = failing(["Compute", "Customer"])
    with pytest.raises(OpsError) as raised:
        cli.deploy()
    assert str(raised.value) == "Compute failed"
    assert cli.ran == ["--all"]
