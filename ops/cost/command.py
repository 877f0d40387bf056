"""The command `cost`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import settings
from ops.aws.clients import Clients
from ops.aws.refusals import told_by_aws
from ops.cost import prices, refresh, render, usage
from ops.cost.compare import Comparison
from ops.cost.estimate import Estimate, estimate
from ops.errors import OpsError
from ops.synthesis import templates
from ops.terminal.options import AsJson, Env
from ops.terminal.text import print_markdown
from settings import Environment


class Format(StrEnum):
    """How an answer is written."""

    TEXT = "text"
    MARKDOWN = "markdown"


def cost(
    env: Env = "dev",
    usage_file: Annotated[
        Path | None,
        typer.Option("--usage", help="Your own usage; it names what differs from ops/cost/usage.toml."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Tell the difference to this revision, whose template snapshots are read."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--templates", help="Templates to read instead of synthesizing, such as cdk.out."),
    ] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Only the sums, not each resource.")] = False,
    output: Annotated[
        Format, typer.Option("--format", help="Write text, or Markdown for a summary.")
    ] = Format.TEXT,
    as_json: AsJson = False,
    refresh_prices: Annotated[
        bool, typer.Option("--refresh", help="First ask AWS for the prices; needs credentials.")
    ] = False,
) -> None:
    """Estimate what an environment costs a month, from its templates, list prices and an assumed usage.

    Example: python -m ops cost --env prod --compare origin/main
    """
    environment = settings.load(env)
    assumed = usage.load(usage_file)
    console, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    # First what is quick to be refused.
    before = templates.of_revision(environment, compare) if compare is not None else None
    found = templates.in_folder(folder, environment) if folder else templates.synthesized(environment)
    if refresh_prices:
        _refresh(environment, found, assumed, notes)
    now = _estimate(environment, found, assumed)
    if compare is not None and before is not None:
        comparison = Comparison(compare, _estimate(environment, before, assumed), now)
        if as_json:
            console.print_json(data=render.comparison_document(comparison))
        else:
            print_markdown(render.difference(comparison))
    elif as_json:
        console.print_json(data=render.document(now))
    elif output is Format.MARKDOWN:
        print(render.markdown(now))
    else:
        render.show(now, console, summary=summary)


def _estimate(environment: Environment, found: templates.Templates, assumed: usage.Usage) -> Estimate:
    return estimate(environment.name, found, prices.load(environment.region), assumed)


def _refresh(
    environment: Environment, found: templates.Templates, assumed: usage.Usage, notes: Console
) -> None:
    region = environment.region
    known = {key: price.usd for key, price in prices.load(region).entries.items()}
    needed = {line.key for line in _estimate(environment, found, assumed).lines}
    with told_by_aws(environment.name):
        pricing = Clients(refresh.ENDPOINT_REGION).client("pricing")
        changes = refresh.ask(pricing, region, known.keys() | needed, known)
    if not any(change.new is not None for change in changes):
        raise OpsError(f"{environment.name}: the pricing API has no prices of {region}: check the region")
    refresh.write(region, changes, datetime.now(UTC).date())
    for change in changes:
        notes.print(str(change), markup=False)
