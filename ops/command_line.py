"""The operator's command line: each command, in the order of `--help`, and the file that it is in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

import settings
from ops import errors
from ops.aws import refusals
from ops.aws.session import operating
from ops.compliance import acknowledgements as accepted
from ops.compliance import command as compliance_report
from ops.compliance import scanner as template_scanner
from ops.cost.command import cost
from ops.deployed import deployment as deployed
from ops.deployment import backup as backups
from ops.deployment import deploy as deployment
from ops.deployment import diff, inputs, leftovers
from ops.deployment import smoke as smoke_test
from ops.diagram.command import diagram
from ops.doctor.command import doctor
from ops.drill import commands as drill
from ops.errors import InterruptedWork, OpsError, WrongUsage
from ops.load import command as load
from ops.release import (
    approve,
    base_image,
    following,
    listeners,
    pipeline,
    release_again,
    releases,
    rollback,
    stateful,
)
from ops.release import guard as swap_guard
from ops.rights import command as rights
from ops.scaling import simulate
from ops.service import execute, logs, one_off, scale, status, tasks, validate, waf
from ops.terminal.options import AsJson, Env, Rehearse, Yes

# The panels of `--help`, in their order.
DEPLOY = "Deploy"
PLAN = "Look before you deploy"
LOOK = "Look"
RELEASE = "Release"
OPERATE = "Operate"
MEASURE = "Measure and drill"
MAINTAIN = "For those who change this project"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Run the platform, on AWS and on the emulator alike.\n\n"
    "Each command works on one environment, a file in environments/: --env dev. Without --env it is "
    "`local`, the emulator on this machine.\n\n"
    "Exit status: 0 done; 1 something is wrong or was refused, told in one line; 2 the command line is wrong; "
    "3 all was looked at and something does not hold. `exec`, `migrate` and `task run` pass on that of the "
    "program they run.",
)
Lose = Annotated[
    list[str],
    typer.Option(
        "--lose",
        metavar="STACK/ID",
        help="What may be replaced or removed though it keeps data, such as data/Database*; repeatable.",
    ),
]


@app.command(rich_help_panel=DEPLOY)
def deploy(
    env: Env = "local",
    rehearse: Annotated[
        bool, typer.Option(help="Deploy the environment's exact templates to the emulator, not to AWS.")
    ] = False,
    lose: Lose = [],  # noqa: B006 (typer makes a list of its own for each run)
    service: Annotated[
        str | None, typer.Option(metavar="NAME", help="Deploy the stack of this service alone.")
    ] = None,
    ship_checkout: Annotated[
        bool,
        typer.Option(
            "--ship-checkout", help="Ship the code of this checkout over what a pipeline has released."
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Deploy an environment, prepare its database and smoke-test it.

    What a pipeline has released stays; settings are deployed with it.

    Example: python -m ops deploy --env dev --service customer
    """
    deployment.deploy(
        settings.load(env),
        rehearse=rehearse,
        console=Console(),
        accepted=lose,
        wanted=deployment.Wanted(service=service, ship_checkout=ship_checkout),
        yes=yes,
    )


@app.command(rich_help_panel=DEPLOY)
def destroy(env: Env = "local", yes: Yes = False) -> None:
    """Remove an environment; `local` removes everything the emulator made, rehearsals included.

    Example: python -m ops destroy --env local
    """
    deployment.destroy(settings.load(env), console=Console(), yes=yes)


@app.command(rich_help_panel=DEPLOY)
def smoke(env: Env = "local", rehearse: Rehearse = False) -> None:
    """Check that a deployed environment answers as it should.

    Example: python -m ops smoke --env dev
    """
    with operating(env, rehearse=rehearse, checkout=True) as session:
        endpoint = deployed.endpoint(deployed.read(session), session.instance)
        smoke_test.run(endpoint, session.environment, detail=session.console.print)


def guard(
    env: Env = "local",
    template: Annotated[
        Path | None,
        typer.Option(
            show_default="those of all stacks with services or rules in cdk.out",
            help="Only this template of a synth, with the others beside it.",
        ),
    ] = None,
    rehearse: Rehearse = False,
    as_json: AsJson = False,
    lose: Lose = [],  # noqa: B006
) -> None:
    """Refuse templates that would undo a release or lose data: exit status 1, what is live, what would be, remedy.

    Example: python -m ops guard --env dev
    """
    environment = settings.load(env)
    clients = deployment.clients(environment, rehearse=rehearse)
    assembly = (template or swap_guard.TEMPLATE).parent
    compared = [template] if template else swap_guard.templates(assembly, env)
    plans = swap_guard.check_all(clients, environment, compared)
    beside = assembly / swap_guard.TEMPLATE.name
    lost = stateful.check(clients, environment, beside, accepted=lose)
    leaving, behind = inputs.check(clients, environment, beside)
    if as_json:
        print(swap_guard.as_json(plans, lost))
    else:
        told = [
            *(inputs.advice(env, each) for each in leaving),
            *(inputs.behind(env, each) for each in behind),
            *(leftovers.notice(each, environment) for each in leftovers.stacks_left(clients, environment)),
        ]
        safe = (line for plan in plans for line in swap_guard.report(plan))
        print(*safe, *stateful.report(lost, environment), *told, sep="\n")
    if any(plan.is_refused for plan in plans) or lost or leaving:
        raise typer.Exit(errors.WRONG)


