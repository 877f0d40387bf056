"""Reading and writing the entries of a directory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Integer, bindparam, delete, func, insert, select, update

from directory.domain.listing import DEFAULT_SIZE, MAX_SIZE, Listing, Page
from directory.domain.model import FIELDS, MAX_ID, Directory, Entry
from directory.domain.words import search_words
from directory.storage.database import Database, Duplicate, Parameters, Statement, Written
from directory.storage.lookup import Lookups
from directory.storage.search import Search
from directory.storage.search_keys import columns, complete_keys
from directory.storage.statements import Statements, order_of

# Counting a large table takes longer than reading a page of it; small ones are counted each time.
_COUNT_SECONDS = 0.3
_COUNTED_EACH_TIME = 5000


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
        self._statements = Statements()
        self._total = (0, -_COUNT_SECONDS)
        self._search = Search(database, directory.table, self._statements, count=self._count_all)

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
            written = await self._write(self._insert, {**columns(fields), "key": made_by, "digest": digest})
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
            written = await self._write(self._update, {**columns(fields), "of_id": entry_id, **versions})
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
            ids, total, exact = await self._search.find(words, page, offset)
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

    def _list_statement(self, sort: str, descending: bool) -> Statement:
        def build() -> Executable:
            # The inner select reads the index alone; only the rows of the page are looked up.
            inner = (
                select(self._table.c.id)
                .order_by(*order_of(self._table, sort, descending=descending))
                .limit(bindparam("rows"))
                .offset(bindparam("skipped"))
                .subquery()
            )
            return (
                select(*self._columns)
                .join(inner, inner.c.id == self._table.c.id)
                .order_by(*order_of(self._table, sort, descending=descending))
            )

        return self._statements.known(("list", sort, descending), build)

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
        rows = await self._database.rows(self._statements.known(("ids", length), build), parameters)
        found = {row[0]: Entry(*row) for row in rows}
        return tuple(found[i] for i in ids if i in found)
