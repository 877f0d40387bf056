"""How long `status` of fifty services takes on an account that takes 100 ms for each answer.

One after the other its requests would take that long as many times as there are: the figure beside it.
"""

from __future__ import annotations

import io
import time

from rich.console import Console

from ops.aws.session import Session
from ops.deployed import live
from ops.service import status
from settings import load
from tests.ops.platform import Platform

SERVICES = 50
LATENCY_SECONDS = 0.1
ROUNDS = 5


def main() -> None:
    platform = Platform(services=[f"service-{number:02d}" for number in range(SERVICES)])
    seconds = []
    requests = 0
    for _ in range(ROUNDS):
        account = platform.account(latency=LATENCY_SECONDS)
        session = Session(load("dev"), account, console=Console(file=io.StringIO(), width=200))
        started = time.perf_counter()
        found = status.read(session, live.Versions(account))
        session.console.print(status.rendered(found, session))
        seconds.append(time.perf_counter() - started)
        requests = account.calls.total()
    alone = requests * LATENCY_SECONDS
    # The first round also reads the models of the services, as every run of the command does.
    print(f"status of {SERVICES} services, {requests} requests of {LATENCY_SECONDS * 1000:.0f} ms")
    print(f"  first {seconds[0]:.2f} s, best {min(seconds):.2f} s; one after the other {alone:.1f} s")


if __name__ == "__main__":
    main()
