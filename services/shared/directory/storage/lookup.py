"""Lookups by key that share queries when many come at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")


class Lookups(Generic[V]):
    """Reads values by key, each with a query that starts after it was asked for: nothing is cached.

    As long as few are under way each lookup has its own query. Those that come meanwhile wait and share the next
    one, so that under load the number of round trips falls while the age of what is read stays zero.
    """

    def __init__(
        self,
        read: Callable[[Sequence[int]], Awaitable[Mapping[int, V]]],
        *,
        most_queries: int = 2,
        most_keys: int = 50,
    ) -> None:
        self._read = read
        self._most_queries = most_queries
        self._most_keys = most_keys
        self._under_way = 0
        self._waiting: dict[int, asyncio.Future[V | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: int) -> V | None:
        if self._under_way < self._most_queries:
            self._under_way += 1
            try:
                return (await self._read((key,))).get(key)
            finally:
                self._under_way -= 1
                self._serve_waiting()
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
        # Shielded: others may wait for the same key when this one's reader leaves.
        return await asyncio.shield(waiting)

    def _serve_waiting(self) -> None:
        if self._waiting and self._under_way < self._most_queries:
            self._under_way += 1
            task = asyncio.get_running_loop().create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._most_keys]
                batch = {key: self._waiting.pop(key) for key in keys}
                try:
                    found = await self._read(keys)
                except BaseException as error:
                    for future in batch.values():
                        if not future.done():
                            future.set_exception(error)
                            # Nobody may be left to see it.
                            future.exception()
                    if not isinstance(error, Exception):
                        raise
                else:
                    for key, future in batch.items():
                        if not future.done():
                            future.set_result(found.get(key))
        finally:
            self._under_way -= 1
