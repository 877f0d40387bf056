"""`listeners`: where the rules of both listeners send requests, now and before a release."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ops.aws.clients import together
from ops.aws.session import Session, operating
from ops.deployed import deployment as deployed
from ops.deployed import live
from ops.deployed.deployment import Deployment
from ops.errors import OpsError
from ops.terminal.options import AsJson, Env, Rehearse
from ops.terminal.text import Listing, coloured


@dataclass(frozen=True)
class Row:
    """One rule: `leads_to` is the service with its sides and their shares, or the fixed answer."""

    listener: str
    priority: str
    conditions: str
    service: str | None
    leads_to: str
    release: str | None

    @property
    def key(self) -> tuple[str, str]:
        """What a rule stays the same rule by."""
        return self.listener, self.priority


@dataclass(frozen=True)
class Change:
    """A rule whose traffic went elsewhere; `before` or `now` is None where there was no such rule."""

    listener: str
    priority: str
    conditions: str
    before: str | None
    now: str | None


def command(
    env: Env = "local",
    rehearse: Rehearse = False,
    compare: Annotated[
        Path | None, typer.Option(help="Show what changed since `--json` wrote this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the rules of both listeners, the side of each service that is live, and what a release changed.

    Examples:

    \b
    suppliers listeners --env prod
    suppliers listeners --env prod --json > before.json
    suppliers listeners --env prod --compare before.json
    """
    with operating(env, rehearse=rehearse) as session:
        before = None if compare is None else _saved(compare)
        found = read(session, deployed.read(session))
        if before is not None:
            changed = list(changes(before, found))
            if as_json:
                session.print_json([asdict(change) for change in changed])
            else:
                show_changes(session, changed)
        elif as_json:
            session.print_json([asdict(row) for row in found])
        else:
            _show(session, found)


def read(session: Session, deployment: Deployment) -> list[Row]:
    """The rules as they are now."""
    answers = together(
        rules=lambda: live.rules(session.clients, deployment, "Production", "Test"),
        services=lambda: live.services(session.clients, deployment),
    )
    return rows(deployment, answers["rules"], answers["services"])


def rows(deployment: Deployment, rules: Sequence[live.Rule], records: Mapping[str, live.Record]) -> list[Row]:
    """What each rule does, in the words of the deployment."""
    return [_row(deployment, rule, records) for rule in rules]


def changes(before: Sequence[Row], now: Sequence[Row]) -> Iterator[Change]:
    """The rules that lead elsewhere than before."""
    old, new = ({row.key: row for row in each} for each in (before, now))
    for key in [*new, *(key for key in old if key not in new)]:
        was, is_now = old.get(key), new.get(key)
        known = is_now or was
        if known is not None and (was and was.leads_to) != (is_now and is_now.leads_to):
            yield Change(
                known.listener,
                known.priority,
                known.conditions,
                was.leads_to if was else None,
                is_now.leads_to if is_now else None,
            )


def show_changes(session: Session, changed: Sequence[Change]) -> None:
    """Print the rules before and after."""
    if not changed:
        session.console.print("every rule leads where it led before")
        return
    made = Listing("listener", "rule", "requests", "before", "now", wraps=["requests", "before", "now"])
    for change in changed:
        made.add_row(
            change.listener,
            change.priority,
            change.conditions,
            change.before or "no such rule",
            Text(change.now or "no such rule", "bold"),
        )
    session.console.print(made)


def _row(deployment: Deployment, rule: live.Rule, records: Mapping[str, live.Record]) -> Row:
    if rule.traffic is None:
        return Row(rule.listener, rule.priority, rule.conditions, None, rule.action, None)
    shares = live.traffic_by_service(deployment, [rule])
    if not shares:
        groups = ", ".join(group.rpartition("targetgroup/")[2].partition("/")[0] for group in rule.traffic)
        return Row(rule.listener, rule.priority, rule.conditions, None, f"target group {groups}", None)
    name, share = next(iter(shares.items()))
    service = deployment.service(name)
    release = live.release(records[name])
    return Row(
        rule.listener,
        rule.priority,
        rule.conditions,
        name,
        f"{name} {live.shares_text(service, share)}",
        f"{release.name} {release.state}",
    )


def _show(session: Session, found: Sequence[Row]) -> None:
    made = Listing(
        *("listener", "rule", "requests", "leads to", "latest release"),
        wraps=["requests", "leads to"],
        drops=["latest release"],
    )
    for row in found:
        made.add_row(
            row.listener,
            row.priority,
            row.conditions,
            Text(row.leads_to, "bold" if row.service else ""),
            coloured(row.release) if row.release else "",
        )
    session.console.print(made)


def _saved(file: Path) -> list[Row]:
    try:
        return [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))]
    except OSError as error:
        raise OpsError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise OpsError(f"{file}: is not what `suppliers listeners --json` writes") from None
