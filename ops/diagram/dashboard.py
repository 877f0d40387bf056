"""The layout of a dashboard as an SVG, read from the template that makes it: widgets with their titles and metrics.

`python -m ops.diagram.dashboard TEMPLATE PICTURE` draws it; `make pictures` does so for the picture in docs/.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

_COLUMN, _ROW, _GAP = 50, 22, 3
_COLUMNS = 24
_LINE = 13
_FAMILY = "system-ui, sans-serif"
_TYPES = {"metric": "#eef4fb", "alarm": "#fdeeee", "log": "#f3f0fa", "text": "none"}


@dataclass(frozen=True, slots=True)
class Widget:
    """One widget in units of the dashboard's grid of 24 columns; `lines` are the labels of what it draws."""

    kind: str
    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...]


def body(template: Mapping[str, Any], named: Callable[[Any], str] = lambda token: "...") -> dict[str, Any]:
    """The JSON of the template's one dashboard; `named` gives the text for a value known only when deployed."""
    (dashboard,) = (
        each["Properties"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Dashboard"
    )
    given = dashboard["DashboardBody"]
    parts = given["Fn::Join"][1] if isinstance(given, dict) else [given]
    text = "".join(part if isinstance(part, str) else named(part) for part in parts)
    document: dict[str, Any] = json.loads(text)
    return document


def widgets(document: Mapping[str, Any]) -> list[Widget]:
    """What a dashboard shows, in the order of its JSON."""
    return [
        Widget(
            kind=each["type"],
            x=each["x"],
            y=each["y"],
            width=each["width"],
            height=each["height"],
            title=each["properties"].get("title", "") or each["properties"].get("markdown", ""),
            lines=tuple(_lines(each["type"], each["properties"])),
        )
        for each in document["widgets"]
    ]


def _lines(kind: str, properties: Mapping[str, Any]) -> Iterator[str]:
    if kind == "alarm":
        yield f"the state of {len(properties['alarms'])} alarms"
    for metric in properties.get("metrics", []):
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        if options.get("visible") is False:
            continue
        if "expression" in options:
            yield f"{options['label']}: {options['expression']}"
        else:
            name = metric[1] if metric[0] != "." else "..."
            yield f"{options.get('label', name)}: {name}"
    for line in properties.get("annotations", {}).get("horizontal", []):
        yield f"line: {line['label']} {line['value']:g}"
    if kind == "log":
        for step in properties["query"].split("| ")[-3:]:
            yield step.strip()


def svg(shown: list[Widget], title: str) -> str:
    """The widgets drawn to scale, their lines cut to their boxes."""
    width = _COLUMNS * _COLUMN
    height = max(each.y + each.height for each in shown) * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}" font-family="{_FAMILY}" font-size="10">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_drawn(each) for each in shown),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _drawn(widget: Widget) -> str:
    left, top = widget.x * _COLUMN + _GAP, widget.y * _ROW + _GAP
    width, height = widget.width * _COLUMN - 2 * _GAP, widget.height * _ROW - 2 * _GAP
    heading = widget.kind == "text" and widget.title.startswith("## ")
    if heading:
        text = escape(widget.title.removeprefix("## "))
        return (
            f'<text x="{left}" y="{top + 13}" font-size="14" font-weight="bold" fill="#1f2937">{text}</text>'
        )
    # About half an em a letter.
    letters = int(width / 5.2)
    rows = [
        f'<g><rect x="{left}" y="{top}" width="{width}" height="{height}" rx="4" '
        f'fill="{_TYPES[widget.kind]}" stroke="#9ca3af"/>'
    ]
    title, lines = (
        (widget.title, widget.lines) if widget.kind != "text" else ("", _wrapped(widget.title, letters))
    )
    if title:
        rows.append(
            f'<text x="{left + 6}" y="{top + 15}" font-weight="bold" fill="#1f2937">'
            f"{escape(_cut(title, letters))}</text>"
        )
    room = (height - 20) // _LINE
    if len(lines) > room:
        lines = (*lines[: room - 1], f"... and {len(lines) - room + 1} more")
    for number, line in enumerate(lines):
        y = top + 30 + number * _LINE
        rows.append(f'<text x="{left + 6}" y="{y}" fill="#374151">{escape(_cut(line, letters))}</text>')
    rows.append("</g>")
    return "".join(rows)


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 3] + "..."


def _wrapped(text: str, letters: int) -> tuple[str, ...]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= letters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return tuple(lines)


def picture(template: Mapping[str, Any]) -> str:
    """The SVG of a template's dashboard."""
    return svg(widgets(body(template)), "The layout of the operations dashboard")


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(picture(json.loads(source.read_text())))
