"""A release as an update of the service's stack: another image, with the template and all other parameters as they are.

The stack's role, tags and policies stay as they are too:
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStack.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from delivery.errors import DeliveryError

IMAGE, VERSION = "Image", "Version"
_POLL_SECONDS = 5.0
# Those that a stack was deployed with are told with it; none are told of one that was never asked for any.
_CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_DONE = frozenset({"UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})


@dataclass(frozen=True)
class Update:
    """An update of a stack that was started; `before` is the newest event of the stack from before it."""

    stack: str
    before: str


def start(cloudformation: Any, stack: str, image: str, version: str) -> Update | None:
    """Start the update of the stack to an image; None where it holds that image already.

    Raises `DeliveryError` where the stack takes no image or is being changed.
    """
    found = _described(cloudformation, stack)
    status = str(found["StackStatus"])
    if status.endswith("_IN_PROGRESS"):
        raise DeliveryError(f"{stack}: is being changed ({status}): wait for its end and repeat")
    names = [each["ParameterKey"] for each in found.get("Parameters", [])]
    if not {IMAGE, VERSION} <= set(names):
        raise DeliveryError(
            f"{stack}: has no parameters {IMAGE} and {VERSION}: deploy it once from a checkout"
        )
    wanted = {IMAGE: image, VERSION: version}
    parameters = [
        {"ParameterKey": name, "ParameterValue": wanted[name]}
        if name in wanted
        else {"ParameterKey": name, "UsePreviousValue": True}
        for name in names
    ]
    newest = next(_events(cloudformation, stack), {"EventId": ""})
    try:
        cloudformation.update_stack(
            StackName=stack,
            UsePreviousTemplate=True,
            Parameters=parameters,
            Capabilities=list(found.get("Capabilities") or _CAPABILITIES),
        )
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return None
        raise
    return Update(stack, newest["EventId"])


def follow(cloudformation: Any, update: Update, say: Callable[[str], None]) -> None:
    """Wait for the end of an update and tell its events; raises `DeliveryError` with the stack's reason if it failed."""
    told: set[str] = set()
    while True:
        status = str(_described(cloudformation, update.stack)["StackStatus"])
        # The oldest first.
        since = [*_since(cloudformation, update)][::-1]
        for event in since:
            if event["EventId"] not in told:
                told.add(event["EventId"])
                say(_line(event))
        # Before the first event the status may still be the one of before.
        if since and status in _DONE:
            return
        if since and not status.endswith("_IN_PROGRESS"):
            raise DeliveryError(f"{update.stack}: the update ended {status}: {_reason(since)}")
        time.sleep(_POLL_SECONDS)


def settle(cloudformation: Any, stack: str, say: Callable[[str], None]) -> None:
    """Wait until nobody changes the stack."""
    said = False
    while (status := str(_described(cloudformation, stack)["StackStatus"])).endswith("_IN_PROGRESS"):
        if not said:
            say(f"{stack}: is being changed ({status}); waiting for its end")
            said = True
        time.sleep(_POLL_SECONDS)


def _described(cloudformation: Any, stack: str) -> Mapping[str, Any]:
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return dict(found)


def _events(cloudformation: Any, stack: str) -> Iterator[Mapping[str, Any]]:
    """The newest first."""
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
        yield from page["StackEvents"]


def _since(cloudformation: Any, update: Update) -> Iterator[Mapping[str, Any]]:
    for event in _events(cloudformation, update.stack):
        if event["EventId"] == update.before:
            return
        yield event


def _line(event: Mapping[str, Any]) -> str:
    reason = event.get("ResourceStatusReason")
    text = f"{event['LogicalResourceId']}: {event.get('ResourceStatus', '')}"
    return f"{text}: {reason}" if reason else text


def _reason(events: list[Mapping[str, Any]]) -> str:
    """What failed first; what was cancelled for it says nothing."""
    failed = [
        _line(event)
        for event in events
        if str(event.get("ResourceStatus", "")).endswith("_FAILED")
        and "cancelled" not in str(event.get("ResourceStatusReason", ""))
        and event["LogicalResourceId"] != event.get("StackName")
    ]
    return "; ".join(dict.fromkeys(failed)) or "no reason told, see the stack's events"
