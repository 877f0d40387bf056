"""The lab's tables: every path is there, every command exists, and both languages have the same lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import delivery.__main__ as delivery_cli
import settings
from ops.command_line import app
from ops.terminal.lazy import every

PAGES = {
    language: settings.ROOT / "docs" / name for language, name in (("en", "lab.md"), ("fr", "lab.fr.md"))
}
PHASES = {1: 2, 2: 3, 3: 4, 4: 7, 5: 6, 6: 2, 7: 2, 8: 6, 9: 5}


def rows(page: Path) -> dict[str, list[str]]:
    """The cells of each task by its number."""
    found = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        number = re.match(r"\d\.\d", cells[0])
        if line.startswith("|") and number:
            found[number[0]] = cells
    return found


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", (settings.ROOT / "Makefile").read_text(), re.M))


def ops_commands() -> set[str]:
    return {words[0] for words, _ in every(app) if words}


@pytest.mark.parametrize("language", PAGES)
def test_every_task_of_the_nine_phases_has_a_line(language: str) -> None:
    expected = [f"{phase}.{task}" for phase, tasks in PHASES.items() for task in range(1, tasks + 1)]
    assert list(rows(PAGES[language])) == expected
    assert all(len(cells) == 5 and all(cells) for cells in rows(PAGES[language]).values())


@pytest.mark.parametrize("language", PAGES)
def test_every_place_named_is_in_the_project(language: str) -> None:
    for number, (_, _, places, _, _) in rows(PAGES[language]).items():
        assert code(places), number
        for place in code(places):
            assert (settings.ROOT / place).exists(), f"{number}: {place}"


@pytest.mark.parametrize("language", PAGES)
def test_every_command_named_exists(language: str) -> None:
    text = PAGES[language].read_text(encoding="utf-8")
    for command in code(text):
        match command.split():
            case ["make", target, *_]:
                assert target in make_targets(), command
            case ["python", "-m", "ops", name, *_]:
                assert name in ops_commands(), command
            case ["python", "-m", "delivery", "--help"]:
                assert delivery_cli
            case ["python", "-m", *_]:
                assert command == "python -m ops", command
    for number, (_, _, _, command, _) in rows(PAGES[language]).items():
        assert any(each.startswith(("make ", "python -m ")) for each in code(command)), number


def test_both_languages_name_the_same_places_and_commands() -> None:
    english, french = (rows(PAGES[language]) for language in ("en", "fr"))
    for number, cells in english.items():
        assert [code(cell) for cell in cells[2:4]] == [code(cell) for cell in french[number][2:4]], number
