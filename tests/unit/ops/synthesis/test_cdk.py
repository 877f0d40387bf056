from __future__ import annotations

from pathlib import Path

import pytest

from ops.errors import OpsError
from ops.synthesis import cdk

SAID = """\
suppliers-local-network: start: Building suppliers-local-network Template
suppliers-local-compute: start: Building Operations/Function/Code
suppliers-local-compute: start: Building customer
\x1b[32mNetwork (suppliers-local-network): deploying... [1/4]\x1b[39m
suppliers-local-network | 2/9 | CREATE_IN_PROGRESS | AWS::EC2::VPC
 ✅  Network (suppliers-local-network) (no changes)
 ✅  Data (suppliers-local-data)
✅  Compute (suppliers-local-compute)
 ❌  Observability failed: something
"""


@pytest.fixture
def fake_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "cdk"
    monkeypatch.setattr(cdk, "_CLI", program)
    monkeypatch.setattr(cdk, "ROOT", tmp_path)
    monkeypatch.setattr(cdk, "LOG", tmp_path / ".local/cdk.log")
    (tmp_path / "said").write_text(SAID)
    program.write_text(f'#!/bin/sh\ncat {tmp_path}/said\nexit "$STATUS"\n')
    program.chmod(0o755)
    return program


def test_of_all_that_the_cli_says_a_person_sees_images_and_stacks(fake_cli: Path) -> None:
    seen: list[str] = []
    cdk.run(["deploy"], environment={"PATH": "/usr/bin:/bin", "STATUS": "0"}, detail=seen.append)
    assert seen == [
        "building image customer",
        "Network: deploying (1 of 4)",
        "Network: no changes",
        "Data: deployed",
        "Compute: deployed",
        "Observability: failed",
    ]


def test_everything_is_in_the_log(fake_cli: Path) -> None:
    cdk.run(["deploy"], environment={"PATH": "/usr/bin:/bin", "STATUS": "0"}, detail=lambda text: None)
    assert cdk.LOG.read_text() == SAID


def test_a_failure_tells_its_end_and_where_the_rest_is(fake_cli: Path) -> None:
    with pytest.raises(OpsError) as raised:
        cdk.run(["deploy"], environment={"PATH": "/usr/bin:/bin", "STATUS": "1"}, detail=lambda text: None)
    lines = str(raised.value).splitlines()
    assert lines[-2].strip() == "❌  Observability failed: something"
    assert lines[-1] == "cdk deploy failed; everything it said is in .local/cdk.log"


def test_without_the_cli_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cdk, "_CLI", tmp_path / "missing")
    with pytest.raises(OpsError, match="run `make setup`"):
        cdk.run(["deploy"], environment={}, detail=print)


def test_what_is_shown_is_all_of_it_and_its_status_is_answered(
    fake_cli: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cdk.show(["diff"], {"PATH": "/usr/bin:/bin", "STATUS": "3"}) == 3
    assert capfd.readouterr().out == SAID
