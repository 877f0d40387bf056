"""The catalogue of texts, and the choice of a reader's language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

DEFAULT = "en"


class Texts:
    """The texts of one language; a missing key is an error, never an empty page."""

    def __init__(self, language: str, catalogue: Mapping[str, str]) -> None:
        self.language = language
        self._catalogue = dict(catalogue)

    def __call__(self, key: str, **values: object) -> str:
        text = self._catalogue[key]
        return text.format(**values) if values else text

    def number(self, value: int) -> str:
        grouped = f"{value:,}"
        return grouped if self.language == "en" else grouped.replace(",", "\u202f")

    def with_changes(self, changes: Mapping[str, str]) -> Texts:
        return Texts(self.language, {**self._catalogue, **changes})


def load(*, changes: Path | None = None) -> dict[str, Texts]:
    """Every language of the catalogue; another directory's file of changes replaces single texts."""
    catalogue = tomllib.loads((Path(__file__).parent / "texts.toml").read_text(encoding="utf-8"))
    texts = {language: Texts(language, entries) for language, entries in catalogue.items()}
    if changes is not None:
        for language, entries in tomllib.loads(changes.read_text(encoding="utf-8")).items():
            texts[language] = texts[language].with_changes(entries)
    return texts


@lru_cache(maxsize=512)
def choose(accept_language: str, offered: tuple[str, ...] = ("en", "fr")) -> str:
    """The offered language that the header prefers, by quality then order; otherwise English."""
    best, best_quality = DEFAULT, 0.0
    for item in accept_language[:400].split(","):
        tag, *parameters = item.strip().split(";")
        quality = 1.0
        for parameter in parameters:
            if parameter.strip().startswith("q="):
                try:
                    quality = float(parameter.strip()[2:])
                except ValueError:
                    quality = 0.0
        language = tag.strip().lower().split("-")[0]
        if language in offered and quality > best_quality:
            best, best_quality = language, quality
    return best
