"""A cache for what is read far more often than it changes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    fresh_until: float


class SingleFlight(Generic[K, V]):
    """Values no older than `seconds`; while one is being made, everybody who wants it waits for that one.

    The age counts from before the value was read, so that a change is visible `seconds` after it was made.
    """

    def __init__(self, *, seconds: float, most: int = 256) -> None:
        self._seconds = seconds
        self._most = most
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._making: dict[K, asyncio.Task[V]] = {}

    def fresh(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is not None and time.monotonic() < entry.fresh_until:
            return entry.value
        return None

    async def get(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        value = self.fresh(key)
        if value is not None:
            return value
        task = self._making.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._make(key, make))
            self._making[key] = task
        # Shielded: the first reader may leave while others still wait.
        return await asyncio.shield(task)

    async def _make(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        try:
            started = time.monotonic()
            value = await make()
            self._entries[key] = _Entry(value, started + self._seconds)
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
            return value
        finally:
            del self._making[key]
