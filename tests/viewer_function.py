"""The CloudFront Function of a template, run for real: by Node, with the events that CloudFront makes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_NODE = Path(sys.executable).parent / "node"
# A line in is an event, a line out the headers that the function leaves.
_LOOP = """
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(JSON.stringify(handler(JSON.parse(line)).headers) + '\\n');
});
"""

Headers = Mapping[str, Mapping[str, Any]]


class ViewerFunction:
    """A process that answers what a function makes of a request's headers."""

    def __init__(self, code: str) -> None:
        self._process = subprocess.Popen(
            [_NODE, "-e", f"'use strict';\n{code}\n{_LOOP}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()

    def headers(self, viewer: str, sent: Headers | None = None) -> dict[str, str]:
        """The headers that go on, by name; a header that would go on twice fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        event = {
            "version": "1.0",
            "context": {"eventType": "viewer-request"},
            "viewer": {"ip": viewer},
            "request": {"method": "GET", "uri": "/", "querystring": {}, "headers": sent or {}, "cookies": {}},
        }
        self._process.stdin.write(json.dumps(event) + "\n")
        self._process.stdin.flush()
        answer: Headers = json.loads(self._process.stdout.readline())
        assert all("multiValue" not in each for each in answer.values()), answer
        return {name: str(each["value"]) for name, each in answer.items()}
