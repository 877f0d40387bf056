"""The editors' routes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from directory.web import openapi
from directory.web.admin.api import AdminApi
from directory.web.admin.pages import AdminPages
from directory.web.context import Context
from directory.web.public import api_get, api_list
from directory.web.responses import json
from directory.web.routes import Routes


def routes(context: Context, *, documents: str = "/admin/api/openapi.json") -> Routes:
    """Every route of one directory's editors."""
    pages = AdminPages(context)
    api = AdminApi(context)
    addresses = context.directory.editors
    document = openapi.document(context.directory, admin=True, path=documents)

    async def openapi_json(request: Request) -> Response:
        return json(document)

    found = Routes()
    found.add("GET", addresses.list, pages.list)
    found.add("GET", addresses.add, pages.add_form)
    found.add("POST", addresses.add, pages.add)
    found.add("GET", f"{addresses.update}/{{id}}", pages.update_form)
    found.add("POST", addresses.update, pages.update)
    found.add("GET", f"{addresses.remove}/{{id}}", pages.remove_form)
    found.add("POST", f"{addresses.remove}/{{id}}", pages.remove)
    found.add("GET", addresses.api, api_list(context))
    found.add("POST", addresses.api, api.create)
    found.add("GET", f"{addresses.api}/{{id}}", api_get(context))
    found.add("PUT", f"{addresses.api}/{{id}}", api.replace)
    found.add("DELETE", f"{addresses.api}/{{id}}", api.delete)
    found.add("GET", documents, openapi_json)
    return found


def landing(list_path: str) -> Routes:
    """/admin itself leads to the list."""

    async def to_list(request: Request) -> Response:
        return RedirectResponse(list_path, 303)

    found = Routes()
    found.add("GET", "/admin", to_list)
    found.add("GET", "/admin/", to_list)
    return found
