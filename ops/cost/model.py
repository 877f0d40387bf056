"""The words of an estimate: resources of templates, what they consume, what that costs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from ops.cost.usage import Usage
from ops.deployed.routes import references
from ops.synthesis.templates import Templates

# What exists costs the fixed part, whatever is done with it; the rest follows the assumed usage.
Basis = Literal["fixed", "usage"]


@dataclass(frozen=True)
class Resource:
    """A resource of a template."""

    stack: str
    logical_id: str
    type: str
    properties: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The logical id without the hash that CDK puts at its end."""
        return re.sub(r"(?<=.)[0-9A-F]{8}$", "", self.logical_id)


@dataclass(frozen=True)
class Item:
    """Something that a resource consumes in a month, in units of the price `key`.

    `most` is the quantity with every service at its maximum of tasks all month, where that differs.
    Nothing of it is free where `allowed` is false, whatever the account has left.
    """

    key: str
    quantity: Decimal
    basis: Basis
    note: str = ""
    most: Decimal | None = None
    allowed: bool = True


@dataclass(frozen=True)
class World:
    """What a resource is estimated with: all resources of the environment, the usage, the hours of a month."""

    templates: Templates
    usage: Usage
    hours: Decimal

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """Every resource, by stack in the order of deployment, then by logical id."""
        return tuple(
            Resource(stack, logical_id, each["Type"], each.get("Properties", {}))
            for stack, template in self.templates.items()
            for logical_id, each in sorted(template["Resources"].items())
        )

    def of_type(self, resource_type: str, stack: str | None = None) -> Iterator[Resource]:
        """The resources of a type, of all stacks or of one."""
        return (
            each
            for each in self.resources
            if each.type == resource_type and (stack is None or each.stack == stack)
        )

    def referring(self, resource_type: str, to: Resource) -> Iterator[Resource]:
        """The resources of a type whose properties refer to a resource of the same stack."""
        return (
            each
            for each in self.of_type(resource_type, to.stack)
            if to.logical_id in set(references(each.properties))
        )

    @property
    def requests(self) -> Decimal:
        """Requests of a month."""
        return self.usage.traffic.requests_per_second * 3600 * self.hours
