"""The commands of the builds, in a checkout, with recorded answers of AWS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import NoCredentialsError
from moto import mock_aws

import settings
from delivery.__main__ import main
from delivery.task_definition import with_image
from platform_constructs.service import build_context
from tests.unit.delivery.conftest import REPOSITORY, VARIABLES, Ecr, Ecs, definition

OLD = "1" * 64


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The version of the customer service in a checkout, which is the working directory."""
    for name in ("customer/Dockerfile", "customer/app.py", "shared/web.py"):
        (tmp_path / "services" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "services" / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return build_context.version(Path("services"), "customer", "arm64")


def clients(running: str, *, pushed: tuple[str, ...] = ()) -> Callable[[str], Any]:
    live = definition(f"{REPOSITORY}:{running}")
    ecs = Ecs({VARIABLES["FAMILY"]: live, "running": live}, {"status": "ACTIVE", "taskDefinition": "running"})
    clean = {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {}}
    return {"ecs": ecs, "ecr": Ecr(tags=pushed, scans=[clean])}.__getitem__


def test_a_changed_service_is_planned_with_its_context(
    version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan"], VARIABLES, clients(OLD)) == 0
    assert f"customer: version {version[:12]} replaces" in capsys.readouterr().out
    assert "export RELEASE=yes" in Path("release/release.env").read_text()
    assert Path("release/context/shared/web.py").is_file()


def test_an_untouched_service_is_planned_without_one(version: str) -> None:
    assert main(["plan"], VARIABLES, clients(version)) == 0
    assert "export RELEASE=no" in Path("release/release.env").read_text()
    assert not Path("release/context").exists()


def test_codedeploy_gets_its_two_files(version: str) -> None:
    variables = {**VARIABLES, "VERSION": version, "HOOK": "arn:hook"}
    assert main(["write"], variables, clients(OLD)) == 0
    task = json.loads(Path("release/taskdef.json").read_text())
    assert task["containerDefinitions"][0]["image"] == f"{REPOSITORY}:{version}"
    document = yaml.safe_load(Path("release/appspec.yaml").read_text())
    assert document["Hooks"] == [{"BeforeInstall": "arn:hook"}, {"AfterAllowTestTraffic": "arn:hook"}]
    assert not Path("release/imagedefinitions.json").exists()


def test_what_codedeploy_registers_is_the_live_task_with_the_new_image(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        ecs = boto3.client("ecs")
        first = with_image(definition(f"{REPOSITORY}:{OLD}"), container="customer", image="old", version=OLD)
        ecs.register_task_definition(**first)
        assert main(["write"], {**VARIABLES, "VERSION": version}, boto3.client) == 0
        registered = ecs.register_task_definition(**json.loads(Path("release/taskdef.json").read_text()))
    after = registered["taskDefinition"]
    assert (after["family"], after["revision"]) == ("suppliers-dev-customer", 2)
    assert after["containerDefinitions"][0]["image"] == f"{REPOSITORY}:{version}"
    assert after["executionRoleArn"] == first["executionRoleArn"]


def test_a_clean_image_passes(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("delivery").mkdir()
    Path("delivery/accepted_findings.toml").write_text(
        "[[accepted]]\nid = 'CVE-1'\nuntil = 2099-01-01\nreason = 'x'\n"
    )
    assert main(["check-image"], {**VARIABLES, "VERSION": version}, clients(OLD)) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "customer: the scan found nothing"
    assert said[1].startswith(
        "delivery/accepted_findings.toml: CVE-1: the image of customer has no such finding"
    )


def test_the_builds_start_from_what_the_sources_say(version: str) -> None:
    assert main(["plan"], VARIABLES, clients(OLD)) == 0
    assert "export BASE_IMAGE=''" in Path("release/release.env").read_text()
    assert main(["pull-base"], {}, clients(OLD)) == 0
    Path("services/shared/base-image").write_text("python:3\n")
    assert main(["plan"], VARIABLES, clients(OLD)) == 0
    assert "export BASE_IMAGE=python:3\n" in Path("release/release.env").read_text()


@pytest.mark.parametrize("command", ["plan", "check-image", "write", "migrate"])
def test_what_is_missing_is_one_line_and_a_failed_build(
    version: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command], {}, clients(OLD)) == 1
    error = capsys.readouterr().err
    assert "environment variables are missing: " in error
    assert error.count("\n") == 1


def test_an_answer_of_aws_is_one_line_too(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    def nobody(service: str) -> Any:
        raise NoCredentialsError

    assert main(["plan"], VARIABLES, nobody) == 1
    assert capsys.readouterr().err == "AWS answers: Unable to locate credentials\n"


def test_the_commands_need_nothing_but_boto3_and_the_standard_library() -> None:
    program = (
        "import sys, boto3\n"
        "before = set(sys.modules)\n"
        "import delivery.__main__\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=settings.ROOT,
        env={"PYTHONPATH": "constructs"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {"delivery", "platform_constructs"}
