"""Composition of a service from its parts."""

from __future__ import annotations

from directory import admin, public
from directory.database import connect
from directory.model import Directory
from directory.pages import Pages
from directory.settings import Settings
from directory.store import Store
from directory.texts import load
from directory.web import Application, Context, Routes


def directory_service(
    settings: Settings,
    directory: Directory,
    *,
    serve_public: bool = False,
    serve_admin: bool = False,
    own_root: bool = True,
) -> Application:
    """One process for the readers' routes, the employees' routes, or both of a directory.

    `own_root` is false where `/`, `/admin` and the API documents belong to another service.
    """
    database = connect(settings)
    texts = load()
    context = Context(
        settings=settings,
        directory=directory,
        store=Store(directory, database),
        pages=Pages(directory, texts, region=settings.phone_region),
        texts=texts,
    )
    routes = Routes()
    ready: set[str] = set()
    if serve_public:
        documents = "/api/openapi.json" if own_root else f"/api/{directory.plural}/openapi.json"
        routes.update(public.routes(context, home=own_root, documents=documents))
        ready.add("/" if own_root else f"/{directory.plural}")
    if serve_admin:
        documents = "/admin/api/openapi.json" if own_root else f"/admin/api/{directory.plural}/openapi.json"
        routes.update(admin.routes(context, documents=documents))
        if own_root:
            routes.update(admin.landing(directory.plural))
        ready.add(f"/admin/{directory.plural}")
    return Application(
        settings, routes=routes, contexts=[context], database=database, ready_paths=frozenset(ready)
    )
