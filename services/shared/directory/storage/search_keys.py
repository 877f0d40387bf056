"""The keys that rows are found by, written with the row or after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Integer, Table, and_, bindparam, case, or_, select, update

from directory.domain.model import SEARCHED
from directory.domain.words import search_keys
from directory.storage.database import Database, Statement

# So many rows are given their keys by one statement.
_KEYED_AT_ONCE = 100


def columns(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of an entry with the keys it is found by, by column."""
    return {**fields, "search_keys": search_keys(fields[field] for field in SEARCHED)}


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
