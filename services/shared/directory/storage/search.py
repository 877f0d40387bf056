"""Finding the entries whose words begin as those of a search do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Executable, Table, and_, bindparam, func, or_, select, text
from sqlalchemy.sql import ColumnElement

from directory.domain.listing import Page
from directory.domain.words import key
from directory.storage.cache import SingleFlight
from directory.storage.database import Database, Row
from directory.storage.statements import Statements, order_of

_KEPT_SECONDS = 0.3
_KEPT_MATCHES = 2001
_ALL = 1_000_000_000
# A word that begins in one row of thirty or more is found by reading this many rows in order;
# the full-text index finds rarer ones at a cost that grows with the number of matches.
# Known limit: InnoDB numbers documents anew from the highest one it finds after a crash. If the rows added last had
# been deleted before it, as many new rows stay hidden from the index; tables up to this size never use it.
_SCAN_ROWS = 1500


class Search:
    """Searches of one table; `count` tells how many rows it has."""

    def __init__(
        self, database: Database, table: Table, statements: Statements, *, count: Callable[[], Awaitable[int]]
    ) -> None:
        self._database = database
        self._table = table
        self._statements = statements
        self._count = count
        self._matches: SingleFlight[Any, tuple[list[int], int]] = SingleFlight(seconds=_KEPT_SECONDS, most=64)

    async def find(self, words: Sequence[str], page: Page, offset: int) -> tuple[list[int], int, bool]:
        """Ids from `offset` on, one more than the page holds if there are more; how many match, and whether exactly."""
        wanted = offset + page.size + 1
        if not self._database.is_mysql:
            ids = await self._scan(words, page, None, None)
            return ids[offset : offset + page.size + 1], len(ids), True
        everything = await self._count() <= _SCAN_ROWS
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
        order = order_of(table, page.sort, descending=page.descending)
        shape = (len(words), page.sort, page.descending)
        parameters: dict[str, Any] = {"rows": limit or _ALL}
        for i, word in enumerate(words):
            parameters[f"word{i}"] = _pattern(word)
        end: Row | None = None
        if bound is not None:
            ends = self._statements.known(
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
        statement = self._statements.known(("scan", end is not None, *shape), build)
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
                .order_by(*order_of(table, page.sort, descending=page.descending))
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
        rows = await self._database.rows(self._statements.known(shape, build), parameters)
        return [row[0] for row in rows], rows[0][1] if rows else 0


def _begins(table: Table, index: int) -> ColumnElement[bool]:
    return table.c.search_keys.like(bindparam(f"word{index}"), escape="~")


def _pattern(word: str) -> str:
    return f"% {key(word).replace('_', '~_')}%"
