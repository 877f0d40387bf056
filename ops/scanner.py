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


def scan(assembly: Path) -> Scan:
    """Evaluate the templates with their skips and without; raises `OpsError` when that is not possible."""
    templates = sorted(assembly.glob("*.template.json"))
    if not templates:
        raise OpsError(f"{assembly}: has no templates; `make synth` makes an assembly")
    with tempfile.TemporaryDirectory() as scratch:
        declared, bare = Path(scratch, "declared"), Path(scratch, "bare")
        declared.mkdir()
        bare.mkdir()
        for template in templates:
            shutil.copy(template, declared)
            (bare / template.name).write_text(json.dumps(_without_skips(json.loads(template.read_text()))))
        results = _run(install(), Path(scratch))
    return Scan(
        open=tuple(sorted(_names(results["failed_checks"], "declared"))),
        needless=tuple(
            sorted(_names(results["skipped_checks"], "declared") - _names(results["failed_checks"], "bare"))
        ),
    )


def _without_skips(template: dict[str, Any]) -> dict[str, Any]:
    for resource in template["Resources"].values():
        resource.get("Metadata", {}).pop("checkov", None)
    return template


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


def _names(findings: Iterable[Mapping[str, Any]], folder: str) -> set[str]:
    return {
        f"{each['check_id']}: {Path(each['file_path']).name}: {each['resource'].rpartition('.')[2]}"
        for each in findings
        if Path(each["file_path"]).parent.name == folder
    }
