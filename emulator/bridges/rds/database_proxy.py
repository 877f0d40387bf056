"""An AWS::RDS::DBProxy of a stack is an address that really leads to its database.

Why: ministack's CloudFormation knows no proxies, and at the endpoints of its API's nothing listens. Here CloudFormation
goes through the API, and a container passes on what comes to the proxy's port 3306. TLS goes through to the server,
whose certificate names the addresses of proxies too.
What is not a proxy about it: it shares no connections (each of a client's is one of the server's), signs nobody in
(the server does), runs no initialization query, and holds no request back while the server is away.
Unnecessary when ministack passes on, or pools, connections to its proxies.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from typing import Any

from emulator.bridges import Context, replace

logger = logging.getLogger("emulator.database_proxy")

PORT = 3306
# Below the addresses that Docker never gives out, above those of the servers.
ADDRESSES = 4
IMAGE = "python:3.13-slim-trixie"
PROXY = "AWS::RDS::DBProxy"
TARGET_GROUP = "AWS::RDS::DBProxyTargetGroup"

# Runs in the container, with where to listen and where to pass it on.
RELAY = """
import asyncio, contextlib, sys

async def pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()

async def connected(reader, writer):
    try:
        there = await asyncio.wait_for(asyncio.open_connection(sys.argv[2], int(sys.argv[3])), 2)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

async def main():
    server = await asyncio.start_server(connected, "0.0.0.0", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


def addresses(subnet: str) -> list[str]:
    """Where proxies may be in the instance's network; every server's certificate names them."""
    last = ipaddress.ip_network(subnet).broadcast_address
    return [str(last - number) for number in range(1, 1 + ADDRESSES)]


def install(context: Context) -> None:
    from ministack.services.cloudformation import provisioners, stacks

    proxies = Proxies(context)
    provisioners._RESOURCE_HANDLERS[PROXY] = {
        "create": proxies.create,
        "update": proxies.update,
        "delete": proxies.delete,
    }
    provisioners._RESOURCE_HANDLERS[TARGET_GROUP] = {
        "create": proxies.register,
        "update": proxies.register_another,
        "delete": proxies.deregister,
    }
    # Docker takes its time, for which the emulator would stand still on the event loop.
    replace(
        stacks,
        "_runs_on_worker_thread",
        lambda original: lambda kind: kind in (PROXY, TARGET_GROUP) or original(kind),
    )


def servers() -> list[dict[str, Any]]:
    """Where each proxy is reached, from containers and from this machine, and what it leads to."""
    from ministack.services import rds

    return [
        {
            "identifier": proxy["DBProxyName"],
            "address": proxy["Endpoint"],
            "port": PORT,
            "state": proxy["Status"],
            "server": ", ".join(f"proxy of {target['RdsResourceId']}" for target in proxy["Targets"]),
        }
        for proxy in rds._db_proxies.values()
    ]


class Proxies:
    """The proxies of an instance: CloudFormation's way to them, and the containers behind them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, logical_id: str, props: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        from ministack.services import rds

        name = str(props["DBProxyName"])
        address = self._free_address()
        _call(rds._create_db_proxy, props, PROXY, "create")
        proxy = rds._db_proxies[name]
        proxy["Endpoint"] = rds._db_proxy_endpoints[name]["Endpoint"] = address
        return name, _attributes(proxy)

    def update(
        self, name: str, old: dict[str, Any], new: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, str]]:
        from ministack.services import rds

        if new["DBProxyName"] != name:
            raise ValueError(f"{PROXY} {name}: the emulator does not rename proxies; take it away first")
        _call(
            rds._modify_db_proxy, {**new, "SecurityGroups": new.get("VpcSecurityGroupIds")}, PROXY, "update"
        )
        return name, _attributes(rds._db_proxies[name])

    def delete(self, name: str, props: dict[str, Any]) -> None:
        from ministack.services import rds

        self._stop(name)
        if name in rds._db_proxies:
            _call(rds._delete_db_proxy, {"DBProxyName": name}, PROXY, "delete")

    def register(self, logical_id: str, props: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        from ministack.services import rds

        pool = {"ConnectionPoolConfig": props.get("ConnectionPoolConfigurationInfo")}
        _call(rds._modify_db_proxy_target_group, {**props, **pool}, TARGET_GROUP, "create")
        _call(rds._register_db_proxy_targets, props, TARGET_GROUP, "create")
        proxy = rds._db_proxies[str(props["DBProxyName"])]
        self._start(proxy)
        arn = str(proxy["TargetGroup"]["TargetGroupArn"])
        return arn, {"TargetGroupArn": arn}

    def register_another(
        self, arn: str, old: dict[str, Any], new: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, str]]:
        self.deregister(arn, old)
        return self.register("", new, stack)

    def deregister(self, arn: str, props: dict[str, Any]) -> None:
        from ministack.services import rds

        proxy = rds._db_proxies.get(str(props.get("DBProxyName")))
        if proxy is not None:
            self._stop(proxy["DBProxyName"])
            proxy["Targets"].clear()

    def _free_address(self) -> str:
        from ministack.services import rds

        taken = {proxy["Endpoint"] for proxy in rds._db_proxies.values()}
        for address in addresses(self._context.subnet):
            if address not in taken:
                return address
        raise ValueError(f"the emulator runs at most {ADDRESSES} proxies")

    def _start(self, proxy: Mapping[str, Any]) -> None:
        from ministack.core import container_reaper
        from ministack.services import rds

        (target,) = [rds._db_proxy_target_view(each) for each in proxy["Targets"]]
        network, client = self._context.instance.network, rds._get_docker()
        container = client.containers.create(
            IMAGE,
            ["python", "-c", RELAY, str(PORT), str(target["Endpoint"]), str(target["Port"])],
            name=self._container(proxy["DBProxyName"]),
            labels=container_reaper.own_labels("rds-proxy"),
            user="65534:65534",
            read_only=True,
            cap_drop=["ALL"],
            mem_limit="64m",
            init=True,
            network=network,
            networking_config={
                network: client.api.create_endpoint_config(ipv4_address=str(proxy["Endpoint"]))
            },
        )
        container.start()
        if not rds._wait_for_port(str(proxy["Endpoint"]), PORT, timeout=20):
            last = container.logs(tail=3).decode(errors="replace").strip().replace("\n", " | ")
            raise RuntimeError(f"the proxy {proxy['DBProxyName']} did not start: {last}")

    def _stop(self, name: str) -> None:
        from docker.errors import NotFound
        from ministack.services import rds

        try:
            rds._get_docker().containers.get(self._container(name)).remove(force=True, v=True)
        except NotFound:
            logger.debug("the proxy %s is gone already", name)

    def _container(self, name: str) -> str:
        return f"ministack-rds-proxy-{self._context.instance.port}-{name}"


def _attributes(proxy: Mapping[str, Any]) -> dict[str, str]:
    return {
        "DBProxyArn": str(proxy["DBProxyArn"]),
        "Endpoint": str(proxy["Endpoint"]),
        "VpcId": str(proxy["VpcId"]),
    }


def _call(action: Any, props: Mapping[str, Any], resource_type: str, doing: str) -> None:
    from ministack.services.cloudformation import provisioners

    provisioners._rds_call(action, provisioners._ec_query(dict(props)), resource_type, doing)
