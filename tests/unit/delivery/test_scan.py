from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from delivery import scan
from delivery.accepted import Accepted
from delivery.errors import DeliveryError
from delivery.target import Target
from tests.unit.delivery.conftest import Ecr

VERSION = "2" * 64
TODAY = datetime.date(2026, 6, 1)
NEWER = frozenset({"openssl", "libssl3t64"})


def result(counts: dict[str, int], findings: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
        "imageScanFindings": {"findingSeverityCounts": counts, "findings": findings or []},
    }


def basic(name: str, package: str = "openssl", severity: str = "HIGH") -> dict[str, Any]:
    """A finding of a basic scan, which does not tell fixes."""
    attributes = [{"key": "package_name", "value": package}, {"key": "package_version", "value": "1-1"}]
    return {"name": name, "severity": severity, "attributes": attributes}


def enhanced(name: str, *, fixed_in: str | None = None, **more: Any) -> dict[str, Any]:
    package = {"name": "zlib", "version": "1.2", **({"fixedInVersion": fixed_in} if fixed_in else {})}
    details = {"vulnerabilityId": name, "vulnerablePackages": [package]}
    title = f"{name} - zlib"
    return {"title": title, "severity": "CRITICAL", "packageVulnerabilityDetails": details, **more}


def enhanced_result(*findings: dict[str, Any]) -> dict[str, Any]:
    return {
        "imageScanStatus": {"status": "ACTIVE"},
        "imageScanFindings": {
            "findingSeverityCounts": {"CRITICAL": len(findings)},
            "enhancedFindings": list(findings),
        },
    }


def entry(name: str = "CVE-1", **more: Any) -> Accepted:
    return Accepted(**{"id": name, "until": TODAY, "reason": "no service reaches it", **more})


def check(
    target: Target,
    *scans: dict[str, Any] | None,
    accepted: Sequence[Accepted] = (),
    newer: frozenset[str] | None = NEWER,
) -> scan.Result:
    seconds = iter(range(0, 100_000, 5))
    return scan.check(
        Ecr(scans=scans),
        target,
        VERSION,
        accepted=accepted,
        upgradable=lambda image: newer,
        today=TODAY,
        clock=lambda: next(seconds),
        sleep=lambda seconds: None,
    )


def stopped(target: Target, *scans: dict[str, Any], **more: Any) -> str:
    with pytest.raises(DeliveryError) as error:
        check(target, *scans, **more)
    return str(error.value)


@pytest.mark.parametrize("counts", [{}, {"MEDIUM": 3, "LOW": 20, "INFORMATIONAL": 1}, {"HIGH": 0}])
def test_an_image_without_serious_findings_passes(target: Target, counts: dict[str, int]) -> None:
    assert check(target, result(counts)) == scan.Result(counts=counts, remarks=[])


@pytest.mark.parametrize("severity", ["HIGH", "CRITICAL"])
def test_a_serious_finding_that_has_a_fix_stops_the_release_and_is_named(
    target: Target, severity: str
) -> None:
    found = result(
        {severity: 1, "LOW": 2},
        [basic("CVE-2026-1", severity=severity), {"name": "CVE-0", "severity": "LOW"}],
    )
    assert f"the scan found {severity} CVE-2026-1 in openssl 1-1; take a newer base image" in stopped(
        target, found
    )


def test_what_nobody_can_mend_yet_is_told_and_stops_nothing(target: Target) -> None:
    found = check(target, result({"CRITICAL": 1}, [basic("CVE-1", "glibc", "CRITICAL")]))
    assert found.remarks == ["CRITICAL CVE-1 in glibc 1-1: no fix is known"]


def test_where_the_image_cannot_be_asked_for_fixes_the_release_stops(target: Target) -> None:
    found = result({"HIGH": 1}, [basic("CVE-1", "glibc")])
    assert "HIGH CVE-1 in glibc 1-1 (whether there is a fix is not known)" in stopped(
        target, found, newer=None
    )
    nameless = result({"HIGH": 1}, [{"name": "CVE-1", "severity": "HIGH"}])
    assert "HIGH CVE-1 (whether there is a fix is not known)" in stopped(target, nameless)


def test_the_image_is_not_asked_where_nothing_is_open(target: Target) -> None:
    def never(image: str) -> frozenset[str]:
        raise AssertionError(image)

    found = result({"HIGH": 1}, [basic("CVE-1")])
    scan.check(Ecr(scans=[found]), target, VERSION, accepted=[entry()], upgradable=never, today=TODAY)


@pytest.mark.parametrize(
    "accepting",
    [
        entry(),
        entry(package="openssl"),
        entry(services=("customer",)),
        entry(services=("employee", "customer")),
    ],
)
def test_an_accepted_finding_is_told_with_its_reason_and_passes(target: Target, accepting: Accepted) -> None:
    found = check(target, result({"HIGH": 1}, [basic("CVE-1")]), accepted=[accepting])
    assert found.remarks == ["HIGH CVE-1 in openssl 1-1: accepted until 2026-06-01: no service reaches it"]


@pytest.mark.parametrize("accepting", [entry("CVE-2"), entry(package="zlib"), entry(services=("employee",))])
def test_an_entry_accepts_nothing_but_what_it_names(target: Target, accepting: Accepted) -> None:
    assert "HIGH CVE-1 in openssl" in stopped(
        target, result({"HIGH": 1}, [basic("CVE-1")]), accepted=[accepting]
    )


