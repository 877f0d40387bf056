from __future__ import annotations

from typing import Any

import pytest

from delivery import scan
from delivery.errors import DeliveryError
from delivery.target import Target
from tests.unit.delivery.conftest import Ecr

VERSION = "2" * 64


def result(counts: dict[str, int], findings: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
        "imageScanFindings": {"findingSeverityCounts": counts, "findings": findings or []},
    }


def check(target: Target, *scans: dict[str, Any] | None) -> Any:
    seconds = iter(range(0, 100_000, 5))
    return scan.check(
        Ecr(scans=scans), target, VERSION, clock=lambda: next(seconds), sleep=lambda seconds: None
    )


@pytest.mark.parametrize("counts", [{}, {"MEDIUM": 3, "LOW": 20, "INFORMATIONAL": 1}, {"HIGH": 0}])
def test_an_image_without_serious_findings_passes(target: Target, counts: dict[str, int]) -> None:
    assert check(target, result(counts)) == counts


@pytest.mark.parametrize("severity", ["HIGH", "CRITICAL"])
def test_one_serious_finding_stops_the_release_and_is_named(target: Target, severity: str) -> None:
    finding = {"name": "CVE-2026-1", "severity": severity}
    with pytest.raises(DeliveryError, match=rf"the scan found 1 {severity}: CVE-2026-1$"):
        check(target, result({severity: 1, "LOW": 2}, [finding, {"name": "CVE-0", "severity": "LOW"}]))


def test_of_many_findings_the_first_ten_are_named(target: Target) -> None:
    findings = [{"name": f"CVE-{number}", "severity": "HIGH"} for number in range(13)]
    with pytest.raises(DeliveryError, match=r"13 HIGH: CVE-0, .*CVE-9 and 3 more$"):
        check(target, result({"HIGH": 13}, findings))


def test_the_scan_is_waited_for(target: Target) -> None:
    pending = {"imageScanStatus": {"status": "IN_PROGRESS"}}
    assert check(target, None, pending, result({"LOW": 1})) == {"LOW": 1}


def test_findings_of_continuous_scanning_count_too(target: Target) -> None:
    answer = {
        "imageScanStatus": {"status": "ACTIVE"},
        "imageScanFindings": {
            "findingSeverityCounts": {"CRITICAL": 1},
            "enhancedFindings": [{"title": "CVE-2026-2 - openssl", "severity": "CRITICAL"}],
        },
    }
    with pytest.raises(DeliveryError, match="1 CRITICAL: CVE-2026-2 - openssl"):
        check(target, answer)


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"])
def test_an_image_that_cannot_be_scanned_does_not_pass(target: Target, status: str) -> None:
    with pytest.raises(DeliveryError, match=f"the scan ended as {status}. no"):
        check(target, {"imageScanStatus": {"status": status, "description": "no"}})


def test_a_scan_without_end_does_not_pass(target: Target) -> None:
    with pytest.raises(DeliveryError, match="no scan result in 600 s"):
        check(target, None)
