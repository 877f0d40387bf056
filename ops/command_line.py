"""The operator's command line: each command, in the order of `--help`, and where it is."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer

from ops import errors
from ops.errors import InterruptedWork, OpsError, WrongUsage
from ops.terminal.lazy import Entry, group

# The panels of `--help`, in their order.
DEPLOY = "Deploy"
PLAN = "Look before you deploy"
LOOK = "Look"
RELEASE = "Release"
OPERATE = "Operate"
MEASURE = "Measure and drill"
MAINTAIN = "For those who change this project"

release = group(
    [
        Entry("watch", "ops.release.following:watch"),
        Entry("again", "ops.release.release_again:command"),
    ],
    help="Follow releases, or release once more.",
)
task = group([Entry("run", "ops.service.one_off:run_command")], help="Run one-off tasks.")

env = group(
    [
        Entry("show", "ops.synthesis.environments:shown"),
        Entry("list", "ops.synthesis.environments:listed"),
    ],
    help="The environments and their settings.",
)
secrets = group(
    [Entry("list", "ops.service.secrets:listed"), Entry("rotate", "ops.service.secrets:rotate")],
    help="The secrets: when they were changed, read and rotated; never what they hold.",
)

COMMANDS = (
    Entry("deploy", "ops.deployment.commands:deploy", DEPLOY),
    Entry("destroy", "ops.deployment.commands:destroy", DEPLOY),
    Entry("smoke", "ops.deployment.commands:smoke", DEPLOY),
    Entry("diff", "ops.deployment.diff:command", PLAN),
    Entry("env", "ops.command_line:env", PLAN, str(env.info.help)),
    Entry("simulate", "ops.scaling.simulate:command", PLAN),
    Entry("doctor", "ops.doctor.command:doctor", PLAN),
    Entry("cost", "ops.cost.command:cost", PLAN),
    Entry("diagram", "ops.diagram.command:diagram", PLAN),
    Entry("status", "ops.service.status:command", LOOK),
    Entry("validate", "ops.service.validate:command", LOOK),
    Entry("tasks", "ops.service.tasks:command", LOOK),
    Entry("logs", "ops.service.logs:command", LOOK),
    Entry("listeners", "ops.release.listeners:command", LOOK),
    Entry("alarms", "ops.service.alarms:command", LOOK),
    Entry("waf", "ops.service.waf:command", LOOK),
    Entry("rights", "ops.rights.command:command", LOOK),
    Entry("releases", "ops.release.releases:command", RELEASE),
    Entry("approve", "ops.release.approve:command", RELEASE),
    Entry("pipeline", "ops.release.pipeline:command", RELEASE),
    Entry("rollback", "ops.release.rollback:command", RELEASE),
    Entry("release", "ops.command_line:release", RELEASE, str(release.info.help)),
    Entry("scale", "ops.service.scale:command", OPERATE),
    Entry("exec", "ops.service.execute:command", OPERATE),
    Entry("migrate", "ops.service.one_off:migrate", OPERATE),
    Entry("task", "ops.command_line:task", OPERATE, str(task.info.help)),
    Entry("secrets", "ops.command_line:secrets", OPERATE, str(secrets.info.help)),
    Entry("backups", "ops.deployment.backups:command", OPERATE),
    Entry("backup", "ops.deployment.commands:backup", OPERATE),
    Entry("restore", "ops.deployment.commands:restore", OPERATE),
    Entry("load", "ops.load.command:command", MEASURE),
    Entry("drill", "ops.drill.commands:app", MEASURE, "Make a failure and measure what users notice of it."),
    Entry("guard", "ops.deployment.maintenance:guard", MAINTAIN),
    Entry("release-record", "ops.deployment.maintenance:release_record", MAINTAIN),
    Entry("pin-base", "ops.deployment.maintenance:pin_base", MAINTAIN),
    Entry("compliance", "ops.compliance.commands:compliance", MAINTAIN),
    Entry("acknowledgements", "ops.compliance.commands:acknowledgements", MAINTAIN),
    Entry("scanner", "ops.compliance.commands:scanner", MAINTAIN),
)

app = group(
    COMMANDS,
    help="Run the platform, on AWS and on the emulator alike.\n\n"
    "Each command works on one environment, a file in environments/: --env dev. Without --env it is "
    "`local`, the emulator on this machine.\n\n"
    "Exit status: 0 done; 1 something is wrong or was refused, told in one line; 2 the command line is wrong; "
    "3 all was looked at and something does not hold. `exec`, `migrate` and `task run` pass on that of the "
    "program they run.",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"suppliers {importlib.metadata.version('platform-constructs')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version.")
    ] = False,
) -> None:
    """The options that stand before a command."""


def run() -> None:
    """Run the command line; what is wrong is told in one line, with exit status 1, or 2 where it is the line itself."""
    try:
        app(prog_name="suppliers")
    except Exception as error:
        status = _status(error)
        if status is None:
            raise
        sys.exit(status)


def _status(error: Exception) -> int | None:
    """The exit status of what is told to people, once it is told; None for anything else."""
    # Imported by whatever raised it: only some commands need these libraries.
    from botocore.exceptions import BotoCoreError, ClientError

    import settings
    from ops.aws import refusals

    if isinstance(error, BotoCoreError | ClientError):
        print(refusals.explain(error, "AWS"), file=sys.stderr)
        return errors.WRONG
    if not isinstance(error, OpsError | settings.SettingsError):
        return None
    print(error, file=sys.stderr)
    match error:
        case InterruptedWork():
            return errors.INTERRUPTED
        case WrongUsage() | settings.UnknownEnvironment():
            return errors.WRONG_USAGE
    return errors.WRONG
