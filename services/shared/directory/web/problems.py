"""Answers that are no success."""

from __future__ import annotations

from collections.abc import Mapping


class Problem(Exception):
    """An answer that is not a success; as a page or as application/problem+json (RFC 9457)."""

    def __init__(
        self,
        status: int,
        *,
        text: str = "",
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.text = text or f"error_{status}"
        self.members = dict(members or {})
        self.headers = dict(headers or {})


class Moved(Exception):
    """The address is another spelling of `path`, which is the only one that answers."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path
