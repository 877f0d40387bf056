"""A constant load, and what each client of it saw."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

CLIENTS = 10
REQUESTS_PER_SECOND = 200
PATHS = ("/", "/suppliers", "/api/suppliers")


@dataclass
class Seen:
    """What one client saw: versions in their order, each once for as long as it lasted."""

    requests: int = 0
    versions: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Load:
    """Clients that each keep one connection and send requests at a constant rate for as long as it is entered."""

    def __init__(self, port: int, host: str) -> None:
        self._port, self._host = port, host
        self._stop = threading.Event()
        self.clients = [Seen() for _ in range(CLIENTS)]
        self._threads = [
            threading.Thread(target=self._client, args=(number, seen), daemon=True)
            for number, seen in enumerate(self.clients)
        ]

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        self.seconds = time.monotonic() - self._since

    @property
    def failures(self) -> list[str]:
        return [failure for seen in self.clients for failure in seen.failures]

    @property
    def versions(self) -> list[list[str]]:
        """Of each client."""
        return [seen.versions for seen in self.clients]

    @property
    def rate(self) -> float:
        """Requests a second, over all clients."""
        return sum(seen.requests for seen in self.clients) / self.seconds

    def _client(self, number: int, seen: Seen) -> None:
        interval = CLIENTS / REQUESTS_PER_SECOND
        due = time.monotonic() + interval * number / CLIENTS
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += interval
            path = PATHS[seen.requests % len(PATHS)]
            seen.requests += 1
            try:
                connection.request("GET", path, headers={"Host": self._host})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                seen.failures.append(f"{path}: {error!r}")
                connection.close()
                continue
            version = answer.headers["X-Service-Version"]
            if answer.status != 200 or not version:
                seen.failures.append(f"{path}: {answer.status}, version {version}")
            elif seen.versions[-1:] != [version]:
                seen.versions.append(version)
        connection.close()
