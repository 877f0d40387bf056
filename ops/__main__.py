"""`python -m ops`: the operator's command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import settings
from ops import acknowledgements as accepted
from ops import compliance as compliance_report
from ops import deploy as deployment
from ops import guard as swap_guard
from ops import scanner as template_scanner
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
    smoke_test.run(endpoint, environment.access, detail=Console().print)


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
def compliance(
    reports: Annotated[
        list[Path], typer.Argument(help="Validation reports, such as cdk.out/validation-report.json.")
    ],
) -> None:
    """Print what the checks of a synth found, as Markdown.

    Example: python -m ops compliance cdk.out/validation-report.json
    """
    print(compliance_report.summary(reports))


@app.command()
def acknowledgements() -> None:
    """Write docs/acknowledgements.md anew: every finding that was accepted in dev or prod, and why.

    Example: python -m ops acknowledgements
    """
    print(f"wrote {accepted.write().relative_to(settings.ROOT)}")


@app.command()
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


def main() -> None:
    """Run the command line; what is wrong is told in one line, with exit status 1."""
    try:
        app()
    except (OpsError, settings.SettingsError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
