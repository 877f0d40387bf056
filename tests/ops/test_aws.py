"""The clients, the sessions of commands, and asking many things at once."""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import botocore.retries.standard
import pytest
import typer
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

import settings
from ops.aws import clients as module
from ops.aws import session as sessions
from ops.aws.clients import CONCURRENCY, Clients, each, together
from ops.aws.session import Session, operating
from ops.errors import OpsError
from settings import SettingsError, load
from tests.ops.account import signed_in
from tests.ops.platform import Platform


def test_a_client_is_made_once_slows_down_when_throttled_and_holds_enough_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    clients = Clients("eu-west-1")
    found = each(lambda _: clients.client("sts"), range(8))
    assert all(client is found[0] for client in found)
    config = found[0].meta.config
    assert config.retries["mode"] == "adaptive"
    assert config.max_pool_connections >= CONCURRENCY
    assert found[0].meta.region_name == "eu-west-1"


@pytest.mark.slow
@pytest.mark.parametrize("throttled", [True, False], ids=["throttled", "no answer"])
def test_who_waits_is_told_once_and_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], throttled: bool
) -> None:
    monkeypatch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda *_: 0)
    monkeypatch.setattr(
        module, "_CONFIG", module._CONFIG.merge(Config(read_timeout=0.2, connect_timeout=0.2))
    )
    asked: list[str] = []

    class Account(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            if not throttled:
                time.sleep(1)
                return
            body = b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Account) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
        }
        ecs = Clients("us-east-1", variables).client("ecs")
        with pytest.raises(ClientError if throttled else ReadTimeoutError):
            ecs.list_clusters()
        server.shutdown()
    assert len(asked) == 4
    why = "slows requests down" if throttled else "does not answer"
    assert capsys.readouterr().err == f"ecs {why} (ListClusters): asking again, please wait\n"


def test_the_emulator_is_reached_with_its_own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-users-own")
    variables = {
        "AWS_ENDPOINT_URL": "http://localhost:4566",
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "emulator",
    }
    client = Clients("us-east-1", variables).client("ecs")
    assert client.meta.endpoint_url == "http://localhost:4566"
    assert client._request_signer._credentials.access_key == "000000000000"


def test_answers_come_in_the_order_of_the_questions_however_they_end() -> None:
    second_is_done = threading.Event()

    def call(number: int) -> int:
        if number == 1:
            assert second_is_done.wait(10)
        else:
            second_is_done.set()
        return number

    assert each(call, [1, 2]) == [1, 2]
    assert together(a=lambda: 1, b=lambda: "x") == {"a": 1, "b": "x"}


def test_the_first_failure_is_raised() -> None:
    def call(number: int) -> int:
        raise OpsError(str(number))

    with pytest.raises(OpsError, match="1"):
        each(call, [1, 2])


def test_an_account_that_is_not_the_environments_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = load("dev").model_copy(update={"account": "999988887777"})
    monkeypatch.setattr(settings, "load_known", lambda name: (other, ()))
    monkeypatch.setattr(sessions, "clients_of", lambda environment, instance: Platform().account())
    with pytest.raises(OpsError) as caught, operating("dev"):
        pass
    assert str(caught.value) == (
        "environments/dev.toml: account is 999988887777, the credentials are of 111122223333: choose another profile"
    )


@pytest.mark.parametrize("answer", [True, False])
def test_a_person_is_asked_where_the_environment_is_protected(
    monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(typer, "confirm", confirm)
    session = Session(load("prod"), Clients("us-east-1"))
    if answer:
        session.confirm("scale", yes=False)
    else:
        with pytest.raises(OpsError, match="prod: nothing was done"):
            session.confirm("scale", yes=False)
    assert asked == ["prod is protected: scale?"]


def test_what_overwrites_is_asked_about_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(load("dev"), Clients("us-east-1"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with pytest.raises(OpsError, match=r"dev, and nobody is there to ask: overwrite it\? Repeat with --yes"):
        session.confirm("overwrite it", yes=False, always=True)
    session.confirm("overwrite it", yes=True, always=True)


@pytest.mark.parametrize("checkout", [False, True])
def test_a_mistake_in_a_manifest_stops_only_what_is_about_the_checkout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checkout: bool
) -> None:
    line = "services/customer/service.toml: cpu: wrong"
    monkeypatch.setattr(settings, "load_known", lambda name: (load(name), [line]))
    with signed_in(Platform().account(), monkeypatch):
        if checkout:
            with pytest.raises(SettingsError, match=line), operating("dev", checkout=True):
                pass
        else:
            with operating("dev") as session:
                assert session.name == "dev"
            assert capsys.readouterr().err == f"{line} (looking at what is deployed all the same)\n"


def test_nobody_is_asked_with_yes_or_where_nothing_is_protected() -> None:
    Session(load("prod"), Clients("us-east-1")).confirm("scale", yes=True)
    Session(load("dev"), Clients("us-east-1")).confirm("scale", yes=False)
