"""A proxy waits for its users, so it is not made before them.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_TargetHealth.html
"""

from __future__ import annotations

from pathlib import Path

import pytest

import settings
from ops.deployment.deploy import users_before_proxy
from ops.errors import OpsError
from tests.unit.ops.recorded import Stacks

EMPLOYEE = "suppliers-dev-employee"


@pytest.fixture
def proxied(project: Path) -> settings.Environment:
    file = project / "environments/dev.toml"
    file.write_text(file.read_text().replace("[database]", "[database]\nproxy = true"))
    return settings.load("dev", project)


@pytest.mark.parametrize("status", [None, "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_a_proxy_is_refused_in_the_deployment_that_makes_its_users(
    proxied: settings.Environment, status: str | None
) -> None:
    account = Stacks(templates={EMPLOYEE: {}} if status else {}, statuses={EMPLOYEE: status or ""})
    with pytest.raises(OpsError, match="deploy with proxy = false, then switch it on"):
        users_before_proxy(account, proxied)


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_proxy_may_follow(proxied: settings.Environment, status: str) -> None:
    users_before_proxy(Stacks(templates={EMPLOYEE: {}}, statuses={EMPLOYEE: status}), proxied)


def test_without_a_proxy_nobody_is_asked() -> None:
    users_before_proxy(Stacks(templates={}), settings.load("dev"))
