"""`rights`: who may do what to what, and which of it was used when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from ops.aws.clients import each
from ops.aws.session import Session, operating
from ops.deployed import deployment, stacks
from ops.rights import page as reasons
from ops.rights import uses
from ops.rights.grants import Grant, grants
from ops.rights.page import Unused
from ops.rights.uses import Use
from ops.terminal.options import AsJson, Env, Rehearse
from ops.terminal.text import Listing, moment

_NEVER = "never"
_WHY = "why it is granted all the same"


def command(
    env: Env = "local",
    role: Annotated[
        str, typer.Option(help="Only roles whose name has this part, such as Customer or Execution.")
    ] = "",
    unused: Annotated[bool, typer.Option("--unused", help="Only what was not used.")] = False,
    rehearse: Rehearse = False,
    as_json: AsJson = False,
) -> None:
    """Tell who may do what to what, and which of it was used when.

    What is granted is read from the templates as deployed. When it was used the emulator has written down since its start; on
    AWS it is what IAM keeps for 400 days, which is some hours late, and for some actions knows only their service.

    Example: python -m ops rights --env prod --role Customer --unused
    """
    with operating(env, rehearse=rehearse) as session:
        found = [
            (grant, use)
            for grant, use in granted(session)
            if role.lower() in grant.role.name.lower() and not (unused and use)
        ]
        listed = reasons.unused()
        if as_json:
            session.print_json(
                [_document(grant, use, reasons.reason(grant, env, listed)) for grant, use in found]
            )
            return
        session.console.print(_unused(found, env, listed) if unused else _listing(found))
        never = sum(1 for _, use in found if use is None)
        session.notes.print(f"{len(found)} rights, {never} never used", markup=False)


def granted(session: Session) -> list[tuple[Grant, Use | None]]:
    """Every grant of the roles that are deployed, with its last use."""
    usable = {stack.name for stack in deployment.read(session).stacks.values() if stack.usable}
    names = {
        stack: name for stack, name in deployment.stack_names(session.environment).items() if name in usable
    }
    cloudformation = session.clients.client("cloudformation")
    templates = each(lambda name: stacks.template(cloudformation, name), names.values())
    found = grants(dict(zip(names, templates, strict=True)))
    ids: dict[str, str] = {}
    for stack, own in zip(
        names, each(lambda name: stacks.physical_ids(cloudformation, name), names.values()), strict=True
    ):
        ids.update({f"{stack}{logical}": physical for logical, physical in own.items()})
    used = _uses(session, found, ids)
    return [(grant, used.of(grant)) for grant in found]


def _uses(session: Session, found: Sequence[Grant], ids: Mapping[str, str]) -> uses.Uses:
    if session.instance is not None:
        return uses.recorded(session.instance, ids)
    roles = {grant.role.id: ids[grant.role.id] for grant in found if grant.role.id in ids}
    return uses.last_accessed(session.clients.client("iam"), roles)


def _listing(found: Sequence[tuple[Grant, Use | None]]) -> Listing:
    table = Listing(
        "role",
        "may",
        "used",
        "last used",
        "on",
        "if",
        wraps=("on", "if"),
        drops=("if", "on", "used"),
    )
    for grant, use in found:
        table.add_row(
            grant.role.name,
            _may(grant),
            str(use.count if use and use.count is not None else ""),
            _last(use),
            ", ".join(grant.resources) or "managed by AWS",
            "; ".join(grant.conditions),
        )
    return table


def _unused(found: Sequence[tuple[Grant, Use | None]], env: str, listed: Sequence[Unused]) -> Listing:
    table = Listing("role", "may", "on", _WHY, wraps=("on", _WHY), drops=("on",))
    for grant, _ in found:
        table.add_row(
            grant.role.name, _may(grant), ", ".join(grant.resources), reasons.reason(grant, env, listed) or ""
        )
    return table


def _may(grant: Grant) -> str:
    action = grant.policy.rpartition("/")[2] if grant.managed_by_aws else grant.action
    return action if grant.allows else f"not {action}"


def _last(use: Use | None) -> str:
    if use is None:
        return _NEVER
    return f"{moment(use.last)}{' (some action of the service)' if use.whole_service else ''}"


def _document(grant: Grant, use: Use | None, reason: str | None) -> dict[str, Any]:
    return {
        "role": grant.role.name,
        "trusted": grant.role.trusted,
        "policy": grant.inline or grant.policy,
        "statement": grant.statement,
        "effect": "Allow" if grant.allows else "Deny",
        "action": grant.action,
        "resources": grant.resources,
        "conditions": grant.conditions,
        "reason": reason,
        "used": None
        if use is None
        else {
            "last": use.last,
            "count": use.count,
            "needed": use.needed,
            "whole_service": use.whole_service,
        },
    }
