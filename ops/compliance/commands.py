"""The commands about findings and those that were accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import settings
from ops.compliance import acknowledgements as accepted
from ops.compliance import command as compliance_report
from ops.compliance import scanner as template_scanner


def compliance(
    reports: Annotated[
        list[Path], typer.Argument(help="Validation reports, such as cdk.out/validation-report.json.")
    ],
) -> None:
    """Print what the checks of a synth found, as Markdown.

    Example: python -m ops compliance cdk.out/validation-report.json
    """
    print(compliance_report.summary(reports))


def acknowledgements() -> None:
    """Write docs/acknowledgements.md anew: every finding that was accepted in dev or prod, and why.

    Example: python -m ops acknowledgements
    """
    print(f"wrote {accepted.write().relative_to(settings.ROOT)}")


def scanner(
    assembly: Annotated[
        Path | None,
        typer.Argument(help="An assembly, such as cdk.out; without one Checkov is only installed."),
    ] = None,
) -> None:
    """Evaluate the templates of a synth with Checkov: exit status 1 and a line each for what it finds.

    Example: python -m ops scanner cdk.out
    """
    if assembly is None:
        template_scanner.install()
        return
    result = template_scanner.scan(assembly)
    print(
        *(f"open: {each}" for each in result.open),
        *(f"skipped without need: {each}" for each in result.needless),
        sep="\n",
    )
    if result.open or result.needless:
        raise typer.Exit(1)
