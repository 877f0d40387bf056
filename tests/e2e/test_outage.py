"""The database answers nobody for two minutes, as in a failover that takes as long as Amazon RDS says: `make stories`.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.MultiAZSingleStandby.html#Concepts.MultiAZ.Failover
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from ops.aws.endpoint import seconds_old
from tests.e2e.checkout import Checkout
from tests.e2e.load import Load

pytestmark = pytest.mark.timeout(900)

OUTAGE_SECONDS = 120.0
# What a user waits for at most who asks for what cannot be answered from memory.
LONGEST_ANSWER_SECONDS = 10.0
RECOVERY_SECONDS = 15.0


@contextmanager
def silent(container: str) -> Iterator[None]:
    """A server that takes connections and says nothing, which is the worst of what clients meet in a failover."""
    subprocess.run(["docker", "pause", container], check=True, capture_output=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(["docker", "unpause", container], check=True, capture_output=True, timeout=30)


def test_two_minutes_without_a_database_lose_no_list_and_no_write(checkout: Checkout) -> None:
    checkout.make("deploy")
    (database,) = (
        line.split()[0]
        for line in checkout.docker("ps", "--format", "{{.ID}} {{.Names}}")
        if "ministack-rds-" in line
    )
    tasks = checkout.tasks()
    written: list[str] = []
    refused: list[tuple[int, float]] = []
    with checkout.client() as client:
        client.timeout = httpx.Timeout(30.0)
        assert client.get("/suppliers").status_code == 200
        with Load(checkout.port, "suppliers-local.alb.localhost") as load:
            time.sleep(3)
            with silent(database):
                end = time.monotonic() + OUTAGE_SECONDS
                while time.monotonic() < end:
                    _write(client, f"Outage {len(written) + len(refused)}", written, refused)
                    time.sleep(1)
                during = client.get("/suppliers")
            back = time.monotonic()
            while seconds_old(client.get("/suppliers")):
                assert time.monotonic() < back + RECOVERY_SECONDS, "lists are still those of before"
                time.sleep(0.2)
            recovered = time.monotonic() - back
            _write(client, "After the outage", written, refused)
        found = client.get("/api/suppliers", params={"q": "Outage"}).text
    print(f"{load.rate:.0f} requests a second, {len(refused)} writes refused, well after {recovered:.1f} s")
    # Lists are those of before, and say so.
    assert load.failures == []
    assert during.status_code == 200
    assert seconds_old(during)
    # A write is refused in time, with a word when to come again, or done; what was done is there.
    assert len(refused) > 5
    assert {status for status, _ in refused} == {503}
    assert max(seconds for _, seconds in refused) < LONGEST_ANSWER_SECONDS
    assert written[-1:] == ["After the outage"]
    assert [name for name in written if name.startswith("Outage") and name not in found] == []
    # What the database does is no reason to replace what reads it.
    assert checkout.tasks() == tasks


def _write(client: httpx.Client, name: str, written: list[str], refused: list[tuple[int, float]]) -> None:
    """Add a supplier as programs do; what was refused with status and seconds."""
    began = time.monotonic()
    answer = client.post(
        "/admin/api/suppliers",
        json={
            "name": name,
            "address": "1 Main Street",
            "city": "Portland",
            "state": "OR",
            "email": "outage@example.org",
            "phone": "+1 415 555 2671",
        },
    )
    if answer.status_code == 201:
        written.append(name)
    else:
        refused.append((answer.status_code, time.monotonic() - began))
        assert answer.headers.get("retry-after"), answer.text
