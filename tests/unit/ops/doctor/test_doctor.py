from __future__ import annotations

import importlib.metadata
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.stub import Stubber
from moto import mock_aws
from rich.console import Console
from typer.testing import CliRunner

import settings
from emulator import base_images, engine, lifecycle
from emulator.instance import Instance
from ops.aws.clients import Clients
from ops.command_line import app
from ops.doctor import machine
from ops.doctor.account import BOOTSTRAP_VERSION, Account
from ops.doctor.command import examine, show
from ops.doctor.findings import Finding, State, is_missing, missing, ok, run, unchecked, warning
from ops.doctor.machine import Machine
from ops.errors import OpsError
from tests.conftest import Synthesize

DEV, PROD = settings.load("dev"), settings.load("prod")
TEMPLATES = {"Compute": {"Resources": {"Cluster": {"Type": "AWS::ECS::Cluster"}}}}


@dataclass(frozen=True)
class Faked(Clients):
    """Clients of an account that moto plays, but for those given here."""

    given: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return self.given.get(service) or boto3.client(service, region_name=self.region)


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield


def account(environment: settings.Environment = DEV, **given: Any) -> Account:
    services = {name.replace("_", "-"): client for name, client in given.items()}
    return Account(environment, Faked("us-east-1", given=services), lambda: TEMPLATES)


def changed(environment: settings.Environment, **sections: Any) -> settings.Environment:
    return environment.model_copy(update=sections)


