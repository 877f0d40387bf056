"""Each half-way state of a release and its stack, with its way on, which the runbook names too."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import settings
from ops.release.half_way import State, ways_on
from ops.release.releases import Release

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ARN = "arn:aws:ecs:us-east-1:111122223333:task-definition/suppliers-dev-customer:"
DONE = State(
    environment="dev",
    service="customer",
    status="UPDATE_COMPLETE",
    at=NOW,
    serving=ARN + "7",
    wanted=ARN + "7",
)


def release(status: str, *, controller: str = "codedeploy", revision: int = 8, minutes: int = 5) -> Release:
    at = NOW - timedelta(minutes=minutes)
    return Release("d-8", "customer", controller, status, at, None, "x", f"{ARN}{revision}")


TAKEN_BACK = replace(DONE, latest=release("Failed"), wanted=ARN + "8")
STATES: dict[str, tuple[State, str]] = {
    "Stack rollback failed": (
        replace(DONE, status="UPDATE_ROLLBACK_FAILED", kept_rollback=["CustomerRule", "CustomerService"]),
        "aws cloudformation continue-update-rollback --stack-name suppliers-dev-customer "
        "--resources-to-skip CustomerRule CustomerService",
    ),
    "Stack rolled back": (replace(DONE, status="UPDATE_ROLLBACK_COMPLETE"), "make deploy ENV=dev"),
    "Release under way": (
        replace(DONE, under_way=release("InProgress")),
        "suppliers release watch customer --env dev",
    ),
    "Release taken back": (TAKEN_BACK, "suppliers release again customer --stack --env dev"),
    "Alarms block releases": (
        replace(DONE, alarms=["customer-ServerErrors"]),
        "suppliers rollback customer --env dev",
    ),
    "Release does not end": (
        replace(
            DONE, status="UPDATE_IN_PROGRESS", under_way=release("IN_PROGRESS", controller="ecs", minutes=61)
        ),
        "suppliers rollback customer --env dev",
    ),
}


@pytest.mark.parametrize("title", STATES)
def test_each_state_has_its_way_on(title: str) -> None:
    state, command = STATES[title]
    (way,) = ways_on(state)
    assert (way.title, way.command) == (title, command)
    assert str(way) == f"{way.text}: `{command}`"
    assert way.text.startswith("customer: ")


def test_the_runbook_has_a_section_for_each_state_with_the_same_command() -> None:
    runbook = (settings.ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    chapter = runbook.partition("\n# Releases half-way\n")[2].partition("\n# ")[0]
    _, *sections = re.split(r"^## ", chapter, flags=re.MULTILINE)
    found = {title: text for title, _, text in (section.partition("\n") for section in sections)}
    assert found.keys() == STATES.keys()
    for title, (_, command) in STATES.items():
        general = command.replace("suppliers-dev-customer", "suppliers-$ENV-$SERVICE").replace(
            " customer", " $SERVICE"
        )
        general = general.replace("CustomerRule CustomerService", "...")
        general = re.sub(r"^suppliers ", "python -m ops ", re.sub(r"(--env |ENV=)dev", r"\1$ENV", general))
        commands = found[title].partition("```sh\n")[2].partition("```")[0].splitlines()
        assert general in commands, title
        assert len(commands) == 3, title


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"status": "CREATE_COMPLETE"},
        {"latest": release("Succeeded", revision=7)},
        # By a pipeline: the stack's own is live or was, and the pipeline tells its failures.
        {"latest": release("Failed", revision=9)},
        # What is live was released once more, and that failed.
        {"latest": release("Failed", revision=7)},
        {"status": "UPDATE_IN_PROGRESS", "under_way": release("IN_PROGRESS", controller="ecs")},
    ],
)
def test_where_nothing_is_half_way_nothing_is_said(changed: dict[str, Any]) -> None:
    assert list(ways_on(replace(DONE, **changed))) == []


def test_the_bake_time_is_no_release_that_does_not_end() -> None:
    state = replace(DONE, under_way=release("InProgress", minutes=90), bake=timedelta(minutes=40))
    assert [way.title for way in ways_on(state)] == ["Release under way"]
    assert [way.title for way in ways_on(replace(state, bake=timedelta()))] == ["Release does not end"]


def test_a_rollback_that_nothing_is_known_to_have_kept_goes_on_with_all() -> None:
    (way,) = ways_on(replace(DONE, status="UPDATE_ROLLBACK_FAILED"))
    assert "--resources-to-skip" not in way.command


def test_several_states_are_all_told() -> None:
    state = replace(TAKEN_BACK, status="UPDATE_ROLLBACK_FAILED", alarms=["a", "b"])
    assert [way.title for way in ways_on(state)] == [
        "Stack rollback failed",
        "Release taken back",
        "Alarms block releases",
    ]
