"""Which part of a directory a reader asks for, and what was found."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from directory.domain.model import LENGTHS, SORTS, Entry

DEFAULT_SIZE = 50
MAX_SIZE = 200
MAX_PAGE = 100_000
# Of a name's length, so that any name can be looked up by a copy of it.
MAX_SEARCH = LENGTHS["name"]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the directory a reader asked for; equal requests compare equal."""

    q: str = ""
    sort: str = "name"
    descending: bool = False
    page: int = 1
    size: int = DEFAULT_SIZE


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found; `total` is a lower bound unless `exact`."""

    page: Page
    entries: tuple[Entry, ...]
    total: int
    exact: bool
    more: bool
    read_at: float
    """In seconds since 1970."""


def composed(q: str) -> str:
    """In as few characters as it can be written with, as names are stored, and no longer than makes a difference."""
    return unicodedata.normalize("NFC", q[: 4 * MAX_SEARCH + 64])


def page_from(query: Mapping[str, str]) -> Page:
    """The page that a query string asks for; what is out of range is brought into it."""

    def number(name: str, default: int, high: int) -> int:
        value = query.get(name, "")
        return (
            min(max(int(value), 1), high)
            if value.isascii() and value.isdecimal() and len(value) < 10
            else default
        )

    sort = query.get("sort", "name")
    field = sort.removeprefix("-")
    return Page(
        q=composed(" ".join(query.get("q", "").split()))[:MAX_SEARCH],
        sort=field if field in SORTS else "name",
        descending=sort.startswith("-") and field in SORTS,
        page=number("page", 1, MAX_PAGE),
        size=number("size", DEFAULT_SIZE, MAX_SIZE),
    )
