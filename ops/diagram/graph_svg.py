"""Drawing the graphs of stacks: ELK places cards and lines, this draws them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.diagram.graph import Graph, Node
from ops.diagram.svg import INK, LINE, MUTED, Box, Canvas, width_of
from ops.errors import OpsError
from settings import ROOT

_LAYOUT = Path(__file__).with_name("layout.js")
_SECONDS = 60
_NAME, _LINE = 14, 12
_MARGIN, _HEADER = 24, 72
_LEGEND = "A line leads from a construct to what it refers to. Dashed frames are other stacks."
# Of the lines that leave a card, so that neighbours' lines are told apart.
_COLOURS = ("#5b6770", "#a2541f", "#2e56b3", "#4b7a1d", "#8a3f8f", "#1f7a82", "#94720b", "#b0445c")

# https://eclipse.dev/elk/reference/options.html
_OPTIONS = {
    "elk.algorithm": "layered",
    "elk.direction": "RIGHT",
    "elk.edgeRouting": "ORTHOGONAL",
    "elk.hierarchyHandling": "INCLUDE_CHILDREN",
    # A line of its own for each edge, so that it can be followed from end to end.
    "elk.layered.mergeEdges": "false",
    "elk.layered.mergeHierarchyEdges": "false",
    "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
    "elk.layered.crossingMinimization.thoroughness": "40",
    "elk.layered.spacing.nodeNodeBetweenLayers": "64",
    "elk.layered.spacing.edgeNodeBetweenLayers": "20",
    "elk.spacing.nodeNode": "24",
    "elk.spacing.edgeNode": "16",
    "elk.spacing.edgeEdge": "8",
    "elk.layered.spacing.edgeEdgeBetweenLayers": "8",
    "elk.randomSeed": "1",
}


def draw(graphs: Sequence[Graph]) -> list[str]:
    """The graphs as SVG, placed all at once; raises `OpsError` where the layout library is not installed."""
    return [_drawn(graph, placed) for graph, placed in zip(graphs, _placed(graphs), strict=True)]


def _placed(graphs: Sequence[Graph]) -> list[dict[str, Any]]:
    node = Path(sys.executable).with_name("node")
    command = [str(node) if node.exists() else "node", str(_LAYOUT)]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            input=json.dumps([_described(graph) for graph in graphs]),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise OpsError("diagram: there is no node to place the graphs with: run `make setup`") from None
    except subprocess.TimeoutExpired:
        raise OpsError(f"diagram: placing the graphs took longer than {_SECONDS} s") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        remedy = ": run `make setup`" if "Cannot find module" in done.stderr else ""
        raise OpsError(
            f"diagram: the graphs cannot be placed: {reason[0] if reason else 'no reason'}{remedy}"
        )
    return list(json.loads(done.stdout))


def _described(graph: Graph) -> dict[str, Any]:
    others = dict.fromkeys(node.stack for node in graph.nodes if node.stack)
    return {
        "id": "root",
        "layoutOptions": _OPTIONS,
        "children": [
            *(_node(node) for node in graph.nodes if node.stack is None),
            *(
                {
                    "id": f"stack:{stack}",
                    "layoutOptions": {"elk.padding": "[top=34,left=14,bottom=14,right=14]"},
                    "children": [_node(node) for node in graph.nodes if node.stack == stack],
                }
                for stack in others
            ),
        ],
        "edges": [
            {"id": f"{start}>{end}", "sources": [start], "targets": [end]} for start, end in graph.edges
        ],
    }


def _node(node: Node) -> dict[str, Any]:
    widths = [
        width_of(node.name, _NAME, bold=True) + 54,
        *(width_of(line, _LINE) + 30 for line in node.lines),
    ]
    return {
        "id": node.id,
        "width": round(max(*widths, 120), 1),
        "height": 42 + 17 * len(node.lines) + (6 if node.lines else 0),
    }


def _drawn(graph: Graph, placed: Mapping[str, Any]) -> str:
    nodes = {node.id: node for node in graph.nodes}
    canvas = Canvas(graph.title)
    width = max(placed["width"], width_of(_LEGEND, _LINE)) + 2 * _MARGIN
    canvas.text(_MARGIN, 34, graph.title, size=20, bold=True)
    canvas.text(_MARGIN, 54, _LEGEND, size=_LINE, colour=MUTED)
    boxes = dict(_boxes(placed, _MARGIN, _HEADER - 12))
    for name, box in boxes.items():
        if name.startswith("stack:"):
            canvas.box(box, fill="#f3f5f7", stroke=LINE, dashed=True, radius=10)
            canvas.text(box.x + 14, box.y + 22, name.removeprefix("stack:"), size=13, bold=True, colour=MUTED)
    colours = {node.id: _COLOURS[index % len(_COLOURS)] for index, node in enumerate(graph.nodes)}
    for start, points in _edges(placed, boxes):
        canvas.arrow(points, colour=colours[start], thick=1.3)
    for name, box in boxes.items():
        if name in nodes:
            _card(canvas, nodes[name], box)
    return canvas.svg(width, placed["height"] + _HEADER + _MARGIN - 12)


def _boxes(parent: Mapping[str, Any], x: float, y: float) -> Iterator[tuple[str, Box]]:
    for child in parent.get("children", ()):
        box = Box(x + child["x"], y + child["y"], child["width"], child["height"])
        yield child["id"], box
        yield from _boxes(child, box.x, box.y)


def _edges(
    placed: Mapping[str, Any], boxes: Mapping[str, Box]
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """The lines, each with the node where it starts."""
    for edge in placed.get("edges", ()):
        # The coordinates of an edge are relative to the node that contains it.
        container = boxes.get(edge.get("container", "root"))
        x, y = (container.x, container.y) if container else (_MARGIN, _HEADER - 12)
        for section in edge.get("sections", ()):
            points = [section["startPoint"], *section.get("bendPoints", ()), section["endPoint"]]
            yield edge["sources"][0], [(x + point["x"], y + point["y"]) for point in points]


def _card(canvas: Canvas, node: Node, box: Box) -> None:
    canvas.box(
        box, stroke=node.kind.colour if node.stack is None else LINE, thick=1.4 if node.stack is None else 1
    )
    canvas.badge(box.x + 8, box.y + 8, node.kind.badge, node.kind.colour)
    canvas.text(
        box.x + 42, box.y + 26, node.name, size=_NAME, bold=True, colour=INK if node.stack is None else MUTED
    )
    for index, line in enumerate(node.lines):
        canvas.text(box.x + 15, box.y + 53 + 17 * index, line, size=_LINE, colour=MUTED)
