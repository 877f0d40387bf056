"""The gate that an image with mendable vulnerabilities does not pass.

What has a fix stops a release, unless people have accepted it for a time (delivery/accepted_findings.toml). What nobody
can mend yet stops none: staying with the old image, which has it too, would help nobody. It is told in every build.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from delivery.accepted import FILE, Accepted
from delivery.errors import DeliveryError
from delivery.target import Target

BLOCKING = ("CRITICAL", "HIGH")
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanStatus.html
_DONE = ("COMPLETE", "ACTIVE")
_UNDER_WAY = ("IN_PROGRESS", "PENDING")
_TIME_LIMIT_SECONDS = 600.0
_POLL_SECONDS = 5.0
_NAMED = 10
# How an enhanced scan says that there is no version to go to.
_NO_VERSION = ("", "NotAvailable")
_ASK_PACKAGES = (
    "apt-get update -qq --error-on=any >&2 && apt-get --simulate -qq dist-upgrade && "
    "dpkg-query --show --showformat 'Package ${Package} ${source:Package}\\n'"
)

# The packages that an image could have newer, by the names of package and source; None where it cannot be asked.
Upgradable = Callable[[str], "frozenset[str] | None"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A vulnerability in one package; `fixable` is None where the scan does not say, as a basic one never does."""

    id: str
    severity: str
    package: str
    version: str
    fixed_in: str = ""
    fixable: bool | None = None

    def __str__(self) -> str:
        where = f" in {self.package} {self.version}".rstrip() if self.package else ""
        return f"{self.severity} {self.id}{where}{f' (fixed in {self.fixed_in})' if self.fixed_in else ''}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a scan found: the numbers, and a line for each serious finding that may pass, and for each idle entry."""

    counts: Mapping[str, int]
    remarks: Sequence[str] = ()


