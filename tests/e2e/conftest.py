"""What the end-to-end tests share: a copy of the project with an emulator of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.checkout import Checkout, copy_project


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A copy of the project; what it deployed is gone after the module's last test."""
    result = copy_project(tmp_path_factory.mktemp("checkout"))
    yield result
    result.make("destroy", check=False)
