"""Reaching the application: on AWS by its own address, on the emulator by the port of its listener."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx


@dataclass(frozen=True)
class Endpoint:
    """Where the application answers, as a browser would write it.

    `authority` is the PEM file of the certificate authority to trust instead of the system's.
    """

    url: str
    authority: Path | None = None

    def client(self, timeout: float = 5.0) -> httpx.Client:
        """An HTTP client whose relative addresses are the application's."""
        parts = urlsplit(self.url)
        verify: ssl.SSLContext | bool = True
        if self.authority is not None:
            verify = ssl.create_default_context(cafile=str(self.authority))
        if not (parts.hostname or "").endswith(".localhost"):
            return httpx.Client(base_url=self.url, timeout=timeout, verify=verify)
        # Browsers take *.localhost for this machine (RFC 6761), the C library's resolver does not.
        return httpx.Client(
            base_url=f"{parts.scheme}://127.0.0.1:{parts.port}",
            headers={"Host": parts.netloc},
            timeout=timeout,
            transport=_NamedTransport(parts.hostname or "", verify),
        )


def seconds_old(answer: httpx.Response) -> int:
    """How old what a service shows is, as the database is away; 0 for what it has just read.

    A cached answer whose time to live is negative: https://www.rfc-editor.org/rfc/rfc9211.html#section-2.5
    """
    found = re.search(r"\bttl=-(\d+)", answer.headers.get("cache-status", ""))
    return int(found[1]) if found else 0


class _NamedTransport(httpx.HTTPTransport):
    """Checks the certificate for the name of the application rather than the address connected to."""

    def __init__(self, name: str, verify: ssl.SSLContext | bool) -> None:
        super().__init__(verify=verify)
        self._extensions: Mapping[str, str] = {"sni_hostname": name}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, **self._extensions}
        return super().handle_request(request)
