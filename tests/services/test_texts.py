"""The catalogue of texts and the choice of a language."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import directory
from directory.web.texts import choose, load

FOLDER = Path(directory.__file__).parent
CATALOGUE = {language: texts._catalogue for language, texts in load().items()}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_language_has_the_same_texts_with_the_same_gaps() -> None:
    english = CATALOGUE["en"]
    for language, texts in CATALOGUE.items():
        assert set(texts) == set(english), language
        for key, text in texts.items():
            assert placeholders(text) == placeholders(english[key]), (language, key)


def test_french_is_a_translation() -> None:
    same = {key for key, text in CATALOGUE["fr"].items() if text == CATALOGUE["en"][key]}
    assert same <= {"pages", "page_number", "administration", "actions"}


def test_templates_hold_no_texts_of_their_own() -> None:
    templates = [*(FOLDER / "web/templates").glob("*.html")]
    assert len(templates) >= 5
    for template in templates:
        source = re.sub(r"{%.*?%}|{{.*?}}|<[^>]*>", " ", template.read_text(encoding="utf-8"), flags=re.S)
        assert re.findall(r"[A-Za-z]{2,}", source) == [], template.name


def test_every_text_is_used() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in FOLDER.rglob("*") if path.suffix in (".py", ".html")
    )
    built = re.compile(r"error_\d+(_title)?|notice_\w+|name|address|city|state|email|phone")
    unused = [key for key in CATALOGUE["en"] if not built.fullmatch(key) and f'"{key}"' not in source]
    assert unused == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA", "fr"),
        ("FR", "fr"),
        ("en, fr", "en"),
        ("de, fr;q=0.5", "fr"),
        ("en;q=0.3, fr;q=0.8", "fr"),
        ("fr;q=0", "en"),
        ("*", "en"),
        ("fr;q=x", "en"),
        (";;,,", "en"),
        ("frx", "en"),
    ],
)
def test_the_browser_chooses_the_language(header: str, language: str) -> None:
    assert choose(header) == language
