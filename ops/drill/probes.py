"""The requests of the steady probe, and what they need in the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from ops.errors import OpsError
from ops.load import traffic
from ops.load.traffic import Request, Sender

LIST = "/api/suppliers"
ADMINISTRATION = "/admin/api/suppliers"
# What a reader sees if a drill is killed before it has removed it.
SUPPLIER = {
    "name": "Drill (may be deleted)",
    "address": "1 Test Street",
    "city": "Seattle",
    "state": "Washington",
    "email": "drill@example.org",
    "phone": "+1 206 624 1234",
}
_ATTEMPTS, _PAUSE = 30, 2.0


@asynccontextmanager
async def probes(
    sender: Sender, url: str, *, writes: bool, say: Callable[[str], None]
) -> AsyncIterator[Sequence[Request]]:
    """Requests for the home page, the list and a supplier; with `writes` changes of a supplier made for that.

    Writes are left out, and that is said, where the administration is closed to this machine. What was made is
    removed at the end. Raises `OpsError` where a page does not answer as it should.
    """
    home = Request("home", "/")
    rows = Request("list", LIST, degraded=b'"stale":true')
    await traffic.check(sender, home, url)
    first = json.loads((await traffic.check(sender, rows, url)).body)["items"]
    requests = [home, rows]
    if first:
        requests.append(Request("detail", f"{LIST}/{first[0]['id']}"))
    made = await _make(sender, url, say) if writes else None
    if made is None:
        yield requests
        return
    change = Request("write", made, method="PUT", json=SUPPLIER, headers={"If-Match": "*"})
    try:
        yield [*requests, change]
    finally:
        await _remove(sender, made, say)


async def _make(sender: Sender, url: str, say: Callable[[str], None]) -> str | None:
    """Add the supplier; its path, or None where the administration is closed to this machine."""
    answer = await sender.send(Request("add", ADMINISTRATION, method="POST", json=SUPPLIER))
    if answer.status == 403:
        say("writes are not probed: the administration is closed to this machine (admin_cidrs)")
        return None
    if answer.failure is not None:
        raise OpsError(f"{url}{ADMINISTRATION}: a supplier cannot be added: {answer.failure}")
    return f"{ADMINISTRATION}/{json.loads(answer.body)['id']}"


async def _remove(sender: Sender, path: str, say: Callable[[str], None]) -> None:
    failure = None
    for _ in range(_ATTEMPTS):
        answer = await sender.send(Request("remove", path, method="DELETE"))
        if answer.failure is None or answer.status == 404:
            return
        failure = answer.failure
        await asyncio.sleep(_PAUSE)
    say(f"the supplier of the write probe is still there ({failure}): delete {path}")
