"""Stacks that read others: noticed when they hold what these said before, and asked before an output is dropped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import settings
from ops.aws.clients import Clients
from ops.deployed.routes import Template
from ops.deployment import deploy, inputs
from ops.synthesis import cdk
from ops.terminal.progress import Progress
from platform_constructs.common.stack_inputs import INPUTS
from tests.conftest import ENVIRONMENTS, Synthesize
from tests.resources import of_type, only
from tests.unit.ops.recorded import HTTPResponse, Stacks

DATA, COMPUTE = "suppliers-dev-data", "suppliers-dev-compute"
THEN = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def reads(*outputs: str, of: str = DATA) -> Template:
    asked = [{"Fn::GetStackOutput": {"StackName": of, "OutputName": each}} for each in outputs]
    return {"Resources": {"Service": {"Type": "AWS::ECS::Service", "Properties": {"Given": asked}}}}


def says(*outputs: str) -> Template:
    return {"Resources": {}, "Outputs": {each: {"Value": each} for each in outputs}}


@dataclass(frozen=True)
class Account(Stacks):
    """Stacks with the values of their outputs, what they noted, and when they were changed last."""

    values: dict[str, dict[str, str]] = field(default_factory=dict)
    noted: dict[str, str] = field(default_factory=dict)
    changed: dict[str, datetime] = field(default_factory=dict)

    def _answer(self, params: Mapping[str, Any], **more: Any) -> tuple[Any, Mapping[str, Any]]:
        stack = params["body"]["StackName"]
        if params["body"]["Action"] == "DescribeStacks" and stack in self.templates:
            found = {
                "StackName": stack,
                "StackStatus": self.statuses.get(stack, "UPDATE_COMPLETE"),
                "CreationTime": THEN - timedelta(days=1),
                "LastUpdatedTime": self.changed.get(stack, THEN),
                "Outputs": [
                    {"OutputKey": key, "OutputValue": value}
                    for key, value in self.values.get(stack, {}).items()
                ],
                "Parameters": [{"ParameterKey": INPUTS, "ParameterValue": self.noted.get(stack, "none")}],
            }
            return HTTPResponse(200), {"Stacks": [found]}
        return super()._answer(params, **more)


def assembly(folder: Path, **templates: Template) -> Path:
    artifacts = {}
    for construct_id, template in templates.items():
        (folder / f"{construct_id}.template.json").write_text(json.dumps(template))
        artifacts[construct_id] = {
            "type": "aws:cloudformation:stack",
            "properties": {
                "stackName": f"suppliers-dev-{construct_id.lower()}",
                "templateFile": f"{construct_id}.template.json",
            },
        }
    artifacts["Tree"] = {"type": "cdk:tree", "properties": {"file": "tree.json"}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return folder


@pytest.fixture
def account() -> Account:
    return Account(
        templates={DATA: says("Host"), COMPUTE: reads("Host")}, values={DATA: {"Host": "database.one"}}
    )


def stale(account: Account, folder: Path, before: Mapping[str, inputs.Reader] | None = None) -> list[str]:
    now = inputs.readers(account, assembly(folder, Data=says("Host"), Compute=reads("Host")))
    return [reader.construct_id for reader in inputs.stale(before or {}, now)]


def test_a_stack_that_was_deployed_after_what_it_reads_holds_it(account: Account, tmp_path: Path) -> None:
    assert stale(account, tmp_path) == []


def test_a_replaced_database_leaves_its_readers_behind(account: Account, tmp_path: Path) -> None:
    before = inputs.readers(account, assembly(tmp_path, Data=says("Host"), Compute=reads("Host")))
    account.changed[DATA] = THEN + timedelta(minutes=5)
    account.values[DATA]["Host"] = "database.two"
    assert stale(account, tmp_path, before) == ["Compute"]


def test_an_update_that_changes_no_output_leaves_nobody_behind(account: Account, tmp_path: Path) -> None:
    before = inputs.readers(account, assembly(tmp_path, Data=says("Host"), Compute=reads("Host")))
    account.changed[DATA] = THEN + timedelta(minutes=5)
    assert stale(account, tmp_path, before) == []


def test_what_was_left_behind_by_another_deployment_is_noticed_later(
    account: Account, tmp_path: Path
) -> None:
    account.changed[DATA] = THEN + timedelta(minutes=5)
    before = inputs.readers(account, assembly(tmp_path, Data=says("Host"), Compute=reads("Host")))
    assert stale(account, tmp_path, before) == ["Compute"]


def test_what_was_noted_by_the_last_deployment_counts(account: Account, tmp_path: Path) -> None:
    account.changed[DATA] = THEN + timedelta(minutes=5)
    folder = assembly(tmp_path, Data=says("Host"), Compute=reads("Host"))
    account.noted[COMPUTE] = inputs.readers(account, folder)[COMPUTE].digest
    assert stale(account, tmp_path) == []
    account.values[DATA]["Host"] = "database.two"
    assert stale(account, tmp_path) == ["Compute"]


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED"])
def test_who_failed_to_take_over_what_others_say_is_still_behind(
    account: Account, tmp_path: Path, status: str
) -> None:
    """The update that was taken back came later than what it was to read, and left the old values."""
    account.statuses[COMPUTE] = status
    account.changed[COMPUTE] = THEN + timedelta(minutes=5)
    assert stale(account, tmp_path) == ["Compute"]


def test_who_is_deployed_once_more_leaves_nobody_behind_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network was changed by others; that changes Data, which changes what Compute reads."""
    network = "suppliers-dev-network"
    templates = {
        network: says("Key"),
        DATA: {**says("Host"), **reads("Key", of=network)},
        COMPUTE: reads("Host"),
    }
    account = Account(
        templates=templates,
        values={network: {"Key": "two"}, DATA: {"Host": "one"}},
        changed={network: THEN + timedelta(minutes=1)},
    )
    folder = assembly(tmp_path, Network=templates[network], Data=templates[DATA], Compute=templates[COMPUTE])
    ran: list[str] = []

    def run(arguments: Sequence[str], **more: Any) -> None:
        wanted = arguments[arguments.index("never") + 1]
        ran.append(wanted)
        if "--parameters" in arguments:
            stack, _, digest = arguments[-1].partition(f":{INPUTS}=")
            account.noted[stack] = digest
            account.changed[stack] = THEN + timedelta(minutes=1 + len(ran))
            if wanted == "Data":
                account.values[DATA]["Host"] = "two"

    monkeypatch.setattr(cdk, "run", run)
    monkeypatch.setattr(deploy, "ASSEMBLY", folder)
    deploy.deploy_stacks(settings.load("dev"), account, {}, Progress(Console(quiet=True)))
    assert ran == ["--all", "Data", "Compute"]


