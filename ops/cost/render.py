"""An estimate as text, as Markdown for a pull request and for the documentation, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from ops.cost.compare import Comparison, Difference
from ops.cost.estimate import Estimate, Line, Total, sum_of


def show(estimate: Estimate, console: Console, *, summary: bool = False) -> None:
    """Print a line for every resource that costs something, then the sums by stack and by service, last the total.

    With `summary` only the sums.
    """
    for stack, sums in () if summary else estimate.by(_stack).items():
        of_stack = [line for line in estimate.lines if line.stack == stack]
        table = Table(title=stack, title_justify="left", show_footer=True)
        table.add_column("Resource", footer="Total", overflow="fold")
        table.add_column("What", overflow="fold", max_width=60)
        for column, value in zip(("Fixed", "Usage", "At most"), _short_sums(sums), strict=True):
            table.add_column(column, justify="right", no_wrap=True, footer=value)
        for resource in dict.fromkeys(line.resource for line in of_stack):
            lines = [line for line in of_stack if line.resource == resource]
            what = "; ".join(dict.fromkeys(_with_price(line) for line in lines))
            table.add_row(resource, what, *_short_sums(sum_of(lines)))
        console.print(table)
    for title, groups in (("Stack", estimate.by(_stack)), ("Service", _by_service(estimate))):
        table = Table(title=f"{_title(estimate)}, USD a month", title_justify="left", show_footer=True)
        table.add_column(title, footer="Total")
        for column, value in zip(("Fixed", "Usage", "Sum", "At most"), _sums(estimate.total), strict=True):
            table.add_column(column, justify="right", footer=value)
        for name, total in groups.items():
            table.add_row(name, *_sums(total))
        console.print(table)
    for note in _notes(estimate):
        console.print(note, markup=False, soft_wrap=True)
    total = estimate.total
    most = f", at most {_money(total.most)}" if total.most != total.usd else ""
    console.print(f"{_title(estimate)}: {_money(total.usd)} USD a month{most}", style="bold", soft_wrap=True)


def markdown(estimate: Estimate) -> str:
    """The sums of an estimate as Markdown, with all its lines folded away."""
    return "\n".join(
        [
            f"### {_title(estimate)}: {_money(estimate.total.usd)} USD a month",
            "",
            *tables(estimate),
            "",
            "<details><summary>Each resource</summary>",
            "",
            "| stack | resource | what | quantity | price | fixed | usage |",
            "|---|---|---|---:|---:|---:|---:|",
            *(
                f"| {line.stack} | {line.resource} | {_what(line)} | {' | '.join(_figures(line))} |"
                for line in estimate.lines
            ),
            "",
            "</details>",
            "",
        ]
    )


def tables(estimate: Estimate) -> Iterator[str]:
    """The sums by stack and by service, and what limits them, as lines of Markdown."""
    for title, sums in (("stack", estimate.by(_stack)), ("service", _by_service(estimate))):
        yield f"| {title} | fixed | usage | sum | at most |"
        yield "|---|---:|---:|---:|---:|"
        for name, total in sums.items():
            yield f"| {name} | {' | '.join(_sums(total))} |"
        yield f"| **total** | {' | '.join(f'**{each}**' for each in _sums(estimate.total))} |"
        yield ""
    yield from _notes(estimate)


def difference(comparison: Comparison) -> str:
    """What a change does to the cost, as Markdown."""
    before, after = comparison.before, comparison.after
    lines = [
        f"### {_title(after)}: {_signed(comparison.usd)} USD a month",
        "",
        f"From {_money(before.total.usd)} at `{comparison.revision}` to {_money(after.total.usd)} USD; "
        f"with every service at its maximum of tasks from {_money(before.total.most)} to "
        f"{_money(after.total.most)} USD.",
        "",
    ]
    changed = comparison.differences
    if changed:
        lines += ["| stack | resource | before | after | difference |", "|---|---|---:|---:|---:|"]
        lines += [_row(each) for each in sorted(changed, key=lambda each: -abs(each.usd))]
        lines.append("")
    else:
        lines += ["No resource costs anything else than before.", ""]
    news = [each for each in after.without_price if each not in before.without_price]
    return "\n".join([*lines, *(f"- {each}" for each in news), *([""] if news else [])])


def document(estimate: Estimate) -> dict[str, Any]:
    """An estimate for programs; amounts are strings, so that cents stay exact."""
    return {
        "environment": estimate.environment,
        "region": estimate.region,
        "currency": "USD",
        "prices_collected": estimate.collected,
        "total": _total(estimate.total),
        "stacks": {name: _total(each) for name, each in estimate.by(_stack).items()},
        "services": {name: _total(each) for name, each in _by_service(estimate).items()},
        "lines": [{name: _exact(value) for name, value in asdict(line).items()} for line in estimate.lines],
        "free": dict(estimate.free),
        "without_price": list(estimate.without_price),
    }


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """A comparison for programs."""
    return {
        "revision": comparison.revision,
        "difference": str(comparison.usd),
        "before": document(comparison.before),
        "after": document(comparison.after),
        "differences": [
            {
                "stack": each.stack,
                "resource": each.resource,
                "before": each.before and _total(each.before),
                "after": each.after and _total(each.after),
                "difference": str(each.usd),
            }
            for each in comparison.differences
        ],
    }


def _title(estimate: Estimate) -> str:
    return f"{estimate.environment} in {estimate.region}"


def _notes(estimate: Estimate) -> Iterator[str]:
    count = sum(estimate.free.values())
    yield (
        f"List prices collected {estimate.collected}; {count} resources of {len(estimate.free)} types cost "
        "nothing themselves."
    )
    for sentence in estimate.without_price:
        yield f"Not in the sums: {sentence}."


def _stack(line: Line) -> str:
    return line.stack


def _by_service(estimate: Estimate) -> Mapping[str, Total]:
    sums = estimate.by(lambda line: line.service)
    return dict(sorted(sums.items(), key=lambda each: (-each[1].usd, each[0])))


def _what(line: Line) -> str:
    return f"{line.note} ({line.key})" if line.note else line.key


def _figures(line: Line) -> Iterable[str]:
    amount = "no price" if line.usd is None else _money(line.usd)
    quantity = _plain(line.quantity)
    return (
        f"{quantity} - {_plain(line.free)} free" if line.free else quantity,
        "unknown" if line.price is None else f"{line.price:f}",
        *((amount, "") if line.basis == "fixed" else ("", amount)),
    )


def _sums(total: Total) -> tuple[str, str, str, str]:
    return _money(total.fixed), _money(total.usage), _money(total.usd), _money(total.most)


def _short_sums(total: Total) -> tuple[str, str, str]:
    return _money(total.fixed), _money(total.usage), _money(total.most)


def _with_price(line: Line) -> str:
    return line.note if line.price is not None else f"{line.note}: no price known"


def _row(each: Difference) -> str:
    before, after = (_money(total.usd) if total else "" for total in (each.before, each.after))
    return f"| {each.stack} | {each.resource} | {before} | {after} | {_signed(each.usd)} |"


def _money(usd: Decimal) -> str:
    return f"{usd:,.2f}"


def _signed(usd: Decimal) -> str:
    return f"{usd:+,.2f}"


def _plain(quantity: Decimal) -> str:
    return f"{quantity.quantize(Decimal('0.0001')).normalize():f}"


def _total(total: Total) -> dict[str, str]:
    return {
        "fixed": str(total.fixed),
        "usage": str(total.usage),
        "sum": str(total.usd),
        "most": str(total.most),
    }


def _exact(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value
