"""The page of rights, and the reasons of those that nothing uses."""

from __future__ import annotations

from dataclasses import replace

from ops.rights.grants import Grant, Role, grants
from ops.rights.page import Unused, page, reason, unused
from tests.conftest import Synthesize

SHOWN = ("local", "prod")
TASK = Role("CustomerTaskRole", "CustomerTaskRole", ("ecs-tasks",))
READ = Grant(TASK, "Rights", "", "1", True, "s3:GetObject", ("<Bucket>/*",), ())
LISTED = (
    Unused(("*TaskRole",), ("s3:Get*",), "only in prod", environments=("local",)),
    Unused(("*",), ("ReadOnly*",), "AWS looks"),
)


def test_a_reason_is_given_by_role_action_and_environment() -> None:
    assert reason(READ, "local", LISTED) == "only in prod"
    assert reason(READ, "prod", LISTED) is None
    assert reason(replace(READ, action="s3:PutObject"), "local", LISTED) is None
    of_policies = [replace(LISTED[0], policies=("Delivery*",))]
    assert [
        reason(replace(READ, policy=each), "local", of_policies) for each in ("DeliveryRights", "Rights")
    ] == [
        "only in prod",
        None,
    ]
    assert (
        reason(replace(READ, policy="arn:aws:iam::aws:policy/ReadOnlyAccess"), "prod", LISTED) == "AWS looks"
    )


def test_the_page_puts_together_what_is_granted_alike_and_counts_what_is_not_used() -> None:
    write = replace(READ, action="s3:PutObject", statement="2")
    also = replace(READ, action="s3:GetObjectVersion")
    written = page({"local": [READ, also, write]}, LISTED)
    assert "3 rights; 2 of them (67%) are not used" in written
    assert "| `s3:GetObject`, `s3:GetObjectVersion` | `<Bucket>/*` |  | only in prod |" in written
    assert "| `s3:PutObject` | `<Bucket>/*` |  |  |" in written
    assert "Taken by `ecs-tasks`." in written


def test_every_reason_is_one_of_something_that_is_granted(templates: Synthesize) -> None:
    found = {name: grants(templates(name)) for name in SHOWN}
    for each in unused():
        assert any(each.lists(grant, name) for name, granted in found.items() for grant in granted), each
