"""Requests with a role's credentials reach the API only where its policies allow them.

Why and until when: see `account`. The administrator, whose access key is the account's number, may do everything.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from emulator.bridges.iam import account, authority
from emulator.iam import actions, requests
from emulator.iam.evaluation import Principal

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Response = tuple[int, Mapping[str, str], bytes]

# Services that refuse with status 400 and a capitalized member, in JSON.
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html
_SAY_MESSAGE = frozenset({"logs", "ssm"})


async def admit(scope: Scope, receive: Receive) -> tuple[Response | None, Receive]:
    """The refusal of a request, or None where it may go on; it goes on with the `receive` that comes back."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope.get("query_string", b"").decode("latin-1")
    key = _access_key(headers, query)
    # Of the administrator's calls only taking a role is decided: by the role's trust policy.
    if not key or (_is_administrators(key) and not _is_for(headers, "sts")):
        return None, receive
    body = await _body(receive)
    return _answer(scope, key, headers, query, body), _again(body, receive)


def _access_key(headers: Mapping[str, str], query: str) -> str:
    from ministack.core import router

    found: str = router.extract_access_key_id(dict(headers), parse_qs(query))
    return found


def _is_administrators(key: str) -> bool:
    return len(key) == 12 and key.isdigit()


def _is_for(headers: Mapping[str, str], service: str) -> bool:
    signed = requests.signed_for(headers.get("authorization", ""), "")
    return signed is not None and signed[0] == service


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> dict[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _answer(scope: Scope, key: str, headers: Mapping[str, str], query: str, body: bytes) -> Response | None:
    from ministack.core import iam_actions, iam_evaluator
    from ministack.core.responses import request_scope
    from ministack.services import sts

    signed = requests.signed_for(headers.get("authorization", ""), query)
    service, region = signed or ("", "")
    administrator = {"Arn": f"arn:aws:iam::{key}:root", "AccountId": key} if _is_administrators(key) else {}
    session = administrator or sts._sessions.get(key) or {}
    number = str(session.get("AccountId") or "")
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
    identifier = str(uuid.uuid4())
    with request_scope(number, region):
        # The signature, the session's token, and both of them not too old.
        iam_evaluator.pin_signed_request(
            scope["method"], path, parse_qs(query, keep_blank_values=True), scope["headers"]
        )
        iam_evaluator.pin_signed_body(body)
        checked = iam_evaluator.authenticate(key, number)
        proven = isinstance(checked, iam_evaluator.ResolvedCredential)
        if not administrator and not (proven and session):
            code = getattr(checked, "code", "UnrecognizedClientException")
            words = getattr(checked, "message", "The security token included in the request is invalid.")
            refused: Response = iam_actions.access_denied_response(
                service, "", "", identifier, error_code=code, message=words, headers=dict(headers)
            )
            return refused
        try:
            _require(session, service, region, scope, path, query, headers, body)
        except authority.Denied as denied:
            return _denial(service, str(denied), identifier, headers)
    return None


def _require(
    session: Mapping[str, Any],
    service: str,
    region: str,
    scope: Scope,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    who = _principal(session)
    try:
        call = requests.read(
            service=service,
            region=region,
            method=scope["method"],
            path=_with_bucket(service, path, headers),
            query=query,
            headers=headers,
            body=body,
        )
        asks = actions.asks(call, who.account, account.lookup)
    except requests.UnknownRequest:
        # What nobody knows, no policy allows.
        asks = [actions.Ask(f"{service}:{scope['method']}{path}", "*")]
    client = (scope.get("client") or ("127.0.0.1",))[0]
    authority.require(
        who,
        (actions.Ask(each.action, each.resource, {"aws:sourceip": client, **each.context}) for each in asks),
        region,
        session,
    )


def _principal(session: Mapping[str, Any]) -> Principal:
    arn = str(session["Arn"])
    role = session.get("RoleArn")
    if not role:
        # What AssumeRole gave: the role's ARN has its path, which a session's has not.
        role = account.lookup("role", arn.split("/")[1]) if ":assumed-role/" in arn else ""
    return Principal(arn=arn, account=str(session["AccountId"]), role=str(role or ""))


def _with_bucket(service: str, path: str, headers: Mapping[str, str]) -> str:
    """The path as it is where the bucket is not in the host's name."""
    from ministack import app

    bucket = app._extract_s3_vhost_bucket(headers.get("host", "")) if service == "s3" else None
    return f"/{bucket}{path}" if bucket else path


def _denial(service: str, message: str, identifier: str, headers: Mapping[str, str]) -> Response:
    from ministack.core import iam_actions

    if service in _SAY_MESSAGE:
        body = json.dumps({"__type": "AccessDeniedException", "Message": message}).encode()
        return 400, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": identifier}, body
    status, answered, body = iam_actions.access_denied_response(
        service, "", "", identifier, message=message, headers=dict(headers)
    )
    # https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization
    return 400 if "x-amz-target" in headers else status, {**answered, "x-amzn-RequestId": identifier}, body
