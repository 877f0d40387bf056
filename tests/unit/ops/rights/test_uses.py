"""When rights were used: what the emulator wrote down, and what IAM knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from ops.errors import OpsError
from ops.rights import uses
from ops.rights.grants import Grant, Role
from ops.rights.uses import LastAccessed, Recorded, Use

ARN = "arn:aws:iam::000000000000:role/app-Task-1X"
POLICY = "arn:aws:iam::000000000000:policy/app-Rights-2Y"
IDS = {"AppTask": "app-Task-1X", "AppRights": POLICY}
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
GRANT = Grant(Role("AppTask", "AppTask", ("ecs-tasks",)), "AppRights", "", "1", True, "s3:Get*", ("*",), ())


def row(**more: Any) -> dict[str, Any]:
    return {
        "principal": ARN,
        "action": "s3:GetObject",
        "resource": "x",
        "allowed": True,
        "policy": POLICY,
        "statement": "1",
        "needed": False,
        "count": 2,
        "last": MOMENT.isoformat(),
        **more,
    }


def test_what_a_statement_let_through_is_added_up() -> None:
    later = MOMENT + timedelta(minutes=1)
    rows = [
        row(),
        row(action="s3:GetBucketAcl", count=1, needed=True, last=later.isoformat()),
        row(action="s3:PutObject"),
    ]
    assert Recorded(rows, IDS).of(GRANT) == Use(later, count=3, needed=True)


@pytest.mark.parametrize(
    "other",
    [
        {"principal": "arn:aws:iam::000000000000:role/app-Task-9Z"},
        {"policy": "arn:aws:iam::000000000000:policy/other"},
        {"statement": "2"},
        {"action": "s3:PutObject"},
        {"allowed": False},
    ],
)
def test_what_another_one_let_through_is_not(other: Mapping[str, Any]) -> None:
    assert Recorded([row(**other)], IDS).of(GRANT) is None


def test_policies_of_a_role_alone_and_of_aws_are_found_by_what_iam_calls_them() -> None:
    rows = [
        row(policy=f"{ARN}/Own"),
        row(policy="arn:aws:iam::aws:policy/X", statement="7", action="ec2:Run"),
    ]
    recorded = Recorded(rows, IDS)
    inline = replace(GRANT, inline="Own")
    managed = replace(GRANT, policy="arn:aws:iam::aws:policy/X", statement="", action="")
    assert [recorded.of(each) is not None for each in (GRANT, inline, managed)] == [False, True, True]


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ([], None),
        ([{"ServiceNamespace": "s3"}], None),
        ([{"ServiceNamespace": "ec2", "LastAuthenticated": MOMENT}], None),
        ([{"ServiceNamespace": "s3", "LastAuthenticated": MOMENT}], Use(MOMENT, whole_service=True)),
        (
            [
                {
                    "ServiceNamespace": "s3",
                    "LastAuthenticated": MOMENT,
                    "TrackedActionsLastAccessed": [
                        {"ActionName": "GetBucketAcl", "LastAccessedTime": MOMENT},
                        {"ActionName": "GetBucketTagging"},
                    ],
                }
            ],
            Use(MOMENT),
        ),
        (
            [
                {
                    "ServiceNamespace": "s3",
                    "LastAuthenticated": MOMENT,
                    "TrackedActionsLastAccessed": [{"ActionName": "GetBucketAcl"}],
                }
            ],
            None,
        ),
    ],
)
def test_iam_tells_actions_or_only_the_service(
    services: Sequence[Mapping[str, Any]], expected: Use | None
) -> None:
    assert LastAccessed({"app-Task-1X": services}, IDS).of(GRANT) == expected


def answers(*reports: dict[str, Any]) -> Any:
    """IAM that makes a report on the role and answers with these, one after the other."""
    iam = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(iam)
    made = {"RoleName": "app-Task-1X", "Arn": ARN, "Path": "/", "RoleId": "A" * 16, "CreateDate": MOMENT}
    stubber.add_response("get_role", {"Role": made}, {"RoleName": "app-Task-1X"})
    stubber.add_response(
        "generate_service_last_accessed_details",
        {"JobId": "j" * 36},
        {"Arn": ARN, "Granularity": "ACTION_LEVEL"},
    )
    for report in reports:
        stubber.add_response(
            "get_service_last_accessed_details",
            {"JobCreationDate": MOMENT, "JobCompletionDate": MOMENT, "ServicesLastAccessed": [], **report},
        )
    stubber.activate()
    return iam


def service(name: str) -> dict[str, Any]:
    return {"ServiceName": name, "ServiceNamespace": name, "LastAuthenticated": MOMENT}


def test_a_report_is_waited_for_and_read_to_its_end() -> None:
    waited: list[float] = []
    iam = answers(
        {"JobStatus": "IN_PROGRESS"},
        {
            "JobStatus": "COMPLETED",
            "ServicesLastAccessed": [service("ec2")],
            "IsTruncated": True,
            "Marker": "next",
        },
        {"JobStatus": "COMPLETED", "ServicesLastAccessed": [service("s3")]},
    )
    found = uses.last_accessed(iam, {"AppTask": "app-Task-1X"}, waited.append)
    assert found.of(GRANT) == Use(MOMENT, whole_service=True)
    assert len(waited) == 1


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ([{"JobStatus": "IN_PROGRESS"}] * 61, "takes longer than 60 s"),
        ([{"JobStatus": "FAILED", "Error": {"Message": "too many", "Code": "x"}}], "cannot tell .*too many"),
    ],
)
def test_a_report_that_does_not_come_is_told(reports: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(OpsError, match=words):
        uses.last_accessed(answers(*reports), {"AppTask": "app-Task-1X"}, lambda _: None)
