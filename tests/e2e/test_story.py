"""A service's life where ECS releases it: `make stories`, as it takes ten minutes; by CodeDeploy it is in test_release.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import story
from tests.e2e.checkout import Checkout
from tests.e2e.story import Story

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("controller", ["ecs", "rolling"])
def test_what_runs_survives_whoever_changes_it(checkout: Checkout, tmp_path: Path, controller: str) -> None:
    file = checkout.folder / f"environments/{controller}.toml"
    file.write_text(story.environment(controller, "bake_minutes = 1"))
    checkout.make("deploy", f"ENV={controller}")
    story.tell(Story(checkout, controller, controller), tmp_path)
