"""The validation report of a synth with checks, as Markdown for the summary of a pull request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.errors import OpsError


def summary(reports: Sequence[Path]) -> str:
    """Open and acknowledged findings of each report; raises `OpsError` for a file that is no report."""
    lines = ["## Compliance", ""]
    for file in reports:
        lines += [f"### {file.stem}", "", *_lines(_read(file)), ""]
    return "\n".join(lines)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        document["pluginReports"]
    except OSError as error:
        raise OpsError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise OpsError(
            f"{file}: is no validation report; `make synth` writes cdk.out/validation-report.json"
        ) from None
    return dict(document)


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield "| check | conclusion | open | acknowledged |"
    yield "|---|---|---:|---:|"
    for plugin in report["pluginReports"]:
        opened, accepted = plugin.get("violations", []), plugin.get("suppressedViolations", [])
        yield f"| {plugin['pluginName']} | {plugin['conclusion']} | {len(opened)} | {len(accepted)} |"
    for title, key in (("Open", "violations"), ("Acknowledged", "suppressedViolations")):
        rows = [row for plugin in report["pluginReports"] for row in _rows(plugin.get(key, []))]
        if rows:
            yield ""
            yield f"<details><summary>{title}: {len(rows)}</summary>"
            yield ""
            yield "| rule | where | reason |"
            yield "|---|---|---|"
            yield from rows
            yield ""
            yield "</details>"


def _rows(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for finding in findings:
        where = ", ".join(each["constructPath"] for each in finding.get("violatingConstructs", []))
        reason = finding.get("reason") or finding.get("description", "")
        yield f"| {_cell(finding['ruleName'])} | {_cell(where)} | {_cell(reason)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
