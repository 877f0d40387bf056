"""What AWS says of its actions, and whether the texts of policies fit it."""

from __future__ import annotations

import re
from functools import cache

from emulator.iam.reference import PACKAGE, Action, actions, resource_type

__all__ = ["Action", "actions", "arn", "fits", "knows", "meet"]

_VARIABLE = re.compile(r"\$\{[^}]+\}")


def arn(service: str, kind: str, *, region: str, account: str, name: str) -> str:
    """The ARN of a resource that is called `name`, in every part of it that is a name."""
    known = {"${Partition}": "aws", "${Region}": region, "${Account}": account}
    form = resource_type(service, kind)["arn"]
    return _VARIABLE.sub(lambda found: known.get(found[0], name), form)


def fits(action: Action, resource: str) -> frozenset[str]:
    """The resource types of the action that the ARN of a policy, with its wildcards, can name."""
    service = action.name.partition(":")[0]
    return frozenset(
        each
        for each in action.resource_types
        if resource == "*" or meet(resource_type(service, each)["arn"], resource)
    )


def knows(action: Action, key: str) -> bool:
    """Whether the action has the condition key, or every request has it."""
    if key in _global_keys():
        return True
    return any(re.fullmatch(_variables_as(".+", each), key, re.IGNORECASE) for each in action.condition_keys)


@cache
def _global_keys() -> frozenset[str]:
    # Tags are a request's only where the action has them.
    text = (PACKAGE / "dist/cjs/globalConditionKeys.js").read_text()
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