def check(
    ecr: Any,
    target: Target,
    version: str,
    *,
    accepted: Sequence[Accepted] = (),
    upgradable: Upgradable | None = None,
    today: datetime.date | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """The result of the image's scan, once it is there.

    Raises `DeliveryError` for findings of HIGH or above that have a fix, or may have one, and are not accepted; and for
    an image whose scan has no result: it never passes unseen.
    """
    image = target.image(version)
    findings = _wait(ecr, target, version, clock, sleep)
    counts: Mapping[str, int] = findings.get("findingSeverityCounts", {})
    serious = list(_serious(findings, counts, image))
    entries = [each for each in accepted if not each.services or target.service in each.services]
    today = today or datetime.datetime.now(datetime.UTC).date()
    remarks = [
        f"{FILE}: {entry.id}: the image of {target.service} has no such finding; remove the entry if no other has"
        for entry in entries
        if not any(entry.meets(target.service, each.id, each.package) for each in serious)
    ]
    left, expired = [], {}
    for finding in serious:
        said = [each for each in entries if each.meets(target.service, finding.id, finding.package)]
        valid = next((each for each in said if each.until >= today), None)
        if valid:
            remarks.append(f"{finding}: accepted until {valid.until}: {valid.reason}")
            continue
        left.append(finding)
        if said:
            expired[finding.id] = max(each.until for each in said)
    blocking = []
    for finding in _with_fixes(left, image, upgradable or _ask_image):
        if finding.fixable is False:
            remarks.append(f"{finding}: no fix is known")
        else:
            blocking.append(f"{finding}{_why(finding, expired)}")
    if blocking:
        more = f" and {len(blocking) - _NAMED} more" if len(blocking) > _NAMED else ""
        raise DeliveryError(
            f"{image}: the scan found {', '.join(blocking[:_NAMED])}{more}; take a newer base image or package, or accept "
            f"it for a time in {FILE}"
        )
    return Result(counts=counts, remarks=remarks)


def _why(finding: Finding, expired: Mapping[str, datetime.date]) -> str:
    parts = []
    if finding.fixable is None:
        parts.append("whether there is a fix is not known")
    if finding.id in expired:
        parts.append(f"was accepted until {expired[finding.id]}")
    return f" ({', '.join(parts)})" if parts else ""


def _wait(
    ecr: Any, target: Target, version: str, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Mapping[str, Any]:
    deadline = clock() + _TIME_LIMIT_SECONDS
    while True:
        answer = _ask(ecr, target, version)
        status = answer.get("imageScanStatus", {}).get("status", "PENDING")
        if status in _DONE:
            return dict(answer.get("imageScanFindings", {}))
        if status not in _UNDER_WAY:
            description = answer["imageScanStatus"].get("description", "")
            raise DeliveryError(f"{target.image(version)}: the scan ended as {status}. {description}".strip())
        if clock() >= deadline:
            raise DeliveryError(f"{target.image(version)}: no scan result in {_TIME_LIMIT_SECONDS:.0f} s")
        sleep(_POLL_SECONDS)


def _ask(ecr: Any, target: Target, version: str) -> dict[str, Any]:
    """The answer with the findings of all its pages."""
    asked = {"repositoryName": target.repository_name, "imageId": {"imageTag": version}, "maxResults": 1000}
    try:
        answer = dict(ecr.describe_image_scan_findings(**asked))
    except ecr.exceptions.ScanNotFoundException:
        # A pushed image is queued before its scan exists.
        return {}
    found = dict(answer.get("imageScanFindings", {}))
    page = answer
    while page.get("nextToken"):
        page = ecr.describe_image_scan_findings(**asked, nextToken=page["nextToken"])
        for kind in ("findings", "enhancedFindings"):
            found[kind] = [*found.get(kind, []), *page.get("imageScanFindings", {}).get(kind, [])]
    return {**answer, "imageScanFindings": found}


def _serious(findings: Mapping[str, Any], counts: Mapping[str, int], image: str) -> Iterator[Finding]:
    basic = [each for each in findings.get("findings", []) if each.get("severity") in BLOCKING]
    enhanced = [each for each in findings.get("enhancedFindings", []) if each.get("severity") in BLOCKING]
    counted = sum(counts.get(severity, 0) for severity in BLOCKING)
    if counted > len(basic) + len(enhanced):
        raise DeliveryError(
            f"{image}: the scan counts {counted} findings of HIGH or above and names {len(basic) + len(enhanced)}"
        )
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html
    for each in basic:
        attributes = {item["key"]: item.get("value", "") for item in each.get("attributes", [])}
        yield Finding(
            id=str(each.get("name") or "without a name"),
            severity=each["severity"],
            package=attributes.get("package_name", ""),
            version=attributes.get("package_version", ""),
        )
    for each in enhanced:
        yield from _enhanced(each)


def _enhanced(finding: Mapping[str, Any]) -> Iterator[Finding]:
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EnhancedImageScanFinding.html
    if finding.get("status", "ACTIVE") != "ACTIVE":
        return
    details = finding.get("packageVulnerabilityDetails", {})
    says = {"YES": True, "PARTIAL": True, "NO": False}.get(finding.get("fixAvailable", ""))
    for package in details.get("vulnerablePackages") or [{}]:
        fixed_in = package.get("fixedInVersion")
        known = fixed_in not in _NO_VERSION
        yield Finding(
            id=str(details.get("vulnerabilityId") or finding.get("title") or "without a name"),
            severity=finding["severity"],
            package=package.get("name", ""),
            version=package.get("version", ""),
            fixed_in=str(fixed_in) if fixed_in is not None and known else "",
            fixable=says if fixed_in is None else known,
        )


def _with_fixes(findings: Sequence[Finding], image: str, upgradable: Upgradable) -> Iterator[Finding]:
    newer: frozenset[str] | None = None
    if any(each.fixable is None for each in findings):
        newer = upgradable(image)
    for each in findings:
        if each.fixable is not None or newer is None or not each.package:
            yield each
        else:
            yield replace(each, fixable=each.package in newer)


def _ask_image(image: str) -> frozenset[str] | None:
    """What Debian offers newer than the image has; a basic scan looks at no other packages than the system's."""
    done = subprocess.run(
        ["docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", image, "-c", _ASK_PACKAGES],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIME_LIMIT_SECONDS,
    )
    return newer_packages(done.stdout) if done.returncode == 0 else None


def newer_packages(told: str) -> frozenset[str]:
    """The names of the packages that would be upgraded, and of their sources, which is what scans name."""
    upgraded = set(re.findall(r"^Inst (\S+)", told, re.MULTILINE))
    sources = re.findall(r"^Package (\S+) (\S+)$", told, re.MULTILINE)
    return frozenset(name for package, source in sources if package in upgraded for name in (package, source))
