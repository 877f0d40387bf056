"""Lists that the tasks of a service read once for all of them."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable

import orjson

from directory.domain.listing import DEFAULT_SIZE, Listing, Page
from directory.domain.model import Entry
from directory.storage.shared_cache import CacheAway, SharedCache

log = logging.getLogger("directory.shared_lists")

# For a change that could not be announced, and one that was made by other means than the services.
FRESH_SECONDS = 10.0
# What is read at a replica may be older than the version it is read under: seen by the next reading, soon.
REPLICA_SECONDS = 1.0
# For the time when the database is away.
KEPT_SECONDS = 24 * 3600
# What visitors can fill the cache with is bounded: 100 pages in each order, about 8 MiB a service.
_LAST_SHARED_PAGE = 100


class SharedLists:
    """The pages of one table's list, each read from the database by one task of the service for all.

    A page is used for at most ten seconds, and until a change of the table is announced: the table's version in the
    cache is then another one than the page was read under. The version is read before the page is, so that a change
    that comes between makes the page one of an old version. Services share versions, not pages: one that readers use
    cannot put a page before employees.
    """

    def __init__(
        self,
        cache: SharedCache,
        *,
        service: str,
        table: str,
        count: Callable[[bool], None],
        from_replica: bool = False,
    ) -> None:
        self._cache = cache
        self._prefix = f"{service}:list:1:{table}"
        self._version_key = f"table:{table}:version"
        self._count = count
        self._fresh_seconds = REPLICA_SECONDS if from_replica else FRESH_SECONDS
        self._unannounced = False
        cache.on_return(self._announce_again)

    async def page(self, page: Page, read: Callable[[Page], Awaitable[Listing]]) -> Listing:
        """A page as it is, from the cache if it is there and by `read` otherwise."""
        if not _is_shared(page):
            return await read(page)
        try:
            version, found = await self._cache.get(self._version_key, self._key(page))
        except CacheAway:
            return await read(page)
        tag = (version or b"").decode("ascii", "replace")
        known = _decoded(found, page)
        if (
            known is not None
            and known[0] == tag
            and abs(time.time() - known[1].read_at) < self._fresh_seconds
        ):
            self._count(True)
            return known[1]
        self._count(False)
        listing = await read(page)
        try:
            await self._cache.put(self._key(page), _encoded(tag, listing), seconds=KEPT_SECONDS)
        except CacheAway:
            log.debug("a page was read that the cache did not take")
        return listing

    async def last_known(self, page: Page) -> Listing | None:
        """A page as some task read it last, however long ago."""
        if not _is_shared(page):
            return None
        try:
            (found,) = await self._cache.get(self._key(page))
        except CacheAway:
            return None
        known = _decoded(found, page)
        return known[1] if known else None

    async def announce_change(self) -> None:
        """Let no task use a page any more that was read before."""
        self._unannounced = True
        try:
            await self._cache.put(self._version_key, secrets.token_hex(8).encode(), seconds=None)
        except CacheAway:
            return
        self._unannounced = False

    async def _announce_again(self) -> None:
        if self._unannounced:
            await self.announce_change()

    def _key(self, page: Page) -> str:
        return f"{self._prefix}:{'-' if page.descending else ''}{page.sort}:{page.page}"


def _is_shared(page: Page) -> bool:
    return not page.q and page.size == DEFAULT_SIZE and page.page <= _LAST_SHARED_PAGE


def _encoded(version: str, listing: Listing) -> bytes:
    rows = [[entry.id, *entry.fields().values(), entry.version] for entry in listing.entries]
    return orjson.dumps([version, listing.read_at, listing.total, listing.exact, listing.more, rows])


def _decoded(value: bytes | None, page: Page) -> tuple[str, Listing] | None:
    """The version and the listing of a value; None if there is none, or it is none that this code wrote."""
    if value is None:
        return None
    try:
        version, read_at, total, exact, more, rows = orjson.loads(value)
        entries = tuple(Entry(*row) for row in rows)
        return str(version), Listing(page, entries, int(total), bool(exact), bool(more), float(read_at))
    except (TypeError, ValueError):
        return None
