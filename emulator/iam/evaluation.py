"""Whether IAM allows a request, and in AWS's words why not.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from emulator.iam.policies import Context, Statement, is_account


class Policy(StrEnum):
    """The kinds of policy, as messages name them."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    TRUST = "role trust policy"


@dataclass(frozen=True)
class Principal:
    """Who asks: a session of a role (with the role's ARN), a user, or a service of AWS, by its name."""

    arn: str
    account: str
    role: str = ""
    service: str = ""

    def is_named(self, kind: str, name: str) -> bool:
        """Whether a policy's principal is exactly this one, or everybody."""
        if kind == "Service":
            return bool(self.service) and name == self.service
        if kind == "*" or (kind == "AWS" and name == "*"):
            return True
        return kind == "AWS" and bool(name) and name in (self.arn, self.role)


@dataclass(frozen=True)
class Request:
    """What is asked for: an action on a resource, by its ARN or `*`, with what is known of the request."""

    principal: Principal
    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class ResourcePolicy:
    """The policy of the resource, with the account that owns it.

    `required`: nothing is allowed in the owner's account that this policy does not allow, or leave to the account, as
    with keys and with the trust policies of roles.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
    """

    statements: Sequence[Statement]
    account: str
    kind: Policy = Policy.RESOURCE
    required: bool = False


@dataclass(frozen=True)
class Policies:
    """Every policy that counts for a request; None where there is none of its kind."""

    identity: Sequence[Statement] = ()
    resource: ResourcePolicy | None = None
    boundary: Sequence[Statement] | None = None
    session: Sequence[Statement] | None = None


@dataclass(frozen=True)
class Decision:
    """Allowed or not, by which statement; without one, by the kind of policy that does not allow it."""

    allowed: bool
    statement: Statement | None = None
    policy: Policy | None = None

    def message(self, request: Request) -> str:
        """A denial in AWS's words.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
        """
        where = "" if request.resource == "*" else f" on resource: {request.resource}"
        said = f"User: {request.principal.arn} is not authorized to perform: {request.action}{where}"
        if self.statement is not None:
            article = {Policy.IDENTITY: "an", Policy.TRUST: "the"}.get(self.policy or Policy.RESOURCE, "a")
            return f"{said} with an explicit deny in {article} {self.policy}"
        return f"{said} because no {self.policy} allows the {request.action} action"


def decide(request: Request, policies: Policies) -> Decision:
    """What IAM decides: an explicit deny wins, else something must allow, else it is denied."""
    resource = policies.resource
    # Which statements are of whose policy, each that could deny.
    for kind, statements in (
        (Policy.IDENTITY, policies.identity),
        (Policy.BOUNDARY, policies.boundary or ()),
        (Policy.SESSION, policies.session or ()),
    ):
        denying = _first(statements, request, allows=False)
        if denying:
            return Decision(False, denying, kind)
    if resource is not None:
        for statement in resource.statements:
            if not statement.allows and _denies(statement, request.principal) and _covers(statement, request):
                return Decision(False, statement, resource.kind)

    here = resource is None or resource.account == request.principal.account
    granted = delegated = None
    if resource is not None:
        granted = _granting(resource.statements, request)
        delegated = _delegating(resource.statements, request)
    if request.principal.service:
        # A service has no policies of its own: what the resource says is all.
        return (
            Decision(granted is not None, granted, None)
            if granted
            else Decision(False, None, _kind(resource))
        )

    if granted is not None and here:
        limit = None if _is_of_the_session(granted, request) else _limit(request, policies)
        return Decision(True, granted) if limit is None else Decision(False, None, limit)
    if resource is not None and granted is None and (delegated is None and (resource.required or not here)):
        return Decision(False, None, resource.kind)
    allowing = _first(policies.identity, request, allows=True)
    if allowing is None:
        return Decision(False, None, Policy.IDENTITY)
    limit = _limit(request, policies)
    return Decision(True, allowing) if limit is None else Decision(False, None, limit)


def needs(request: Request, policies: Policies, statement: Statement) -> bool:
    """Whether the request would be denied without this statement."""

    def without(statements: Sequence[Statement]) -> Sequence[Statement]:
        return [each for each in statements if each is not statement]

    resource = policies.resource
    fewer = replace(
        policies,
        identity=without(policies.identity),
        resource=resource and replace(resource, statements=without(resource.statements)),
    )
    return not decide(request, fewer).allowed


def _kind(resource: ResourcePolicy | None) -> Policy:
    return resource.kind if resource else Policy.RESOURCE


def _covers(statement: Statement, request: Request) -> bool:
    return statement.covers(request.action, request.resource, request.context)


def _first(statements: Iterable[Statement], request: Request, *, allows: bool) -> Statement | None:
    return next((each for each in statements if each.allows == allows and _covers(each, request)), None)


def _limit(request: Request, policies: Policies) -> Policy | None:
    """The kind of policy that does not let through what another one allows."""
    for kind, statements in ((Policy.BOUNDARY, policies.boundary), (Policy.SESSION, policies.session)):
        if statements is not None and _first(statements, request, allows=True) is None:
            return kind
    return None


def _granting(statements: Iterable[Statement], request: Request) -> Statement | None:
    """A statement of the resource that names the one who asks."""
    return next(
        (
            each
            for each in statements
            if each.allows
            and any(
                request.principal.is_named(kind, name)
                for kind, names in each.principals.items()
                for name in names
            )
            and _covers(each, request)
        ),
        None,
    )


def _delegating(statements: Iterable[Statement], request: Request) -> Statement | None:
    """A statement of the resource that leaves it to the account, whose identities' policies then decide."""
    return next(
        (
            each
            for each in statements
            if each.allows
            and any(is_account(name, request.principal.account) for name in each.principals.get("AWS", ()))
            and _covers(each, request)
        ),
        None,
    )


def _denies(statement: Statement, principal: Principal) -> bool:
    if statement.not_principals:
        return not any(
            principal.is_named(kind, name) or is_account(name, principal.account)
            for kind, names in statement.not_principals.items()
            for name in names
        )
    return any(
        principal.is_named(kind, name)
        or (kind == "AWS" and not principal.service and is_account(name, principal.account))
        for kind, names in statement.principals.items()
        for name in names
    )


def _is_of_the_session(statement: Statement, request: Request) -> bool:
    """Whether the resource names this very session, which boundaries and session policies do not limit.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
    """
    return request.principal.arn in statement.principals.get("AWS", ())


def allows_service(statements: Sequence[Statement], service: str, context: Context | None = None) -> bool:
    """Whether a role's trust policy lets a service of AWS take the role."""
    request = Request(
        Principal(arn=service, account="", service=service), "sts:AssumeRole", "*", context or {}
    )
    return decide(
        request, Policies(resource=ResourcePolicy(statements, "", Policy.TRUST, required=True))
    ).allowed
