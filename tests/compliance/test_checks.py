"""What a pull request must pass: cdk-nag, cdk-preflight and the built-in validator by a checked synth, cfn-lint."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import settings
from ops import scanner
from tests.compliance.conftest import BIN, Assembly, synth
from tests.conftest import ENVIRONMENTS, stacks_of

PACKS = {"AwsSolutions", "NIST.800.53.R5", "PCI.DSS.321", "HIPAA.Security", "CloudFormation Validate"}


# A checked synth of the environment that is named last.
CHECKED = (
    "import pathlib, sys, checks, settings\n"
    "from tests.synthesis import built\n"
    "root, out, name = sys.argv[1:]\n"
    "app = built(settings.load(name, pathlib.Path(root)), pathlib.Path(out))\n"
    "checks.attach(app)\n"
    "app.synth()\n"
)


def run_program(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a process of its own, as `cdk synth` runs app.py."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=settings.ROOT,
        env={"PATH": f"{BIN}{os.pathsep}{os.defpath}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_finding_is_open(assembly: Assembly, name: str) -> None:
    report = json.loads((assembly(name) / "validation-report.json").read_text())
    # cdk-preflight reports only where it has something to say, if only that it is acknowledged.
    assert {plugin["pluginName"] for plugin in report["pluginReports"]} - {"cdk-preflight"} == PACKS
    for plugin in report["pluginReports"]:
        assert plugin["conclusion"] == "success", plugin
        assert not plugin["violations"], plugin


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_cfn_lint_finds_nothing(assembly: Assembly, name: str) -> None:
    templates = sorted(str(path) for path in assembly(name).glob("*.template.json"))
    assert len(templates) == len(stacks_of(name))
    done = subprocess.run(
        [BIN / "cfn-lint", *templates], capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr


REPLICA_BY_PROXY = "proxy = true\nread_replicas = 1"
READABLE_STANDBYS = 'instance_class = "db.m6gd.large"\nstorage_gib = 400\ncluster = true'


@pytest.mark.parametrize(
    ("controller", "readers", "replicas", "more"),
    [("ecs", REPLICA_BY_PROXY, 1, "[cdn]\n"), ("rolling", READABLE_STANDBYS, 0, "")],
    ids=["ecs-replica", "rolling-cluster"],
)
def test_no_finding_is_open_with_the_other_controllers_and_what_prod_leaves_out(
    project: Path, tmp_path: Path, controller: str, readers: str, replicas: int, more: str
) -> None:
    file = project / "environments/prod.toml"
    text = file.read_text().replace('controller = "codedeploy"', f'controller = "{controller}"')
    for each in readers.splitlines():
        text = re.sub(rf"^{each.partition('=')[0]}=.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("[database]", f"[database]\n{readers}")
    file.write_text(f"{text}\n[access]\nexec = true\n[canary]\n[cache]\nreplicas = {replicas}\n{more}")
    done = run_program(CHECKED, str(project), str(tmp_path / "out"), "prod")
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_finding_is_open_with_cloudfront_alone_in_front(project: Path, tmp_path: Path) -> None:
    file = project / "environments/dev.toml"
    file.write_text(f"{file.read_text()}\n[cdn]\n")
    done = run_program(CHECKED, str(project), str(tmp_path / "out"), "dev")
    assert done.returncode == 0, done.stdout + done.stderr
    result = scanner.scan(tmp_path / "out")
    assert result.open == ()
    assert result.needless == ()


@pytest.mark.parametrize(
    ("careless", "findings"),
    [
        (
            "aws_s3.Bucket(stack, 'Bucket')",
            [
                "AwsSolutions-S1",
                "NIST.800.53.R5-S3BucketReplicationEnabled",
                "PCI.DSS.321-S3BucketReplicationEnabled",
                "HIPAA.Security-S3BucketReplicationEnabled",
            ],
        ),
        (
            "aws_ec2.CfnSecurityGroup(stack, 'Group', group_description='it\\'s')",
            ["cdk-preflight"],
        ),
    ],
)
def test_an_open_finding_fails_the_synth(careless: str, findings: list[str]) -> None:
    program = (
        "import aws_cdk as cdk, checks\n"
        "from aws_cdk import aws_ec2, aws_s3\n"
        "app = cdk.App()\n"
        "stack = cdk.Stack(app, 'Careless')\n"
        f"{careless}\n"
        "checks.attach(app)\n"
        "app.synth()\n"
    )
    done = run_program(program)
    assert done.returncode != 0
    for finding in findings:
        assert finding in done.stdout + done.stderr


def test_an_unknown_environment_is_one_line_without_traceback(tmp_path: Path) -> None:
    done = synth("nope", tmp_path)
    assert done.returncode != 0
    assert "env: there is no environment 'nope'; allowed: dev, local, prod" in done.stderr
    assert "Traceback" not in done.stderr
    assert "JavaScript" not in done.stderr
