"""Whether a process may be sent requests."""

from __future__ import annotations

import asyncio
import logging

from directory.domain.listing import Page
from directory.storage.database import DatabaseAway
from directory.web.context import Context

log = logging.getLogger("directory.web")

_REFRESH_SECONDS = 10.0
_REACH_SECONDS = 0.25


class Readiness:
    """Whether this process has ever reached the database; then it keeps the plain list fresh, and all rows findable."""

    def __init__(self, contexts: list[Context]) -> None:
        self._contexts = contexts
        self.reached = False

    async def watch(self) -> None:
        while True:
            try:
                for context in self._contexts:
                    if not self.reached:
                        await context.store.prepare()
                    if context.writes and (completed := await context.store.complete_keys()):
                        log.info("%d rows that others wrote can be found now", completed)
                    context.last_known.remember(await context.store.page(Page()))
                if not self.reached:
                    self.reached = True
                    log.info("the database was reached; ready")
            except DatabaseAway as error:
                if not self.reached:
                    log.warning("waiting for the database: %s", error)
            except Exception:
                log.exception("cannot read the directory")
            await asyncio.sleep(_REFRESH_SECONDS if self.reached else _REACH_SECONDS)
