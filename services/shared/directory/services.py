"""Composition of a service from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from directory.domain.model import Directory
from directory.logs import Journal
from directory.settings import Settings
from directory.storage.connect import connect
from directory.storage.shared_cache import SharedCache
from directory.storage.shared_lists import SharedLists
from directory.storage.store import Store
from directory.web import public
from directory.web.admin import routes as admin
from directory.web.application import Application
from directory.web.context import Context
from directory.web.pages import Pages
from directory.web.routes import Routes
from directory.web.texts import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The readers' routes, the employees' routes, or both of one directory.

    `owns_root` is false where `/`, `/admin` and the API documents belong to another part or service; a standalone
    directory has only what is below its own path.
    """

    directory: Directory
    public: bool = False
    admin: bool = False
    owns_root: bool = True


def directory_service(settings: Settings, parts: Sequence[Part]) -> Application:
    """One process that serves all the parts from one database, and with a shared cache where the settings name one."""
    database = connect(settings)
    journal = Journal(settings.service, settings.environment)
    cache = SharedCache(settings) if settings.cache_host else None
    routes = Routes()
    ready: set[str] = set()
    contexts: list[Context] = []
    for part in parts:
        directory = part.directory
        texts = load(changes=directory.texts)
        lists = None
        if cache is not None:
            lists = SharedLists(
                cache,
                service=settings.service,
                table=directory.table.name,
                count=journal.look_up,
                from_replica=bool(settings.db_reader_host),
            )
        context = Context(
            settings=settings,
            directory=directory,
            store=Store(directory, database, changed=lists.announce_change if lists else None),
            pages=Pages(directory, texts, region=settings.phone_region),
            texts=texts,
            cache=cache,
            lists=lists,
            # On a server the readers' user cannot; a file has no user.
            writes=part.admin or not database.is_mysql,
        )
        contexts.append(context)
        owns_root = part.owns_root and not directory.standalone
        shared_area = not part.owns_root and not directory.standalone
        documents = f"{directory.plural}-openapi.json" if shared_area else "openapi.json"
        area = directory.editors.api if directory.standalone else "/admin/api"
        if part.public:
            routes.update(public.routes(context, home=owns_root, documents=f"/api/{documents}"))
            ready.add("/" if owns_root else directory.readers.list)
        if part.admin:
            routes.update(admin.routes(context, documents=f"{area}/{documents}"))
            if owns_root:
                routes.update(admin.landing(directory.editors.list))
            ready.add(directory.editors.list)
    return Application(
        settings,
        routes=routes,
        contexts=contexts,
        database=database,
        journal=journal,
        ready_paths=frozenset(ready),
        cache=cache,
    )
