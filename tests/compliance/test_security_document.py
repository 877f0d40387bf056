"""Every control that docs/security.md claims is where it says, and so is what proves it."""

from __future__ import annotations

import ast
import re

import pytest

import settings

DOCUMENT = (settings.ROOT / "docs/security.md").read_text()
ROWS = re.findall(
    r"^\| (.+?) \| `([^`]+)` \| `([^`]+)` \|$", DOCUMENT.partition("## Controls")[2], re.MULTILINE
)


def test_the_table_is_read() -> None:
    assert len(ROWS) >= 25
    table = DOCUMENT.partition("## Controls\n\n")[2].partition("\n\n")[0]
    assert len(table.splitlines()) == len(ROWS) + 2, "a row names no file or no test"
    assert len({control for control, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("control", "where", "proof"), ROWS, ids=[row[0][:50] for row in ROWS])
def test_a_control_is_where_it_is_said_to_be_and_so_is_its_proof(
    control: str, where: str, proof: str
) -> None:
    assert (settings.ROOT / where).is_file()
    file, _, test = proof.partition("::")
    tests = {
        node.name
        for node in ast.walk(ast.parse((settings.ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert test in tests if test else tests


def test_pull_requests_are_audited() -> None:
    workflow = (settings.ROOT / ".github/workflows/pull-request.yml").read_text()
    makefile = (settings.ROOT / "Makefile").read_text()
    assert "run: make audit\n" in workflow
    assert "name: sbom\n" in workflow
    audited = re.findall(r"^AUDITED := (.+)$", makefile, re.MULTILINE)[0]
    for file in settings.ROOT.glob("*/**/requirements.txt"):
        name = str(file.relative_to(settings.ROOT))
        if not name.startswith((".", "node_modules", "cdk.out")):
            assert name in audited or name.startswith("services/"), name
    assert "pip-audit --strict" in makefile
