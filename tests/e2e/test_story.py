"""A service's life with each controller, which takes a quarter of an hour: `make stories`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import story
from tests.e2e.checkout import Checkout
from tests.e2e.story import Story

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("controller", ["codedeploy", "ecs", "rolling"])
def test_what_runs_survives_whoever_changes_it(checkout: Checkout, tmp_path: Path, controller: str) -> None:
    file = checkout.folder / f"environments/{controller}.toml"
    file.write_text(story.environment(controller, "bake_minutes = 1"))
    checkout.make("deploy", f"ENV={controller}")
    story.tell(Story(checkout, controller, controller), tmp_path)


def test_a_version_that_nobody_judges_on_its_way_is_taken_back(checkout: Checkout) -> None:
    checkout.make("deploy")
    with checkout.client() as client:
        old = client.get("/suppliers").headers["x-service-version"]
        (checkout.folder / "services/customer/customer/__main__.py").write_text(story.WITHOUT_LIST)
        said = checkout.make("deploy", check=False)
        assert "smoke test: /suppliers (customer) gives 500, not 200" in said
        assert f"customer is taken back: {old[:12]} serves again" in said
        answer = client.get("/suppliers")
        assert (answer.status_code, answer.headers["x-service-version"]) == (200, old)
