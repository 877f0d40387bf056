"""AWS's own examples of how policies are evaluated, each with its page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emulator.iam.evaluation import (
    Decision,
    Policies,
    Policy,
    Principal,
    Request,
    ResourcePolicy,
    decide,
    needs,
)
from emulator.iam.policies import Context, PolicyError, Statement, meets, statements

ACCOUNT, OTHER = "111122223333", "444455556666"
ROLE = Principal(
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/app/session",
    account=ACCOUNT,
    role=f"arn:aws:iam::{ACCOUNT}:role/app",
)
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def user(name: str) -> Principal:
    return Principal(arn=f"arn:aws:iam::{ACCOUNT}:user/{name}", account=ACCOUNT)


def policy(*written: dict[str, Any], source: str = "Policy") -> tuple[Statement, ...]:
    return statements({"Version": "2012-10-17", "Statement": list(written)}, source)


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def of_resource(*written: dict[str, Any], account: str = ACCOUNT, **more: Any) -> ResourcePolicy:
    return ResourcePolicy(policy(*written, source="Bucket"), account, **more)


def ask(
    action: str,
    target: str = "*",
    *,
    principal: Principal = ROLE,
    context: Context | None = None,
    **policies: Any,
) -> Decision:
    return decide(Request(principal, action, target, context or {}), Policies(**policies))


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
CARLOS = policy(
    allow(
        [
            "s3:GetBucketLocation",
            "s3:GetAccountPublicAccessBlock",
            "s3:ListAccessPoints",
            "s3:ListAllMyBuckets",
        ],
        "arn:aws:s3:::*",
        Sid="AllowS3ListRead",
    ),
    allow(
        "s3:*",
        [
            "arn:aws:s3:::amzn-s3-demo-bucket-carlossalazar/*",
            "arn:aws:s3:::amzn-s3-demo-bucket-carlossalazar",
        ],
        Sid="AllowS3Self",
    ),
    deny("s3:*", "arn:aws:s3:::*log*", Sid="DenyS3Logs"),
)
CARLOS_BUCKET = of_resource(
    allow(
        "s3:*",
        [
            "arn:aws:s3:::amzn-s3-demo-bucket-carlossalazar/*",
            "arn:aws:s3:::amzn-s3-demo-bucket-carlossalazar",
        ],
        Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/carlossalazar"},
    )
)


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("s3:ListAllMyBuckets", "arn:aws:s3:::any", True),
        ("s3:PutObject", "arn:aws:s3:::amzn-s3-demo-bucket-carlossalazar/file", True),
        ("s3:PutObject", "arn:aws:s3:::amzn-s3-demo-bucket-carlossalazar-logs/file", False),
        ("s3:PutObject", "arn:aws:s3:::another/file", False),
    ],
)
def test_an_explicit_deny_overrides_what_both_policies_allow(
    action: str, resource: str, allowed: bool
) -> None:
    decision = ask(action, resource, principal=user("carlossalazar"), identity=CARLOS, resource=CARLOS_BUCKET)
    assert decision.allowed == allowed


def test_a_denial_says_what_denied_it() -> None:
    resource = "arn:aws:s3:::amzn-s3-demo-bucket-carlossalazar-logs/file"
    request = Request(user("carlossalazar"), "s3:PutObject", resource)
    decision = decide(request, Policies(identity=CARLOS))
    assert decision.statement is not None
    assert decision.statement.sid == "DenyS3Logs"
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    assert decision.message(request) == (
        f"User: arn:aws:iam::{ACCOUNT}:user/carlossalazar is not authorized to perform: s3:PutObject"
        f" on resource: {resource} with an explicit deny in an identity-based policy"
    )
    request = replace(request, action="codecommit:ListRepositories", resource="*")
    assert decide(request, Policies()).message(request) == (
        f"User: arn:aws:iam::{ACCOUNT}:user/carlossalazar is not authorized to perform: codecommit:ListRepositories"
        " because no identity-based policy allows the codecommit:ListRepositories action"
    )


# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_identity-vs-resource.html
# Nobody else is concerned: John lists and reads Resource X, Mary everything of X, Y and Z, Zhang is one of X's and denied.
X, Y = "arn:aws:example:::X", "arn:aws:example:::Y"
RESOURCE_X = of_resource(
    allow(["e:List", "e:Read"], X, Principal={"AWS": user("JohnSmith").arn}),
    allow("e:Read", X, Principal={"AWS": user("MaryMajor").arn}),
    deny("e:*", X, Principal={"AWS": user("ZhangWei").arn}),
)


@pytest.mark.parametrize(
    ("who", "identity", "action", "allowed"),
    [
        ("JohnSmith", [allow(["e:List", "e:Read"], X)], "e:Read", True),
        ("JohnSmith", [], "e:List", True),
        ("JohnSmith", [allow(["e:List", "e:Read"], X)], "e:Write", False),
        ("MaryMajor", [allow(["e:List", "e:Write"], X)], "e:Write", True),
        ("MaryMajor", [allow(["e:List", "e:Write"], X)], "e:Read", True),
        ("ZhangWei", [allow("*", "*")], "e:Read", False),
        ("CarlosSalazar", [], "e:List", False),
    ],
)
def test_identity_and_resource_add_up_and_a_deny_of_the_resource_wins(
    who: str, identity: list[dict[str, Any]], action: str, allowed: bool
) -> None:
    decision = ask(action, X, principal=user(who), identity=policy(*identity), resource=RESOURCE_X)
    assert decision.allowed == allowed
    if who == "ZhangWei":
        assert decision.policy is Policy.RESOURCE


# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
SHIRLEY_BOUNDARY = policy(allow(["s3:*", "cloudwatch:*", "ec2:*"]))


def test_a_boundary_gives_nothing_and_limits_what_the_identity_has() -> None:
    who = user("ShirleyRodriguez")
    assert not ask(
        "iam:CreateUser", principal=who, identity=policy(allow("iam:CreateUser")), boundary=SHIRLEY_BOUNDARY
    ).allowed
    assert not ask("s3:GetObject", principal=who, boundary=SHIRLEY_BOUNDARY).allowed
    assert ask(
        "s3:GetObject", principal=who, identity=policy(allow("s3:*")), boundary=SHIRLEY_BOUNDARY
    ).allowed
    denied = ask("iam:CreateUser", principal=who, identity=policy(allow("iam:*")), boundary=SHIRLEY_BOUNDARY)
    request = Request(who, "iam:CreateUser", "*")
    assert denied.message(request).endswith(
        "because no permissions boundary allows the iam:CreateUser action"
    )


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
@pytest.mark.parametrize(
    ("named", "allowed"), [(ROLE.arn, True), (ROLE.role, False), ("*", False), (ROOT, False)]
)
def test_only_a_resource_that_names_the_session_itself_is_not_limited(named: str, allowed: bool) -> None:
    decision = ask(
        "sqs:SendMessage",
        "arn:aws:sqs:us-east-1:111122223333:q",
        boundary=policy(allow("s3:*")),
        session=policy(allow("s3:*")),
        resource=of_resource(allow("sqs:*", Principal={"AWS": named})),
    )
    assert decision.allowed == allowed


def test_a_session_has_what_role_and_session_policy_both_allow() -> None:
    policies: dict[str, Any] = {
        "identity": policy(allow("s3:*")),
        "session": policy(allow(["s3:GetObject", "sqs:*"])),
    }
    assert ask("s3:GetObject", "arn:aws:s3:::b/k", **policies).allowed
    assert ask("s3:PutObject", "arn:aws:s3:::b/k", **policies).policy is Policy.SESSION
    assert ask("sqs:SendMessage", **policies).policy is Policy.IDENTITY


# https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
DEFAULT_KEY_POLICY = of_resource(allow("kms:*", Principal={"AWS": ROOT}), required=True)


def test_identities_have_rights_on_a_key_only_where_its_policy_leaves_them_to_the_account() -> None:
    identity = policy(allow("kms:Decrypt", KEY))
    assert ask("kms:Decrypt", KEY, identity=identity, resource=DEFAULT_KEY_POLICY).allowed
    assert not ask("kms:Decrypt", KEY, resource=DEFAULT_KEY_POLICY).allowed
    alone = of_resource(allow("kms:*", Principal={"AWS": user("KeyAdmin").arn}), required=True)
    decision = ask("kms:Decrypt", KEY, identity=identity, resource=alone)
    assert decision == Decision(False, None, Policy.RESOURCE)
    named = of_resource(allow("kms:Decrypt", Principal={"AWS": ROLE.role}), required=True)
    assert ask("kms:Decrypt", KEY, resource=named).allowed


# https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
def test_what_a_key_and_a_role_allow_together_needs_both() -> None:
    role = policy(allow("kms:Decrypt"), source="Role")
    key = of_resource(allow("kms:*", Principal={"AWS": ROOT}), required=True)
    request = Request(ROLE, "kms:Decrypt", "*")
    policies = Policies(identity=role, resource=key)
    assert [needs(request, policies, each) for each in (*role, *key.statements)] == [True, True]


def test_a_key_can_be_used_only_through_a_service() -> None:
    via = {"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}}
    identity = policy(allow("kms:Decrypt", KEY, Condition=via))
    through = {"kms:viaservice": "secretsmanager.us-east-1.amazonaws.com"}
    assert ask("kms:Decrypt", KEY, context=through, identity=identity, resource=DEFAULT_KEY_POLICY).allowed
    assert not ask("kms:Decrypt", KEY, identity=identity, resource=DEFAULT_KEY_POLICY).allowed


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
def test_across_accounts_both_sides_must_allow() -> None:
    stranger = Principal(
        arn=f"arn:aws:sts::{OTHER}:assumed-role/app/s", account=OTHER, role=f"arn:aws:iam::{OTHER}:role/app"
    )
    identity = policy(allow("s3:GetObject", "arn:aws:s3:::bucket/*"))
    shared = of_resource(
        allow("s3:GetObject", "arn:aws:s3:::bucket/*", Principal={"AWS": f"arn:aws:iam::{OTHER}:root"})
    )
    target = "arn:aws:s3:::bucket/key"
    assert ask("s3:GetObject", target, principal=stranger, identity=identity, resource=shared).allowed
    assert not ask("s3:GetObject", target, principal=stranger, resource=shared).allowed
    assert not ask(
        "s3:GetObject", target, principal=stranger, identity=identity, resource=of_resource()
    ).allowed


# https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
def test_a_service_may_what_the_resource_allows_it_for_the_source_that_it_names() -> None:
    topic = of_resource(
        allow(
            "sns:Publish",
            Principal={"Service": "cloudwatch.amazonaws.com"},
            Condition={
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:*"},
            },
        )
    )
    alarm = {
        "aws:sourceaccount": ACCOUNT,
        "aws:sourcearn": f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:slow",
    }

    def publishes(service: str, context: Context) -> bool:
        who = Principal(arn=service, account="", service=service)
        return ask("sns:Publish", "arn:topic", principal=who, context=context, resource=topic).allowed

    assert publishes("cloudwatch.amazonaws.com", alarm)
    assert not publishes("events.amazonaws.com", alarm)
    assert not publishes("cloudwatch.amazonaws.com", {**alarm, "aws:sourceaccount": OTHER})
    # A role is not the service, whatever it may do.
    assert not ask("sns:Publish", "arn:topic", context=alarm, resource=topic).allowed


# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
@pytest.mark.parametrize(("service", "allowed"), [("ecs-tasks", True), ("ec2", False)])
def test_a_role_is_passed_only_to_the_service_that_is_named(service: str, allowed: bool) -> None:
    identity = policy(
        allow(
            "iam:PassRole",
            ROLE.role,
            Condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        )
    )
    context = {"iam:passedtoservice": f"{service}.amazonaws.com"}
    assert ask("iam:PassRole", ROLE.role, identity=identity, context=context).allowed == allowed


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
def test_a_deny_of_everybody_but_one_leaves_that_one_only() -> None:
    bucket = of_resource(
        {
            "Effect": "Deny",
            "NotPrincipal": {"AWS": [ROLE.role, ROLE.arn, ROOT]},
            "Action": "s3:*",
            "Resource": "arn:aws:s3:::b/*",
        }
    )
    identity = policy(allow("s3:*"))
    assert ask("s3:GetObject", "arn:aws:s3:::b/k", identity=identity, resource=bucket).allowed


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html#example-bucket-policies-HTTP-HTTPS
@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}])
def test_a_bucket_refuses_everybody_without_tls(principal: Any) -> None:
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    bucket = of_resource(deny("s3:*", "arn:aws:s3:::b/*", Principal=principal, Condition=insecure))
    identity = policy(allow("s3:*"))
    for who in (ROLE, user("x")):
        for secure in ("true", "false"):
            decision = ask(
                "s3:GetObject",
                "arn:aws:s3:::b/k",
                principal=who,
                context={"aws:securetransport": secure},
                identity=identity,
                resource=bucket,
            )
            assert decision.allowed == (secure == "true")


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notaction.html
def test_all_but_the_actions_that_are_named() -> None:
    identity = policy(
        {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "arn:aws:s3:::*"},
        {
            "Effect": "Deny",
            "NotAction": "iam:*",
            "Resource": "*",
            "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
        },
    )
    assert ask("s3:GetObject", "arn:aws:s3:::b/k", identity=identity).allowed is False
    mfa = {"aws:multifactorauthpresent": "true"}
    assert ask("s3:GetObject", "arn:aws:s3:::b/k", identity=identity, context=mfa).allowed
    assert not ask("s3:DeleteBucket", "arn:aws:s3:::b", identity=identity, context=mfa).allowed
    assert not ask("sqs:SendMessage", "arn:aws:sqs:us-east-1:1:q", identity=identity, context=mfa).allowed


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notresource.html
def test_all_but_the_resources_that_are_named() -> None:
    identity = policy(
        allow("s3:*"),
        {
            "Effect": "Deny",
            "Action": "s3:*",
            "NotResource": ["arn:aws:s3:::payroll", "arn:aws:s3:::payroll/*"],
        },
    )
    assert ask("s3:GetObject", "arn:aws:s3:::payroll/may", identity=identity).allowed
    assert not ask("s3:GetObject", "arn:aws:s3:::other/may", identity=identity).allowed


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
def test_variables_are_filled_in_and_are_no_wildcards() -> None:
    home = policy(allow("s3:GetObject", "arn:aws:s3:::bucket/${aws:username}/*"))
    target = "arn:aws:s3:::bucket/sofia/key"
    assert ask("s3:GetObject", target, identity=home, context={"aws:username": "sofia"}).allowed
    assert not ask("s3:GetObject", target, identity=home, context={"aws:username": "*"}).allowed
    assert not ask("s3:GetObject", target, identity=home).allowed
    team = policy(allow("s3:GetObject", "arn:aws:s3:::bucket/${aws:PrincipalTag/team, 'company-wide'}/*"))
    assert ask("s3:GetObject", "arn:aws:s3:::bucket/company-wide/k", identity=team).allowed
    special = policy(allow("s3:GetObject", "arn:aws:s3:::bucket/${*}/${$}"))
    assert ask("s3:GetObject", "arn:aws:s3:::bucket/*/$", identity=special).allowed
    assert not ask("s3:GetObject", "arn:aws:s3:::bucket/x/$", identity=special).allowed


def test_actions_have_no_case_and_resources_have() -> None:
    identity = policy(allow("S3:getobject", "arn:aws:s3:::Bucket/*"))
    assert ask("s3:GetObject", "arn:aws:s3:::Bucket/k", identity=identity).allowed
    assert not ask("s3:GetObject", "arn:aws:s3:::bucket/k", identity=identity).allowed


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
@pytest.mark.parametrize(
    ("condition", "context", "met"),
    [
        # Operators and keys are all to be met, of values one; of negated ones none may be.
        ({"StringEquals": {"aws:PrincipalTag/a": ["1", "2"], "k": "v"}}, {"aws:principaltag/a": "2", "k": "v"}, True),
        ({"StringEquals": {"aws:PrincipalTag/a": ["1", "2"], "k": "v"}}, {"aws:principaltag/a": "2"}, False),
        ({"StringNotEquals": {"k": ["1", "2"]}}, {"k": "2"}, False),
        ({"StringNotEquals": {"k": ["1", "2"]}}, {"k": "3"}, True),
        ({"StringNotEquals": {"k": "1"}}, {}, True),
        ({"StringEquals": {"k": "1"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "1"}}, {}, True),
        ({"StringEqualsIfExists": {"k": "1"}}, {"k": "2"}, False),
        ({"StringEqualsIgnoreCase": {"k": "ABC"}}, {"k": "abc"}, True),
        ({"StringEquals": {"k": "ABC"}}, {"k": "abc"}, False),
        ({"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/*"]}}, {"s3:prefix": "home/a/b", "aws:username": "a"}, True),
        ({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}, {"s3:prefix": "home/b/b", "aws:username": "a"}, False),
        ({"StringNotLike": {"k": "a*"}}, {"k": "abc"}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "10"}, True),
        ({"NumericLessThan": {"s3:max-keys": "10"}}, {"s3:max-keys": "10"}, False),
        ({"NumericGreaterThan": {"k": "9"}}, {"k": "10"}, True),
        ({"NumericEquals": {"k": "1"}}, {"k": "one"}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-04-01T00:00:00Z"}}, {"aws:currenttime": "2020-04-01T00:00:01Z"}, True),
        ({"DateLessThan": {"aws:EpochTime": "1585699200"}}, {"aws:epochtime": "1585699199"}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"aws:securetransport": "true"}, True),
        ({"Bool": {"aws:SecureTransport": True}}, {"aws:securetransport": "false"}, False),
        ({"BinaryEquals": {"key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}, {"key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}, True),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"aws:sourceip": "203.0.113.9"}, True),
        ({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]}}, {"aws:sourceip": "2001:db8:1234:5678::1"}, True),
        ({"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]}}, {"aws:sourceip": "203.0.113.9"}, False),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:*:1:topic-*"}}, {"aws:sourcearn": "arn:aws:sns:eu-west-1:1:topic-x"}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:topic"}}, {"aws:sourcearn": "arn:aws:sns:eu-west-1:1:topic"}, False),
        ({"ArnNotLike": {"aws:SourceArn": "arn:aws:sns:*:1:topic"}}, {"aws:sourcearn": "arn:aws:sns:eu-west-1:1:topic"}, False),
        ({"Null": {"aws:TokenIssueTime": "true"}}, {}, True),
        ({"Null": {"aws:TokenIssueTime": "true"}}, {"aws:tokenissuetime": "x"}, False),
        ({"Null": {"aws:TokenIssueTime": "false"}}, {"aws:tokenissuetime": "x"}, True),
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}}, {"aws:tagkeys": ("environment",)}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}}, {"aws:tagkeys": ("environment", "x")}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["environment"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["environment", "webserver"]}}, {"aws:tagkeys": ("x", "webserver")}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["environment", "webserver"]}}, {"aws:tagkeys": ("x",)}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["environment"]}}, {}, False),
        ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["environment"]}}, {}, False),
    ],
)  # fmt: skip
def test_conditions(condition: dict[str, Any], context: Context, met: bool) -> None:
    (statement,) = policy(allow("s3:*", Condition=condition))
    assert meets(statement.conditions, context) == met


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "{}",
        {"Version": "2012-10-17"},
        {"Statement": {"Effect": "Maybe"}},
        {"Statement": [{"Action": "s3:*", "Resource": "*"}]},
    ],
)
def test_what_iam_would_not_have_taken_is_no_policy(document: Any) -> None:
    with pytest.raises(PolicyError):
        statements(document, "Policy")


def test_an_operator_that_iam_does_not_have_is_told() -> None:
    with pytest.raises(PolicyError, match="StringIs"):
        ask(
            "s3:GetObject",
            identity=policy(allow("s3:*", Condition={"StringIs": {"k": "v"}})),
            context={"k": "v"},
        )
