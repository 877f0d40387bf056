"""What roles are granted, by the templates: each action of each statement of each policy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.deployed.stacks import readable
from ops.synthesis.templates import Templates, merged

_FROM_ARN = re.compile(r"arn:[^:]*:[^:]*:[^:]*:[^:]*:(?=.)")
_IN_TEXT = re.compile(r"\$\{([^}]+)\}")
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "account",
    "AWS::Region": "region",
    "AWS::StackId": "<this stack>",
}
_POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")


@dataclass(frozen=True)
class Role:
    """A role: its logical id after that of its stack, and who may take it."""

    id: str
    name: str
    trusted: tuple[str, ...]


@dataclass(frozen=True)
class Grant:
    """An action, or a pattern of actions, that a statement allows or denies to a role.

    `policy` is the logical id of the policy, for one that AWS manages its ARN; `inline` the name of a policy that belongs to
    the role. `statement` is its Sid, else its place in the policy, counted from 1. A managed policy of AWS is one grant,
    whatever it allows.
    """

    role: Role
    policy: str
    inline: str
    statement: str
    allows: bool
    action: str
    resources: tuple[str, ...]
    conditions: tuple[str, ...]

    @property
    def managed_by_aws(self) -> bool:
        """Whether it is a whole policy, which AWS writes and changes."""
        return self.policy.startswith("arn:")


def grants(templates: Templates) -> list[Grant]:
    """Every grant of every role, by role, policy and place."""
    resources: Mapping[str, Any] = merged(templates, {})["Resources"]
    roles = {
        name: Role(name, readable(name), tuple(sorted(set(_trusted(each["Properties"])))))
        for name, each in resources.items()
        if each["Type"] == "AWS::IAM::Role"
    }
    return sorted(_found(resources, roles), key=lambda each: (each.role.id, each.policy, each.inline))


def _found(resources: Mapping[str, Any], roles: Mapping[str, Role]) -> Iterator[Grant]:
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] in _POLICIES:
            inline = str(properties["PolicyName"]) if resource["Type"] == "AWS::IAM::Policy" else ""
            for role in properties.get("Roles", []):
                yield from _of_document(roles[role["Ref"]], name, inline, properties["PolicyDocument"])
        elif resource["Type"] == "AWS::IAM::Role":
            for each in properties.get("Policies", []):
                yield from _of_document(roles[name], name, str(each["PolicyName"]), each["PolicyDocument"])
            for arn in (text(each) for each in properties.get("ManagedPolicyArns", [])):
                # Those of the templates are resources, found above.
                if ":iam::aws:policy/" in arn:
                    yield Grant(roles[name], arn, "", "", True, "", (), ())


def _of_document(role: Role, policy: str, inline: str, document: Mapping[str, Any]) -> Iterator[Grant]:
    for place, statement in enumerate(_listed(document["Statement"]), 1):
        for action in _listed(statement["Action"]):
            yield Grant(
                role=role,
                policy=policy,
                inline=inline,
                statement=str(statement.get("Sid") or place),
                allows=statement["Effect"] == "Allow",
                action=action,
                resources=tuple(_short(text(each)) for each in _listed(statement.get("Resource", "*"))),
                conditions=tuple(_conditions(statement.get("Condition", {}))),
            )


def _conditions(written: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for operator, keys in written.items():
        for key, values in keys.items():
            yield f"{key} {operator} {', '.join(_short(text(each)) for each in _listed(values))}"


def _trusted(role: Mapping[str, Any]) -> Iterator[str]:
    for statement in _listed(role["AssumeRolePolicyDocument"]["Statement"]):
        for kind, names in statement["Principal"].items():
            for each in _listed(names):
                yield text(each).removesuffix(".amazonaws.com") if kind == "Service" else _short(text(each))


def text(value: Any) -> str:
    """A value of a template for people: what only CloudFormation knows is named by its logical id, in angle brackets."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return _named(str(name))
        case {"Fn::GetAtt": [name, *_]}:
            return _named(str(name))
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(text(each) for each in parts)
        case {"Fn::Sub": str(written)}:
            return _IN_TEXT.sub(lambda found: _named(found[1].partition(".")[0]), written)
        case {"Fn::GetStackOutput": {"OutputName": output}}:
            return _named(str(output))
        case {"Fn::Select": [_, {"Fn::Split": [_, split]}]}:
            return text(split)
    return str(value)


def _named(name: str) -> str:
    return _PSEUDO.get(name) or f"<{readable(name)}>"


def _short(arn: str) -> str:
    return _FROM_ARN.sub("", arn)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
