"""What deploying would lose is told and refused, on the records and on what is deployed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import settings
from ops.command_line import app
from ops.deployed import deployment
from ops.deployment import deploy, inputs, readiness, stack_policy
from ops.errors import OpsError
from ops.release import following, guard, stateful
from ops.synthesis import cdk
from tests.conftest import Synthesize, Template, built, synthesize
from tests.unit.ops.recorded import Stacks

DATABASE, KEY, SUBNETS = "DatabaseInstanceAA8A5FDE", "Key961B73FD", "DatabaseInstanceSubnetGroupDE121BB6"
ADMINISTRATOR = "DatabaseAdministratorF4468AB6"

Resources = dict[str, Any]


@pytest.fixture(scope="module")
def data(templates: Synthesize) -> Template:
    return templates("prod")["Data"]


def having(template: Template, change: Callable[[Resources], object]) -> Template:
    document = deepcopy(dict(template))
    change(document["Resources"])
    return document


def setting(logical_id: str, name: str, value: Any) -> Callable[[Resources], object]:
    def change(resources: Resources) -> None:
        resources[logical_id]["Properties"][name] = value

    return change


def lost(before: Template, after: Template) -> set[tuple[str, str | None]]:
    """Resource and property of each loss, which the records of both templates show as well."""
    found = stateful.losses({"data": before}, {"data": after})
    from_records = stateful.losses(stateful.record({"data": before}), stateful.record({"data": after}))
    assert set(map(str, found)) == set(map(str, from_records))
    return {(loss.resource.removeprefix("data/"), loss.property) for loss in found}


@pytest.mark.parametrize(
    ("logical_id", "name", "value"),
    [
        (DATABASE, "StorageEncrypted", False),
        (DATABASE, "KmsKeyId", "alias/other"),
        (DATABASE, "DBName", "coffee"),
        (DATABASE, "DBInstanceIdentifier", "directory"),
        (DATABASE, "MasterUsername", "root"),
        (DATABASE, "Engine", "mariadb"),
        (DATABASE, "DBSnapshotIdentifier", "rds:before"),
        (DATABASE, "AvailabilityZone", "us-east-1a"),
        (DATABASE, "DeletionProtection", False),
        (DATABASE, "DeleteAutomatedBackups", True),
        (DATABASE, "BackupRetentionPeriod", 7),
        (ADMINISTRATOR, "GenerateSecretString", {"PasswordLength": 32}),
    ],
)
def test_a_change_that_loses_data_is_found(data: Template, logical_id: str, name: str, value: Any) -> None:
    assert lost(data, having(data, setting(logical_id, name, value))) == {(logical_id, name)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DBInstanceClass", "db.m8g.large"),
        ("AllocatedStorage", "100"),
        ("MultiAZ", False),
        ("EngineVersion", "8.4.10"),
        ("BackupRetentionPeriod", 35),
        ("DBParameterGroupName", "other"),
        ("VPCSecurityGroups", ["sg-1"]),
    ],
)
def test_a_change_in_place_is_let_pass(data: Template, name: str, value: Any) -> None:
    assert lost(data, having(data, setting(DATABASE, name, value))) == set()


def test_what_a_resource_refers_to_replaces_it_when_it_is_replaced_itself(data: Template) -> None:
    after = having(data, setting(SUBNETS, "DBSubnetGroupName", "directory"))
    assert lost(data, after) == {(DATABASE, "DBSubnetGroupName")}


def test_a_renamed_construct_removes_what_it_kept(data: Template) -> None:
    def renamed(resources: Resources) -> None:
        resources["Renamed"] = resources.pop(ADMINISTRATOR)

    assert (ADMINISTRATOR, None) in lost(data, having(data, renamed))


def test_another_type_under_the_same_name_is_a_replacement(data: Template) -> None:
    def clustered(resources: Resources) -> None:
        resources[DATABASE]["Type"] = "AWS::RDS::DBCluster"

    assert lost(data, having(data, clustered)) == {(DATABASE, "Type")}


def test_what_was_kept_must_not_go_with_its_stack(data: Template) -> None:
    def thrown_away(resources: Resources) -> None:
        resources[KEY]["DeletionPolicy"] = "Delete"
        del resources[DATABASE]["UpdateReplacePolicy"]

    assert lost(data, having(data, thrown_away)) == {
        (KEY, "DeletionPolicy"),
        (DATABASE, "UpdateReplacePolicy"),
    }


def test_what_is_new_and_what_keeps_nothing_may_come_and_go(data: Template) -> None:
    def other(resources: Resources) -> None:
        resources["Another"] = {"Type": "AWS::S3::Bucket"}
        for logical_id in [each for each in resources if resources[each]["Type"].startswith("AWS::EC2::")]:
            del resources[logical_id]

    assert lost(data, having(data, other)) == set()


def test_logs_may_be_kept_longer_and_not_shorter() -> None:
    def logs(**properties: Any) -> Template:
        return {"Resources": {"Log": {"Type": "AWS::Logs::LogGroup", "Properties": properties}}}

    assert lost(logs(RetentionInDays=365), logs()) == set()
    assert lost(logs(RetentionInDays=30), logs(RetentionInDays=365)) == set()
    assert lost(logs(), logs(RetentionInDays=365)) == {("Log", "RetentionInDays")}
    assert lost(logs(RetentionInDays=365), logs(RetentionInDays=30)) == {("Log", "RetentionInDays")}


def test_a_setting_inside_another_is_compared_by_itself() -> None:
    def vault(**properties: Any) -> Template:
        return {"Resources": {"Images": {"Type": "AWS::ECR::Repository", "Properties": properties}}}

    assert lost(vault(RepositoryName="a"), vault(RepositoryName="a", ImageTagMutability="MUTABLE")) == set()
    changed = vault(RepositoryName="a", EncryptionConfiguration={"EncryptionType": "AES256"})
    assert lost(vault(RepositoryName="a"), changed) == {("Images", "EncryptionConfiguration")}


def test_a_changed_setting_is_found_as_it_is_synthesized(templates: Synthesize, tmp_path: Path) -> None:
    environment = settings.load("prod")
    changed = environment.model_copy(
        update={
            "protected": False,
            "network": settings.Network(cidr="10.1.0.0/16", nat_gateways=3),
            "database": environment.database.model_copy(
                update={"backup_days": 7, "deletion_protection": False, "instance_class": "db.m8g.large"}
            ),
        }
    )
    after = {stack.lower(): template for stack, template in synthesize(changed, tmp_path).items()}
    before = {stack.lower(): template for stack, template in templates("prod").items()}
    found = stateful.losses(before, after)
    assert {loss.property for loss in found if loss.resource == f"data/{DATABASE}"} == {
        *("DeletionPolicy", "UpdateReplacePolicy", "DeletionProtection"),
        *("BackupRetentionPeriod", "DeleteAutomatedBackups"),
    }
    (network,) = (loss for loss in found if loss.resource_type == "AWS::EC2::VPC" and "replaced" in loss.what)
    assert str(network).endswith(
        '(AWS::EC2::VPC) would be replaced: CidrBlock is "10.0.0.0/16", would be "10.1.0.0/16"'
    )
    assert stateful.losses(before, before) == []


def test_every_type_that_must_say_what_becomes_of_its_data_is_watched(templates: Synthesize) -> None:
    used = {
        resource["Type"]
        for name in ("dev", "prod")
        for template in templates(name).values()
        for resource in template["Resources"].values()
    }
    assert used & stateful.stateful_types() >= {
        *("AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SecretsManager::Secret"),
        *("AWS::Logs::LogGroup", "AWS::ECR::Repository", "AWS::CodeCommit::Repository", "AWS::EC2::VPC"),
    }


def test_a_release_is_recorded_unless_it_loses_what_nobody_named(data: Template, tmp_path: Path) -> None:
    def without(resources: Resources) -> None:
        del resources[ADMINISTRATOR]

    folder = tmp_path / "records"
    assert stateful.release("prod", {"data": data}, folder=folder) is True
    assert stateful.release("prod", {"data": data}, folder=folder) is False
    smaller = {"data": having(data, without)}
    with pytest.raises(OpsError, match=f"--lose data/{ADMINISTRATOR}`$") as raised:
        stateful.release("prod", smaller, folder=folder)
    assert f"data/{ADMINISTRATOR} (AWS::SecretsManager::Secret) would be removed" in str(raised.value)
    assert stateful.released("prod", folder) == stateful.record({"data": data})
    assert stateful.release("prod", smaller, accepted=["data/DatabaseAdmin*"], folder=folder) is True
    assert stateful.released("prod", folder) == stateful.record(smaller)


def test_a_spoilt_record_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "prod.json").write_text("{")
    with pytest.raises(OpsError, match=r"prod\.json: is no record of a release .*: take it back from git$"):
        stateful.released("prod", tmp_path)


def assembly(folder: Path, environment: str, **parts: Template) -> Path:
    """What a synth leaves; the Compute template, beside which the others are."""
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = {}
    for part, template in {"compute": {"Resources": {}}, **parts}.items():
        file = f"{part.capitalize()}.template.json"
        (folder / file).write_text(json.dumps(template))
        artifacts[part] = {
            "type": "aws:cloudformation:stack",
            "properties": {"stackName": f"suppliers-{environment}-{part}", "templateFile": file},
        }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return folder / "Compute.template.json"


def test_what_is_deployed_is_compared_with_the_templates_of_a_synth(data: Template, tmp_path: Path) -> None:
    template = assembly(tmp_path, "prod", data=having(data, setting(DATABASE, "StorageEncrypted", False)))
    clients = Stacks(templates={"suppliers-prod-data": data})
    environment = settings.load("prod")
    (loss,) = stateful.check(clients, environment, template)
    first, last = stateful.report([loss], environment)
    assert first == (
        f"refused: data/{DATABASE} (AWS::RDS::DBInstance) would be replaced: "
        "StorageEncrypted is true, would be false"
    )
    assert last.endswith(f"`python -m ops deploy --env prod --lose data/{DATABASE}`")
    assert stateful.check(clients, environment, template, accepted=[f"data/{DATABASE}"]) == []
    gone = Stacks(
        templates={"suppliers-prod-data": data}, statuses={"suppliers-prod-data": "ROLLBACK_COMPLETE"}
    )
    assert stateful.check(gone, environment, template) == []
    assert stateful.check(Stacks(templates={}), environment, template) == []


def test_a_spoilt_synth_is_one_line(tmp_path: Path) -> None:
    template = assembly(tmp_path, "prod")
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(OpsError, match=r"is no output of a synth: run `make synth ENV=prod`$"):
        stateful.check(Stacks(templates={}), settings.load("prod"), template)


def test_a_synth_of_another_environment_is_not_taken_for_this_one(data: Template, tmp_path: Path) -> None:
    template = assembly(tmp_path, "dev", data=data)
    with pytest.raises(OpsError, match=r"is a synth of another environment: run `make synth ENV=prod`$"):
        stateful.synthesized(settings.load("prod"), template)


class _Reached(Exception):
    """The deployment got as far as the stacks."""


@pytest.fixture
def deploying(
    data: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Stacks, list[str]]]:
    """Deploys prod over a database that the templates would replace, on an account with nothing else."""
    changed = having(data, setting(DATABASE, "StorageEncrypted", False))
    template = assembly(tmp_path / "cdk.out", "prod", data=changed)
    clients = Stacks(templates={"suppliers-prod-data": data})
    ran: list[str] = []

    def run(arguments: Sequence[str], **_: Any) -> None:
        ran.append(arguments[0])

    def deployed(*_: Any) -> None:
        ran.append("deploy")
        clients.history.append(("deployed", None))

    def reached(*_: Any, **__: Any) -> None:
        raise _Reached

    monkeypatch.setattr(cdk, "run", run)
    monkeypatch.setattr(guard, "TEMPLATE", template)
    plan = guard.Plan("suppliers-prod-compute", deployed=False)
    monkeypatch.setattr(guard, "check_all", lambda *_: [plan])
    monkeypatch.setattr(deploy, "clients", lambda environment, rehearse=False: clients)
    monkeypatch.setattr(deploy, "_bootstrap", lambda *_: None)
    monkeypatch.setattr(deployment, "read", reached)
    # What stacks read of each other, what an account must have and releases have tests of their own.
    monkeypatch.setattr(guard, "templates", lambda *_: [template])
    monkeypatch.setattr(following, "started_within", lambda *_: nullcontext())
    monkeypatch.setattr(deploy, "deploy_stacks", deployed)
    monkeypatch.setattr(readiness, "ensure", lambda *_: None)
    monkeypatch.setattr(readiness, "rollback", lambda *_: [])

    prod = settings.load("prod")
    told = prod.alarms.model_copy(update={"emails": ("operators@company.coffee",)})
    ours = prod.model_copy(update={"alarms": told, "tls": None})

    def start(accepted: Sequence[str], yes: bool) -> tuple[Stacks, list[str]]:
        deploy.deploy(ours, rehearse=False, console=Console(file=StringIO()), accepted=accepted, yes=yes)
        raise AssertionError("it went on")

    def started(accepted: Sequence[str], yes: bool = True) -> tuple[Stacks, list[str]]:
        with pytest.raises((_Reached, OpsError)) as raised:
            start(accepted, yes)
        if raised.type is OpsError:
            ran.append(str(raised.value))
        return clients, ran

    return started


def test_a_deployment_that_loses_data_is_refused_before_it_begins(
    deploying: Callable[..., tuple[Stacks, list[str]]],
) -> None:
    clients, (synth, refusal) = deploying([])
    assert synth == "synth"
    assert refusal.startswith(f"refused: data/{DATABASE}")
    assert clients.history == []


def test_what_is_protected_is_not_deployed_before_somebody_agrees(
    deploying: Callable[..., tuple[Stacks, list[str]]],
) -> None:
    clients, (synth, refusal) = deploying([f"data/{DATABASE}"], yes=False)
    assert synth == "synth"
    assert (
        refusal == "prod is protected, and nobody is there to ask: deploy it as compared? Repeat with --yes"
    )
    assert clients.history == []


def test_a_named_loss_is_deployed_and_the_stack_protected_again(
    deploying: Callable[..., tuple[Stacks, list[str]]], data: Template
) -> None:
    clients, commands = deploying([f"data/{DATABASE}"])
    assert commands == ["synth", "deploy"]
    (before, free), (during, _), (after, strict) = clients.history
    assert (before, during, after) == ("suppliers-prod-data", "deployed", "suppliers-prod-data")
    assert [statement["Effect"] for statement in free["Statement"]] == ["Allow"]
    assert strict == stack_policy.policy(data)


def test_a_protected_stack_lets_nothing_that_keeps_data_be_replaced_or_deleted(templates: Synthesize) -> None:
    for stack in ("Network", "Data"):
        allow, deny = stack_policy.policy(templates("prod")[stack])["Statement"]
        assert (allow["Effect"], allow["Action"]) == ("Allow", "Update:*")
        assert (deny["Effect"], set(deny["Action"])) == ("Deny", {"Update:Replace", "Update:Delete"})
        types = set(deny["Condition"]["StringEquals"]["ResourceType"])
        assert (
            types
            >= {
                "Network": {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::KMS::Key", "AWS::Logs::LogGroup"},
                "Data": {"AWS::RDS::DBInstance", "AWS::KMS::Key", "AWS::SecretsManager::Secret"},
            }[stack]
        )


def test_policies_are_set_again_after_a_failed_deployment_and_its_reason_stays(data: Template) -> None:
    clients = Stacks(templates={"suppliers-prod-data": data, "suppliers-prod-network": data})
    with (
        pytest.raises(OpsError, match=r"^the reason$"),
        stack_policy.enforced(clients, settings.load("prod"), ["d*/X"], lambda _: None),
    ):
        raise OpsError("the reason")
    assert set(clients.policies) == {"suppliers-prod-data", "suppliers-prod-network"}
    assert all(len(policy["Statement"]) == 2 for policy in clients.policies.values())


def test_an_unprotected_environment_has_no_policies(data: Template) -> None:
    clients = Stacks(templates={"suppliers-dev-data": data})
    with stack_policy.enforced(clients, settings.load("dev"), [], lambda _: None):
        pass
    assert clients.history == []


@pytest.mark.slow
def test_the_stacks_that_keep_data_cannot_be_deleted_where_an_environment_is_protected(
    tmp_path: Path,
) -> None:
    for name, protected in (("prod", True), ("dev", False)):
        stacks = built(settings.load(name), tmp_path / name, validated=False).synth().stacks
        assert {stack.termination_protection or False for stack in stacks} == {protected}


def test_the_guards_exit_status_and_report_say_what_would_be_lost(
    data: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = assembly(tmp_path, "prod", data=having(data, setting(DATABASE, "StorageEncrypted", False)))
    clients = Stacks(templates={"suppliers-prod-data": data})
    monkeypatch.setattr(deploy, "clients", lambda environment, rehearse: clients)
    plan = guard.Plan("suppliers-prod-compute", deployed=False)
    monkeypatch.setattr(guard, "check_all", lambda *_: [plan])
    monkeypatch.setattr(inputs, "check", lambda *_: ([], []))
    command = ["guard", "--env", "prod", "--template", str(template)]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, f"refused: data/{DATABASE}" in done.stdout) == (1, True)
    report = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert report["refused"] is True
    assert [loss["property"] for loss in report["losses"]] == ["StorageEncrypted"]
    done = CliRunner().invoke(app, [*command, "--lose", f"data/{DATABASE}"])
    assert (done.exit_code, "replaces and removes nothing" in done.stdout) == (0, True)