def quotas(*answers: float | None) -> Any:
    """Service Quotas, which answers one value after the other; None is one that only has a default."""
    client = boto3.client(
        "service-quotas", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    stubber = Stubber(client)
    for answer in answers:
        if answer is None:
            stubber.add_client_error("get_service_quota", "NoSuchResourceException")
            stubber.add_response("get_aws_default_service_quota", {"Quota": {"Value": 6.0}})
        else:
            stubber.add_response("get_service_quota", {"Quota": {"Value": answer}})
    stubber.activate()
    return client


@dataclass(frozen=True)
class Answering:
    """A client whose every call answers the same, or is refused."""

    answer: Any

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return call


def refused(code: str, operation: str, message: str = "") -> Answering:
    return Answering(ClientError({"Error": {"Code": code, "Message": message}}, operation))


def stacks(*named: tuple[str, str]) -> Any:
    page = {
        "Stacks": [{"StackName": name, "StackStatus": status} for name, status in named],
        "StackResourceSummaries": [],
    }

    @dataclass(frozen=True)
    class Paginator:
        def paginate(self, **_: Any) -> list[Any]:
            return [page]

    return Answering(Paginator())


# The machine


def test_packages_that_are_not_as_pinned_are_missing(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-e .\nboto3==1.0.0\n    # via x\nrich[extra]==0.0.1\n")
    (tmp_path / "requirements-dev.txt").write_text("no-such-package==2.0\n")
    found = machine.packages(tmp_path)
    assert (found.state, found.remedy) == (State.MISSING, "make setup")
    assert found.detail.endswith("1.0.0 is pinned and 2 more")
    (tmp_path / "requirements.txt").write_text(f"boto3=={importlib.metadata.version('boto3')}\n")
    (tmp_path / "requirements-dev.txt").write_text("")
    assert machine.packages(tmp_path).state is State.OK


def test_node_packages_that_are_not_as_locked_are_missing(tmp_path: Path) -> None:
    lock = {
        "packages": {
            "": {"name": "root"},
            "node_modules/aws-cdk": {"version": "2.2.0"},
            "node_modules/fsevents": {"version": "2.3.3", "optional": True},
        }
    }
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    assert machine.node_packages(tmp_path).detail == "aws-cdk is not installed, 2.2.0 is locked"
    package = tmp_path / "node_modules/aws-cdk/package.json"
    package.parent.mkdir(parents=True)
    package.write_text('{"version": "2.1.0"}')
    assert machine.node_packages(tmp_path).detail == "aws-cdk 2.1.0, 2.2.0 is locked"
    package.write_text('{"version": "2.2.0"}')
    assert machine.node_packages(tmp_path) == ok("Node packages", "as locked; CDK CLI 2.2.0")


def test_an_old_python_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.python().state is State.OK
    monkeypatch.setattr(machine, "OLDEST_PYTHON", (4, 0))
    assert machine.python().state is State.MISSING


def test_a_docker_engine_that_does_not_answer_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answers", lambda: False)
    found = machine.docker()
    assert found.state is State.MISSING
    assert "make images" in (found.remedy or "")
    assert machine.images() == unchecked("base images", "no Docker engine answers")
    monkeypatch.setattr(engine, "answers", lambda: True)
    assert machine.docker().state is State.OK


def test_base_images_that_are_not_there_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answers", lambda: True)
    monkeypatch.setattr(base_images, "is_current", lambda name: not name.startswith("mysql"))
    found = machine.images()
    assert (found.state, found.remedy) == (State.WARNING, "make images")
    assert found.detail.startswith("mysql:8.4 not there yet")


@pytest.mark.parametrize(("free", "state"), [(1, State.MISSING), (5, State.WARNING), (50, State.OK)])
def test_disk_space_is_needed(monkeypatch: pytest.MonkeyPatch, free: int, state: State) -> None:
    usage = type("Usage", (), {"free": free * 10**9})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert machine.disk(settings.ROOT).state is state


def test_a_port_that_another_program_has_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "ready", lambda _: None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        instance = type("Instance", (Instance,), {"__post_init__": lambda self: None, "tls_port": 0})(
            port=port, root=tmp_path
        )
        found = machine.ports(instance)
        assert found.state is State.MISSING
        assert found.detail == f"{port} taken by another program"
        proposed = re.fullmatch(r"EMULATOR_PORT=(\d+) make deploy", str(found.remedy))
        assert proposed
        assert proposed[1] != str(port)
        with socket.socket() as third:
            third.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            third.bind(("127.0.0.1", int(proposed[1])))
            third.listen()
            assert str(machine.ports(instance).remedy) not in ("", proposed[0])
        monkeypatch.setattr(lifecycle, "ready", lambda _: {"state": "running"})
        assert machine.ports(instance).state is State.OK
    monkeypatch.setattr(lifecycle, "ready", lambda _: None)
    assert machine.ports(instance).detail.endswith("are free")


def test_another_architecture_needs_its_emulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    found = machine.architectures(DEV, tmp_path)
    assert found.remedy == "docker run --privileged --rm tonistiigi/binfmt --install arm64"
    (tmp_path / "qemu-aarch64").touch()
    assert machine.architectures(DEV, tmp_path).state is State.OK
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert machine.architectures(DEV, tmp_path / "nothing").state is State.OK


def test_tools_that_only_some_commands_need_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert machine.session_manager().state is State.WARNING
    assert machine.browser().remedy == "make browser"
    assert machine.edge_runtime().remedy == "make njs"
    assert machine.tool("git", "install git") == missing("git", "is not installed", "install git")


def test_the_emulator_has_its_own_checks() -> None:
    local = Machine(settings.load("local"), Instance()).checks()
    assert {"base images", "ports"} <= local.keys()
    assert "image architectures" not in local
    assert {"base images", "ports"}.isdisjoint(Machine(DEV, None).checks())


# The account


@pytest.mark.usefixtures("signed_in")
def test_credentials_of_the_right_account_are_fine() -> None:
    assert account().credentials() == ok("credentials", "account 123456789012")
    other = changed(DEV, account="999999999999")
    found = account(other).credentials()
    assert found.state is State.MISSING
    assert found.detail == "of account 123456789012, environments/dev.toml says 999999999999"


def test_missing_and_expired_credentials_are_told() -> None:
    none = account(sts=Answering(NoCredentialsError())).credentials()
    assert (none.state, none.remedy) == (State.MISSING, "aws sso login, or AWS_PROFILE=...")
    expired = account(sts=refused("ExpiredToken", "GetCallerIdentity")).credentials()
    assert expired.detail == "the credentials have expired (ExpiredToken)"


@pytest.mark.usefixtures("signed_in")
def test_zones_that_the_account_lacks_are_missing() -> None:
    assert account().region() == ok("region", "us-east-1, 3 zones")
    found = account(changed(DEV, availability_zones=("us-east-1a", "us-east-1z"))).region()
    assert found.detail == "us-east-1z not available in this account"
    assert (found.remedy or "").startswith("environments/dev.toml: availability_zones from us-east-1a")


@pytest.mark.usefixtures("signed_in")
def test_zones_that_can_have_no_proxy_are_missing_where_one_is_asked_for() -> None:
    assert "zones of the proxy" not in account().checks()
    behind = changed(DEV, database=DEV.database.model_copy(update={"proxy": True}))
    assert "zones of the proxy" in account(behind).checks()
    names = {
        zone["ZoneId"]: zone["ZoneName"]
        for zone in account().clients.client("ec2").describe_availability_zones()["AvailabilityZones"]
    }
    fine = [name for zone_id, name in names.items() if zone_id != "use1-az3"]
    zones = (fine[0], names["use1-az3"])
    found = account(changed(behind, availability_zones=zones)).proxy_zones()
    assert found.detail == f"{names['use1-az3']} (use1-az3) cannot have a proxy of the database"
    assert (found.remedy or "").startswith("environments/dev.toml: ")
    assert account(changed(behind, availability_zones=tuple(fine))).proxy_zones().state is State.OK


def test_the_templates_need_the_bootstrap_version_that_is_asked_for(templates: Synthesize) -> None:
    rule = templates("dev")["Network"]["Rules"]["CheckBootstrapVersion"]["Assertions"][0]["Assert"]
    refused_versions = rule["Fn::Not"][0]["Fn::Contains"][0]
    assert refused_versions == [str(version) for version in range(1, BOOTSTRAP_VERSION)]


@pytest.mark.usefixtures("signed_in")
def test_the_version_of_the_bootstrap_stack_counts() -> None:
    ssm = boto3.client("ssm", region_name="us-east-1")
    assert account().bootstrap().state is State.WARNING

    def put(version: str) -> Finding:
        ssm.put_parameter(
            Name="/cdk-bootstrap/hnb659fds/version", Value=version, Type="String", Overwrite=True
        )
        return account().bootstrap()

    assert put("5") == missing("bootstrap", "version 5, 6 is needed", "npx cdk bootstrap -c env=dev")
    assert put("30") == ok("bootstrap", "version 30")


@pytest.mark.parametrize(
    ("status", "state", "remedy"),
    [
        ("UPDATE_COMPLETE", State.OK, None),
        # The CDK CLI deletes it by itself, where the environment is not protected.
        ("ROLLBACK_COMPLETE", State.WARNING, "delete-stack"),
        ("DELETE_FAILED", State.MISSING, "delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", State.MISSING, "continue-update-rollback"),
        ("UPDATE_FAILED", State.MISSING, "rollback-stack"),
        ("UPDATE_IN_PROGRESS", State.WARNING, "wait for its end"),
    ],
)
def test_a_stack_that_is_stuck_is_told_with_the_way_out(
    status: str, state: State, remedy: str | None
) -> None:
    found = account(
        cloudformation=stacks(("suppliers-dev-data", status), ("suppliers-prod-data", "UPDATE_FAILED"))
    ).stacks()
    assert found.state is state
    assert (remedy is None) == (found.remedy is None)
    assert (remedy or "") in (found.remedy or "")


def test_nothing_deployed_is_fine() -> None:
    assert account(cloudformation=stacks(("suppliers-prod-data", "UPDATE_FAILED"))).stacks() == ok(
        "stacks", "not deployed yet"
    )


PENDING = "PendingConfirmation"


@pytest.mark.parametrize(
    ("emails", "protected", "subscribed", "state", "detail"),
    [
        ([], False, {}, State.WARNING, "alarms.emails is empty: nobody is told"),
        (["a@b.c"], False, {"a@b.c": PENDING}, State.WARNING, "a@b.c not confirmed: nobody is told there"),
        (["a@b.c"], False, {"a@b.c": "Deleted"}, State.WARNING, "a@b.c not confirmed: nobody is told there"),
        (["a@b.c"], True, {"a@b.c": PENDING}, State.MISSING, "a@b.c not confirmed: nobody is told there"),
        (["a@b.c"], True, {}, State.MISSING, "a@b.c not confirmed: nobody is told there"),
        (
            ["a@b.c", "d@e.f"],
            True,
            {"a@b.c": PENDING, "d@e.f": "arn:aws:sns:done"},
            State.WARNING,
            "a@b.c not confirmed: nobody is told there",
        ),
        (["a@b.c"], True, {"a@b.c": "arn:aws:sns:done"}, State.OK, "all 1 confirmed"),
    ],
)
def test_who_is_told_has_confirmed_it(
    emails: list[str], protected: bool, subscribed: dict[str, str], state: State, detail: str
) -> None:
    def subscription(topic: str, arn: str, email: str) -> dict[str, str]:
        return {
            "TopicArn": f"arn:aws:sns:us-east-1:123456789012:{topic}",
            "SubscriptionArn": arn,
            "Protocol": "email",
            "Endpoint": email,
        }

    @dataclass(frozen=True)
    class Paginator:
        def paginate(self) -> list[Any]:
            ours = [subscription("suppliers-dev-network-A", arn, email) for email, arn in subscribed.items()]
            others = [subscription("suppliers-prod-network-A", "arn:aws:sns:done", "a@b.c")]
            return [{"Subscriptions": others}, {"Subscriptions": ours}]

    told = DEV.alarms.model_copy(update={"emails": tuple(emails)})
    environment = DEV.model_copy(update={"alarms": told, "protected": protected})
    deployed = stacks(("suppliers-dev-network", "UPDATE_COMPLETE"))
    found = account(environment, sns=Answering(Paginator()), cloudformation=deployed).subscriptions()
    assert (found.state, found.detail) == (state, detail)


def test_examples_that_were_shipped_are_missing_values() -> None:
    found = account(PROD).settings()
    assert (found.state, found.detail) == (
        State.MISSING,
        "alarms.emails: operators@example.com; tls.domain: suppliers.example.com; "
        "tls.hosted_zone_id: Z0123456789EXAMPLE: nobody's",
    )
    assert account(DEV).settings().state is State.OK


@pytest.mark.usefixtures("signed_in")
def test_service_linked_roles_are_made_in_time() -> None:
    iam = boto3.client("iam", region_name="us-east-1")
    found = account().service_roles()
    assert (found.state, found.remedy) == (
        State.WARNING,
        "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com",
    )
    iam.create_role(RoleName="AWSServiceRoleForECS", AssumeRolePolicyDocument="{}")
    assert account().service_roles() == ok("service-linked roles", "all 1 there")


@pytest.mark.usefixtures("signed_in")
def test_the_hosted_zone_holds_the_domain() -> None:
    route53 = boto3.client("route53", region_name="us-east-1")
    assert PROD.tls is not None
    found = account(PROD).hosted_zone()
    assert found.state is State.MISSING
    assert "there is no zone Z0123456789EXAMPLE" in found.detail

    def zone(name: str, **more: Any) -> Finding:
        created = route53.create_hosted_zone(Name=name, CallerReference=name + str(more), **more)
        # Unlike those of AWS, the ids that moto gives do not begin with Z.
        identifier = created["HostedZone"]["Id"].removeprefix("/hostedzone/")
        assert PROD.tls is not None
        tls = PROD.tls.model_copy(update={"hosted_zone_id": identifier})
        return account(changed(PROD, tls=tls)).hosted_zone()

    assert zone("example.com") == ok("hosted zone", "example.com holds suppliers.example.com")
    assert "is of ample.com, which does not hold" in zone("ample.com").detail
    private = {"HostedZoneConfig": {"PrivateZone": True}, "VPC": {"VPCRegion": "us-east-1", "VPCId": "vpc-1"}}
    assert "is private" in zone("suppliers.example.com", **private).detail


def test_a_connection_that_waits_to_be_accepted_is_missing() -> None:
    delivery = settings.Delivery(
        source="github",
        repository="owner/name",
        connection_arn="arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef",
    )
    environment = changed(DEV, delivery=delivery)
    assert "connection" in account(environment).checks()
    for status, state in (("PENDING", State.MISSING), ("AVAILABLE", State.OK)):
        answer = Answering({"Connection": {"ConnectionName": "github", "ConnectionStatus": status}})
        assert account(environment, codeconnections=answer).connection().state is state


# All of it


def test_without_credentials_the_account_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "checks", lambda _: {"git": lambda: ok("git", "here")})
    findings = examine(Machine(PROD, None), account(PROD, sts=Answering(NoCredentialsError())))
    assert [(each.name, each.state) for each in findings[:3]] == [
        ("git", State.OK),
        ("credentials", State.MISSING),
        ("region", State.UNCHECKED),
    ]
    assert "hosted zone" in [each.name for each in findings]


@pytest.mark.usefixtures("signed_in")
def test_a_permission_that_is_missing_leaves_its_check_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "checks", lambda _: {})
    message = "User: arn:aws:iam::1:user/a is not authorized to perform: iam:GetRole on resource: role"
    fakes = account(
        iam=refused("AccessDenied", "GetRole", message),
        service_quotas=Answering({"Quota": {"Value": 6.0}}),
        cloudformation=stacks(),
    )
    # What they find is no matter of this test, and nobody here answers for all of it.
    monkeypatch.setattr(Account, "quotas", lambda _: ok("quotas", "leave room"))
    monkeypatch.setattr(Account, "names", lambda _: ok("names", "all free"))
    findings = {each.name: each for each in examine(Machine(DEV, None), fakes)}
    assert findings["service-linked roles"].state is State.UNCHECKED
    assert "may not do iam:GetRole on role" in findings["service-linked roles"].detail
    assert findings["credentials"].state is State.OK


