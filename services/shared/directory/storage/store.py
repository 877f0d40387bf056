"""Reading and writing the entries of a directory."""

from __future__ import annotations

import hashlib
import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Executable,
    Integer,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql import ColumnElement

from directory.domain.model import FIELDS, LENGTHS, MAX_ID, SEARCHED, SORTS, Directory, Entry
from directory.domain.words import key, search_keys, search_words
from directory.storage.cache import SingleFlight
from directory.storage.database import Database, Duplicate, Parameters, Row, Statement, Written
from directory.storage.lookup import Lookups

DEFAULT_SIZE = 50
MAX_SIZE = 200
MAX_PAGE = 100_000
# Of a name's length, so that any name can be looked up by a copy of it.
MAX_SEARCH = LENGTHS["name"]
# Counting a large table takes longer than reading a page of it; small ones are counted each time.
_COUNT_SECONDS = 0.3
_COUNTED_EACH_TIME = 5000
_KEPT_MATCHES = 2001
_ALL = 1_000_000_000
_MOST_SHAPES = 256
# A word that begins in one row of thirty or more is found by reading this many rows in order;
# the full-text index finds rarer ones at a cost that grows with the number of matches.
# Known limit: InnoDB numbers documents anew from the highest one it finds after a crash. If the rows added last had
# been deleted before it, as many new rows stay hidden from the index; tables up to this size never use it.
_SCAN_ROWS = 1500
# So many rows are given their keys by one statement.
_KEYED_AT_ONCE = 100


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


class EditConflict(Exception):
    """Somebody else changed the entry since it was read."""

    def __init__(self, current: Entry) -> None:
        self.current = current


class RequestReused(Exception):
    """The same idempotency key came with different content."""


