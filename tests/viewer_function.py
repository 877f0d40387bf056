"""The CloudFront Function of a template, run by njs: the engine of CloudFront's own runtime."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What calls a function, in the place of CloudFront.
_CALL = "console.log(JSON.stringify(handler(%s).headers));"

Headers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ViewerFunction:
    """What the code makes of a request's headers, called anew each time: nothing outlives a call."""

    code: str

    def headers(self, viewer: str, sent: Headers | None = None) -> dict[str, str]:
        """The headers that go on, by name; a header that would go on twice fails."""
        event = {
            "version": "1.0",
            "context": {"eventType": "viewer-request"},
            "viewer": {"ip": viewer},
            "request": {"method": "GET", "uri": "/", "querystring": {}, "headers": sent or {}, "cookies": {}},
        }
        answer: Headers = json.loads(run(f"{self.code}\n{_CALL % json.dumps(event)}"))
        assert all("multiValue" not in each for each in answer.values()), answer
        return {name: str(each["value"]) for name, each in answer.items()}


def run(code: str) -> str:
    """What the code prints; what the engine refuses fails with its words."""
    engine = shutil.which("njs")
    assert engine, "njs is needed: make njs"
    # Without files, as at the edge.
    done = subprocess.run(
        [engine, "-s", "-"], input=code, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
