from __future__ import annotations

import subprocess
import sys

import pytest

import settings


def ops(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        cwd=settings.ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_unknown_environment_is_one_line() -> None:
    done = ops("deploy", "--env", "nope")
    assert done.returncode == 2
    assert done.stderr == (
        "env: there is no environment 'nope'; allowed: dev, local, prod (the files in environments/)\n"
    )


def test_a_wrong_emulator_port_is_one_line() -> None:
    done = ops("deploy", "--env", "local", EMULATOR_PORT="http")
    assert done.returncode == 1
    assert done.stderr == "emulator: EMULATOR_PORT=http: a port number is needed\n"


def test_missing_credentials_are_one_line_with_the_remedy() -> None:
    done = ops("deploy", "--env", "dev", AWS_EC2_METADATA_DISABLED="true")
    assert done.returncode == 1
    assert done.stderr.startswith("dev: no access to AWS: Unable to locate credentials")
    assert "aws sso login" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["deploy", "destroy", "smoke", "guard", "simulate", "compliance"])
def test_help_shows_an_example(command: str) -> None:
    done = ops(command, "--help")
    assert done.returncode == 0
    assert f"python -m ops {command}" in done.stdout
