import asyncio
import ipaddress

from emulator.bridges.elbv2 import private_addresses
from emulator.bridges.elbv2.private_addresses import Entrance
from emulator.instance import Instance

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/suppliers-dev/0123"


def test_a_load_balancer_keeps_its_address_and_shares_it_with_nobody() -> None:
    instances = [Instance(port=4566), Instance(port=4576)]
    found = [
        private_addresses.private_address(instance, ARN, subnet)
        for instance in instances
        for subnet in ("subnet-1", "subnet-2")
    ]
    assert len(set(found)) == 4
    assert found[0] == private_addresses.private_address(instances[0], ARN, "subnet-1")
    for address in found:
        assert ipaddress.ip_address(address) in ipaddress.ip_network("127.0.0.0/8")
        assert not address.startswith(("127.0.", "127.1."))


def test_a_connection_is_known_by_its_entrance_while_it_lasts() -> None:
    entrance = Entrance("suppliers-dev", 8080, "10.0.0.10")
    seen: list[Entrance | None] = []

    async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.readexactly(4)
        seen.append(private_addresses.entrance_of(writer.get_extra_info("peername")))
        writer.write(said.upper())
        writer.close()

    async def talk() -> bytes:
        server = await asyncio.start_server(gateway, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        outer = await asyncio.start_server(
            lambda reader, writer: private_addresses._pass_on(reader, writer, port, entrance), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*outer.sockets[0].getsockname())
        writer.write(b"ping")
        answer = await reader.read()
        writer.close()
        outer.close()
        server.close()
        await asyncio.sleep(0.05)
        return answer

    assert asyncio.run(talk()) == b"PING"
    assert seen == [entrance]
    assert private_addresses._entrances == {}


def test_other_connections_have_no_entrance() -> None:
    for client in (None, ("127.0.0.1", 1), ["10.0.0.1", 2], ("::1", 3, 0, 0)):
        assert private_addresses.entrance_of(client) is None
