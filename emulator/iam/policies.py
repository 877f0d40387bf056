"""Policy documents: statements, and whether one applies to a request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import base64
import ipaddress
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

# A request's condition keys, in lower case: AWS does not tell their case apart. A key with several values has a tuple.
Context = Mapping[str, "str | tuple[str, ...]"]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
_SPECIAL = frozenset("*?$")
_ACCOUNT = re.compile(r"\d{12}")
_ROOT = re.compile(r"arn:[\w-]+:iam::(\d{12}):root")


class PolicyError(ValueError):
    """A document that IAM would not have taken."""


@dataclass(frozen=True)
class Statement:
    """One statement of the policy that `source` names; `sid` is its identifier, else its place in the document."""

    source: str
    sid: str
    allows: bool
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    principals: Mapping[str, tuple[str, ...]]
    not_principals: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]]

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Whether action, resource and conditions are met; who asks is `names`' to say."""
        if self.not_actions:
            acts = not any(matches(each, action, ignore_case=True) for each in self.not_actions)
        else:
            acts = any(matches(each, action, ignore_case=True) for each in self.actions)
        return acts and self._on(resource, context) and meets(self.conditions, context)

    def _on(self, resource: str, context: Context) -> bool:
        if self.not_resources:
            return not any(_resource_matches(each, resource, context) for each in self.not_resources)
        # A trust policy names none: it is of the role that it belongs to.
        return not self.resources or any(
            _resource_matches(each, resource, context) for each in self.resources
        )


def statements(document: str | Mapping[str, Any] | None, source: str) -> tuple[Statement, ...]:
    """The statements of a policy document, as JSON or read; none where there is no document.

    Raises `PolicyError` where the document is none that IAM takes.
    """
    if not document:
        return ()
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError as error:
            raise PolicyError(f"{source} is not JSON: {error}") from None
    if not isinstance(document, Mapping) or "Statement" not in document:
        raise PolicyError(f"{source} has no Statement")
    return tuple(
        _statement(each, source, position) for position, each in enumerate(_listed(document["Statement"]), 1)
    )


def _statement(written: Mapping[str, Any], source: str, position: int) -> Statement:
    effect = written.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"{source}: Effect {effect!r}")
    return Statement(
        source=source,
        sid=str(written.get("Sid") or position),
        allows=effect == "Allow",
        actions=_texts(written.get("Action", ())),
        not_actions=_texts(written.get("NotAction", ())),
        resources=_texts(written.get("Resource", ())),
        not_resources=_texts(written.get("NotResource", ())),
        principals=_principals(written.get("Principal")),
        not_principals=_principals(written.get("NotPrincipal")),
        conditions={
            test: {key: _texts(values) for key, values in keys.items()}
            for test, keys in (written.get("Condition") or {}).items()
        },
    )


