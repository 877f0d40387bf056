"""Every setting of an environment, and where it comes from."""

from __future__ import annotations

import json

import pytest

import settings
from ops.synthesis import environments
from ops.synthesis.environments import Setting


def test_what_files_say_is_told_from_defaults() -> None:
    found = {each.key: each for each in environments.read(settings.load("local"))}
    assert found["release.controller"] == Setting("release.controller", "rolling", is_set=True)
    assert found["database.multi_az"].is_set is False
    assert found["services.customer.scaling.min_tasks"].value == 2
    assert found["cdn"] == Setting("cdn", None, is_set=False)
    assert not any(key.endswith(".name") for key in found)


@pytest.mark.parametrize("name", settings.environment_names())
def test_everything_that_is_shown_is_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    environments.shown(env=name, is_set=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["region"] == settings.load(name).region
    environments.shown(env=name, is_set=True, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert not any(line.endswith("default") for line in lines)


def test_environments_are_listed_with_where_they_run(capsys: pytest.CaptureFixture[str]) -> None:
    environments.listed(as_json=True)
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["local"]["account"] == "the emulator"
    assert found["prod"]["protected"] is True
    environments.listed(as_json=False)
    assert len(capsys.readouterr().out.splitlines()) == len(found) + 1
