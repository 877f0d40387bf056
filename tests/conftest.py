"""What several kinds of tests share: the templates of every environment, synthesized once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import settings
from tests.synthesis import Made, Template, built, only_environments, synthesize

__all__ = [
    "ENVIRONMENTS",
    "Made",
    "Synthesize",
    "Template",
    "built",
    "copy_settings",
    "stacks_of",
    "synthesize",
]

ENVIRONMENTS = settings.environment_names()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out slow tests, and what needs other templates than those of the environments",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("quick"):
        only_environments()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("quick"):
        left_out = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=left_out)


def stacks_of(name: str) -> tuple[str, ...]:
    """The construct ids of an environment's stacks; pipelines are where a section asks for them."""
    environment = settings.load(name)
    services = [service.stack_id for service in environment.services]
    delivery = ("Delivery", *(f"Delivery{each}" for each in services)) if environment.delivery else ()
    return ("Network", "Data", "Compute", *services, *delivery, "Observability")


Synthesize = Callable[[str], Made]


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """The templates of a named environment."""

    @cache
    def of(name: str) -> Made:
        return synthesize(settings.load(name), tmp_path_factory.mktemp(name))

    return of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the settings' files that a test may spoil."""
    return copy_settings(tmp_path)


def copy_settings(folder: Path) -> Path:
    """Copy the settings' files into an empty folder."""
    for part, pattern in (
        ("environments", "*.toml"),
        ("services", "*/service.toml"),
        ("services", "*/Dockerfile"),
    ):
        for source in (settings.ROOT / part).glob(pattern):
            target = folder / source.relative_to(settings.ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return folder
