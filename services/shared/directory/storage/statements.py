"""Statements that are built once for each shape of what is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Executable, Table
from sqlalchemy.sql import ColumnElement

from directory.storage.database import Statement

_MOST_SHAPES = 256


class Statements:
    """A statement of a shape that was seen before is not compiled again."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[Any, ...], Statement] = {}

    def known(self, shape: tuple[Any, ...], build: Callable[[], Executable]) -> Statement:
        statement = self._shapes.get(shape)
        if statement is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            statement = self._shapes[shape] = Statement(build())
        return statement


def order_of(table: Table, sort: str, *, descending: bool) -> list[ColumnElement[Any]]:
    """The order of a list, in which no two rows are equal."""
    columns = [table.c[sort], table.c.id]
    return [column.desc() if descending else column.asc() for column in columns]
