"""The CDK CLI by itself, from a shell that knows nothing of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import settings
from tests.synthesis import UNPACKED

README = (settings.ROOT / "README.md").read_text(encoding="utf-8")


def told(command: str, tools: Path) -> str:
    """What a command says where the shell finds only these tools; its environment exists nowhere, to be quick."""
    done = subprocess.run(
        ["sh", "-c", re.sub(r"deploy --all|synth", "ls", command).replace("env=dev", "env=nowhere")],
        cwd=settings.ROOT,
        env={"PATH": str(tools), "HOME": str(tools), **UNPACKED},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """What every machine has; its Python has none of the project's packages."""
    for name in ("sh", "env", "dirname", "uname"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho \"No module named 'aws_cdk'\" >&2; exit 1\n")
    python.chmod(0o755)
    return tmp_path


@pytest.mark.slow
def test_the_readmes_command_works_in_a_fresh_shell(tools: Path) -> None:
    (command,) = re.findall(r"after make setup: (.*cdk deploy --all.*)", README)
    assert "env: there is no environment 'nowhere'" in told(command, tools)


@pytest.mark.slow
def test_the_cli_finds_the_projects_python_by_itself(tools: Path) -> None:
    node = settings.ROOT / ".venv/bin/node"
    (tools / "node").symlink_to(node)
    answer = told("node_modules/.bin/cdk synth -c env=dev", tools)
    assert "env: there is no environment 'nowhere'" in answer


def test_without_the_folder_the_app_runs_with_the_shells_python(tmp_path: Path) -> None:
    """As in an environment that somebody else made and activated."""
    app = json.loads((settings.ROOT / "cdk.json").read_text())["app"]
    (tmp_path / "app.py").write_text("print('ran')")
    done = subprocess.run(
        ["sh", "-c", app],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "ran\n"
