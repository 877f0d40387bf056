"""What a command answers is of the environment that it was asked about, whatever was deployed last."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from ops.aws.endpoint import Endpoint
from ops.aws.session import Session
from ops.deployment import backup, deploy, smoke
from ops.errors import OpsError
from settings import load
from tests.ops.conftest import Run
from tests.ops.platform import Platform


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that are asked; all answer well."""
    found: list[str] = []

    def client(endpoint: Endpoint) -> httpx.Client:
        def answer(request: httpx.Request) -> httpx.Response:
            found.append(str(request.url))
            return httpx.Response(403 if request.url.path.startswith("/admin") else 200)

        return httpx.Client(base_url=endpoint.url, transport=httpx.MockTransport(answer))

    monkeypatch.setattr(Endpoint, "client", client)
    monkeypatch.setattr(smoke, "_WAIT_SECONDS", 0)
    return found


def test_the_smoke_test_asks_the_address_that_the_account_names(run: Run, asked: list[str]) -> None:
    result = run(Platform().account(), "smoke")
    assert result.exit_code == 0
    assert asked
    assert {httpx.URL(each).host for each in asked} == {"suppliers-dev.example.com"}


def test_the_smoke_test_of_what_is_not_deployed_is_refused(run: Run, asked: list[str]) -> None:
    platform = Platform(statuses={"compute": "NOT_DEPLOYED"})
    with pytest.raises(
        OpsError, match=r"suppliers-dev-compute \(NOT_DEPLOYED\): is not deployed: `make deploy ENV=dev`"
    ):
        run(platform.account(), "smoke")
    assert asked == []


@pytest.mark.parametrize("command", [["smoke"], ["backup"], ["restore", "backup.sql"]])
def test_a_rehearsal_is_looked_for_on_its_emulator(
    run: Run, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMULATOR_PORT", "4598")
    with pytest.raises(OpsError, match=r"dev: no emulator .* port 4598: `make rehearse ENV=dev`"):
        run(Platform().account(), *command, "--rehearse")


def test_what_is_no_whole_dump_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    cut = tmp_path / "cut.sql"
    cut.write_text("INSERT INTO suppliers")
    with pytest.raises(OpsError, match=r"cut\.sql: is no whole dump"):
        backup.whole(cut)
    with pytest.raises(OpsError, match=r"none\.sql: cannot be read"):
        backup.whole(tmp_path / "none.sql")


def test_who_interrupts_a_deployment_is_told_what_goes_on_and_how_to_end_it() -> None:
    platform = Platform(statuses={"customer": "UPDATE_IN_PROGRESS", "employee": "CREATE_IN_PROGRESS"})
    told = deploy.going_on(Session(load("dev"), platform.account())).splitlines()
    assert told[0] == "dev: interrupted; nothing more is begun"
    assert told[1].startswith("suppliers-dev-customer (UPDATE_IN_PROGRESS): CloudFormation goes on")
    assert told[1].endswith(
        "`aws cloudformation cancel-update-stack --stack-name suppliers-dev-customer` takes it back"
    )
    assert told[2].startswith("suppliers-dev-employee (CREATE_IN_PROGRESS)")
    assert "cancel" not in told[2]
    assert told[3].startswith("`suppliers release watch --env dev`")
    assert deploy.going_on(Session(load("dev"), Platform().account())) == told[0]