class Store:
    """The entries of one directory in one database."""

    def __init__(
        self,
        directory: Directory,
        database: Database,
        *,
        changed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`changed` is awaited after each write that may have happened."""
        self._database = database
        self._changed = changed
        self._table = directory.table
        c = directory.table.c
        self._columns = [c.id, *(c[field] for field in FIELDS), c.version]
        self._get = Statement(select(*self._columns).where(c.id == bindparam("id")))
        self._count = Statement(select(func.count()).select_from(directory.table))
        by_key = select(*self._columns, c.request_digest).where(c.request_key == bindparam("key"))
        self._by_request = Statement(by_key)
        values: dict[str, Any] = {field: bindparam(field) for field in (*FIELDS, "search_keys")}
        self._insert = Statement(
            insert(directory.table).values(
                **values, keys_version=1, request_key=bindparam("key"), request_digest=bindparam("digest")
            )
        )
        self._update = Statement(
            update(directory.table)
            .where(c.id == bindparam("of_id"), c.version == bindparam("of_version"))
            .values(**values, keys_version=bindparam("new_version"), version=bindparam("new_version"))
        )
        self._delete = Statement(delete(directory.table).where(c.id == bindparam("id")))
        self._delete_version = Statement(
            delete(directory.table).where(c.id == bindparam("id"), c.version == bindparam("version"))
        )
        self._lookups = Lookups(self._look_up, most_keys=DEFAULT_SIZE)
        self._shapes: dict[tuple[Any, ...], Statement] = {}
        self._total = (0, -_COUNT_SECONDS)
        self._matches: SingleFlight[Any, tuple[list[int], int]] = SingleFlight(
            seconds=_COUNT_SECONDS, most=64
        )

    async def prepare(self) -> None:
        """The table exists where nobody else makes it."""
        await self._database.make_tables(self._table.metadata)

    async def complete_keys(self) -> int:
        """Rows that others wrote, such as the release before or a person, get the keys they are found by: how many."""
        return await complete_keys(self._database, self._table)

    async def get(self, entry_id: int) -> Entry | None:
        return await self._lookups.get(entry_id) if entry_id <= MAX_ID else None

    async def _look_up(self, ids: Sequence[int]) -> dict[int, Entry]:
        if len(ids) == 1:
            rows = await self._database.rows(self._get, {"id": ids[0]})
            return {ids[0]: Entry(*rows[0])} if rows else {}
        return {entry.id: entry for entry in await self._by_ids(ids)}

    async def create(self, fields: Mapping[str, str], *, request: str = "") -> tuple[Entry, bool]:
        """A new entry, or the one that the same request made before (then the flag is false).

        A request is remembered as long as its entry exists.
        """
        made_by = hashlib.sha256(request.encode()).digest() if request else None
        digest = hashlib.sha256("\0".join(fields[f] for f in FIELDS).encode()).digest() if request else None
        try:
            written = await self._write(self._insert, {**_columns(fields), "key": made_by, "digest": digest})
        except Duplicate:
            rows = await self._database.rows(self._by_request, {"key": made_by})
            if not rows:
                raise
            if bytes(rows[0][-1]) != digest:
                raise RequestReused from None
            return Entry(*rows[0][:-1]), False
        self._total = (0, -_COUNT_SECONDS)
        return Entry(id=written.new_id, **{f: fields[f] for f in FIELDS}, version=1), True

    async def update(self, entry_id: int, fields: Mapping[str, str], *, version: int | None) -> Entry | None:
        """The changed entry; None if there is none; EditConflict if `version` is not the current one.

        What has been stored since that version counts as saved, as of a second click, or of a retry whose first try
        arrived: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
        """
        if entry_id > MAX_ID:
            return None
        while True:
            expected = version
            if expected is None:
                current = await self.get(entry_id)
                if current is None:
                    return None
                expected = current.version
            versions = {"of_version": expected, "new_version": expected + 1}
            written = await self._write(self._update, {**_columns(fields), "of_id": entry_id, **versions})
            if written.rows:
                return Entry(id=entry_id, **{f: fields[f] for f in FIELDS}, version=expected + 1)
            current = await self.get(entry_id)
            if current is None:
                return None
            if version is not None:
                if 0 < version < current.version and current.fields() == dict(fields):
                    return current
                raise EditConflict(current)

    async def delete(self, entry_id: int, *, version: int | None = None) -> bool:
        """Whether there was one to delete; EditConflict if `version` is not the current one."""
        if entry_id > MAX_ID:
            return False
        if version is None:
            written = await self._write(self._delete, {"id": entry_id})
        else:
            written = await self._write(self._delete_version, {"id": entry_id, "version": version})
        self._total = (0, -_COUNT_SECONDS)
        if written.rows:
            return True
        current = await self.get(entry_id)
        if current is None:
            return False
        raise EditConflict(current)

    async def _write(self, statement: Statement, parameters: Parameters) -> Written:
        try:
            return await self._database.write(statement, parameters)
        finally:
            # Without an answer of the database too: then nobody knows whether it was written.
            if self._changed is not None:
                await self._changed()

    async def page(self, page: Page) -> Listing:
        started = time.time()
        offset = (page.page - 1) * page.size
        words = search_words(page.q)
        if words:
            ids, total, exact = await self._search(words, page, offset)
            rows = await self._by_ids(ids[: page.size])
            return Listing(page, rows, total, exact, len(ids) > page.size, started)
        if page.q.strip():
            return Listing(page, (), 0, True, False, started)
        total = await self._count_all()
        if offset >= total:
            return Listing(page, (), total, True, False, started)
        # From whichever end is nearer: an offset costs as many index entries as it skips.
        limit = min(page.size, total - offset)
        from_end = offset > total // 2
        rows = tuple(
            Entry(*row)
            for row in await self._database.rows(
                self._list_statement(page.sort, page.descending ^ from_end),
                {"rows": limit, "skipped": total - offset - limit if from_end else offset},
            )
        )
        if from_end:
            rows = rows[::-1]
        return Listing(page, rows, total, True, offset + limit < total, started)

    async def _count_all(self) -> int:
        total, at = self._total
        now = time.monotonic()
        if total <= _COUNTED_EACH_TIME or now - at >= _COUNT_SECONDS:
            total = int((await self._database.rows(self._count, {}))[0][0])
            self._total = (total, now)
        return total

    def _order(self, sort: str, descending: bool, table: Any) -> list[ColumnElement[Any]]:
        columns = [table.c[sort], table.c.id]
        return [column.desc() if descending else column.asc() for column in columns]

    def _list_statement(self, sort: str, descending: bool) -> Statement:
        def build() -> Executable:
            # The inner select reads the index alone; only the rows of the page are looked up.
            inner = (
                select(self._table.c.id)
                .order_by(*self._order(sort, descending, self._table))
                .limit(bindparam("rows"))
                .offset(bindparam("skipped"))
                .subquery()
            )
            return (
                select(*self._columns)
                .join(inner, inner.c.id == self._table.c.id)
                .order_by(*self._order(sort, descending, self._table))
            )

        return self._known(("list", sort, descending), build)

    def _known(self, key: tuple[Any, ...], build: Callable[[], Executable]) -> Statement:
        """A statement of a shape that was seen before is not compiled again."""
        statement = self._shapes.get(key)
        if statement is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            statement = self._shapes[key] = Statement(build())
        return statement

    async def _by_ids(self, ids: Sequence[int]) -> tuple[Entry, ...]:
        if not ids:
            return ()
        # In a few fixed lengths, the last id repeated, so that there are few shapes.
        length = next(length for length in (1, 10, DEFAULT_SIZE, MAX_SIZE) if length >= len(ids))

        def build() -> Executable:
            return select(*self._columns).where(
                self._table.c.id.in_([bindparam(f"id{i}", type_=Integer) for i in range(length)])
            )

        parameters = {f"id{i}": ids[min(i, len(ids) - 1)] for i in range(length)}
        rows = await self._database.rows(self._known(("ids", length), build), parameters)
        found = {row[0]: Entry(*row) for row in rows}
        return tuple(found[i] for i in ids if i in found)

    async def _search(self, words: Sequence[str], page: Page, offset: int) -> tuple[list[int], int, bool]:
        """Ids from `offset` on, one more than the page holds if there are more; how many match."""
        wanted = offset + page.size + 1
        if not self._database.is_mysql:
            ids = await self._scan(words, page, None, None)
            return ids[offset : offset + page.size + 1], len(ids), True
        everything = await self._count_all() <= _SCAN_ROWS
        bound = _SCAN_ROWS + 10 * offset
        ids = await self._scan(words, page, bound, None if everything else wanted)
        if everything:
            return ids[offset : offset + page.size + 1], len(ids), True
        if len(ids) >= wanted:
            return ids[offset:wanted], wanted - 1, False
        # A word with a digit is next to a key: looking up only such words spares reading the lists of common ones.
        indexed = [word for word in words if any(map(str.isdigit, word))] or words
        if wanted > _KEPT_MATCHES:
            ids, total = await self._full_text(words, indexed, page, offset, page.size + 1)
            return ids, total, True
        # Somebody who leafs through the matches of a common word does not have it looked up again for each page.
        key = (tuple(words), page.sort, page.descending)
        ids, total = await self._matches.get(
            key, lambda: self._full_text(words, indexed, page, 0, _KEPT_MATCHES)
        )
        return ids[offset:wanted], total, True

    async def _scan(
        self, words: Sequence[str], page: Page, bound: int | None, limit: int | None
    ) -> list[int]:
        """Matching ids in order, looking at about `bound` rows and stopping at `limit` matches."""
        table = self._table
        order = self._order(page.sort, page.descending, table)
        shape = (len(words), page.sort, page.descending)
        parameters: dict[str, Any] = {"rows": limit or _ALL}
        for i, word in enumerate(words):
            parameters[f"word{i}"] = _pattern(word)
        end: Row | None = None
        if bound is not None:
            ends = self._known(
                ("end", page.sort, page.descending),
                lambda: (
                    select(table.c[page.sort], table.c.id)
                    .order_by(*order)
                    .limit(1)
                    .offset(bindparam("bound"))
                ),
            )
            end = next(iter(await self._database.rows(ends, {"bound": bound})), None)

        def build() -> Executable:
            query = (
                select(table.c.id)
                # In this order row by row, so that it ends with the last match that is wanted.
                .with_hint(table, f"FORCE INDEX (ix_{table.name}_{page.sort})", "mysql")
                .where(*(_begins(table, i) for i in range(len(words))))
                .order_by(*order)
                .limit(bindparam("rows"))
            )
            if end is not None:
                field = table.c[page.sort]
                value: Any = bindparam("end_value")
                number: Any = bindparam("end_id")
                before, until = (
                    (field > value, table.c.id > number)
                    if page.descending
                    else (field < value, table.c.id < number)
                )
                query = query.where(or_(before, and_(field == value, until)))
            return query

        if end is not None:
            parameters |= {"end_value": end[0], "end_id": end[1]}
        statement = self._known(("scan", end is not None, *shape), build)
        return [row[0] for row in await self._database.rows(statement, parameters)]

    async def _full_text(
        self, words: Sequence[str], indexed: Sequence[str], page: Page, offset: int, limit: int
    ) -> tuple[list[int], int]:
        table = self._table
        others = [(i, word) for i, word in enumerate(words) if word not in indexed]

        def build() -> Executable:
            match = text("MATCH (search_keys) AGAINST (:words IN BOOLEAN MODE)")
            return (
                select(table.c.id, func.count().over())
                .where(and_(match, *(_begins(table, i) for i, _ in others)))
                .order_by(*self._order(page.sort, page.descending, table))
                .limit(bindparam("rows"))
                .offset(bindparam("skipped"))
            )

        shape = ("words", tuple(i for i, _ in others), page.sort, page.descending)
        parameters: dict[str, Any] = {
            "words": " ".join(f"+{key(word)}*" for word in indexed),
            "rows": limit,
            "skipped": offset,
        }
        for i, word in others:
            parameters[f"word{i}"] = _pattern(word)
        rows = await self._database.rows(self._known(shape, build), parameters)
        return [row[0] for row in rows], rows[0][1] if rows else 0


def _columns(fields: Mapping[str, str]) -> dict[str, str]:
    return {**fields, "search_keys": search_keys(fields[field] for field in SEARCHED)}


def _begins(table: Table, index: int) -> ColumnElement[bool]:
    return table.c.search_keys.like(bindparam(f"word{index}"), escape="~")


def _pattern(word: str) -> str:
    return f"% {key(word).replace('_', '~_')}%"


async def complete_keys(database: Database, table: Table) -> int:
    """Every row whose keys are missing, or of another version than the row, gets them: how many.

    A row that somebody changes meanwhile is left for the next time.
    """
    c = table.c
    # Found by the index alone: as a rule there are none.
    found = (
        select(c.id)
        .with_hint(table, f"FORCE INDEX (ix_{table.name}_keys_version)", "mysql")
        .where(or_(c.keys_version.is_(None), c.keys_version != c.version))
        .limit(_KEYED_AT_ONCE)
        .subquery()
    )
    due = Statement(
        select(c.id, c.version, *(c[field] for field in SEARCHED)).join(found, found.c.id == c.id)
    )
    places = range(_KEYED_AT_ONCE)
    ids = [bindparam(f"id{i}", type_=Integer) for i in places]
    keyed = Statement(
        update(table)
        .where(or_(*(and_(c.id == ids[i], c.version == bindparam(f"version{i}")) for i in places)))
        .values(
            search_keys=case(*((c.id == ids[i], bindparam(f"keys{i}")) for i in places)),
            keys_version=c.version,
        )
    )
    completed = 0
    while rows := await database.rows(due, {}):
        parameters: dict[str, Any] = {}
        for i in places:
            # The last one repeated, so that there is one shape.
            row_id, version, *texts = rows[min(i, len(rows) - 1)]
            parameters |= {f"id{i}": row_id, f"version{i}": version, f"keys{i}": search_keys(texts)}
        written = (await database.write(keyed, parameters)).rows
        completed += written
        if not written:
            break
    return completed


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