def _principals(written: Any) -> Mapping[str, tuple[str, ...]]:
    if written == "*":
        return {"*": ("*",)}
    return {kind: _texts(names) for kind, names in (written or {}).items()}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(each) for each in _listed(value))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _expression(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    written = "".join(
        ".*" if part == "*" else "." if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", pattern)
    )
    return re.compile(written, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether a pattern with `*` (any characters) and `?` (one character) is all of the text."""
    return _expression(pattern, ignore_case).fullmatch(text) is not None


def _resource_matches(pattern: str, resource: str, context: Context) -> bool:
    filled = _filled(pattern, context)
    return filled is not None and filled.fullmatch(resource) is not None


def _filled(pattern: str, context: Context) -> re.Pattern[str] | None:
    """A pattern with its policy variables filled in, which are no wildcards; None where one has no value.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    if "${" not in pattern:
        return _expression(pattern, False)
    written = ""
    position = 0
    for found in _VARIABLE.finditer(pattern):
        written += _expression(pattern[position : found.start()], False).pattern
        position = found.end()
        name, _, default = (part.strip() for part in found[1].partition(","))
        value = name if name in _SPECIAL else context.get(name.lower())
        if value is None:
            if not default:
                return None
            value = default.strip("'")
        if not isinstance(value, str):
            return None
        written += re.escape(value)
    return re.compile(written + _expression(pattern[position:], False).pattern, re.DOTALL)


def is_account(principal: str, account: str) -> bool:
    """Whether a principal of a policy stands for a whole account, which then decides by its own policies."""
    found = _ROOT.fullmatch(principal)
    return (found[1] if found else principal) == account and bool(_ACCOUNT.fullmatch(account))


# --- Conditions: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html


def _number(text: str) -> float:
    return float(text)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        made = datetime.fromisoformat(text)
        return made if made.tzinfo else made.replace(tzinfo=UTC)


def _in_network(value: str, network: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)


def _arn_matches(value: str, pattern: str) -> bool:
    # Each of the six parts by itself, so that no wildcard reaches beyond a colon of the first five.
    theirs, ours = value.split(":", 5), pattern.split(":", 5)
    return len(theirs) == len(ours) == 6 and all(
        matches(part, text) for part, text in zip(ours, theirs, strict=True)
    )


def _comparing(
    convert: Callable[[str], Any], compare: Callable[[Any, Any], bool]
) -> Callable[[str, str], bool]:
    return lambda value, wanted: compare(convert(value), convert(wanted))


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "stringequals": operator.eq,
    "stringequalsignorecase": lambda value, wanted: value.casefold() == wanted.casefold(),
    "stringlike": lambda value, wanted: matches(wanted, value),
    "numericequals": _comparing(_number, operator.eq),
    "numericlessthan": _comparing(_number, operator.lt),
    "numericlessthanequals": _comparing(_number, operator.le),
    "numericgreaterthan": _comparing(_number, operator.gt),
    "numericgreaterthanequals": _comparing(_number, operator.ge),
    "dateequals": _comparing(_moment, operator.eq),
    "datelessthan": _comparing(_moment, operator.lt),
    "datelessthanequals": _comparing(_moment, operator.le),
    "dategreaterthan": _comparing(_moment, operator.gt),
    "dategreaterthanequals": _comparing(_moment, operator.ge),
    "bool": _comparing(str.lower, operator.eq),
    "binaryequals": _comparing(base64.b64decode, operator.eq),
    "ipaddress": _in_network,
    "arnequals": _arn_matches,
    "arnlike": _arn_matches,
}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}


def meets(conditions: Mapping[str, Mapping[str, Sequence[str]]], context: Context) -> bool:
    """Whether every condition of every operator holds.

    Raises `PolicyError` for an operator that IAM does not know.
    """
    return all(
        _holds(test, context.get(key.lower()), wanted, context)
        for test, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(test: str, value: str | tuple[str, ...] | None, wanted: Sequence[str], context: Context) -> bool:
    name = test.lower()
    if name == "null":
        return (value is None) == (wanted[0].lower() == "true")
    quantifier, _, name = name.rpartition(":")
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    negated = name in _NEGATED
    compare = _TESTS.get(_NEGATED.get(name, name))
    if compare is None or quantifier not in ("", "forallvalues", "foranyvalue"):
        raise PolicyError(f"IAM has no condition operator {test}")
    if value is None or value == ():
        # What is not there is not equal either, and all of nothing is met; some of nothing is not.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
        return if_exists or quantifier == "forallvalues" or (negated and not quantifier)
    values = (value,) if isinstance(value, str) else value
    wished = [each for each in (_condition_value(each, context) for each in wanted) if each is not None]

    def one(actual: str) -> bool:
        return any(_compares(compare, actual, each) for each in wished) != negated

    return (
        any(one(each) for each in values)
        if quantifier == "foranyvalue"
        else all(one(each) for each in values)
    )


def _condition_value(written: str, context: Context) -> str | None:
    if "${" not in written:
        return written

    def value(found: re.Match[str]) -> str:
        name = found[1].strip()
        known = name if name in _SPECIAL else context.get(name.lower())
        if not isinstance(known, str):
            raise LookupError(name)
        return known

    try:
        return _VARIABLE.sub(value, written)
    except LookupError:
        return None


def _compares(compare: Callable[[str, str], bool], actual: str, wanted: str) -> bool:
    try:
        return compare(actual, wanted)
    except ValueError:
        # What is not of the operator's type does not match: no number, date, address or base64.
        return False
