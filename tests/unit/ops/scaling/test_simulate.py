"""The command that shows a replay, and the pictures of the documentation that it draws."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import settings
from ops.errors import OpsError
from ops.scaling import load_curve, simulate
from tests.conftest import Synthesize

DOCUMENTED = ("night", "rise-in-release", "spike")


@pytest.fixture
def synthesized(templates: Synthesize, tmp_path: Path) -> str:
    (tmp_path / "Compute.template.json").write_text(json.dumps(templates("prod").platform))
    return str(tmp_path)


def ops(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops", "simulate", *arguments],
        cwd=settings.ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COLUMNS": "60"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
def test_the_command_tells_draws_and_answers_programs(synthesized: str, tmp_path: Path) -> None:
    picture = tmp_path / "spike.png"
    told = ops("--curve", "spike", "--templates", synthesized, "--out", str(picture))
    assert told.returncode == 0, told.stderr
    assert "2 to 4 tasks, 4 changes, 1 of direction, 0 flaps" in told.stdout
    assert all(len(line) <= 60 for line in told.stdout.splitlines() if "█" in line)
    assert " ".join(told.stdout.split()).endswith("█ running ▒ starting ▞ idle side of a release")
    with Image.open(picture) as image:
        assert image.format == "PNG"
    answered = ops("--curve", "spike", "--templates", synthesized, "--service", "employee", "--json")
    document = json.loads(answered.stdout)
    assert (document["service"], document["direction_changes"], document["flaps"]) == ("employee", 1, 0)
    assert len(document["minutes"]) == 181


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--curve", "nope.csv"), 2, "curve: nope.csv: no such file; built-in curves are night, "),
        (
            ("--curve", "spike", "--start", "monday"),
            2,
            "start: 'monday' is no moment; an example is 2026-01-05T08:",
        ),
        (
            ("--curve", "spike", "--templates", "docs"),
            1,
            "docs: holds no templates: run `make synth ENV=local`",
        ),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple[str, ...], status: int, message: str) -> None:
    done = ops(*arguments)
    assert done.returncode == status
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_a_wrong_service_or_picture_is_one_line(templates: Synthesize, tmp_path: Path) -> None:
    compute, curve = templates("prod").platform, load_curve.load("spike")
    start = simulate.moment("2026-01-05T08:00+01:00")
    with pytest.raises(OpsError, match="'nope' is not scaled; allowed: customer, employee"):
        simulate.run(compute, curve, start=start, service="nope")
    with pytest.raises(OpsError, match="scale no service"):
        simulate.run(templates("prod")["Network"], curve, start=start)
    found = simulate.run(compute, curve, start=start)
    with pytest.raises(OpsError, match=r"must end in \.png"):
        simulate.draw(found, tmp_path / "spike.gif")
    with pytest.raises(OpsError, match="cannot be written: No such file"):
        simulate.draw(found, tmp_path / "nowhere" / "spike.png")


@pytest.mark.parametrize("curve", DOCUMENTED)
def test_the_pictures_of_the_documentation_show_what_the_policies_do(
    templates: Synthesize, curve: str
) -> None:
    file = settings.ROOT / "docs" / "scaling" / f"{curve}.png"
    start = simulate.moment("2026-01-05")
    found = simulate.run(templates("prod").platform, load_curve.load(curve), start=start, service="customer")
    with Image.open(file) as image:
        drawn = image.info.get(simulate.DIGEST)
    assert drawn == simulate.digest(found), "run `make pictures` and look at what changed"


def test_every_picture_of_the_documentation_is_checked() -> None:
    drawn = {file.stem for file in (settings.ROOT / "docs" / "scaling").glob("*.png")}
    assert drawn == set(DOCUMENTED)
