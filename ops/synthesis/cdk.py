"""Running the CDK CLI: its whole output goes to a log, what matters of it to the progress display."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops.errors import OpsError
from settings import ROOT

_CLI = ROOT / "node_modules" / ".bin" / "cdk"
LOG = ROOT / ".local" / "cdk.log"
_ERROR_LINES = 25
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# What the CLI says that a person waits for, and how it is passed on.
_NEWS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"^\S+: +start: Building (?P<image>[a-z][a-z0-9-]*)$"), "building image {image}"),
    (
        re.compile(r"^(?P<stack>\S+) .*: deploying\.\.\. \[(?P<position>\d+)/(?P<total>\d+)\]"),
        "{stack}: deploying ({position} of {total})",
    ),
    (re.compile(r"^ *✅  (?P<stack>[A-Z]\w*) .*\(no changes\)"), "{stack}: no changes"),
    (re.compile(r"^ *✅  (?P<stack>[A-Z]\w*) .*: destroyed"), "{stack}: destroyed"),
    (re.compile(r"^ *✅  (?P<stack>[A-Z]\w*) "), "{stack}: deployed"),
    (re.compile(r"^ *❌  (?P<stack>\S+) failed"), "{stack}: failed"),
)


def run(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    detail: Callable[[str], None],
    synthesize: bool = True,
) -> None:
    """Run `cdk` with `arguments`; without `synthesize`, where it finds no app to run first.

    Raises `OpsError` with the end of the output when it fails.
    """
    if not _CLI.exists():
        raise OpsError("the CDK CLI is not installed: run `make setup`")
    LOG.parent.mkdir(exist_ok=True)
    end: deque[str] = deque(maxlen=_ERROR_LINES)
    with (
        LOG.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            [str(_CLI), *arguments],
            cwd=ROOT if synthesize else LOG.parent,
            env=_with_tools(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stdout or ():
            log.write(line)
            plain = _COLOURS.sub("", line).rstrip()
            if plain:
                end.append(plain)
            news = _news(plain)
            if news:
                detail(news)
    if process.returncode:
        raise OpsError(
            "\n".join([*end, f"cdk {arguments[0]} failed; everything it said is in {LOG.relative_to(ROOT)}"])
        )


def show(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run `cdk` with `arguments`, its output on the terminal, and answer its exit status."""
    if not _CLI.exists():
        raise OpsError("the CDK CLI is not installed: run `make setup`")
    variables = _with_tools(os.environ if environment is None else environment)
    if "NO_COLOR" not in os.environ and sys.stdout.isatty():
        del variables["NO_COLOR"]
    return subprocess.run([str(_CLI), *arguments], cwd=ROOT, env=variables, check=False).returncode


def _news(line: str) -> str | None:
    for pattern, text in _NEWS:
        found = pattern.match(line)
        if found:
            return text.format(**found.groupdict())
    return None


def _with_tools(environment: Mapping[str, str]) -> dict[str, str]:
    # The interpreter that this runs with, and the node beside it.
    path = os.pathsep.join((str(Path(sys.executable).parent), environment.get("PATH", os.defpath)))
    return {**environment, "PATH": path, "NO_COLOR": "1"}
