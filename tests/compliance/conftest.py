"""Assemblies as a checked synth of the CDK CLI leaves them, made once for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import settings
from tests.synthesis import UNPACKED

BIN = Path(sys.executable).parent
CDK = settings.ROOT / "node_modules/.bin/cdk"

Assembly = Callable[[str], Path]


def synth(environment: str, folder: Path, *context: str) -> subprocess.CompletedProcess[str]:
    """Run the CDK CLI as a user would: no credentials, no network, nothing but the PATH of the virtual environment."""
    variables = {
        "PATH": f"{BIN}{os.pathsep}{os.defpath}",
        "HOME": str(folder),
        **UNPACKED,
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


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The output folder of a synth of a named environment with all checks, which must have passed."""

    @cache
    def of(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        done = synth(name, folder, "checks=true")
        assert done.returncode == 0, done.stdout + done.stderr
        return folder / "cdk.out"

    return of