def release_record(
    env: Env = "local",
    template: Annotated[
        Path,
        typer.Option(
            show_default="cdk.out/Compute.template.json",
            help="The Compute template of a synth, which wrote the others beside it.",
        ),
    ] = swap_guard.TEMPLATE,
    lose: Lose = [],  # noqa: B006
) -> None:
    """Record what a release keeps, for the test that refuses to lose it: `make record` synthesizes first.

    Example: python -m ops release-record --env prod
    """
    environment = settings.load(env)
    changed = stateful.release(env, stateful.synthesized(environment, template), accepted=lose)
    print(f"{env}: {'recorded' if changed else 'as recorded'}")


@app.command(rich_help_panel=OPERATE)
def backup(env: Env = "local", rehearse: Rehearse = False) -> None:
    """Back the database up: a snapshot on AWS, a dump of the emulator's server; prints its name.

    Example: python -m ops backup --env prod
    """
    with operating(env, rehearse=rehearse) as session:
        print(backups.back_up(session))


@app.command(rich_help_panel=OPERATE)
def restore(
    file: Annotated[Path, typer.Argument(help="A dump that `backup` wrote.")],
    env: Env = "local",
    rehearse: Rehearse = False,
    yes: Yes = False,
) -> None:
    """Make the emulator's database what it was, after a backup of what it is; on AWS: docs/restore.md.

    Example: python -m ops restore .local/backups/local-20261122-101500.sql
    """
    with operating(env, rehearse=rehearse) as session:
        before = backups.restore(session, file, yes=yes)
        print(f"{env}: restored from {file}; what it held before is in {before}")


def pin_base() -> None:
    """Pin the base image of the services to the digest that the registry answers now.

    Example: python -m ops pin-base
    """
    print(base_image.pin())


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


app.command("diff", rich_help_panel=PLAN)(diff.command)
app.command("simulate", rich_help_panel=PLAN)(simulate.command)
app.command("status", rich_help_panel=LOOK)(status.command)
app.command("validate", rich_help_panel=LOOK)(validate.command)
app.command("tasks", rich_help_panel=LOOK)(tasks.command)
app.command("logs", rich_help_panel=LOOK)(logs.command)
app.command("listeners", rich_help_panel=LOOK)(listeners.command)
app.command("waf", rich_help_panel=LOOK)(waf.command)
app.command("rights", rich_help_panel=LOOK)(rights.command)
app.command("releases", rich_help_panel=RELEASE)(releases.command)
app.command("approve", rich_help_panel=RELEASE)(approve.command)
app.command("pipeline", rich_help_panel=RELEASE)(pipeline.command)
app.command("rollback", rich_help_panel=RELEASE)(rollback.command)
app.command("scale", rich_help_panel=OPERATE)(scale.command)
app.command("exec", rich_help_panel=OPERATE)(execute.command)
app.command("migrate", rich_help_panel=OPERATE)(one_off.migrate)

release = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Follow releases, or release once more."
)
release.command("watch")(following.watch)
release.command("again")(release_again.command)
app.add_typer(release, name="release", rich_help_panel=RELEASE)

task = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Run one-off tasks.")
task.command("run")(one_off.run_command)
app.add_typer(task, name="task", rich_help_panel=OPERATE)
app.command("load", rich_help_panel=MEASURE)(load.command)
app.add_typer(drill.app, name="drill", rich_help_panel=MEASURE)

app.command(rich_help_panel=PLAN)(doctor)
app.command(rich_help_panel=PLAN)(cost)
app.command(rich_help_panel=PLAN)(diagram)

app.command(rich_help_panel=MAINTAIN)(guard)
app.command("release-record", rich_help_panel=MAINTAIN)(release_record)
app.command("pin-base", rich_help_panel=MAINTAIN)(pin_base)
app.command(rich_help_panel=MAINTAIN)(compliance)
app.command(rich_help_panel=MAINTAIN)(acknowledgements)
app.command(rich_help_panel=MAINTAIN)(scanner)


def run() -> None:
    """Run the command line; what is wrong is told in one line, with exit status 1, or 2 where it is the line itself."""
    try:
        app(prog_name="suppliers")
    except InterruptedWork as error:
        print(error, file=sys.stderr)
        sys.exit(errors.INTERRUPTED)
    except (WrongUsage, settings.UnknownEnvironment) as error:
        print(error, file=sys.stderr)
        sys.exit(errors.WRONG_USAGE)
    except (OpsError, settings.SettingsError) as error:
        print(error, file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(refusals.explain(error, "AWS"), file=sys.stderr)
    sys.exit(errors.WRONG)
