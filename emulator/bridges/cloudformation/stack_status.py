"""DescribeStacks answers when there is news.

Why: the CDK CLI asks every five seconds whether a stack is done, the wait included when it was done after
one. Holding the answer about a stack under way until it is done, for less time than the CLI waits for an
answer, gives it the news at once. Whoever else asks is answered at once: a custom resource that asks how its
own stack is would wait for itself.
Unnecessary when the CLI polls more often; then removing this module changes nothing but time.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from emulator.bridges import Context, replace

LONGEST_HOLD_SECONDS = 20.0


def install(context: Context) -> None:
    from ministack.services import cloudformation

    replace(cloudformation, "handle_request", _holding)


def _holding(original: Any) -> Any:
    async def handle(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
        name = described_stack(body) if is_cdk(headers) else None
        deadline = time.monotonic() + LONGEST_HOLD_SECONDS
        while name and _is_under_way(name) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        return await original(method, path, headers, body, query_params)

    return handle


def described_stack(body: bytes) -> str | None:
    """The stack that a DescribeStacks request asks about, or None for any other request."""
    if b"Action=DescribeStacks" not in body:
        return None
    fields: Mapping[str, list[str]] = parse_qs(body.decode("utf-8", errors="replace"))
    if fields.get("Action") != ["DescribeStacks"]:
        return None
    return fields.get("StackName", [None])[0]


def is_cdk(headers: Mapping[str, str]) -> bool:
    """Whether a request is the CDK CLI's, which puts `aws-cdk/<version>` behind the SDK's own name."""
    agent = next((value for name, value in headers.items() if name.lower() == "user-agent"), "")
    return "aws-cdk/" in agent


def _is_under_way(name: str) -> bool:
    from ministack.services.cloudformation import _stacks

    # A stack is named by its name or by its id, arn:...:stack/<name>/<id>.
    stack = _stacks.get(name.split("/")[1] if name.startswith("arn:") and "/" in name else name) or {}
    status = str(stack.get("StackStatus", ""))
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
