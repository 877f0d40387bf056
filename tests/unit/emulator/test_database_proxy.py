import asyncio
import contextlib
import ipaddress
import socket
import subprocess
import sys
import time

from emulator.bridges.rds import database_proxy

SUBNET = "172.21.0.0/16"


def test_proxies_have_addresses_that_docker_and_the_servers_leave_alone() -> None:
    found = database_proxy.addresses(SUBNET)
    assert len(set(found)) == database_proxy.ADDRESSES
    network = ipaddress.IPv4Network(SUBNET)
    for address in found:
        assert ipaddress.IPv4Address(address) in network
        # Servers begin five below the broadcast address and go down.
        assert ipaddress.IPv4Address(address) > network.broadcast_address - 5
        assert ipaddress.IPv4Address(address) < network.broadcast_address


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_what_comes_to_a_proxy_reaches_the_server_and_its_answer_comes_back() -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(4)).upper())
        await writer.drain()
        writer.close()

    async def talk(port: int) -> bytes:
        for _ in range(100):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            try:
                writer.write(b"ping")
                return await asyncio.wait_for(reader.read(), 5)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        raise AssertionError("the relay does not listen")

    async def run() -> tuple[bytes, bytes]:
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        target, port = listening.sockets[0].getsockname()[1], free_port()
        command = [sys.executable, "-c", database_proxy.RELAY, str(port), "127.0.0.1", str(target)]
        relay = subprocess.Popen(command)
        try:
            answered = await talk(port)
            listening.close()
            await listening.wait_closed()
            return answered, await talk(port)
        finally:
            relay.terminate()
            relay.wait(5)

    started = time.monotonic()
    # With the server away the client is told at once.
    assert asyncio.run(run()) == (b"PING", b"")
    assert time.monotonic() - started < 20
