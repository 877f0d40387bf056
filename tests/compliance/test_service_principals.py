"""Each service of AWS that a policy lets in, under conditions that AWS documents for it and for no other.

A condition on a key that a service does not send denies it for good, and no deployment says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from tests import authorization
from tests.options import OPTIONS, templates
from tests.policies import Statement, statements

_ACCOUNT, _SOURCE = "aws:SourceAccount", "aws:SourceArn"
_TRUST, _TOPIC, _KEY = "AWS::IAM::Role", "AWS::SNS::TopicPolicy", "AWS::KMS::Key"
_BUCKET, _LOGS = "AWS::S3::BucketPolicy", "AWS::Logs::ResourcePolicy"


@dataclass(frozen=True)
class Documented:
    """The condition keys that AWS documents, on `page`, for a service in a kind of policy; `sources` are the forms of
    the source's ARN."""

    service: str
    kind: str
    page: str
    keys: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()


def _documented(service: str, kind: str, page: str, *keys: str, sources: Sequence[str] = ()) -> Documented:
    return Documented(
        f"{service}.amazonaws.com",
        kind,
        f"https://docs.aws.amazon.com/{page}",
        frozenset(keys),
        tuple(sources),
    )


_ARN = "arn:${Partition}"
_HERE = "${Region}:${Account}"
DOCUMENTED = (
    # Who may assume a role. All of these pages have a policy without conditions.
    _documented("backup", _TRUST, "aws-backup/latest/devguide/iam-service-roles.html"),
    _documented("codebuild", _TRUST, "codebuild/latest/userguide/setting-up-service-role.html"),
    _documented("codedeploy", _TRUST, "codedeploy/latest/userguide/getting-started-create-service-role.html"),
    _documented("codepipeline", _TRUST, "codepipeline/latest/userguide/how-to-custom-role.html"),
    _documented(
        "ecs",
        _TRUST,
        "AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html",
    ),
    _documented("ecs-tasks", _TRUST, "AmazonECS/latest/developerguide/task-iam-roles.html"),
    _documented("events", _TRUST, "codepipeline/latest/userguide/create-cwe-codecommit-cfn.html"),
    _documented("lambda", _TRUST, "lambda/latest/dg/lambda-intro-execution-role.html"),
    _documented("monitoring.rds", _TRUST, "AmazonRDS/latest/UserGuide/USER_Monitoring.OS.Enabling.html"),
    _documented("rds", _TRUST, "AmazonRDS/latest/UserGuide/rds-proxy-iam-setup.html"),
    _documented("vpc-flow-logs", _TRUST, "vpc/latest/userguide/flow-logs-iam-role.html"),
    # Who may publish to the topic, and use its key to do so. The context of the encryption is SNS's, whoever publishes.
    _documented(
        "cloudwatch",
        _TOPIC,
        "sns/latest/dg/sns-access-policy-use-cases.html",
        _ACCOUNT,
        _SOURCE,
        sources=[f"{_ARN}:cloudwatch:{_HERE}:alarm:${{Name}}"],
    ),
    _documented(
        "events.rds",
        _TOPIC,
        "AmazonRDS/latest/UserGuide/USER_Events.GrantingPermissions.html",
        _ACCOUNT,
        _SOURCE,
        sources=[
            # An instance, a cluster, their parameters and security groups: what is subscribed to.
            f"{_ARN}:rds:{_HERE}:{kind}:${{Name}}"
            for kind in ("db", "cluster", "pg", "secgrp")
        ],
    ),
    _documented(
        "budgets",
        _TOPIC,
        "cost-management/latest/userguide/budgets-sns-policy.html",
        _ACCOUNT,
        _SOURCE,
        sources=[f"{_ARN}:budgets::${{Account}}:budget/${{Name}}"],
    ),
    _documented("codestar-notifications", _TOPIC, "dtconsole/latest/userguide/set-up-sns.html"),
    *(
        _documented(
            service, _KEY, "sns/latest/dg/sns-key-management.html", "kms:EncryptionContext:aws:sns:topicArn"
        )
        for service in ("cloudwatch", "events.rds", "budgets")
    ),
    _documented(
        "codestar-notifications", _KEY, "dtconsole/latest/userguide/set-up-sns.html", "kms:ViaService"
    ),
    _documented(
        "logs.us-east-1",
        _KEY,
        "AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        "kms:EncryptionContext:aws:logs:arn",
    ),
    # Who may write logs.
    _documented("events", _LOGS, "eventbridge/latest/userguide/eb-use-resource-based.html"),
    _documented("delivery.logs", _LOGS, "eventbridge/latest/userguide/eb-use-resource-based.html"),
    _documented(
        "delivery.logs",
        _BUCKET,
        "elasticloadbalancing/latest/network/enable-access-logs.html",
        "s3:x-amz-acl",
        _ACCOUNT,
        _SOURCE,
    ),
    _documented(
        "logging.s3",
        _BUCKET,
        "AmazonS3/latest/userguide/enable-server-access-logging.html",
        _ACCOUNT,
        _SOURCE,
        sources=[f"{_ARN}:s3:::${{Bucket}}"],
    ),
)


