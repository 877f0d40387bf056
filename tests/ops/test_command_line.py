"""What holds for every command: help with an example, the same options, one line for what is wrong."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import tomllib
from typing import Any

import pytest
from typer.testing import CliRunner

import settings
from ops.command_line import COMMANDS as ENTRIES
from ops.command_line import app
from ops.terminal.lazy import Entry, every
from tests.ops.conftest import Run
from tests.ops.platform import Platform


def commands() -> dict[str, Any]:
    """By its words, each command."""

    return {" ".join(words): command for words, command in every(app) if not hasattr(command, "commands")}


COMMANDS = commands()
# Those that change something on AWS, but for those that are a plan themselves.
CHANGING = (
    *("approve", "rollback", "scale", "migrate", "task run", "load"),
    *("drill kill-task", "drill kill-zone", "drill failover", "drill rollback"),
)
READING = ("status", "validate", "tasks", "logs", "listeners", "waf", "releases", "pipeline", "guard")


def options(name: str) -> set[str]:
    return {option for parameter in COMMANDS[name].params for option in parameter.opts}


def test_the_page_of_the_command_line_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.docs"],
        cwd=settings.ROOT,
        env={**os.environ, "GITHUB_ACTIONS": "true", "COLUMNS": "40", "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    written = (settings.ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert done.stdout == written, "run `make docs` and commit docs/cli.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_shows_an_example(name: str) -> None:
    text = inspect.cleandoc(COMMANDS[name].help or "")
    assert f"suppliers {name}" in text or f"python -m ops {name}" in text, text


@pytest.mark.parametrize("name", READING)
def test_what_reads_can_answer_in_json(name: str) -> None:
    assert "--json" in options(name)


@pytest.mark.parametrize("name", CHANGING)
def test_what_changes_can_be_tried_and_confirmed(name: str) -> None:
    assert {"--dry-run", "--yes"} <= options(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_environment_is_chosen_the_same_way_everywhere(name: str) -> None:
    found = [parameter for parameter in COMMANDS[name].params if "--env" in parameter.opts]
    # What is drawn or reckoned from templates alone starts from the environment that `cdk synth` does.
    expected = "dev" if name in ("cost", "diagram") else "local"
    assert [option.default for option in found] in ([expected], [])


def test_the_environment_can_be_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPPLIERS_ENV", "nope")
    with pytest.raises(settings.SettingsError, match="no environment 'nope'"):
        CliRunner().invoke(app, ["status"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("name", "section"), [("exec", "[access] exec = true"), ("scale", "[scaling] section")]
)
def test_help_names_sections_of_files_with_their_brackets(name: str, section: str) -> None:
    shown = " ".join(CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert section in shown


def test_the_installed_script_is_the_module() -> None:
    project = tomllib.loads((settings.ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"suppliers": "ops.__main__:main"}
    found = project["tool"]["setuptools"]["packages"]["find"]
    assert {"ops*", "emulator*", "delivery*", "settings*", "platform_constructs*"} == set(found["include"])


INTERRUPTED = """
import sys
MODULE = sys.argv.pop()
import builtins, os, signal
from ops.__main__ import main
original = builtins.__import__
def importing(name, *arguments, **more):
    if name == MODULE:
        os.kill(os.getpid(), signal.SIGINT)
    return original(name, *arguments, **more)
builtins.__import__ = importing
main()
"""


@pytest.mark.parametrize("module", ["ops.command_line", "ops.deployed"])
def test_who_interrupts_while_commands_are_imported_sees_no_traceback(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "status", module],
        cwd=settings.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["status", "--env", "nope"], 2, "env: there is no environment 'nope'; allowed: dev, local, prod"),
        (["logs", "customer", "--since", "soon"], 2, "--since: 'soon' is no duration"),
        (["scale", "customer"], 2, "Missing argument 'count'"),
        (["nothing"], 2, "No such command 'nothing'"),
        (["status", "--env", "local"], 1, "local: no emulator of this checkout answers on port 4999: `make deploy ENV=local`"),
        (["approve", "customer", "--env", "dev"], 1, "dev: no access to AWS: Unable to locate credentials. Sign in"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_and_an_exit_status(arguments: list[str], status: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        cwd=settings.ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            "EMULATOR_PORT": "4999",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if status == 1:
        assert done.stderr.count("\n") == 1


def test_an_answer_can_be_piped_on(run: Run) -> None:
    done = run(Platform().account(), "status", "--json")
    assert done.stdout.startswith("{")
    assert done.stderr == ""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_is_listed_is_what_the_command_says_of_itself(entry: Entry) -> None:
    told = entry.load().help
    assert entry.listed().help == told.partition("\n\n")[0]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["rollbak"]])
def test_no_command_is_imported_where_none_is_called(arguments: list[str]) -> None:
    program = f"import sys; sys.argv = ['suppliers', *{arguments}]\nfrom ops.__main__ import main\ntry: main()\nexcept SystemExit: pass\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=settings.ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "ops.command_line" in loaded
    assert not loaded & {"boto3", "aws_cdk", "settings", "httpx", "ops.service.status"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("suppliers st", {"status"}),
        ("suppliers dr", {"drill"}),
        ("suppliers drill kill-", {"kill-task", "kill-zone"}),
        ("suppliers status --env p", {"prod"}),
        ("suppliers logs em", {"employee"}),
    ],
)
def test_a_shell_completes_commands_environments_and_services(line: str, expected: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops"],
        cwd=settings.ROOT,
        env={
            **os.environ,
            "_SUPPLIERS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert set(done.stdout.split()) == expected
