"""No template names what AWS no longer runs, and what it will not run much longer is told in time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import cfnlint.data.AdditionalSpecs as specs
import pytest

import settings
from ops.doctor.findings import State
from ops.doctor.runtimes import SOON, listed, runtimes
from tests.conftest import ENVIRONMENTS, Synthesize, Template, synthesize
from tests.resources import of_type

READ, LISTED = listed()


def named(templates: Mapping[str, Template]) -> Iterator[str]:
    """The runtimes and the build images of all resources."""
    for template in templates.values():
        for resource_type, key in (
            ("AWS::Lambda::Function", "Runtime"),
            ("AWS::Synthetics::Canary", "RuntimeVersion"),
        ):
            yield from (each[key] for each in of_type(template, resource_type).values())
        for project in of_type(template, "AWS::CodeBuild::Project").values():
            yield project["Environment"]["Image"]


def test_the_list_is_of_what_the_templates_name_and_nothing_else(
    templates: Synthesize, project: Path, tmp_path: Path
) -> None:
    used = {name for environment in ENVIRONMENTS for name in named(templates(environment))}
    prod = settings.load("prod")
    on_x86 = tuple(each.model_copy(update={"architecture": "x86_64"}) for each in prod.services)
    more = prod.model_copy(update={"canary": settings.Canary(), "services": on_x86})
    used |= set(named(synthesize(more, tmp_path / "out")))
    assert used == {each.name for each in LISTED}


def test_nothing_was_near_its_end_when_the_pages_were_read() -> None:
    for each in LISTED:
        assert each.page.startswith("https://docs.aws.amazon.com/"), each.name
        assert each.deprecated is None or each.deprecated > READ + SOON, each.name


def test_the_validator_of_templates_knows_of_no_nearer_end() -> None:
    """cfn-lint keeps the dates of Lambda as well, as far as they are near, and is kept up to date."""
    text = (Path(specs.__file__).parent / "LmbdRuntimeLifecycle.json").read_text(encoding="utf-8")
    dates: Mapping[str, Any] = json.loads(text)
    assert "python3.9" in dates
    for each in LISTED:
        if each.name in dates:
            assert date.fromisoformat(dates[each.name]["deprecated"]) > READ + SOON, each.name


@pytest.mark.parametrize(
    ("today", "state", "detail"),
    [
        (READ, State.OK, r"\d, none of which AWS deprecates within 180 days"),
        (READ + timedelta(days=181), State.WARNING, f"AWS's dates were looked up on {READ}"),
        (date(2028, 4, 1), State.WARNING, r"AWS deprecates nodejs24\.x on 2028-04-30"),
        (date(2028, 4, 30), State.MISSING, r"AWS has deprecated nodejs24\.x since 2028-04-30"),
    ],
)
def test_a_runtime_is_told_before_it_ends(today: date, state: State, detail: str) -> None:
    found = runtimes(today)
    assert found.state is state
    assert re.fullmatch(detail, found.detail)
