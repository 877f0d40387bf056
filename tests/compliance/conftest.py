"""Assemblies as a synth with all checks leaves them, made once for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import checks
import settings
from tests.synthesis import UNPACKED, built

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


def checked(environment: settings.Environment, folder: Path) -> Path:
    """The output folder of a synth with all checks, which fails where a finding is open.

    In the process of the tests, as loading what checks takes several times as long as the checks of an environment.
    """
    app = built(environment, folder)
    checks.attach(app)
    checks.synth(app)
    return folder


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The output folder of a synth of a named environment with all checks, which must have passed."""

    @cache
    def of(name: str) -> Path:
        return checked(settings.load(name), tmp_path_factory.mktemp(name) / "cdk.out")

    return of
