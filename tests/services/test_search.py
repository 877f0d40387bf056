"""What is stored is found: by its own text, by its words and by their beginnings, in any script, on any database."""

from __future__ import annotations

import asyncio
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from directory.domain.listing import MAX_SEARCH, Page
from directory.domain.model import FIELDS
from directory.domain.suppliers import SUPPLIERS
from directory.domain.validation import check
from directory.domain.words import IGNORABLE, key, search_keys, search_words, words_of
from directory.storage.credentials import FixedCredentials
from directory.storage.database import Database
from directory.storage.engine import Engine
from directory.storage.mysql import MySQL
from directory.storage.search_keys import complete_keys
from directory.storage.store import Store
from tests.services.harness import PASSWORD, PLAIN_KEYS, VALID, MySQLServer, Site, eventually

# One of each way in which scripts differ: case, marks above and below, letters that fold to several, right to left,
# vowel signs, joiners, no spaces, syllables made of letters, compatibility forms, beyond 16 bits, no letter at all.
NAMES = [
    "Gießener Bohne",
    "Straßenkaffee GROẞ",
    "İstanbul Kahvecisi",
    "ISPARTA ılık",
    "Café Ñandú Ålesund",
    "Ærø Smørrebrød Łódź",
    "ﬁne ofﬁce",
    "Đà Nẵng Cà phê",
    "Ὀδυσσεὺς καφὲς ᾳ",
    "Кофейня Ёлка",
    "קָפֶה שָׁלוֹם",
    "قَهْوَة عربية",
    "می‌خواهم قهوه",
    "हिन्दी कॉफ़ी",
    "తెలుగు క్‍ష",
    "กาแฟดี เชียงใหม่",
    "ກາເຟລາວ",
    "កាហ្វេកម្ពុជា",
    "ကော်ဖီ",
    "東京珈琲店",
    "カフェ・ガーデン ｶﾞ",
    "咖啡𠮷野家",
    "한국커피 로스터스",
    "ཀོ་ཕི།",
    "½ Ⅻ ² ﷺ",
    "𝔎𝔞𝔣𝔣𝔢𝔢",
    "☕",
    "👩‍🌾 🇧🇷 1️⃣",
    "---",
    "´",
    "C++ & Söhne | 24/7",
    "_foo_bar_",
    "the a of und www",
    "x" * 255,
    "ж" * 255,
    "咖" * 255,
    "☕" * 255,
    "é" * 255,
]
accepted = st.text(
    alphabet=st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co", "Zl", "Zp"]), min_size=1, max_size=40
)


def stored_form(name: str) -> str | None:
    """What is stored for a name that validation takes."""
    return check({**VALID, "name": name}, region="US").fields.get("name")


