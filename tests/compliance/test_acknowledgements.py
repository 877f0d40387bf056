"""Every accepted finding is needed, listed for review, and one of few."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops.compliance import acknowledgements, scanner
from ops.errors import OpsError
from tests.compliance.conftest import Assembly
from tests.conftest import ENVIRONMENTS


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_acknowledgement_meets_a_finding(assembly: Assembly, name: str) -> None:
    assert acknowledgements.without_finding(assembly(name)) == []


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_few_rules_are_acknowledged(assembly: Assembly, name: str) -> None:
    rules = acknowledgements.rules(acknowledgements.found(assembly(name)))
    assert len(rules) <= acknowledgements.RULES_LIMIT, sorted(rules)


def test_the_list_for_review_is_what_the_synths_found(assembly: Assembly) -> None:
    found = {name: acknowledgements.found(assembly(name)) for name in acknowledgements.ENVIRONMENTS}
    listed = acknowledgements.DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert acknowledgements.document(found).splitlines() == listed, "run `make acknowledgements`"


def _assembly(folder: Path, *, needed: bool) -> Path:
    identifier = "AwsSolutions::AwsSolutions-S1"
    finding = {
        "ruleName": "AwsSolutions-S1",
        "violatingConstructs": [{"constructPath": "Data/Bucket/Resource"}],
        "acknowledgedId": identifier,
        "acknowledgedAt": "Data/Bucket",
        "reason": "the end of | the chain",
    }
    plugin = {"pluginName": "AwsSolutions", "suppressedViolations": [finding] if needed else []}
    metadata = {"/Data/Bucket": [{"type": "aws:cdk:acknowledged-rules", "data": {identifier: "why"}}]}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Metadata": {
            "aws:cdk:path": "Data/Bucket/Resource",
            "checkov": {"skip": [{"id": "CKV_AWS_18", "comment": "the end"}]},
        },
    }
    files: dict[str, Any] = {
        "validation-report.json": {"pluginReports": [plugin]},
        "Data.metadata.json": metadata,
        "Data.template.json": {"Resources": {"Bucket": bucket}},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def test_an_acknowledgement_without_a_finding_is_named(tmp_path: Path) -> None:
    assert acknowledgements.without_finding(_assembly(tmp_path, needed=False)) == ["Data/Bucket: S1"]
    assert acknowledgements.without_finding(_assembly(tmp_path, needed=True)) == []


def test_the_list_names_rule_tool_construct_environment_and_reason(tmp_path: Path) -> None:
    found = acknowledgements.found(_assembly(tmp_path, needed=True))
    text = acknowledgements.document({"dev": found, "prod": []})
    row = "| S1 | AwsSolutions | Data/Bucket/Resource | dev | the end of \\| the chain |"
    assert row in text.splitlines()
    assert "| CKV_AWS_18 | checkov | Data/Bucket/Resource | dev | the end |" in text.splitlines()
    assert "| dev | 1 | 2 |" in text.splitlines()


def test_a_rule_of_several_packs_counts_once_and_a_detail_not_at_all() -> None:
    found = [
        acknowledgements.Acknowledgement("IAM5[Resource::*]", "A", "AwsSolutions", "why"),
        acknowledgements.Acknowledgement("IAM5[Resource::b]", "B", "AwsSolutions", "why"),
        acknowledgements.Acknowledgement("LambdaDLQ", "A", "HIPAA", "why"),
        acknowledgements.Acknowledgement("LambdaDLQ", "A", "NIST 800-53", "why"),
        acknowledgements.Acknowledgement("CKV_AWS_18", "A", "checkov", "why"),
    ]
    assert acknowledgements.rules(found) == {"IAM5", "LambdaDLQ"}


def test_a_folder_that_is_no_assembly_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match=r"validation-report\.json: cannot be read"):
        acknowledgements.found(tmp_path)
    with pytest.raises(OpsError, match="has no templates"):
        scanner.scan(tmp_path)
    (tmp_path / "validation-report.json").write_text("no json")
    with pytest.raises(OpsError, match="is not JSON"):
        acknowledgements.found(tmp_path)
