"""The process of an instance: ministack with the bridges installed, serving until SIGTERM.

Runs in the emulator's own virtual environment; `lifecycle` starts it and hands everything over as
environment variables.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from emulator.bridges import Context
from emulator.instance import Instance

logger = logging.getLogger("emulator")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

READY_PATH = "/_emulator/ready"
LEDGER_PATH = "/_emulator/ledger"
LISTENERS_PATH = "/_emulator/listeners"
DATABASES_PATH = "/_emulator/databases"
RIGHTS_PATH = "/_emulator/rights"


def configure_ministack(instance: Instance) -> None:
    """ministack reads its settings from the environment while it is imported."""
    os.environ.update(
        {
            "GATEWAY_PORT": str(instance.port),
            "MINISTACK_ACCOUNT_ID": instance.account,
            "MINISTACK_REGION": instance.region,
            # The identity by which ministack tells its containers from another instance's.
            "MINISTACK_HOSTNAME": str(instance.state),
            "LAMBDA_EXECUTOR": "local",
            "DOCKER_NETWORK": instance.network,
            # Keeps the data of a database over a restart of its container.
            "RDS_PERSIST": "1",
            # It is looked up as the name of a container to find out whether ministack runs in one.
            "HOSTNAME": "",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_DOCKER_TIMEOUT": "30",
            # Handlers of custom resources reach AWS here, whatever the shell that started us says.
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{instance.port}",
        }
    )
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "SERVICES", "PERSIST_STATE"):
        os.environ.pop(name, None)


async def answer_json(send: Send, document: Any) -> None:
    await answer(send, 200, {"Content-Type": "application/json"}, json.dumps(document).encode())


async def answer(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    sent = {**headers, "Content-Length": str(len(body))}
    raw = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def serve(context: Context) -> None:
    """Serve the AWS API, the load balancers' listeners and the emulator's own answers until SIGTERM."""
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack import app as ministack_app

    from emulator import bridges
    from emulator.bridges.acm import certificates
    from emulator.bridges.cloudformation import record_only
    from emulator.bridges.ecs import services
    from emulator.bridges.elbv2 import load_balancer, private_addresses, target_health
    from emulator.bridges.iam import authority, gate
    from emulator.bridges.rds import database, database_proxy

    bridges.install(context)
    balancer = load_balancer.LoadBalancers(context)

    own_answers: dict[str, Callable[[], Any]] = {
        READY_PATH: lambda: {
            "pid": os.getpid(),
            "state": str(context.instance.state),
            "account": context.instance.account,
            "region": context.instance.region,
        },
        LEDGER_PATH: record_only.ledger_document,
        LISTENERS_PATH: balancer.listener_urls,
        DATABASES_PATH: lambda: [*database.servers(), *database_proxy.servers()],
        RIGHTS_PATH: authority.record.document,
    }

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] in own_answers:
                await answer_json(send, own_answers[scope["path"]]())
                return
            if balancer.serves(scope):
                await balancer.handle(scope, receive, send)
                return
            refused, receive = await gate.admit(scope, receive)
            if refused is not None:
                await answer(send, *refused)
                return
        await ministack_app.app(scope, receive, send)

    class Listening(Config):  # type: ignore[misc,unused-ignore]
        """Presents the certificate of the domain that is asked for."""

        def create_ssl_context(self) -> ssl.SSLContext | None:
            made: ssl.SSLContext | None = super().create_ssl_context()
            if made is not None:
                made.sni_callback = certificates.Presented(context).choose
            return made

    config = Listening()
    # Only this machine and the instance's own containers, never the network the machine is in.
    addresses = ("127.0.0.1", context.gateway_address)
    config.insecure_bind = [f"{address}:{context.instance.port}" for address in addresses]
    config.bind = [f"{address}:{context.instance.tls_port}" for address in addresses]
    config.certfile, config.keyfile = (str(path) for path in certificates.listener_certificate(context))
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.accesslog = None
    config.loglevel = "WARNING"

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        balancer,
        target_health.Prober(services.replace_unhealthy_task),
        private_addresses.PrivateListeners(context),
    ):
        await hypercorn_serve(application, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type,unused-ignore]


def main() -> None:
    instance = Instance(
        port=int(os.environ["EMULATOR_PORT"]),
        account=os.environ["EMULATOR_ACCOUNT"],
        region=os.environ["EMULATOR_REGION"],
    )
    configure_ministack(instance)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = Context(
        instance=instance,
        gateway_address=os.environ["EMULATOR_GATEWAY_ADDRESS"],
        subnet=os.environ["EMULATOR_SUBNET"],
    )
    asyncio.run(serve(context))


if __name__ == "__main__":
    main()
