"""Checkov over the templates of an assembly: what is open, and what is skipped without need."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator import virtualenv
from emulator.errors import EmulatorError
from ops.errors import OpsError
from settings import ROOT

_REQUIREMENTS = ROOT / "requirements-checkov.txt"
_FOLDER = ROOT / ".local" / "venv-checkov"
_TIME_LIMIT_SECONDS = 240


# Number of the assembly, rule, template, resource.
Finding = tuple[str, str, str, str]


@dataclass(frozen=True)
class Scan:
    """Findings as `rule: template: resource`; both empty when all is well."""

    open: tuple[str, ...]
    needless: tuple[str, ...]
    """Skipped in the code, while nothing would be found."""


def install(say: Callable[[str], None] = print) -> Path:
    """The Python of Checkov's own environment, made when it is missing or other versions are pinned.

    Raises `OpsError` when it cannot be made.
    """
    try:
        return virtualenv.ensure(_FOLDER, _REQUIREMENTS, owner="scanner", say=say)
    except EmulatorError as error:
        raise OpsError(str(error)) from None


def scan(*assemblies: Path) -> Scan:
    """Evaluate the templates as if they skipped nothing, and hold their skips against it.

    Checkov skips what a resource's metadata names, so that one evaluation tells both. Raises `OpsError` when it is not
    possible.
    """
    skips: set[Finding] = set()
    with tempfile.TemporaryDirectory() as scratch:
        for number, assembly in enumerate(assemblies):
            templates = sorted(assembly.glob("*.template.json"))
            if not templates:
                raise OpsError(f"{assembly}: has no templates; `make synth` makes an assembly")
            folder = Path(scratch, str(number))
            folder.mkdir()
            for template in templates:
                content = json.loads(template.read_text())
                for name, resource in content["Resources"].items():
                    written = resource.get("Metadata", {}).pop("checkov", {}).get("skip", [])
                    skips |= {(str(number), each["id"], template.name, name) for each in written}
                (folder / template.name).write_text(json.dumps(content))
        found = {_finding(each) for each in _run(install(), Path(scratch))["failed_checks"]}
    return Scan(open=_names(found - skips), needless=_names(skips - found))


def _run(python: Path, folder: Path) -> Mapping[str, list[Mapping[str, Any]]]:
    command = [
        *(str(python.with_name("checkov")), "--directory", str(folder)),
        *("--framework", "cloudformation", "--output", "json", "--compact", "--soft-fail"),
        # Nothing of it needs the vendor's service.
        "--skip-download",
    ]
    done = subprocess.run(
        command,
        cwd=_FOLDER,
        env={"PATH": os.defpath, "HOME": str(_FOLDER), "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_SECONDS,
        check=False,
    )
    try:
        return dict(json.loads(done.stdout)["results"])
    except (ValueError, KeyError, TypeError):
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise OpsError(f"checkov: exit status {done.returncode}: {last[0]}") from None


def _finding(written: Mapping[str, Any]) -> Finding:
    path = Path(written["file_path"])
    return path.parent.name, written["check_id"], path.name, written["resource"].rpartition(".")[2]


def _names(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(sorted({": ".join(each[1:]) for each in findings}))
