from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.errors import OpsError
from ops.release import base_image

NAME = "registry.example.com/library/python:3.13"
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "base-image"
    made.write_text(f"{NAME}@sha256:{'0' * 64}\n")
    monkeypatch.setattr(base_image, "FILE", made)
    return made


def docker(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")


def test_the_base_image_is_pinned_to_the_digest_of_its_own_name(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"other.example.com/python@sha256:{'b' * 64}"
    answer = f"registry.example.com/library/python@{DIGEST}"
    docker(tmp_path, monkeypatch, f'[ "$1" = pull ] && [ "$3" = {NAME} ] || echo "{other}\n{answer}"')
    assert base_image.pin() == f"{NAME}@{DIGEST}"
    assert file.read_text() == f"{NAME}@{DIGEST}\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no route to host >&2; exit 1", "cannot be pulled, so nothing was pinned: no route to host"),
        ("exit 0", "Docker knows no digest of it, so nothing was pinned"),
    ],
    ids=["unreachable", "built here"],
)
def test_what_has_no_digest_is_told_and_leaves_the_pin_alone(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    before = file.read_text()
    docker(tmp_path, monkeypatch, script)
    with pytest.raises(OpsError, match=message):
        base_image.pin()
    assert file.read_text() == before