def copies(name: str) -> Iterator[str]:
    """What somebody may look for who sees the name: all of it, a word of it, the beginning of a word; composed or not."""
    # Letters, marks and numbers, with and without what is not seen between them, such as a joiner.
    runs = itertools.groupby(name, lambda c: unicodedata.category(c)[0] in "LMN" or bool(IGNORABLE.match(c)))
    words = [*name.split(), *("".join(run) for is_word, run in runs if is_word)]
    words += [part for word in words for part in IGNORABLE.split(word)]
    parts = [name, *words, *(word[: 1 + len(word) // 2] for word in words)]
    for part in parts:
        yield part
        yield unicodedata.normalize("NFD", part)


def finds(q: str, name: str) -> bool:
    """As every database does it: each word of the search begins a key."""
    keys = search_keys([name])
    wanted = search_words(q)
    return bool(wanted) and all(f" {key(word)}" in keys for word in wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_is_found_by_itself_and_its_words(name: str) -> None:
    stored = stored_form(name)
    assert stored is not None
    for q in copies(stored):
        # A mark that was cut off from its letter is nothing that could be looked for.
        if words_of(q):
            assert finds(q, stored), q


@given(accepted)
@example("\u0385\u1fbd")
@example("a\u0345 \u1fbc")
@settings(max_examples=1000, deadline=None)
def test_any_name_that_is_accepted_is_found_by_itself_and_its_words(name: str) -> None:
    stored = stored_form(name)
    if stored is None:
        return
    assert search_words(stored)
    for q in copies(stored):
        if words_of(q):
            assert finds(q, stored), q


@pytest.mark.parametrize(
    ("q", "name", "found"),
    [
        ("cafe", "Le Café", True),
        ("café", "cafe", True),
        ("caf", "CAFÉ", True),
        ("fe", "cafe", False),
        ("GIESSEN", "Gießener Bohne", True),
        ("strasse", "STRAẞE", True),
        ("smorrebrod", "Smørrebrød", True),
        ("istanbul", "İSTANBUL", True),
        ("珈琲", "東京珈琲店", True),
        ("琲珈", "東京珈琲店", False),
        ("珈琲店東", "東京珈琲店", False),
        ("แฟดี", "กาแฟดี", True),
        ("커", "한국 커피", True),
        ("org", "a@b.org", True),
        ("a.b", "axb", False),
        ("bar", "foo_bar", True),
        ("(Roma)", "Caffè Roma", True),
        ("Roma & Figli", "Roma Figli", True),
        ("&", "Roma & Figli", True),
    ],
)
def test_a_search_is_for_beginnings_of_words_whatever_their_case_and_accents(
    q: str, name: str, found: bool
) -> None:
    assert finds(q, name) is found


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_whatever_is_looked_for_a_key_is_a_word_that_a_full_text_index_takes(q: str) -> None:
    for word in (*words_of(q), *search_words(q)):
        assert re.fullmatch(r"[a-z0-9_]{3,84}", key(word))
    assert len(search_words(q)) <= 8


def test_the_key_of_a_beginning_is_the_beginning_of_the_key() -> None:
    for name in NAMES:
        for word in words_of(name):
            for end in range(1, len(word)):
                assert key(word).startswith(key(word[:end]))


DATABASES = ["sqlite", "mysql", "large"]
# Beyond it the full-text index answers: see directory/store.py.
SCANNED = 1500


@pytest.fixture(params=DATABASES)
def site_of_any_size(request: pytest.FixtureRequest) -> Site:
    """An empty directory on each kind of database, and one with more rows than are read one by one."""
    found: Site = request.getfixturevalue("sqlite_site" if request.param == "sqlite" else "mysql_site")
    found.clear()
    if request.param == "large":
        filler = {**VALID, "name": "Qqq", "phone": "+12066241234"}
        rows = [{**filler, "keys": search_keys(["Qqq"]), "version": 1}] * (2 * SCANNED)
        names = ", ".join(f":{field}" for field in FIELDS)
        with found.database.begin() as connection:
            connection.execute(
                text(
                    f"INSERT INTO suppliers ({', '.join(FIELDS)}, search_keys, keys_version) "
                    f"VALUES ({names}, :keys, :version)"
                ),
                rows,
            )
    return found


def test_a_name_is_found_on_every_database(site_of_any_size: Site) -> None:
    site = site_of_any_size
    ids = {name: site.add(name=name) for name in NAMES}
    lost = []
    for name, number in ids.items():
        stored = stored_form(name) or ""
        for q in dict.fromkeys([stored, unicodedata.normalize("NFD", stored), *stored.split()]):
            answer = site.customer.client.get("/api/suppliers", params={"q": q, "size": 200})
            assert answer.status_code == 200, answer.text
            if number not in [item["id"] for item in answer.json()["items"]]:
                lost.append((name, q))
    assert lost == []


def test_what_is_renamed_is_found_by_its_new_name_only(site: Site) -> None:
    number = site.add(name="Gießener Bohne")
    place = f"/admin/api/suppliers/{number}"
    site.employee.client.put(place, json={**VALID, "name": "Zürcher Bohne"}, headers={"If-Match": '"1"'})

    def found(q: str) -> int:
        total: int = site.customer.client.get("/api/suppliers", params={"q": q}).json()["total"]
        return total

    assert found("zürcher") == 1
    assert found("gießener") == 0


def test_a_search_as_long_as_a_name_is_taken_and_a_longer_one_is_not(site: Site) -> None:
    get = site.customer.client.get
    name = "é" * MAX_SEARCH
    for q in (name, unicodedata.normalize("NFD", name)):
        assert get("/api/suppliers", params={"q": q}).status_code == 200
    assert get("/api/suppliers", params={"q": name + "é"}).status_code == 422
    assert get("/suppliers", params={"q": name + "é"}).status_code == 200


def test_a_row_that_others_wrote_or_changed_is_found_within_seconds(site: Site) -> None:
    """By the release before, which knows nothing of keys: its rows have none, its changes leave the old ones."""
    number = site.add(name="Before")
    values = ", ".join(f"'{value}'" for value in {**VALID, "name": "Straße"}.values())
    with site.database.begin() as connection:
        connection.execute(text(f"INSERT INTO suppliers ({', '.join(VALID)}) VALUES ({values})"))
        connection.execute(
            text(f"UPDATE suppliers SET name = 'Gießener', version = version + 1 WHERE id = {number}")
        )

    def found(q: str) -> bool:
        total: int = site.customer.client.get("/api/suppliers", params={"q": q}).json()["total"]
        return total == 1

    eventually(lambda: found("strasse") and found("gießen") and not found("before"), seconds=15)


class Interfered:
    """A database in which somebody else changes a row between its being read and its getting its keys."""

    def __init__(self, database: Database, change: str) -> None:
        self._database = database
        self._change = change
        self.is_mysql = database.is_mysql

    async def rows(self, statement: Any, parameters: Any) -> Sequence[Any]:
        rows = await self._database.rows(statement, parameters)
        if rows and self._change:
            from directory.storage.database import Statement

            change, self._change = self._change, ""
            await self._database.write(Statement(text(change)), {})
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def test_keys_never_belong_to_another_version_than_they_say(tmp_path: Path) -> None:
    async def run() -> None:
        from sqlalchemy.engine import make_url

        database = Engine(make_url(f"sqlite:///{tmp_path}/suppliers.db"))
        store = Store(SUPPLIERS, database)
        await store.prepare()
        for name in ("First", "Second"):
            await store.create({**VALID, "name": name})
        changed = "UPDATE suppliers SET name = 'Third', version = version + 1 WHERE id = 1"
        from directory.storage.database import Statement

        await database.write(Statement(text("UPDATE suppliers SET keys_version = NULL")), {})
        interfered: Any = Interfered(database, changed)
        assert await complete_keys(interfered, SUPPLIERS.table) == 2
        for q, total in (("first", 0), ("second", 1), ("third", 1)):
            assert (await store.page(Page(q=q))).total == total
        assert await store.complete_keys() == 0
        await database.close()

    asyncio.run(run())


def test_thousands_of_rows_get_their_keys_at_once(mysql_only: Site, mysql: MySQLServer) -> None:
    """As when the release that brings keys arrives: before its tasks start, see directory/prepare.py."""
    columns, values = ", ".join(VALID), ", ".join(f"'{value}'" for value in VALID.values())
    mysql.run(
        f"INSERT INTO suppliers ({columns}) VALUES " + ", ".join([f"({values})"] * 1234), database="suppliers"
    )

    async def run() -> None:
        database = MySQL(
            host="127.0.0.1",
            port=mysql.port,
            database="suppliers",
            credentials=FixedCredentials("root", PASSWORD),
        )
        await complete_keys(database, SUPPLIERS.table)
        await database.close()

    asyncio.run(run())
    rows = mysql.run("SELECT search_keys, keys_version FROM suppliers", database="suppliers")
    assert set(rows) == {(search_keys(VALID[field] for field in ("name", "city", "state", "email")), 1)}
    assert len(rows) == 1234


def test_what_a_server_makes_in_one_statement_for_tests_is_what_the_application_makes(
    mysql_only: Site, mysql: MySQLServer
) -> None:
    mysql_only.add(name="Le Café 7")
    ((made, by_server),) = mysql.run(f"SELECT search_keys, {PLAIN_KEYS} FROM suppliers", database="suppliers")
    words = set(by_server.split())
    assert words == {word for word in made.split() if not word.startswith("xx_")}
