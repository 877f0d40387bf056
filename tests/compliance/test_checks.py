"""What a pull request must pass: cdk-nag, cdk-preflight and the built-in validator by a checked synth, cfn-lint."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2, aws_s3

import checks
import settings
from ops.compliance import scanner
from tests.compliance.conftest import BIN, Assembly, checked, synth
from tests.conftest import ENVIRONMENTS, copy_settings, stacks_of

PACKS = {"AwsSolutions", "NIST.800.53.R5", "PCI.DSS.321", "HIPAA.Security", "CloudFormation Validate"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_finding_is_open(assembly: Assembly, name: str) -> None:
    report = json.loads((assembly(name) / "validation-report.json").read_text())
    # cdk-preflight reports only where it has something to say, if only that it is acknowledged.
    assert {plugin["pluginName"] for plugin in report["pluginReports"]} - {"cdk-preflight"} == PACKS
    for plugin in report["pluginReports"]:
        assert plugin["conclusion"] == "success", plugin
        assert not plugin["violations"], plugin


def test_the_cli_finds_nothing_either(tmp_path: Path) -> None:
    done = synth("local", tmp_path, "checks=true")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "cdk.out/validation-report.json").read_text())
    assert {plugin["pluginName"] for plugin in report["pluginReports"]} - {"cdk-preflight"} == PACKS
    assert {plugin["conclusion"] for plugin in report["pluginReports"]} == {"success"}


def test_cfn_lint_finds_nothing(assembly: Assembly) -> None:
    templates = []
    for name in ENVIRONMENTS:
        found = sorted(str(path) for path in assembly(name).glob("*.template.json"))
        assert len(found) == len(stacks_of(name))
        templates += found
    done = subprocess.run(
        [BIN / "cfn-lint", *templates], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


CLOUDFRONT_ALONE = "codedeploy, GitHub, CloudFront alone in front, endpoints"
GITHUB = """source = "github"
repository = "us/it"
create_repository =
connection_arn = "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
"""
SIGN_IN = """[access.oidc]
issuer = "https://login.example.com"
authorization_endpoint = "https://login.example.com/authorize"
token_endpoint = "https://login.example.com/token"
user_info_endpoint = "https://login.example.com/userinfo"
client_id = "directory"
client_secret_name = "login/directory"
"""
# By name: environment, lines of its sections in place of those of the same keys, and sections that it leaves out.
# Between them are both sources with each controller, and every option that makes resources.
COMPOSITIONS = {
    "ecs, GitHub, replica by proxy": (
        "prod",
        {
            "release": 'controller = "ecs"',
            "delivery": GITHUB,
            "database": "proxy = true\nread_replicas = 1",
        },
        "[access]\nexec = true\n[canary]\n[cache]\nreplicas = 1\n[cdn]\n",
    ),
    "rolling, CodeCommit, readable standbys, signing in": (
        "prod",
        {
            "release": 'controller = "rolling"',
            "database": 'instance_class = "db.m6gd.large"\nstorage_gib = 400\ncluster = true',
        },
        f"[access]\nexec = true\n[cache]\nreplicas = 0\n{SIGN_IN}",
    ),
    CLOUDFRONT_ALONE: (
        "dev",
        {"delivery": GITHUB, "network": "interface_endpoints = true"},
        "[cdn]\n",
    ),
}


@pytest.fixture(scope="module")
def composition(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The output folder of a synth with all checks of one of `COMPOSITIONS`."""

    @cache
    def of(name: str) -> Path:
        environment, sections, more = COMPOSITIONS[name]
        root = copy_settings(tmp_path_factory.mktemp("settings"))
        file = root / f"environments/{environment}.toml"
        text = file.read_text()
        for section, lines in sections.items():
            given = []
            for line in lines.splitlines():
                text = re.sub(rf"^{line.partition('=')[0]}=.*\n", "", text, flags=re.MULTILINE)
                if not line.endswith("="):
                    given.append(line)
            assert f"[{section}]\n" in text
            text = text.replace(f"[{section}]\n", "\n".join((f"[{section}]", *given, "")))
        file.write_text(f"{text}\n{more}")
        return checked(settings.load(environment, root), root / "cdk.out")

    return of


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_no_finding_is_open_in_what_no_environment_has(composition: Assembly, name: str) -> None:
    report = json.loads((composition(name) / "validation-report.json").read_text())
    assert {plugin["conclusion"] for plugin in report["pluginReports"]} == {"success"}


def test_checkov_finds_nothing_and_skips_nothing_without_need(
    assembly: Assembly, composition: Assembly, tmp_path: Path
) -> None:
    # Beside them a bucket of which it has something to say.
    skips = [{"id": rule, "comment": "Who cares"} for rule in ("CKV_AWS_18", "CKV_AWS_20")]
    bucket = {"Type": "AWS::S3::Bucket", "Metadata": {"checkov": {"skip": skips}}}
    file = tmp_path / "Careless.template.json"
    file.write_text(json.dumps({"Resources": {"Bucket": bucket}}))
    result = scanner.scan(assembly("dev"), assembly("prod"), composition(CLOUDFRONT_ALONE), tmp_path)
    assert [each for each in result.open if file.name not in each] == []
    assert "CKV_AWS_21: Careless.template.json: Bucket" in result.open
    assert "CKV_AWS_18: Careless.template.json: Bucket" not in result.open
    # The bucket is not public, so there is nothing to skip.
    assert result.needless == ("CKV_AWS_20: Careless.template.json: Bucket",)


def careless_bucket(stack: cdk.Stack) -> None:
    aws_s3.Bucket(stack, "Bucket")


def careless_group(stack: cdk.Stack) -> None:
    aws_ec2.CfnSecurityGroup(stack, "Group", group_description="it's")


@pytest.mark.parametrize(
    ("careless", "findings"),
    [
        (
            careless_bucket,
            {
                "AwsSolutions": "AwsSolutions-S1",
                "NIST.800.53.R5": "NIST.800.53.R5-S3BucketReplicationEnabled",
                "PCI.DSS.321": "PCI.DSS.321-S3BucketReplicationEnabled",
                "HIPAA.Security": "HIPAA.Security-S3BucketReplicationEnabled",
            },
        ),
        (careless_group, {"cdk-preflight": ""}),
    ],
)
def test_an_open_finding_fails_the_synth(
    tmp_path: Path, careless: Callable[[cdk.Stack], None], findings: dict[str, str]
) -> None:
    app = cdk.App(outdir=str(tmp_path))
    careless(cdk.Stack(app, "Careless"))
    checks.attach(app)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        checks.synth(app)
    report = json.loads((tmp_path / "validation-report.json").read_text())
    failed = {each["pluginName"]: each for each in report["pluginReports"] if each["conclusion"] == "failure"}
    assert failed.keys() == findings.keys()
    for plugin, rule in findings.items():
        assert any(rule in each["ruleName"] for each in failed[plugin]["violations"])


def test_an_unknown_environment_is_one_line_without_traceback(tmp_path: Path) -> None:
    done = synth("nope", tmp_path)
    assert done.returncode != 0
    assert "env: there is no environment 'nope'; allowed: dev, local, prod" in done.stderr
    assert "Traceback" not in done.stderr
    assert "JavaScript" not in done.stderr
