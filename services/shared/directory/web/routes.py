"""Which endpoint an address and a method lead to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from directory.domain.model import MAX_ID
from directory.web.problems import Moved, Problem

Endpoint = Callable[[Request], Awaitable[Response]]


class Routes:
    """Methods and endpoints by path; `{id}` may be the last part of a path."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, Endpoint]] = {}

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        self._paths.setdefault(path, {})[method] = endpoint

    def update(self, other: Routes) -> None:
        for path, methods in other._paths.items():
            for method, endpoint in methods.items():
                if method in self._paths.get(path, {}):
                    raise ValueError(f"two endpoints for {method} {path}")
                self.add(method, path, endpoint)

    def find(self, scope: Scope) -> tuple[str, Endpoint]:
        """The path's template and endpoint; Problem 404 or 405; Moved for a page's address in another spelling."""
        path: str = scope["path"]
        methods = self._paths.get(path)
        if methods is None:
            parent, _, last = path.rpartition("/")
            if not last and parent and not parent.endswith("/"):
                self.find({**scope, "path": parent})
                raise Moved(parent)
            path = parent + "/{id}"
            methods = self._paths.get(path)
            if methods is None or not (last.isascii() and last.isdecimal()) or len(last) > 10:
                raise Problem(404)
            if int(last) > MAX_ID:
                raise Problem(404)
            if last != str(int(last)):
                raise Moved(f"{parent}/{int(last)}")
            scope["path_params"] = {"id": int(last)}
        method = scope["method"]
        scope["directory.route"] = path
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allowed: list[str] = sorted({*methods, "HEAD"} if "GET" in methods else methods)
            raise Problem(405, headers={"Allow": ", ".join(allowed)})
        return path, endpoint
