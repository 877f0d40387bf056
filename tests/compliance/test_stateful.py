"""No change of the sources loses what the last release keeps, unless a person writes that down."""

from __future__ import annotations

import pytest

import settings
from ops.deployed import deployment
from ops.release import stateful
from tests.conftest import ENVIRONMENTS, Synthesize


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_that_keeps_data_is_replaced_or_removed_since_the_last_release(
    templates: Synthesize, name: str
) -> None:
    lost = stateful.losses(stateful.released(name), _by_part(templates, name))
    assert not lost, "\n".join(
        [*map(str, lost), 'set the setting back, or on purpose: make record LOSE="--lose STACK/ID"']
    )


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_all_that_keeps_data_is_on_record(templates: Synthesize, name: str) -> None:
    assert stateful.record(_by_part(templates, name)) == stateful.released(name), (
        "what keeps data has changed without loss: write it down with `make record` and review the difference"
    )


def test_there_is_a_record_of_each_environment_and_of_no_other() -> None:
    assert sorted(file.stem for file in stateful.RELEASED.glob("*")) == ENVIRONMENTS


def _by_part(templates: Synthesize, name: str) -> stateful.Stacks:
    prefix = f"suppliers-{name}-"
    names = deployment.stack_names(settings.load(name))
    return {names[stack].removeprefix(prefix): template for stack, template in templates(name).items()}
