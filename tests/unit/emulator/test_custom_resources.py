from collections.abc import Callable
from typing import Any

import pytest

from emulator.bridges.cloudformation import custom_resources

VARIABLES = {
    custom_resources.ON_EVENT_VARIABLE: "on-event",
    custom_resources.IS_COMPLETE_VARIABLE: "is-complete",
}
EVENT = {"RequestType": "Create", "RequestId": "request", "LogicalResourceId": "Release"}

Handler = Callable[[dict[str, Any]], Any]


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Handler]:
    """The user's functions by name, called where the provider would invoke them."""
    functions: dict[str, Handler] = {}
    monkeypatch.setattr(custom_resources, "_user_function", lambda arn: {"name": arn})
    monkeypatch.setattr(
        custom_resources, "call_function", lambda function, event: functions[function["name"]](event)
    )
    monkeypatch.setattr(custom_resources, "POLL_SECONDS", 0.0)
    return functions


def test_a_provider_is_asked_until_the_resource_is_complete(handlers: dict[str, Handler]) -> None:
    asked: list[dict[str, Any]] = []

    def is_complete(event: dict[str, Any]) -> dict[str, Any]:
        asked.append(event)
        return {"IsComplete": len(asked) == 3, "Data": {"Swapped": "yes"}}

    handlers["on-event"] = lambda event: {"PhysicalResourceId": "d-1", "Data": {"Started": "yes"}}
    handlers["is-complete"] = is_complete
    result = custom_resources._through_provider(EVENT, VARIABLES, timeout=5.0)
    assert result["PhysicalResourceId"] == "d-1"
    assert result["Data"] == {"Started": "yes", "Swapped": "yes"}
    assert [event["PhysicalResourceId"] for event in asked] == ["d-1"] * 3


def test_a_provider_without_a_question_is_done_with_its_first_answer(handlers: dict[str, Handler]) -> None:
    handlers["on-event"] = lambda event: None
    variables = {custom_resources.ON_EVENT_VARIABLE: "on-event"}
    assert custom_resources._through_provider(EVENT, variables, timeout=5.0) == {
        "PhysicalResourceId": "request"
    }


def test_a_resource_that_is_never_complete_fails_by_name(handlers: dict[str, Handler]) -> None:
    handlers["on-event"] = lambda event: {}
    handlers["is-complete"] = lambda event: {"IsComplete": False}
    with pytest.raises(TimeoutError, match="Release was not complete"):
        custom_resources._through_provider(EVENT, VARIABLES, timeout=0.05)
