"""Checkov over the templates of an assembly: what is open, and what is skipped without need."""

from __future__ import annotations

import json
import os
import shutil
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
    """Evaluate the templates with their skips and without; raises `OpsError` when that is not possible."""
    with tempfile.TemporaryDirectory() as scratch:
        for number, assembly in enumerate(assemblies):
            templates = sorted(assembly.glob("*.template.json"))
            if not templates:
                raise OpsError(f"{assembly}: has no templates; `make synth` makes an assembly")
            declared, bare = (Path(scratch, part, str(number)) for part in ("declared", "bare"))
            declared.mkdir(parents=True)
            bare.mkdir(parents=True)
            for template in templates:
                shutil.copy(template, declared)
                content, skips = _without_skips(json.loads(template.read_text()))
                if skips:
                    (bare / template.name).write_text(json.dumps(content))
        results = _run(install(), Path(scratch))
    skipped = _names(results["skipped_checks"], "declared") - _names(results["failed_checks"], "bare")
    return Scan(
        open=tuple(sorted({name for _, name in _names(results["failed_checks"], "declared")})),
        needless=tuple(sorted({name for _, name in skipped})),
    )


def _without_skips(template: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The template as Checkov sees all of it, and whether it had skips."""
    skips = [resource.get("Metadata", {}).pop("checkov", None) for resource in template["Resources"].values()]
    return template, any(skips)


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


def _names(findings: Iterable[Mapping[str, Any]], folder: str) -> set[tuple[str, str]]:
    """Findings below a folder, each with the number of its assembly."""
    paths = ((each, Path(each["file_path"])) for each in findings)
    return {
        (path.parent.name, f"{each['check_id']}: {path.name}: {each['resource'].rpartition('.')[2]}")
        for each, path in paths
        if path.parent.parent.name == folder
    }
