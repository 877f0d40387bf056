from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.compliance import command as compliance
from ops.errors import OpsError


def finding(rule: str, **more: str) -> dict[str, object]:
    return {"ruleName": rule, "violatingConstructs": [{"constructPath": "Data/Key"}], **more}


def test_open_and_acknowledged_findings_are_counted_and_listed(tmp_path: Path) -> None:
    report = {
        "pluginReports": [
            {
                "pluginName": "AwsSolutions",
                "conclusion": "failure",
                "violations": [finding("S1[Resource::<a>|b]", description="no logs")],
                "suppressedViolations": [finding("EC23", reason="public")],
            }
        ]
    }
    (tmp_path / "dev.json").write_text(json.dumps(report))
    text = compliance.summary([tmp_path / "dev.json"])
    assert "### dev" in text
    assert "| AwsSolutions | failure | 1 | 1 |" in text
    assert "| S1[Resource::&lt;a>\\|b] | Data/Key | no logs |" in text
    assert "| EC23 | Data/Key | public |" in text


@pytest.mark.parametrize("content", ["", "{}", "[]", "no json"])
def test_a_file_that_is_no_report_is_said_so(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(OpsError, match="is no validation report"):
        compliance.summary([file])
    with pytest.raises(OpsError, match="cannot be read"):
        compliance.summary([tmp_path / "missing.json"])
