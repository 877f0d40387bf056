from datetime import UTC, datetime, timedelta
from itertools import count

from emulator.iam.evaluation import Policies, Principal, Request, decide
from emulator.iam.policies import statements
from emulator.iam.record import Record

ROLE = Principal("arn:aws:sts::1:assumed-role/app/s", "1", role="arn:aws:iam::1:role/app")
WRITTEN = {"Statement": {"Effect": "Allow", "Action": "ecs:List*", "Resource": "*"}}
LOOK = statements(WRITTEN, "arn:policy")


def test_a_right_is_recorded_once_with_its_uses() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = (start + timedelta(seconds=each) for each in count())
    record = Record(lambda: next(moments))
    policies = Policies(identity=LOOK)
    for action in ("ecs:ListTasks", "ecs:ListTasks", "ecs:RunTask"):
        request = Request(ROLE, action, "*")
        record.add(request, decide(request, policies), policies)
    times = ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00", "2026-01-01T00:00:02+00:00")
    used = {"principal": ROLE.role, "resource": "*"}
    assert record.document() == [
        {
            **used,
            "action": "ecs:ListTasks",
            "allowed": True,
            "policy": "arn:policy",
            "statement": "1",
            "needed": True,
            "count": 2,
            "first": times[0],
            "last": times[1],
        },
        {
            **used,
            "action": "ecs:RunTask",
            "allowed": False,
            "policy": "",
            "statement": "",
            "needed": False,
            "count": 1,
            "first": times[2],
            "last": times[2],
        },
    ]


def test_a_service_is_recorded_by_its_name() -> None:
    record = Record()
    request = Request(Principal("x.amazonaws.com", "", service="x.amazonaws.com"), "sts:AssumeRole", "role")
    record.add(request, decide(request, Policies()), Policies())
    assert [each["principal"] for each in record.document()] == ["x.amazonaws.com"]


def test_what_two_statements_allow_needs_neither() -> None:
    record, request = Record(), Request(ROLE, "ecs:ListTasks", "*")
    policies = Policies(identity=(*LOOK, *statements(WRITTEN, "arn:other")))
    record.add(request, decide(request, policies), policies)
    assert [each["needed"] for each in record.document()] == [False]