def test_a_check_that_fails_has_checked_nothing() -> None:
    def broken() -> Finding:
        raise OpsError("no\nway")

    assert run({"broken": broken, "fine": lambda: ok("fine", "yes")}, "dev") == [
        unchecked("broken", "no way"),
        ok("fine", "yes"),
    ]


def test_each_finding_is_one_line_with_its_remedy() -> None:
    console = Console(record=True, width=60, file=StringIO())
    show([ok("git", "/usr/bin/git"), warning("a [b]", "is odd", "mend [it]"), unchecked("c", "d")], console)
    assert console.export_text().splitlines() == [
        "ok          git    /usr/bin/git",
        "warning     a [b]  is odd. Remedy: mend [it]",
        "not checked c      d",
    ]


@pytest.mark.parametrize(
    ("found", "status"),
    [(warning("x", "y", "z"), 0), (unchecked("x", "y"), 0), (missing("x", "y", "z"), 1)],
)
def test_only_what_is_missing_makes_the_exit_status_one(
    monkeypatch: pytest.MonkeyPatch, found: Finding, status: int
) -> None:
    monkeypatch.setattr(Machine, "checks", lambda _: {"x": lambda: found})
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == status
    assert json.loads(done.stdout)["findings"][0]["state"] == found.state
    assert is_missing([found]) == bool(status)


def test_a_rule_that_shall_only_count_has_a_name_that_aws_knows() -> None:
    asked: list[dict[str, str]] = []

    class Waf:
        def describe_managed_rule_group(self, **parameters: str) -> dict[str, Any]:
            asked.append(parameters)
            return {"Rules": [{"Name": "SizeRestrictions_BODY", "Action": {"Block": {}}}]}

    def checked(*rules: str) -> Finding:
        return account(changed(PROD, waf=settings.Waf(count_rules=rules)), wafv2=Waf()).counted_rules()

    assert checked("RateLimit", "Common", "Common/SizeRestrictions_BODY").state is State.OK
    assert asked == [{"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet", "Scope": "REGIONAL"}]
    found = checked("Common/SizeRestrictions_BODY", "Common/Size_Body")
    assert (found.state, found.detail) == (
        State.MISSING,
        "Common/Size_Body: AWS has no such rule, and would not say so",
    )
