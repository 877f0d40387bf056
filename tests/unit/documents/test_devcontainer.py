"""The development container calls what exists, with the Python that continuous integration has."""

from __future__ import annotations

import json
import re

import settings

DEFINITION = json.loads((settings.ROOT / ".devcontainer/devcontainer.json").read_text())


def test_it_sets_everything_up_with_targets_that_exist() -> None:
    program, *targets = DEFINITION["postCreateCommand"].split()
    makefile = (settings.ROOT / "Makefile").read_text()
    assert program == "make"
    assert set(targets) <= set(re.findall(r"^([a-z]+):", makefile, re.M))


def test_its_python_is_that_of_continuous_integration() -> None:
    workflow = (settings.ROOT / ".github/workflows/pull-request.yml").read_text()
    version = re.search(r'python-version: "([\d.]+)"', workflow)
    assert version is not None
    assert DEFINITION["image"].rpartition(":")[2].startswith(f"{version[1]}-")
