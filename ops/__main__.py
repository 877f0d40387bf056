"""`python -m ops`: the operator's command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import settings
from ops import compliance as compliance_report
from ops import deploy as deployment
from ops import guard as swap_guard
from ops import load_curve
from ops import simulate as simulation
from ops import smoke as smoke_test
from ops.errors import OpsError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Run the platform."
)
Env = Annotated[str, typer.Option("--env", help="The environment: a file in environments/.")]


@app.command()
def deploy(
    env: Env = "local",
    rehearse: Annotated[
        bool, typer.Option(help="Deploy the environment's exact templates to the emulator, not to AWS.")
    ] = False,
) -> None:
    """Deploy an environment, prepare its database and smoke-test it.

    Example: python -m ops deploy --env dev
    """
    deployment.deploy(settings.load(env), rehearse=rehearse, console=Console())


@app.command()
def destroy(env: Env = "local") -> None:
    """Remove an environment; `local` removes everything the emulator made, rehearsals included.

    Example: python -m ops destroy --env local
    """
    deployment.destroy(settings.load(env), console=Console())


@app.command()
def smoke(env: Env = "local") -> None:
    """Check that a deployed environment answers as it should.

    Example: python -m ops smoke --env dev
    """
    environment = settings.load(env)
    endpoint = deployment.endpoint(environment)
    smoke_test.run(endpoint, environment.access.admin_cidrs, detail=Console().print)


@app.command()
def guard(
    env: Env = "local",
    template: Annotated[
        Path, typer.Option(help="The Compute template about to be deployed, as a synth wrote it.")
    ] = swap_guard.TEMPLATE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Refuse a template that would undo a release: exit status 1, with rule, live side, template side, remedy.

    Example: python -m ops guard --env dev
    """
    environment = settings.load(env)
    plan = swap_guard.check(deployment.clients(environment), environment, template)
    if as_json:
        print(swap_guard.as_json(plan))
    else:
        print(*swap_guard.report(plan), sep="\n")
    if plan.refused or plan.switches:
        raise typer.Exit(1)


@app.command()
def simulate(
    curve: Annotated[
        str, typer.Option(help=f"A CSV file, or one of {', '.join(load_curve.names())} (docs/scaling.md).")
    ],
    env: Env = "local",
    service: Annotated[
        str | None, typer.Option(help="Whose policies; without it those of the first service.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also draw a picture (PNG) into this file.")] = None,
    start: Annotated[
        str, typer.Option(help="When the curve begins, which matters for schedules; UTC if it says no zone.")
    ] = "2026-01-05T00:00",
    template: Annotated[
        Path | None, typer.Option(help="A Compute template that a synth wrote, instead of a new one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show how a service would scale under a load, from the policies and alarms of its template.

    Example: python -m ops simulate --curve spike --env prod --out spike.png
    """
    environment = settings.load(env)
    load = load_curve.load(curve)
    begin = simulation.moment(start)
    source = simulation.template_from(template) if template else simulation.template_of(environment)
    found = simulation.run(source, load, start=begin, service=service)
    if as_json:
        print(simulation.as_json(found))
    else:
        console = Console()
        print(*simulation.summary(found), sep="\n")
        console.print(simulation.terminal(found, console.width))
    if out:
        simulation.draw(found, out)


@app.command()
def compliance(
    reports: Annotated[
        list[Path], typer.Argument(help="Validation reports, such as cdk.out/validation-report.json.")
    ],
) -> None:
    """Print what the checks of a synth found, as Markdown.

    Example: python -m ops compliance cdk.out/validation-report.json
    """
    print(compliance_report.summary(reports))


def main() -> None:
    """Run the command line; what is wrong is told in one line, with exit status 1."""
    try:
        app()
    except (OpsError, settings.SettingsError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
