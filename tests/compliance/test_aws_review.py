"""docs/aws-review.md names every resource type with AWS's page and a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import settings
from tests.options import OPTIONS, templates

DOCUMENT = (settings.ROOT / "docs/aws-review.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (\S+) \| `([^`]+)` \|$", DOCUMENT, re.MULTILINE)
_PAGES = ("https://docs.aws.amazon.com/", "https://aws.amazon.com/", "https://github.com/aws")


def test_every_row_is_read() -> None:
    lines = [
        line for line in DOCUMENT.splitlines() if line.startswith("| ") and not line.startswith("| what ")
    ]
    unread = [line for line in lines if not re.fullmatch(r"\| [^|]+ \| [^|]+ \| \S+ \| `[^`]+` \|", line)]
    assert not unread
    assert len(ROWS) == len(lines) >= 90


@cache
def defined(file: Path) -> frozenset[str]:
    return frozenset(
        node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)
    )


@pytest.mark.parametrize(("what", "promise", "page", "proof"), ROWS, ids=range(len(ROWS)))
def test_a_row_has_a_page_of_aws_and_a_test_that_exists(
    what: str, promise: str, page: str, proof: str
) -> None:
    assert page.startswith(_PAGES), what
    file, _, test = proof.partition("::")
    names = defined(settings.ROOT / file)
    assert test.partition("[")[0] in names if test else any(each.startswith("test_") for each in names), proof


@pytest.mark.parametrize("option", OPTIONS)
def test_every_type_of_resource_has_a_row(option: str) -> None:
    named = set(re.findall(r"\b(?:AWS|Custom)::[A-Za-z0-9:]+", " ".join(what for what, *_ in ROWS)))
    used = {
        resource["Type"]
        for template in templates(option).values()
        for resource in template["Resources"].values()
    }
    assert used <= named, sorted(used - named)
