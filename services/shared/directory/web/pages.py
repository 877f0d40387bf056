"""HTML from templates: one environment a language, everything escaped."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from directory.domain.listing import DEFAULT_SIZE, Listing, Page
from directory.domain.model import FIELDS, LENGTHS, SORTS, Directory, Entry
from directory.domain.validation import shown_phone
from directory.web.texts import Texts

_SHOWN = ("id", *FIELDS, "shown_phone", "back")
_TEMPLATES = Path(__file__).parent / "templates"
STYLE = (_TEMPLATES / "style.css").read_text(encoding="utf-8").strip()
STYLE_HASH = "'sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"


class Fragment:
    """A template rendered once, with marks where the values of an entry go; filling it in is one formatting."""

    def __init__(self, template: Template, names: Sequence[str], **values: Any) -> None:
        # Private-use characters: validation keeps them out of entries, and escaping leaves them alone.
        marks = {name: f"\ue000{name}\ue001" for name in names}
        parts = re.split("\ue000(.*?)\ue001", template.render(entry=marks, **values))
        self._names = parts[1::2]
        self._format = "%s".join(part.replace("%", "%%") for part in parts[::2])

    def fill(self, values: Mapping[str, object]) -> str:
        return self._format % tuple([escape(values[name]) for name in self._names])


class Pages:
    """The pages of one directory in every language."""

    def __init__(self, directory: Directory, texts: Mapping[str, Texts], *, region: str) -> None:
        self._directory = directory
        self.texts = texts
        self._region = region
        self._templates: dict[tuple[str, str], Template] = {}
        self._entries: dict[str, Fragment] = {}
        self._rows: dict[tuple[str, bool], Fragment] = {}
        self._homes: dict[str, bytes] = {}
        for language, t in texts.items():
            environment = Environment(
                loader=FileSystemLoader(_TEMPLATES),
                autoescape=True,
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
            )
            environment.globals.update(
                t=t,
                directory=directory,
                style=Markup(STYLE),  # noqa: S704 - our own file
                fields=FIELDS,
                lengths=LENGTHS,
                phone=partial(shown_phone, region=region),
            )
            for name in ("home", "list", "form", "remove", "error"):
                self._templates[language, name] = environment.get_template(f"{name}.html")
            self._entries[language] = Fragment(environment.get_template("entry.html"), _SHOWN, admin=False)
            for admin in (False, True):
                self._rows[language, admin] = Fragment(
                    environment.get_template("row.html"), _SHOWN, admin=admin
                )
            self._homes[language] = self._render(language, "home", admin=False)

    def _render(self, language: str, name: str, **values: Any) -> bytes:
        return self._templates[language, name].render(values).encode()

    def home(self, language: str) -> bytes:
        return self._homes[language]

    def _shown(self, entry: Entry, back: str = "") -> dict[str, object]:
        return {
            "id": entry.id,
            "name": entry.name,
            "address": entry.address,
            "city": entry.city,
            "state": entry.state,
            "email": entry.email,
            "phone": entry.phone,
            "shown_phone": shown_phone(entry.phone, self._region),
            "back": back,
        }

    def list(
        self, language: str, listing: Listing, *, admin: bool, stale: bool = False, notice: str = ""
    ) -> bytes:
        t = self.texts[language]
        row = self._rows[language, admin]
        page = listing.page
        path = (self._directory.editors if admin else self._directory.readers).list
        first = (page.page - 1) * page.size + 1
        back = way_back(page)
        if not listing.exact:
            count = t("count_more", total=t.number(listing.total))
        elif listing.total == 1:
            count = t("count_one")
        else:
            count = t("count_many", total=t.number(listing.total))
        return self._render(
            language,
            "list",
            admin=admin,
            path=path,
            listing=listing,
            # Escaped by the fragment already.
            rows=Markup("".join([row.fill(self._shown(entry, back)) for entry in listing.entries])),  # noqa: S704
            back=back,
            notice=notice,
            stale=shown_time(listing.read_at) if stale else "",
            count=count,
            first=first,
            last=first + len(listing.entries) - 1,
            pages=max(1, -(-listing.total // page.size)),
            sort_value=_sort_value(page.sort, page.descending),
            sorts={
                field: link(
                    path, page, page=1, sort=_sort_value(field, page.sort == field and not page.descending)
                )
                for field in SORTS
            },
            previous=link(path, page, page=page.page - 1) if page.page > 1 and listing.entries else "",
            next=link(path, page, page=page.page + 1) if listing.more else "",
        )

    def entry(self, language: str, entry: Entry) -> bytes:
        return self._entries[language].fill(self._shown(entry)).encode()

    def form(
        self,
        language: str,
        *,
        typed: Mapping[str, str],
        csrf: str,
        back: str,
        errors: Mapping[str, str] | None = None,
        entry_id: int | None = None,
        version: int | None = None,
        request_key: str = "",
        conflict: Mapping[str, str] | None = None,
        unavailable: bool = False,
        ended: bool = False,
    ) -> bytes:
        return self._render(
            language,
            "form",
            admin=True,
            typed={field: typed.get(field, "") for field in FIELDS},
            csrf=csrf,
            back=back,
            errors=errors or {},
            entry_id=entry_id,
            version=version,
            request_key=request_key,
            conflict=conflict,
            unavailable=unavailable,
            ended=ended,
        )

    def remove(
        self,
        language: str,
        entry: Entry,
        *,
        csrf: str,
        back: str,
        conflict: bool = False,
        ended: bool = False,
    ) -> bytes:
        return self._render(
            language, "remove", admin=True, entry=entry, csrf=csrf, back=back, conflict=conflict, ended=ended
        )

    def error(self, language: str, status: int, *, admin: bool, detail: str = "") -> bytes:
        t = self.texts[language]
        return self._render(
            language,
            "error",
            admin=admin,
            title=t(f"error_{status}_title"),
            detail=detail or t(f"error_{status}"),
        )


def shown_time(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))


def _sort_value(field: str, descending: bool) -> str:
    return f"-{field}" if descending else field


def way_back(page: Page) -> str:
    """The query string by which what is opened from a page of a list leads back to it."""
    return link("", page, page=page.page)


def link(path: str, of: Page, *, page: int, sort: str = "") -> str:
    """The URL of another page of the same list, with nothing in it that is the default."""
    query: dict[str, object] = {}
    if of.q:
        query["q"] = of.q
    sort = sort or _sort_value(of.sort, of.descending)
    if sort != "name":
        query["sort"] = sort
    if of.size != DEFAULT_SIZE:
        query["size"] = of.size
    if page > 1:
        query["page"] = page
    return path + ("?" + urlencode(query) if query else "")