@pytest.fixture(scope="module", params=OPTIONS)
def found(request: pytest.FixtureRequest) -> Sequence[Statement]:
    return tuple(each for each in statements(templates(request.param)) if "Service" in each.principals)


def faults(statement: Statement) -> Iterator[str]:
    """What of a statement its services are not documented to fulfil."""
    for service in statement.principals["Service"]:
        entry = _entry(service, statement.kind)
        if entry is None:
            yield f"{service} in a {statement.kind}: look up what AWS documents and add it"
            continue
        for key in statement.condition_keys - entry.keys:
            yield f"{service} in a {statement.kind} is not documented to send {key}"
        for source in (each for keys in statement.conditions.values() for each in keys.get(_SOURCE, ())):
            unmet = [form for form in entry.sources if not authorization.meet(form, source)]
            if unmet:
                yield f"{service} comes from {', '.join(unmet)}, not {source}"


def _entry(service: str, kind: str) -> Documented | None:
    return next((each for each in DOCUMENTED if (each.service, each.kind) == (service, kind)), None)


def test_every_service_is_let_in_under_conditions_that_aws_documents(found: Sequence[Statement]) -> None:
    assert len(found) > 15
    assert [fault for each in found for fault in faults(each)] == []


def test_every_service_that_is_documented_here_is_let_in_somewhere() -> None:
    let_in = {
        (service, each.kind)
        for option in OPTIONS
        for each in statements(templates(option))
        for service in each.principals.get("Service", ())
    }
    assert {(each.service, each.kind) for each in DOCUMENTED} == let_in


EVENTS = Statement(
    where="Network/Alarms/Topic/Policy",
    name="Policy",
    kind=_TOPIC,
    roles=frozenset(),
    effect="Allow",
    actions=("sns:Publish",),
    resources=("arn:aws:sns:us-east-1:111122223333:topic",),
    principals={"Service": ("events.rds.amazonaws.com",)},
    conditions={"ArnLike": {_SOURCE: ("arn:aws:rds:us-east-1:111122223333:*",)}},
)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"conditions": {"ArnLike": {_SOURCE: ("arn:aws:rds:us-east-1:111122223333:es:*",)}}},
            "comes from arn:",
        ),
        # Events of a cluster would be refused.
        ({"conditions": {"ArnLike": {_SOURCE: ("arn:aws:rds:us-east-1:111122223333:db:*",)}}}, ":cluster:"),
        (
            {"conditions": {"StringEquals": {"aws:SourceOrgID": ("o-1",)}}},
            "is not documented to send aws:SourceOrgID",
        ),
        ({"kind": _KEY}, "is not documented to send aws:SourceArn"),
        ({"principals": {"Service": ("config.amazonaws.com",)}}, "look up what AWS documents"),
    ],
)
def test_what_a_service_is_not_documented_to_fulfil_is_found(changes: dict[str, object], fault: str) -> None:
    assert list(faults(EVENTS)) == []
    assert any(fault in each for each in faults(replace(EVENTS, **changes)))  # type: ignore[arg-type]
