"""Load balancers have network interfaces, at whose addresses their listeners answer.

Why: programs inside a VPC find a load balancer by the private addresses of its network interfaces, where
ministack has none. Here each of them is an address of this machine's own network (127.0.0.0/8), on which
the ports of the listeners are open to functions, which run on this machine. A request that comes this way
is seen under an address of the VPC, as the one of a function inside it would be.
Unnecessary when ministack gives load balancers interfaces and serves them there.

A port that may not be opened (below 1024, unless as root) is left out.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator import routing
from emulator.bridges import Context, replace
from emulator.instance import Instance

logger = logging.getLogger("emulator.private_addresses")

LOOK_SECONDS = 0.25
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Entrance:
    """Which listener a connection came in by, and the address it is seen under."""

    load_balancer: str
    port: int
    source: str


# By the port from which the gateway sees the connection.
_entrances: dict[int, Entrance] = {}


def entrance_of(client: object) -> Entrance | None:
    """The entrance by which a request with this client address came, or None for any other request."""
    if isinstance(client, (tuple, list)) and len(client) == 2 and client[0] == "127.0.0.1":
        return _entrances.get(int(client[1]))
    return None


def private_address(instance: Instance, load_balancer: str, subnet: str) -> str:
    """The address of a load balancer in a subnet; another one in each instance of the emulator."""
    digest = hashlib.sha256(f"{instance.state}/{load_balancer}/{subnet}".encode()).digest()
    # Away from 127.0.x.y and 127.1.x.y, which other programs use.
    return f"127.{64 + digest[0] % 128}.{digest[1]}.{1 + digest[2] % 254}"


def install(context: Context) -> None:
    from ministack.services import ec2

    replace(ec2, "_describe_network_interfaces", lambda original: _describing(original, context.instance))
    ec2._ACTION_MAP["DescribeNetworkInterfaces"] = ec2._describe_network_interfaces


def _describing(original: Any, instance: Instance) -> Any:
    def describe(params: dict[str, Any]) -> Any:
        from ministack.services import ec2

        wanted = _descriptions(params)
        if not wanted:
            return original(params)
        items = "".join(
            ec2._eni_fields_xml(interface)
            for interface in _interfaces(instance)
            if interface["Description"] in wanted
        )
        body = f"<networkInterfaceSet>{items}</networkInterfaceSet>"
        return ec2._xml(200, "DescribeNetworkInterfacesResponse", body)

    return describe


def _descriptions(params: Mapping[str, Any]) -> set[str]:
    """The descriptions of load balancers that a request filters by."""
    from ministack.services import ec2

    values = ec2._parse_filters(params).get("description") or []
    return {str(value) for value in values if str(value).startswith("ELB ")}


def _interfaces(instance: Instance) -> list[dict[str, Any]]:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import alb, ec2

    found = []
    for arn, balancer in alb._lbs.items():
        for subnet in _subnets(balancer):
            record = ec2._subnets.get(subnet) or {}
            digest = hashlib.sha256(f"{arn}/{subnet}".encode()).hexdigest()
            found.append(
                {
                    "NetworkInterfaceId": f"eni-{digest[:17]}",
                    "SubnetId": subnet,
                    "VpcId": record.get("VpcId", ""),
                    "AvailabilityZone": record.get("AvailabilityZone", f"{get_region()}a"),
                    "Description": f"ELB {arn.split(':loadbalancer/', 1)[1]}",
                    "OwnerId": get_account_id(),
                    "Status": "in-use",
                    "PrivateIpAddress": private_address(instance, arn, subnet),
                    "MacAddress": ":".join(("02", *(digest[at : at + 2] for at in range(0, 10, 2)))),
                }
            )
    return found


def _subnets(balancer: Mapping[str, Any]) -> list[str]:
    return [str(subnet) for subnet in balancer.get("Subnets") or []] or ["none"]


class PrivateListeners:
    """Keeps the ports of all listeners open at their load balancers' addresses for as long as it is entered."""

    def __init__(self, context: Context) -> None:
        self._instance = context.instance
        self._servers: dict[tuple[str, int], asyncio.Server | None] = {}

    async def __aenter__(self) -> None:
        self._loop = asyncio.create_task(self._keep_open())

    async def __aexit__(self, *exc: object) -> None:
        self._loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        for server in self._servers.values():
            if server is not None:
                server.close()

    async def _keep_open(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:
                logger.exception("the private addresses went wrong; they go on")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        from ministack.services import alb

        balancers = {balancer["LoadBalancerArn"]: balancer for balancer in alb._lbs.all_values()}
        wanted: dict[tuple[str, int], tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
        for listener in alb._listeners.all_values():
            balancer = balancers.get(listener["LoadBalancerArn"])
            for subnet in _subnets(balancer) if balancer else ():
                address = private_address(self._instance, listener["LoadBalancerArn"], subnet)
                wanted[address, int(listener["Port"])] = (balancer or {}, listener)
        for place in self._servers.keys() - wanted.keys():
            server = self._servers.pop(place)
            if server is not None:
                server.close()
        for place in wanted.keys() - self._servers.keys():
            self._servers[place] = await self._open(place, *wanted[place])

    async def _open(
        self, place: tuple[str, int], balancer: Mapping[str, Any], listener: Mapping[str, Any]
    ) -> asyncio.Server | None:
        entrance = Entrance(str(balancer["LoadBalancerName"]).lower(), place[1], _inside(balancer))
        port = self._instance.tls_port if routing.is_secure(listener) else self._instance.port

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _pass_on(reader, writer, port, entrance)

        try:
            return await asyncio.start_server(connected, *place)
        except OSError as error:
            logger.info("%s:%s of %s is not open: %s", *place, entrance.load_balancer, error)
            return None


def _inside(balancer: Mapping[str, Any]) -> str:
    """An address of the VPC that the load balancer is in."""
    from ministack.services import ec2

    ids = set(_subnets(balancer))
    for subnet in ec2._subnets.all_values():
        if subnet.get("SubnetId") in ids and subnet.get("CidrBlock"):
            return str(ipaddress.ip_network(subnet["CidrBlock"])[10])
    return "127.0.0.1"


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, entrance: Entrance
) -> None:
    """Connect a client with the gateway, which knows the entrance by the port it is connected from."""
    try:
        gateway_reader, gateway_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.close()
        return
    own_port = int(gateway_writer.get_extra_info("sockname")[1])
    _entrances[own_port] = entrance
    try:
        await asyncio.gather(_pump(reader, gateway_writer), _pump(gateway_reader, writer))
    finally:
        _entrances.pop(own_port, None)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
