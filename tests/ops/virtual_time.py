"""Hours of asyncio in milliseconds: a loop whose clock jumps to the next moment at which something is due."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ops.load.traffic import Answer, Request

Result = TypeVar("Result")


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self.now += max(timeout, 0.0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """What the coroutine returns, its waits skipped."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(coroutine)


@dataclass
class Application:
    """An application whose answers take `seconds(now)` and fail as `failure(now, request)` says."""

    seconds: Callable[[float], float] = lambda now: 0.01
    failure: Callable[[float, Request], str | None] = lambda now, request: None
    sent: list[tuple[float, Request]] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0

    async def send(self, request: Request) -> Answer:
        now = asyncio.get_running_loop().time()
        self.sent.append((now, request))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.seconds(now))
        self._at_once -= 1
        failure = self.failure(now, request)
        return Answer(503 if failure else 200, b"{}", failure)
