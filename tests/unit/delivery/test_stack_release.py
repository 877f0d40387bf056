"""A release as an update of a service's stack, against recorded answers that are held against botocore's models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from delivery import stack_release
from delivery.__main__ import main
from delivery.errors import DeliveryError
from tests.ops.account import Account, refusal

STACK = "suppliers-dev-customer"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IMAGE, VERSION = "registry/suppliers-dev/customer:two", "two"
PARAMETERS = {"Image": "", "Version": "", "BootstrapVersion": "/cdk-bootstrap/hnb659fds/version"}


@dataclass
class CloudFormation:
    """The stack of a service, whose update goes through `course`: a status with the events that came until then."""

    course: list[tuple[str, list[tuple[str, str, str]]]]
    parameters: Mapping[str, str] = field(default_factory=lambda: PARAMETERS)
    capabilities: list[str] = field(
        default_factory=lambda: ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    )
    status: str = "UPDATE_COMPLETE"
    # Statuses by which somebody else's change goes on before, a look each.
    changing: list[str] = field(default_factory=list)
    refuses: str | None = None
    updates: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A failure of another update.
        self._happens([(STACK, "UPDATE_ROLLBACK_COMPLETE", ""), ("Old", "UPDATE_FAILED", "long ago")])

    def _happens(self, events: list[tuple[str, str, str]]) -> None:
        for name, status, reason in events:
            self.events.insert(
                0,
                {
                    "StackId": f"arn:{STACK}",
                    "StackName": STACK,
                    "EventId": f"event-{len(self.events)}",
                    "LogicalResourceId": name,
                    "ResourceStatus": status,
                    "Timestamp": NOW,
                    **({"ResourceStatusReason": reason} if reason else {}),
                },
            )

    def _describe(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert asked["StackName"] == STACK
        if self.changing:
            self.status = self.changing.pop(0)
        if self.updates and self.course:
            self.status, events = self.course.pop(0)
            self._happens(events)
        return {
            "Stacks": [
                {
                    "StackName": STACK,
                    "StackStatus": self.status,
                    "CreationTime": NOW,
                    "Capabilities": self.capabilities,
                    "Parameters": [
                        {"ParameterKey": name, "ParameterValue": value}
                        for name, value in self.parameters.items()
                    ],
                }
            ]
        }

    def _events(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        at = int(asked.get("NextToken") or 0)
        page: dict[str, Any] = {"StackEvents": self.events[at : at + 2]}
        return {**page, "NextToken": str(at + 2)} if at + 2 < len(self.events) else page

    def _update(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.refuses:
            raise refusal("ValidationError", self.refuses)
        self.updates.append(asked)
        return {"StackId": f"arn:{STACK}"}

    def client(self) -> Any:
        account = Account(
            operations={
                "cloudformation:DescribeStacks": self._describe,
                "cloudformation:DescribeStackEvents": self._events,
                "cloudformation:UpdateStack": self._update,
            }
        )
        return account.client("cloudformation")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_release, "_POLL_SECONDS", 0)


GOOD = [
    ("UPDATE_COMPLETE", []),
    ("UPDATE_IN_PROGRESS", [(STACK, "UPDATE_IN_PROGRESS", "User Initiated"), ("CustomerService", "UPDATE_IN_PROGRESS", "")]),
    ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", [("CustomerService", "UPDATE_COMPLETE", "")]),
]  # fmt: skip


def test_the_update_changes_the_image_and_keeps_template_and_other_parameters() -> None:
    stack = CloudFormation(list(GOOD))
    said: list[str] = []
    client = stack.client()
    update = stack_release.start(client, STACK, IMAGE, VERSION)
    assert update is not None
    stack_release.follow(client, update, said.append)
    assert stack.updates == [
        {
            "StackName": STACK,
            "UsePreviousTemplate": True,
            "Parameters": [
                {"ParameterKey": "Image", "ParameterValue": IMAGE},
                {"ParameterKey": "Version", "ParameterValue": VERSION},
                {"ParameterKey": "BootstrapVersion", "UsePreviousValue": True},
            ],
            "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        }
    ]
    assert said == [
        f"{STACK}: UPDATE_IN_PROGRESS: User Initiated",
        "CustomerService: UPDATE_IN_PROGRESS",
        "CustomerService: UPDATE_COMPLETE",
    ]


def test_an_update_that_is_rolled_back_ends_with_what_failed_first() -> None:
    stack = CloudFormation(
        [
            ("UPDATE_IN_PROGRESS", [(STACK, "UPDATE_IN_PROGRESS", "User Initiated")]),
            (
                "UPDATE_ROLLBACK_IN_PROGRESS",
                [
                    ("CustomerPrepare", "UPDATE_FAILED", "exit status 1. column phone is missing"),
                    ("CustomerAlarm", "UPDATE_FAILED", "Resource update cancelled"),
                    (STACK, "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to update: [CustomerPrepare]."),
                ],
            ),
            ("UPDATE_ROLLBACK_COMPLETE", [(STACK, "UPDATE_ROLLBACK_COMPLETE", "")]),
        ]
    )  # fmt: skip
    client = stack.client()
    update = stack_release.start(client, STACK, IMAGE, VERSION)
    assert update is not None
    with pytest.raises(DeliveryError) as raised:
        stack_release.follow(client, update, lambda line: None)
    assert str(raised.value) == (
        f"{STACK}: the update ended UPDATE_ROLLBACK_COMPLETE: "
        "CustomerPrepare: UPDATE_FAILED: exit status 1. column phone is missing"
    )


def test_a_stack_that_holds_the_image_already_is_left_alone() -> None:
    stack = CloudFormation([], refuses="No updates are to be performed.")
    assert stack_release.start(stack.client(), STACK, IMAGE, VERSION) is None


def test_a_stack_without_the_parameters_or_being_changed_is_told_in_one_line() -> None:
    older = CloudFormation([], parameters={"BootstrapVersion": "6"})
    with pytest.raises(DeliveryError, match="has no parameters Image and Version"):
        stack_release.start(older.client(), STACK, IMAGE, VERSION)
    busy = CloudFormation([], status="UPDATE_IN_PROGRESS")
    with pytest.raises(DeliveryError, match=r"is being changed \(UPDATE_IN_PROGRESS\)"):
        stack_release.start(busy.client(), STACK, IMAGE, VERSION)
    assert busy.updates == []


def test_a_stack_that_was_never_asked_for_capabilities_is_given_those_for_roles() -> None:
    stack = CloudFormation(list(GOOD), capabilities=[])
    stack_release.start(stack.client(), STACK, IMAGE, VERSION)
    assert stack.updates[0]["Capabilities"] == ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]


VARIABLES = {"STACK": STACK, "IMAGE": IMAGE, "VERSION": VERSION}


def test_the_build_waits_for_another_change_releases_and_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    stack = CloudFormation(list(GOOD), changing=["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"])
    assert main(["release"], VARIABLES, lambda service: stack.client()) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{STACK}: is being changed (UPDATE_IN_PROGRESS); waiting for its end"
    assert said[-1] == f"{STACK}: runs {IMAGE}"


def test_a_release_that_fails_fails_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    failed = ("UPDATE_ROLLBACK_COMPLETE", [("CustomerService", "UPDATE_FAILED", "tasks failed to start")])
    stack = CloudFormation([("UPDATE_IN_PROGRESS", []), failed])
    assert main(["release"], VARIABLES, lambda service: stack.client()) == 1
    assert "CustomerService: UPDATE_FAILED: tasks failed to start" in capsys.readouterr().err


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release"], {**VARIABLES, name: ""}, lambda service: None) == 1
    assert capsys.readouterr().err == f"environment variables are missing: {name}\n"
