"""`waf`: what the web ACL blocks, by rule, path, country and source."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from ops.aws.session import Session, operating
from ops.errors import OpsError
from ops.service.logs import duration
from ops.terminal.options import AsJson, Env
from ops.terminal.text import Listing
from platform_constructs.entrance.web_acl_rules import MANAGED_GROUPS

# A rule that blocks ends it, so that only the group of this one names one of its own.
# https://docs.aws.amazon.com/waf/latest/developerguide/logging-fields.html
_WITHIN = ", ".join(f"ruleGroupList.{number}.terminatingRule.ruleId" for number in range(len(MANAGED_GROUPS)))
_QUERY = f"""\
filter action = "BLOCK"
| fields coalesce({_WITHIN}, "") as within
| stats count(*) as requests by terminatingRuleId, within, httpRequest.uri, httpRequest.country, httpRequest.clientIp
| sort requests desc
| limit %d"""
_POLL_SECONDS = 1.0
_QUERY_SECONDS = 60.0
_RUNNING = ("Scheduled", "Running")


@dataclass(frozen=True)
class Blocked:
    """Requests that one rule blocked; `rule` as `waf.count_rules` takes it."""

    requests: int
    rule: str
    path: str
    country: str
    source: str


def command(
    env: Env = "local",
    since: Annotated[str, typer.Option(help="How far back: 30m, 2h, 1d.")] = "1h",
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many lines at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what the web ACL blocked: how many requests, by which rule, of what, from where.

    A rule that blocks customers is set to count with `waf.count_rules`, by the name shown here.

    Examples:

    \b
    suppliers waf --env prod
    suppliers waf --env prod --since 10m --json | jq '.[] | select(.rule | startswith("Common/"))'
    """
    seconds = duration(since)
    with operating(env) as session:
        if session.environment.waf is None:
            raise OpsError(f"{env}: has no web ACL: environments/{env}.toml has no [waf]")
        if session.instance is not None:
            raise OpsError(f"{env}: the emulator only records the web ACL; it blocks nothing here")
        found = blocked(session, datetime.now(UTC) - timedelta(seconds=seconds), last=last)
        if as_json:
            session.print_json([asdict(each) for each in found])
            return
        if not found:
            session.console.print(f"{env}: nothing was blocked in the last {since}")
            return
        made = Listing(*("requests", "rule", "path", "country", "source"), wraps=["path"], drops=["country"])
        for each in found:
            made.add_row(str(each.requests), each.rule, each.path, each.country, each.source)
        session.console.print(made)


def blocked(session: Session, start: datetime, *, last: int) -> Sequence[Blocked]:
    """The most frequent of what was blocked, from the web ACL's own log."""
    logs = session.clients.client("logs")
    query = logs.start_query(
        logGroupName=f"aws-waf-logs-suppliers-{session.name}",
        startTime=int(start.timestamp()),
        endTime=int((datetime.now(UTC) + timedelta(minutes=1)).timestamp()),
        queryString=_QUERY % last,
    )["queryId"]
    return [_blocked({field["field"]: field["value"] for field in row}) for row in _results(logs, query)]


def _results(logs: Any, query: str) -> list[Any]:
    deadline = time.monotonic() + _QUERY_SECONDS
    while True:
        answer = logs.get_query_results(queryId=query)
        if answer["status"] not in _RUNNING:
            break
        if time.monotonic() > deadline:
            raise OpsError(
                f"the query of the web ACL's log did not end within {_QUERY_SECONDS:g} s; a shorter --since"
            )
        time.sleep(_POLL_SECONDS)
    if answer["status"] != "Complete":
        raise OpsError(f"the query of the web ACL's log ended as {answer['status']}; repeat it")
    return list(answer["results"])


def _blocked(row: dict[str, str]) -> Blocked:
    rule, within = row["terminatingRuleId"], row.get("within", "")
    return Blocked(
        requests=int(float(row["requests"])),
        rule=f"{rule}/{within}" if within else rule,
        path=row.get("httpRequest.uri", "-"),
        country=row.get("httpRequest.country", "-"),
        source=row.get("httpRequest.clientIp", "-"),
    )
