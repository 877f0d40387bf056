"""The gate that a vulnerable image does not pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from delivery.errors import DeliveryError
from delivery.target import Target

BLOCKING = ("CRITICAL", "HIGH")
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanStatus.html
_DONE = ("COMPLETE", "ACTIVE")
_UNDER_WAY = ("IN_PROGRESS", "PENDING")
_TIME_LIMIT_SECONDS = 600.0
_POLL_SECONDS = 5.0
_NAMED = 10


def check(
    ecr: Any,
    target: Target,
    version: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Mapping[str, int]:
    """The counts of findings of the image's scan.

    Raises `DeliveryError` for findings of HIGH or above, and for an image whose scan has no result: it
    never passes unseen.
    """
    deadline = clock() + _TIME_LIMIT_SECONDS
    while True:
        answer = _ask(ecr, target, version)
        status = answer.get("imageScanStatus", {}).get("status", "PENDING")
        if status in _DONE:
            break
        if status not in _UNDER_WAY:
            description = answer["imageScanStatus"].get("description", "")
            raise DeliveryError(f"{target.image(version)}: the scan ended as {status}. {description}".strip())
        if clock() >= deadline:
            raise DeliveryError(f"{target.image(version)}: no scan result in {_TIME_LIMIT_SECONDS:.0f} s")
        sleep(_POLL_SECONDS)
    findings = answer.get("imageScanFindings", {})
    counts: Mapping[str, int] = findings.get("findingSeverityCounts", {})
    blocking = {severity: counts[severity] for severity in BLOCKING if counts.get(severity)}
    if blocking:
        found = ", ".join(f"{count} {severity}" for severity, count in blocking.items())
        raise DeliveryError(f"{target.image(version)}: the scan found {found}: {_names(findings)}")
    return counts


def _ask(ecr: Any, target: Target, version: str) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = ecr.describe_image_scan_findings(
            repositoryName=target.repository_name, imageId={"imageTag": version}, maxResults=1000
        )
    except ecr.exceptions.ScanNotFoundException:
        # A pushed image is queued before its scan exists.
        return {}
    return answer


def _names(findings: Mapping[str, Any]) -> str:
    names = [
        str(finding.get("name") or finding.get("title") or "without a name")
        for finding in (*findings.get("findings", []), *findings.get("enhancedFindings", []))
        if finding.get("severity") in BLOCKING
    ]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
