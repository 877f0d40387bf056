"""The command `diagram`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import settings
from ops.diagram import graph_svg, mermaid, overview_svg
from ops.diagram.graph import graph
from ops.diagram.overview import overview
from ops.diagram.png import png
from ops.errors import OpsError
from ops.synthesis import templates
from ops.terminal.options import AsJson, Env
from settings import ROOT, Environment


def diagram(
    env: Env = "dev",
    output: Annotated[Path, typer.Option(help="The folder to write the pictures into.")] = Path(
        "build/diagrams"
    ),
    folder: Annotated[
        Path | None,
        typer.Option("--templates", help="Templates to read instead of synthesizing, such as cdk.out."),
    ] = None,
    as_mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print the overview as Mermaid, for a summary; write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw an environment from its templates, as SVG and PNG: an overview, and a picture of each stack.

    Example: python -m ops diagram --env prod
    """
    environment = settings.load(env)
    found = templates.in_folder(folder, environment) if folder else templates.synthesized(environment)
    if as_mermaid:
        print("```mermaid", mermaid.of_overview(overview(found, env, environment.region)), "```", sep="\n")
        return
    written = write(pictures(found, environment), output)
    if as_json:
        Console().print_json(data={"environment": env, "files": [str(file) for file in written]})
        return
    for file in written:
        print(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


def pictures(found: templates.Templates, environment: Environment) -> dict[str, str]:
    """By file name without ending the SVG of the overview and of each stack."""
    graphs = [graph(found, stack, environment.name) for stack in found]
    return {
        "overview": overview_svg.draw(overview(found, environment.name, environment.region)),
        **{stack.lower(): svg for stack, svg in zip(found, graph_svg.draw(graphs), strict=True)},
    }


def write(drawn: Mapping[str, str], folder: Path) -> list[Path]:
    """Write each picture as SVG and PNG."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, svg in drawn.items():
            (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
            (folder / f"{name}.png").write_bytes(png(svg))
            written += [folder / f"{name}.svg", folder / f"{name}.png"]
    except OSError as error:
        raise OpsError(f"{folder}: cannot be written: {error.strerror}") from None
    return written