def test_stacks_that_nobody_left_behind_are_asked_about_twice_however_many_they_are(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Path] = []
    readers = inputs.readers

    def counted(clients: Clients, folder: Path) -> dict[str, inputs.Reader]:
        measured.append(folder)
        return readers(clients, folder)

    monkeypatch.setattr(inputs, "readers", counted)
    monkeypatch.setattr(cdk, "run", lambda *_, **__: None)
    monkeypatch.setattr(deploy, "ASSEMBLY", assembly(tmp_path, Data=says("Host"), Compute=reads("Host")))
    deploy.deploy_stacks(settings.load("dev"), account, {}, Progress(Console(quiet=True)))
    assert len(measured) == 2


def test_a_first_deployment_leaves_nobody_behind(tmp_path: Path) -> None:
    assert stale(Account(templates={}), tmp_path) == []
    half = Account(templates={DATA: says("Host"), COMPUTE: {}}, statuses={COMPUTE: "REVIEW_IN_PROGRESS"})
    assert stale(half, tmp_path) == []


def test_who_reads_an_output_that_goes_is_deployed_first(account: Account, tmp_path: Path) -> None:
    (leaving,) = inputs.dropped(account, assembly(tmp_path, Data=says(), Compute=reads()))
    assert (leaving.construct_id, leaving.outputs, leaving.stuck) == ("Compute", [(DATA, "Host")], [])
    assert "deploy it first, cdk deploy --exclusively Compute -c env=dev" in inputs.advice("dev", leaving)


def test_who_is_to_read_what_is_not_there_yet_cannot_go_first(account: Account, tmp_path: Path) -> None:
    (leaving,) = inputs.dropped(account, assembly(tmp_path, Data=says("Proxy"), Compute=reads("Proxy")))
    assert leaving.stuck == [(DATA, "Proxy")]
    assert "make the two changes one after the other" in inputs.advice("dev", leaving)


def test_an_output_that_stays_is_nobodys_business(account: Account, tmp_path: Path) -> None:
    assert inputs.dropped(account, assembly(tmp_path, Data=says("Host", "More"), Compute=reads("Host"))) == []


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_noting_what_a_stack_read_changes_a_resource_of_it(templates: Synthesize, name: str) -> None:
    """CloudFormation has nothing to update where only a parameter changes that nothing refers to."""
    for template in templates(name).values():
        assert template["Parameters"][INPUTS]["Default"] == "none"
        noted = only(of_type(template, "AWS::SSM::Parameter"))
        assert noted["Value"] == {"Ref": INPUTS}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_output_that_a_stack_reads_is_one_of_the_others(templates: Synthesize, name: str) -> None:
    outputs = {
        (f"suppliers-{name}-{part.lower()}", output)
        for part, template in templates(name).items()
        for output in template.get("Outputs", {})
    }
    for template in templates(name).values():
        assert set(inputs.read(template)) <= outputs
