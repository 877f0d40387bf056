"""What ministack keeps of an account that decides about rights: roles, their policies, those of resources.

Why: it evaluates policies by itself only with a coarse idea of what a request acts on (a cluster, where IAM asks for the
service), and knows neither what AWS's services do in the name of a role nor which statement decided.
Unnecessary when it does.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.iam.evaluation import Policies, Policy, ResourcePolicy
from emulator.iam.policies import Statement, statements

# Nothing is allowed on a key that its own policy does not allow.
_POLICY_REQUIRED = frozenset({"kms"})
# Resources are encrypted with a key of AWS unless one of the account is named.
_KEY_OF_AWS = "alias/aws/"

# What other bridges know of requests' resources, by kind.
lookups: dict[str, Callable[[str], str | None]] = {}


def role(arn: str) -> dict[str, Any] | None:
    """The role of an ARN, or None."""
    from ministack.services import iam

    found: dict[str, Any] | None = iam._roles.get_scoped(arn.split(":")[4], None, arn.rsplit("/", 1)[-1])
    return found if found and found.get("Arn") == arn else None


def trust_policy(arn: str) -> tuple[Statement, ...]:
    """Who may take a role; nobody where there is none."""
    return statements((role(arn) or {}).get("AssumeRolePolicyDocument"), arn)


def policies(role_arn: str, action: str, resource: str, session_policies: Any = None) -> Policies:
    """Every policy that counts for an action of a role's session on a resource."""
    from ministack.core import iam_evaluator

    account = role_arn.split(":")[4] if role_arn else ""
    kept = (role(role_arn) or {}) if role_arn else {}
    boundary = kept.get("PermissionsBoundary")
    session: tuple[Statement, ...] | None = None
    if session_policies:
        documents = [("session policy", session_policies.get("Policy"))]
        documents += [
            (each, iam_evaluator._resolve_managed_policy_document(each, account))
            for each in session_policies.get("PolicyArns") or []
        ]
        session = tuple(each for source, document in documents for each in statements(document, source))
    return Policies(
        identity=_of_role(kept, account),
        resource=resource_policy(action, resource),
        boundary=(
            statements(iam_evaluator._resolve_managed_policy_document(boundary, account), boundary)
            if boundary
            else None
        ),
        session=session,
    )


def of_administrator(action: str, resource: str) -> Policies:
    """The administrator may do everything that no resource forbids."""
    everything = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    return Policies(statements(everything, "administrator"), resource_policy(action, resource))


def _of_role(kept: dict[str, Any], account: str) -> tuple[Statement, ...]:
    from ministack.core import iam_evaluator

    documents = [
        (f"{kept.get('Arn')}/{name}", text) for name, text in (kept.get("InlinePolicies") or {}).items()
    ]
    documents += [
        (arn, iam_evaluator._resolve_managed_policy_document(arn, account))
        for arn in kept.get("AttachedPolicies") or []
    ]
    return tuple(each for source, document in documents for each in statements(document, source))


def resource_policy(action: str, resource: str) -> ResourcePolicy | None:
    """The policy of a resource, of a kind that has one."""
    from ministack.core import iam_evaluator

    service = action.partition(":")[0]
    if action == "sts:AssumeRole":
        return ResourcePolicy(trust_policy(resource), resource.split(":")[4], Policy.TRUST, required=True)
    # A version or an alias of a function has a policy of its own, which is not kept here.
    found = iam_evaluator._resource_policy(service, resource)
    if found is None:
        return None
    document, account = found
    return ResourcePolicy(statements(document, resource), account, required=service in _POLICY_REQUIRED)


def lookup(kind: str, text: str) -> str | None:
    """What only the account knows of a request's resources: see `emulator.iam.actions.Lookup`."""
    if kind in lookups:
        return lookups[kind](text)
    match kind:
        case "secret":
            return _secret(text).get("ARN")
        case "key":
            return _key(text)
        case "ciphertext":
            from ministack.core import iam_actions

            return _key(iam_actions._kms_key_id_from_ciphertext(text))
        case "stack":
            from ministack.services import cloudformation

            name = text.split("/")[1] if text.startswith("arn:") else text
            return (cloudformation._stacks.get(name) or {}).get("StackId")
        case "role":
            from ministack.services import iam

            return (iam._roles.get(text) or {}).get("Arn")
        case "task-definition":
            return _task_definition(text).get("taskDefinitionArn")
    prefix, _, member = kind.rpartition("-")
    return _task_definition(text).get(member) if prefix == "task-definition" else None


def _task_definition(text: str) -> dict[str, Any]:
    from ministack.services import ecs

    return ecs._task_defs.get(ecs._resolve_td_key(text)) or {}


def _secret(text: str) -> dict[str, Any]:
    from ministack.services import secretsmanager

    return secretsmanager._resolve(text)[1] or {}


def _key(text: str) -> str | None:
    from ministack.services import kms

    found: str | None = (kms._resolve_key(text) or {}).get("Arn")
    return found


def encryption_key(resource: str) -> str | None:
    """The ARN of the account's own key that a secret, a topic or a bucket's objects are encrypted with, or None."""
    from ministack.services import s3, sns

    if not resource.startswith("arn:"):
        return None
    service, name = resource.split(":")[2], resource.split(":", 5)[-1]
    text = ""
    if service == "secretsmanager":
        text = _secret(resource).get("KmsKeyId") or ""
    elif service == "sns":
        topic = sns._topic_by_arn_any_scope(resource) or {}
        text = (topic.get("attributes") or {}).get("KmsMasterKeyId") or ""
    elif service == "s3":
        written = s3._bucket_encryption.get(name.partition("/")[0]) or ""
        text = written.partition("<KMSMasterKeyID>")[2].partition("<")[0]
    return None if not text or _KEY_OF_AWS in text else _key(text)
