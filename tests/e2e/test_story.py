"""A service's life where ECS releases it between two target groups; with the other controllers beside their tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import story
from tests.e2e.checkout import Checkout
from tests.e2e.story import Story

pytestmark = pytest.mark.timeout(900)

ENVIRONMENT = """
region = "us-east-1"
availability_zones = ["us-east-1a", "us-east-1b"]
emulator = true

[database]
sample_data = true

[access]
admin_cidrs = ["127.0.0.0/8", "172.16.0.0/12"]

[release]
controller = "ecs"
bake_minutes = 1

[services.employee.scaling]
min_tasks = 1
"""


def test_what_runs_survives_whoever_changes_it(checkout: Checkout, tmp_path: Path) -> None:
    (checkout.folder / "environments/ecs.toml").write_text(ENVIRONMENT)
    checkout.make("deploy", "ENV=ecs")
    story.tell(Story(checkout, "ecs", "ecs"), tmp_path)
