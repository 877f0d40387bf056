"""Who asks, what IAM decides, and the record of it: for requests, and for what AWS's services do in the name of roles.

Why: ministack lets every role do everything. Unnecessary when it enforces policies: see `account`.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from emulator import iam
from emulator.bridges import Context
from emulator.bridges.iam import account
from emulator.iam import services
from emulator.iam.actions import Ask
from emulator.iam.evaluation import Decision, Policies, Policy, Principal, Request, ResourcePolicy, decide
from emulator.iam.record import Record

logger = logging.getLogger("emulator.iam")

record = Record()
_enforced: list[bool] = []


class Denied(Exception):
    """What IAM refuses; the message is AWS's."""

    def __init__(self, request: Request, decision: Decision) -> None:
        super().__init__(decision.message(request))
        self.request = request
        self.decision = decision


class NotAssumable(Exception):
    """A role that does not exist, or whose trust policy does not name the service that would take it."""

    def __init__(self, role: str, service: str) -> None:
        super().__init__(f"{service} cannot assume {role}")
        self.role = role


def install(context: Context) -> None:
    _enforced[:] = [iam.is_enforced(os.environ)]
    if not _enforced[0]:
        logger.warning("%s=off: roles may do everything", iam.VARIABLE)


def session_of(role_arn: str, name: str) -> Principal:
    """The principal that a role's session is: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""
    number, role = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    return Principal(arn=f"arn:aws:sts::{number}:assumed-role/{role}/{name}", account=number, role=role_arn)


def assume(role_arn: str, service: str, source: Mapping[str, str] | None = None) -> None:
    """Let a service of AWS take a role, as the role's trust policy says.

    `source` has the condition keys of the resource for which it does: `aws:SourceArn`, `aws:SourceAccount`.
    Raises `NotAssumable`.
    """
    who = Principal(arn=service, account="", service=service)
    asked = Request(who, "sts:AssumeRole", role_arn, {**_of_every_request(), **(source or {})})
    trust = ResourcePolicy(account.trust_policy(role_arn), "", Policy.TRUST, required=True)
    policies = Policies(resource=trust)
    if not _passes(asked, decide(asked, policies), policies):
        raise NotAssumable(role_arn, service)


def require(
    principal: Principal, asks: Iterable[Ask], region: str, session: Mapping[str, Any] | None = None
) -> None:
    """Let a principal do everything that is asked, with what encrypted resources need of their keys.

    `session` is what is known of its session: policies, tags, the time of its issue. Raises `Denied`.
    """
    for ask in asks:
        _require(principal, ask, region, session or {})
        key = account.encryption_key(ask.resource) if ask.action in services.ENCRYPTED else None
        for needed in services.key_asks(ask, key, region):
            _require(principal, needed, region, session or {})


def may(principal: Principal, asks: Iterable[Ask], region: str) -> bool:
    """Whether a principal may do everything that is asked."""
    try:
        require(principal, asks, region)
    except Denied as denied:
        logger.warning("%s", denied)
        return False
    return True


def _require(principal: Principal, ask: Ask, region: str, session: Mapping[str, Any]) -> None:
    owner = ask.resource.split(":")[4] if ask.resource.startswith("arn:") else ""
    context: dict[str, str | tuple[str, ...]] = {
        **_of_every_request(),
        **_of_principal(principal, session),
        "aws:requestedregion": region,
        "aws:resourceaccount": owner or principal.account,
        **ask.context,
    }
    if ask.action.startswith("kms:"):
        context.setdefault("kms:calleraccount", principal.account)
    asked = Request(principal, ask.action, ask.resource, context)
    if principal.arn.endswith(":root"):
        policies = account.of_administrator(ask.action, ask.resource)
    else:
        policies = account.policies(principal.role, ask.action, ask.resource, session.get("SessionPolicies"))
    decision = decide(asked, policies)
    if not _passes(asked, decision, policies):
        raise Denied(asked, decision)


def _passes(asked: Request, decision: Decision, policies: Policies) -> bool:
    record.add(asked, decision, policies)
    if decision.allowed:
        return True
    logger.warning("%s%s", "" if _enforced[0] else "let through: ", decision.message(asked))
    return not _enforced[0]


def _of_every_request() -> dict[str, str | tuple[str, ...]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""
    now = datetime.now(UTC)
    return {
        "aws:currenttime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now.timestamp())),
        # What stands here for AWS's addresses has no TLS, and on AWS they have.
        "aws:securetransport": "true",
    }


def _of_principal(principal: Principal, session: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    if principal.service:
        return {"aws:principalisawsservice": "true", "aws:principalservicename": principal.service}
    role = account.role(principal.role) if principal.role else None
    tags = [*((role or {}).get("Tags") or []), *(session.get("SessionTags") or [])]
    return {
        "aws:principalisawsservice": "false",
        "aws:viaawsservice": "false",
        "aws:principalarn": principal.role or principal.arn,
        "aws:principalaccount": principal.account,
        "aws:principaltype": "AssumedRole" if principal.role else "Account",
        "aws:userid": str(session.get("UserId", "")),
        **{f"aws:principaltag/{tag['Key']}".lower(): str(tag["Value"]) for tag in tags},
    }
