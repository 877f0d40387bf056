"""How many requests a second `suppliers load` itself can make: against a server that does nothing.

The server is a process of its own on this machine, so that on two cores neither waits for the other. A load test
that comes near this figure measures the generator.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection

from ops.aws.endpoint import Endpoint
from ops.load.command import Plan, Result, run
from ops.load.strength import Counts
from ops.load.traffic import HttpSender

REQUESTS, ROUNDS = 10_000, 3
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Nothing(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER * data.count(b"\r\n\r\n"))


def _serve(port: Connection) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(_Nothing, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


async def _no_tasks() -> dict[str, Counts]:
    return {}


def measure(concurrency: int) -> Result:
    """Rounds at this concurrency, on a server of their own."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.Process(target=_serve, args=(sender,), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{receiver.recv()}"
        plan = Plan(requests=REQUESTS, concurrency=concurrency, rounds=ROUNDS)
        result = Result(plan, url)

        async def everything() -> None:
            async with HttpSender(Endpoint(url), timeout=30) as http:
                await run(http, result, watch=_no_tasks)

        asyncio.run(everything())
        return result
    finally:
        server.terminate()
        server.join()


def main() -> None:
    for concurrency in (1, 50, 100):
        result = measure(concurrency)
        rates = ", ".join(f"{each.per_second:,.0f}" for each in result.rounds)
        print(f"{concurrency:4} at once: {rates} requests/s, {result.failed} failed")


if __name__ == "__main__":
    main()