def test_an_entry_that_has_expired_accepts_nothing_any_more(target: Target) -> None:
    yesterday = TODAY - datetime.timedelta(days=1)
    said = stopped(target, result({"HIGH": 1}, [basic("CVE-1")]), accepted=[entry(until=yesterday)])
    assert "HIGH CVE-1 in openssl 1-1 (was accepted until 2026-05-31)" in said


def test_an_entry_that_meets_no_finding_is_told(target: Target) -> None:
    found = check(target, result({}), accepted=[entry(), entry("CVE-9", services=("employee",))])
    assert found.remarks == [
        "delivery/accepted_findings.toml: CVE-1: the image of customer has no such finding; remove the entry if no "
        "other has"
    ]


def test_of_many_findings_the_first_ten_are_named(target: Target) -> None:
    findings = [basic(f"CVE-{number}") for number in range(13)]
    said = stopped(target, result({"HIGH": 13}, findings))
    assert "HIGH CVE-9 in openssl 1-1 and 3 more; take" in said
    assert "CVE-10" not in said


def test_the_scan_is_waited_for(target: Target) -> None:
    pending = {"imageScanStatus": {"status": "IN_PROGRESS"}}
    assert check(target, None, pending, result({"LOW": 1})).counts == {"LOW": 1}


def test_findings_that_are_counted_and_not_named_stop_the_release(target: Target) -> None:
    said = stopped(target, result({"HIGH": 2}, [basic("CVE-1", "glibc")]))
    assert said.endswith("the scan counts 2 findings of HIGH or above and names 1")


def test_all_pages_of_findings_are_read(target: Target) -> None:
    first = result({"HIGH": 2}, [basic("CVE-1", "glibc")]) | {"nextToken": "more"}
    second = {"imageScanFindings": {"findings": [basic("CVE-2")]}}
    assert "the scan found HIGH CVE-2 in openssl" in stopped(target, first, second)


@pytest.mark.parametrize(
    ("finding", "says"),
    [
        (enhanced("CVE-2", fixed_in="1.3"), "CRITICAL CVE-2 in zlib 1.2 (fixed in 1.3)"),
        (enhanced("CVE-2", fixAvailable="YES"), "CRITICAL CVE-2 in zlib 1.2;"),
        (enhanced("CVE-2", fixAvailable="PARTIAL"), "CRITICAL CVE-2 in zlib 1.2;"),
        ({"title": "CVE-2 - zlib", "severity": "CRITICAL"}, "CRITICAL CVE-2 - zlib (whether there is a fix"),
    ],
)
def test_findings_of_continuous_scanning_stop_a_release_where_they_tell_a_fix(
    target: Target, finding: dict[str, Any], says: str
) -> None:
    assert f"the scan found {says}" in stopped(target, enhanced_result(finding))


@pytest.mark.parametrize(
    "finding",
    [
        enhanced("CVE-2", fixAvailable="NO"),
        enhanced("CVE-2", fixed_in="NotAvailable"),
        enhanced("CVE-2", fixed_in="NotAvailable", fixAvailable="PARTIAL"),
    ],
)
def test_continuous_scanning_tells_what_has_no_fix(target: Target, finding: dict[str, Any]) -> None:
    assert check(target, enhanced_result(finding)).remarks == ["CRITICAL CVE-2 in zlib 1.2: no fix is known"]


def test_what_is_suppressed_in_the_registry_passes(target: Target) -> None:
    assert (
        check(target, enhanced_result(enhanced("CVE-2", fixed_in="1.3", status="SUPPRESSED"))).remarks == []
    )


def test_the_recorded_answers_have_the_shape_that_ecr_answers_with(target: Target) -> None:
    ecr = botocore.session.get_session().create_client("ecr", region_name="us-east-1")
    answers = [
        result({"HIGH": 1}, [basic("CVE-1")]),
        enhanced_result(enhanced("CVE-2", fixed_in="1.3", fixAvailable="YES", status="ACTIVE")),
    ]
    for answer in answers:
        with Stubber(ecr) as stubbed:
            asked = {"repositoryName": "suppliers-dev/customer", "imageId": {"imageTag": VERSION}}
            stubbed.add_response("describe_image_scan_findings", answer, {**asked, "maxResults": 1000})
            with pytest.raises(DeliveryError, match="CVE-"):
                scan.check(ecr, target, VERSION, upgradable=lambda image: NEWER)


def test_packages_are_known_by_their_own_name_and_that_of_their_source() -> None:
    told = (
        "Inst libssl3t64 [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [arm64])\n"
        "Conf libssl3t64 (3.5.1-1+deb13u1 Debian-Security:13/stable-security [arm64])\n"
        "Package libc6 glibc\nPackage libssl3t64 openssl\n"
    )
    assert scan.newer_packages(told) == NEWER


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "FINDINGS_UNAVAILABLE"])
def test_an_image_that_cannot_be_scanned_does_not_pass(target: Target, status: str) -> None:
    with pytest.raises(DeliveryError, match=f"the scan ended as {status}. no"):
        check(target, {"imageScanStatus": {"status": status, "description": "no"}})


def test_a_scan_without_end_does_not_pass(target: Target) -> None:
    with pytest.raises(DeliveryError, match="no scan result in 600 s"):
        check(target, None)
