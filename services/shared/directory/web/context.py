"""What the routes of one directory work with, and how lists are read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from directory.domain.listing import Listing, Page
from directory.domain.model import Directory
from directory.settings import Settings
from directory.storage.database import DatabaseAway
from directory.storage.shared_cache import SharedCache
from directory.storage.shared_lists import SharedLists
from directory.storage.store import Store
from directory.web.pages import Pages
from directory.web.texts import Texts


class LastKnown:
    """The lists that were read last, for the time when the database is away."""

    def __init__(self, most: int = 64) -> None:
        self._listings: OrderedDict[Page, Listing] = OrderedDict()
        self._most = most

    def remember(self, listing: Listing) -> None:
        self._listings[listing.page] = listing
        self._listings.move_to_end(listing.page)
        if len(self._listings) > self._most:
            # The plain first page stays, whatever else was asked for.
            for page in self._listings:
                if page != Page():
                    del self._listings[page]
                    break

    def get(self, page: Page) -> Listing | None:
        return self._listings.get(page)


@dataclass(frozen=True)
class Context:
    """What the routes of one directory work with."""

    settings: Settings
    directory: Directory
    store: Store
    pages: Pages
    texts: Mapping[str, Texts]
    last_known: LastKnown = field(default_factory=LastKnown)
    cache: SharedCache | None = None
    lists: SharedLists | None = None
    # Whether this process may write, and so looks after the rows that others wrote.
    writes: bool = False

    async def read_list(self, page: Page) -> tuple[Listing, bool]:
        """The list, and whether it is an old one because the database is away."""
        try:
            listing = await (self.lists.page(page, self.store.page) if self.lists else self.store.page(page))
        except DatabaseAway:
            of_others = await self.lists.last_known(page) if self.lists else None
            known = [each for each in (self.last_known.get(page), of_others) if each is not None]
            if not known:
                raise
            return max(known, key=lambda each: each.read_at), True
        self.last_known.remember(listing)
        return listing, False
