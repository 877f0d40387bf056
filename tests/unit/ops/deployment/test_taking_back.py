"""What is taken back after a smoke test that failed, and what an operator is told."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from ops.aws.session import Session
from ops.deployed import deployment
from ops.deployed.deployment import DeployedService
from ops.deployment import taking_back
from ops.deployment.smoke import SmokeTestFailed
from ops.errors import OpsError
from ops.release import rollback
from ops.release.rollback import ByStack
from tests.unit.ops.recorded import Recorded

FAILED = SmokeTestFailed("customer", "local", "smoke test: /suppliers (customer) gives 500, not 200")


class Back(ByStack):
    """A way back that is written down and not gone."""

    def __init__(self) -> None:
        service = DeployedService("customer", "", "", "", "")
        super().__init__(service, stack="", image="", version="old", now="new", evidence="")
        self.gone: list[str]
        self.problem: str
        self.__dict__.update(gone=[], problem="")

    def release(self, session: Session) -> None:
        if self.problem:
            raise OpsError(self.problem)
        self.gone.append(self.version)


@pytest.fixture
def session() -> Session:
    return Session(settings.load("local"), Recorded(template={}))


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch) -> Back:
    made = Back()

    def plan(session: Session, deployment: Any, name: str, *, to: str) -> Back:
        assert (name, to) == ("customer", "old")
        return made

    monkeypatch.setattr(rollback, "plan", plan)
    monkeypatch.setattr(deployment, "read", lambda session: None)
    monkeypatch.setattr(taking_back, "versions", lambda session: {"customer": "new"})
    return made


def test_a_new_version_that_answers_wrongly_is_taken_back(session: Session, back: Back) -> None:
    said: list[str] = []
    told = taking_back.take_back(session, FAILED, {"customer": "old"}, said.append)
    assert back.gone == ["old"]
    assert said == ["customer: back to old, which served before"]
    assert str(told).splitlines() == [
        "smoke test: /suppliers (customer) gives 500, not 200",
        "customer is taken back: old serves again in place of new",
        "why: `suppliers logs customer --env local --since 10m`",
    ]


@pytest.mark.parametrize("before", [{}, {"employee": "old"}, {"customer": "new"}])
def test_what_did_not_change_is_not_taken_back(session: Session, back: Back, before: dict[str, str]) -> None:
    assert taking_back.take_back(session, FAILED, before, print) is FAILED
    assert back.gone == []
    assert "`suppliers rollback customer --env local`" in str(FAILED)


def test_why_it_could_not_be_taken_back_is_told_after_what_failed(session: Session, back: Back) -> None:
    back.__dict__["problem"] = "the stack is stuck"
    told = str(taking_back.take_back(session, FAILED, {"customer": "old"}, lambda _: None))
    assert told.startswith(FAILED.what)
    assert told.endswith("customer could not be taken back to old: the stack is stuck")


def test_who_else_judges_releases_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "read", lambda session: pytest.fail("asked"))
    assert taking_back.versions(Session(settings.load("prod"), Recorded(template={}))) == {}
