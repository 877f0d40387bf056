from __future__ import annotations

import datetime
from pathlib import Path

import pytest

import settings
from delivery import accepted
from delivery.accepted import Accepted
from delivery.errors import DeliveryError

GOOD = """
[[accepted]]
id = "CVE-2026-12345"
until = 2026-12-31
reason = "only reached with a compressed upload"
package = "zlib"
services = ["customer"]
"""


def read(tmp_path: Path, text: str) -> list[Accepted]:
    file = tmp_path / "accepted_findings.toml"
    file.write_text(text, encoding="utf-8")
    return accepted.read(file, settings.ROOT / "services")


def test_an_entry_is_read_as_it_is_written(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == [
        Accepted(
            id="CVE-2026-12345",
            until=datetime.date(2026, 12, 31),
            reason="only reached with a compressed upload",
            package="zlib",
            services=("customer",),
        )
    ]


def test_the_file_of_the_repository_is_right_and_shows_a_right_entry(tmp_path: Path) -> None:
    file = settings.ROOT / accepted.FILE
    accepted.read(file, settings.ROOT / "services")
    lines = file.read_text(encoding="utf-8").splitlines()
    shown = lines[lines.index("# [[accepted]]") :]
    example = "\n".join(line.removeprefix("# ") for line in shown[: shown.index("#")])
    assert len(read(tmp_path, example)) == 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("until = 2026-12-31", "", "entry 1: until: is missing"),
        ('id = "CVE-2026-12345"', "", "entry 1: id: is missing"),
        ('reason = "only reached with a compressed upload"', "", "entry 1: reason: is missing"),
        ("2026-12-31", '"2026-12-31"', "entry 1: until: '2026-12-31' is no date; an example is 2026-12-31,"),
        ("2026-12-31", "2026-12-31T00:00:00", "is no date"),
        ('"CVE-2026-12345"', "12345", "entry 1: id: 12345 is no name; an example is CVE-2026-12345"),
        ('"zlib"', '"z lib"', "entry 1: package: 'z lib' is no name; an example is zlib"),
        ('"only reached with a compressed upload"', '" "', "entry 1: reason: must say why"),
        ('["customer"]', '"customer"', "entry 1: services: must be a list of names"),
        ('["customer"]', "[]", "entry 1: services: must be a list of names"),
        (
            '["customer"]',
            '["costumer"]',
            "entry 1: services: there is no service 'costumer'; allowed: customer",
        ),
        (
            "package",
            "packages",
            "entry 1: packages: unknown key; allowed: id, until, reason, package, services",
        ),
        ("[[accepted]]", "[accepted]", "accepted: must be tables such as [[accepted]]"),
        ("[[accepted]]", "[[acepted]]", "acepted: unknown key; allowed: accepted"),
        ("[[accepted]]", "[[accepted", "is not TOML: "),
    ],
)
def test_a_wrong_entry_is_one_readable_line(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(DeliveryError) as error:
        read(tmp_path, GOOD.replace(old, new))
    assert f"accepted_findings.toml: {problem}" in str(error.value) or problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"accepted_findings.toml: is missing"):
        accepted.read(tmp_path / "accepted_findings.toml")
