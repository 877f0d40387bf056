"""What a pull request must pass: cdk-nag, cdk-preflight and the built-in validator by a checked synth, cfn-lint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import settings
from tests.conftest import ENVIRONMENTS, stacks_of

BIN = Path(sys.executable).parent
CDK = settings.ROOT / "node_modules/.bin/cdk"


def synth(environment: str, folder: Path, *context: str) -> subprocess.CompletedProcess[str]:
    """Run the CDK CLI as a user would: no credentials, no network, nothing but the PATH of the virtual environment."""
    variables = {
        "PATH": f"{BIN}{os.pathsep}{os.defpath}",
        "HOME": str(folder),
        # No AWS call and no proxy can succeed, so that a lookup would fail here.
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_COLOR": "1",
    }
    command = [str(CDK), "synth", "-q", "--no-notices", "-o", str(folder / "cdk.out")]
    for each in (f"env={environment}", *context):
        command += ["-c", each]
    return subprocess.run(
        command, cwd=settings.ROOT, env=variables, capture_output=True, text=True, check=False, timeout=180
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


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a synth with all checks, which must have passed."""
    folder = tmp_path_factory.mktemp(request.param)
    done = synth(request.param, folder, "checks=true")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "cdk.out"


def test_no_finding_is_open(checked: Path) -> None:
    report = json.loads((checked / "validation-report.json").read_text())
    assert "AwsSolutions" in {plugin["pluginName"] for plugin in report["pluginReports"]}
    for plugin in report["pluginReports"]:
        assert plugin["conclusion"] == "success", plugin


def test_cfn_lint_finds_nothing(checked: Path) -> None:
    templates = sorted(str(path) for path in checked.glob("*.template.json"))
    assert len(templates) == len(stacks_of(checked.parent.name.rstrip("0123456789")))
    done = subprocess.run(
        [BIN / "cfn-lint", *templates], capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("controller", ["ecs", "rolling"])
def test_no_finding_is_open_with_the_other_controllers_and_a_canary(
    project: Path, tmp_path: Path, controller: str
) -> None:
    file = project / "environments/prod.toml"
    text = file.read_text().replace('controller = "codedeploy"', f'controller = "{controller}"')
    file.write_text(f"{text}\n[canary]\n")
    program = (
        "import pathlib, sys, checks, settings\n"
        "from tests.conftest import built\n"
        "app = built(settings.load('prod', pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]))\n"
        "checks.attach(app)\n"
        "app.synth()\n"
    )
    done = run_program(program, str(project), str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("careless", "finding"),
    [
        ("aws_s3.Bucket(stack, 'Bucket')", "AwsSolutions-S1"),
        (
            "aws_ec2.CfnSecurityGroup(stack, 'Group', group_description='it\\'s')",
            "cdk-preflight",
        ),
    ],
)
def test_an_open_finding_fails_the_synth(careless: str, finding: str) -> None:
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
    assert finding in done.stdout + done.stderr


def test_an_unknown_environment_is_one_line_without_traceback(tmp_path: Path) -> None:
    done = synth("nope", tmp_path)
    assert done.returncode != 0
    assert "env: there is no environment 'nope'; allowed: dev, local, prod" in done.stderr
    assert "Traceback" not in done.stderr
    assert "JavaScript" not in done.stderr
