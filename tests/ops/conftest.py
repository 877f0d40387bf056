from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from typer.testing import CliRunner, Result

from ops.aws.clients import Clients
from ops.aws.endpoint import Endpoint
from ops.command_line import app
from tests.ops.account import signed_in

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _application_that_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of accounts that are recorded lead nowhere."""

    def client(endpoint: Endpoint, timeout: float = 5.0) -> httpx.Client:
        return httpx.Client(
            base_url=endpoint.url, transport=httpx.MockTransport(lambda request: httpx.Response(200))
        )

    monkeypatch.setattr(Endpoint, "client", client)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of the command line on an account; what it raises is the test's."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run_on(account: Clients, *arguments: str, env: str = "dev", text: str | None = None) -> Result:
        with signed_in(account, monkeypatch):
            place = arguments.index("--") if "--" in arguments else len(arguments)
            words = [*arguments[:place], "--env", env, *arguments[place:]]
            return CliRunner().invoke(app, words, input=text, catch_exceptions=False)

    return run_on
