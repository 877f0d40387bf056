"""Findings that were accepted with a reason, read from the assemblies of checked synths.

What is counted: distinct rules of cdk-nag's packs, by their id without the pack and without the part in brackets that
says which action or resource is meant; a rule that several packs share under one name counts once.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import OpsError
from ops.synthesis import cdk
from settings import ROOT

DOCUMENT = ROOT / "docs" / "acknowledgements.md"
ENVIRONMENTS = ("dev", "prod")
RULES_LIMIT = 25

_METADATA = "aws:cdk:acknowledged-rules"
_PACKS = {
    "AwsSolutions": "AwsSolutions",
    "NIST.800.53.R5": "NIST 800-53",
    "PCI.DSS.321": "PCI DSS",
    "HIPAA.Security": "HIPAA",
}
_CHECKOV = "checkov"


@dataclass(frozen=True, order=True)
class Acknowledgement:
    """One accepted finding: what rule of which tool, at which construct, and why that is safe there."""

    rule: str
    where: str
    tool: str
    reason: str


def write(detail: Callable[[str], None] = print) -> Path:
    """Write the document anew from synths of its environments; raises `OpsError` when one has open findings."""
    with tempfile.TemporaryDirectory() as scratch:
        by_environment = {}
        for name in ENVIRONMENTS:
            detail(f"synthesizing {name} with its checks")
            assembly = Path(scratch, name)
            cdk.run(
                ["synth", "--quiet", "--output", str(assembly), "-c", f"env={name}", "-c", "checks=true"],
                environment=os.environ,
                detail=detail,
            )
            by_environment[name] = found(assembly)
    DOCUMENT.write_text(document(by_environment), encoding="utf-8")
    return DOCUMENT


def found(assembly: Path) -> list[Acknowledgement]:
    """The accepted findings of a checked synth; raises `OpsError` for a folder that is none."""
    return sorted(
        {*_from_report(_json(assembly / "validation-report.json")), *_from_templates(assembly)},
    )


def rules(acknowledgements: Sequence[Acknowledgement]) -> set[str]:
    """The distinct rules of cdk-nag's packs among them."""
    packs = set(_PACKS.values())
    return {each.rule.partition("[")[0] for each in acknowledgements if each.tool in packs}


def without_finding(assembly: Path) -> list[str]:
    """Acknowledgements that no finding of any pack needs, as `construct: rule`."""
    report = _json(assembly / "validation-report.json")
    needed = {
        (finding["acknowledgedAt"], _split(finding["acknowledgedId"])[1])
        for plugin in report["pluginReports"]
        for finding in plugin.get("suppressedViolations", [])
    }
    written = {
        (path.removeprefix("/"), _split(rule)[1])
        for file in sorted(assembly.glob("*.metadata.json"))
        for path, entries in _json(file).items()
        for entry in entries
        if entry["type"] == _METADATA
        for rule in entry["data"]
        if _split(rule)[0] in _PACKS
    }
    return sorted(f"{path}: {rule}" for path, rule in written - needed)


def document(by_environment: Mapping[str, Sequence[Acknowledgement]]) -> str:
    """The Markdown that is kept with the sources, so that a new acknowledgement shows in review."""
    rows: dict[tuple[str, str, str], tuple[set[str], set[str]]] = {}
    for environment, acknowledgements in by_environment.items():
        for each in acknowledgements:
            tools, environments = rows.setdefault((each.rule, each.where, each.reason), (set(), set()))
            tools.add(each.tool)
            environments.add(environment)
    counts = [
        f"| {environment} | {len(rules(acknowledgements))} | {len(acknowledgements)} |"
        for environment, acknowledgements in by_environment.items()
    ]
    return "\n".join(
        [
            "# Acknowledged findings",
            "",
            "Written by `make acknowledgements` from the checked synths; the tests compare it. Each reason stands in the",
            "code, beside what causes the finding.",
            "",
            f"Rules are those of the four packs of cdk-nag, counted once whatever pack finds them; at most {RULES_LIMIT} in "
            "an environment.",
            "",
            "| environment | rules | findings, of all tools |",
            "|---|---:|---:|",
            *counts,
            "",
            "| rule | found by | construct | environments | why it is safe there |",
            "|---|---|---|---|---|",
            *(
                f"| {_cell(rule)} | {', '.join(sorted(tools))} | {_cell(where)} | {', '.join(sorted(environments))} "
                f"| {_cell(reason)} |"
                for (rule, where, reason), (tools, environments) in sorted(rows.items())
            ),
            "",
        ]
    )


def _from_report(report: Mapping[str, Any]) -> Iterator[Acknowledgement]:
    for plugin in report["pluginReports"]:
        for finding in plugin.get("suppressedViolations", []):
            pack, rule = _split(finding["acknowledgedId"])
            for construct in finding["violatingConstructs"]:
                yield Acknowledgement(
                    rule,
                    construct["constructPath"],
                    str(_PACKS.get(pack, plugin["pluginName"])),
                    finding["reason"],
                )


def _from_templates(assembly: Path) -> Iterator[Acknowledgement]:
    for file in sorted(assembly.glob("*.template.json")):
        for resource in _json(file)["Resources"].values():
            metadata = resource.get("Metadata", {})
            for skip in metadata.get(_CHECKOV, {}).get("skip", []):
                yield Acknowledgement(skip["id"], metadata["aws:cdk:path"], _CHECKOV, skip["comment"])


def _split(identifier: str) -> tuple[str, str]:
    pack, _, rule = identifier.partition("::")
    return pack, rule.removeprefix(f"{pack}-")


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise OpsError(f"{file}: cannot be read: {error.strerror}; `make synth` makes an assembly") from None
    except ValueError:
        raise OpsError(f"{file}: is not JSON; `make synth` makes an assembly") from None


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")
