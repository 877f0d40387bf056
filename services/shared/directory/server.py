"""Runs a service as the process of its container."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from directory.logs import JournalHandler
from directory.settings import Settings, SettingsError
from directory.web import Application

# The load balancer keeps idle connections for 60 s; it must never reuse one that is being closed here.
KEEP_ALIVE_SECONDS = 75
# Below the 30 s after which ECS kills, with room for the rest of the shutdown.
GRACEFUL_SECONDS = 20


def main(service: str, create_app: Callable[[Settings], Application]) -> None:
    """Serve until SIGTERM: then no new connections, requests under way are finished, exit status 0."""
    try:
        settings = Settings.from_environment(os.environ, service=service)
        application = create_app(settings)
    except SettingsError as error:
        sys.exit(f"{service}: {error}")

    import uvicorn

    root = logging.getLogger()
    root.handlers = [JournalHandler(application.journal)]
    root.setLevel(logging.INFO)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            host="0.0.0.0",
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            backlog=2048,
        )
    )
    server.run()
    if not server.started:
        sys.exit(3)
