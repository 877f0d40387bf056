"""Documents that are generated from the templates. `make snapshots` writes them anew; CI never does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import settings
from ops.cost import prices, usage
from ops.cost.estimate import estimate
from ops.cost.page import page
from ops.diagram.command import pictures
from ops.rights import page as rights
from ops.rights.grants import grants
from tests.conftest import Synthesize

# The overview stands for the platform and is shown by its first pages.
OVERVIEW = "docs/architecture.svg"
# What is drawn: the environment that has everything.
SHOWN = "prod"

Expect = Callable[[str, str], None]


@pytest.fixture
def expect(request: pytest.FixtureRequest) -> Expect:
    """Compare a document with what is generated now, or write it where snapshots are updated."""

    def compare(document: str, generated: str) -> None:
        file = settings.ROOT / document
        if request.config.getoption("update_snapshots"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(generated, encoding="utf-8")
        current = file.read_text(encoding="utf-8") if file.exists() else ""
        assert current == generated, (
            f"{document} is not current: run `make snapshots` and review the difference"
        )

    return compare


def test_the_diagrams_show_the_templates(templates: Synthesize, expect: Expect) -> None:
    drawn = pictures(templates(SHOWN), settings.load(SHOWN))
    for name, svg in drawn.items():
        expect(OVERVIEW if name == "overview" else f"docs/diagrams/{name}.svg", svg)
    files = {file.stem for file in Path(settings.ROOT / "docs/diagrams").glob("*.svg")}
    assert files == drawn.keys() - {"overview"}


def test_the_page_of_costs_is_current(templates: Synthesize, expect: Expect) -> None:
    listed = prices.load(settings.load(SHOWN).region)
    found = [estimate(name, templates(name), listed, usage.load()) for name in ("dev", "prod")]
    expect("docs/cost.md", page(found, listed))


def test_the_page_of_rights_is_current(templates: Synthesize, expect: Expect) -> None:
    granted = {name: grants(templates(name)) for name in ("local", "prod")}
    expect("docs/rights.md", rights.page(granted, rights.unused()))
