"""Listener rules that want a number which another rule still holds when CloudFormation makes or moves them.

CloudFormation removes what a template has no more after all else is made and changed, and changes rules in no order that
a template could choose. The load balancer refuses a second rule of one number (PriorityInUse):
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_SetRulePriorities.html
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ops.deployed.routes import Blueprint, Route, replaced

_HIGHEST = 49_000


@dataclass
class _Service:
    """The rules of one service in a template, those that forbid included."""

    name: str
    routes: list[Route] = field(default_factory=list)

    @property
    def first(self) -> int:
        return min(route.priority or 0 for route in self.routes)

    @property
    def numbers(self) -> range:
        """Those between its rules are its own too, for networks to come."""
        return range(self.first, max(route.priority or 0 for route in self.routes) + 1)


def taken(
    before: Blueprint,
    after: Blueprint,
    made: Container[str],
    elsewhere: Mapping[tuple[str, int], str] = MappingProxyType({}),
) -> Iterator[str]:
    """A line for each service that wants a number which another rule holds, with one that is free.

    `made` are the logical ids of what is deployed, `elsewhere` rules of other stacks by listener and number.
    """
    anew = replaced(before, after)
    held = {
        (listener, priority): f"the rule {arn.rpartition('/')[2]} of another stack"
        for (listener, priority), arn in elsewhere.items()
    } | {
        (route.listener, route.priority): route.logical_id
        for route in before.routes.values()
        if route.priority is not None and route.logical_id in made
    }
    services = _services(after)
    used = {priority for _, priority in held}
    spoken_for = [service.numbers for service in services]
    for service in services:
        conflicts = [
            (route, holder)
            for route in service.routes
            if route.listener not in anew
            and (holder := held.get((route.listener, route.priority or 0))) is not None
            and holder != route.logical_id
        ]
        if not conflicts:
            continue
        others = [numbers for numbers in spoken_for if numbers != service.numbers]
        free = _free(service, used, others)
        spoken_for.append(range(free, free + len(service.numbers)))
        route, holder = min(conflicts, key=lambda pair: (pair[0].priority or 0, pair[0].logical_id))
        yield (
            f"{service.name}: its rule {route.priority} ({route.logical_id}) would be made while {holder} "
            "still has that number, which the load balancer refuses: CloudFormation removes and moves rules in no "
            f"order of ours. Remedy: set priority = {free} for {service.name}, which is free; after that deployment "
            "any number that has become free will do"
        )


def _services(after: Blueprint) -> Sequence[_Service]:
    names = {
        _paths(route): after.groups[group].service
        for route in after.routes.values()
        for group in route.traffic or ()
        if group in after.groups and route.priority is not None
    }
    found: dict[str, _Service] = {}
    for route in after.routes.values():
        if route.priority is not None:
            name = names.get(_paths(route), route.logical_id)
            found.setdefault(name, _Service(name)).routes.append(route)
    return sorted(found.values(), key=lambda service: service.first)


def _paths(route: Route) -> str:
    """What the rules of one service share, and no others have."""
    return json.dumps(
        [each for each in route.properties.get("Conditions", []) if each.get("Field") == "path-pattern"]
    )


def _free(service: _Service, used: Container[int], others: Sequence[range]) -> int:
    """The nearest number from which on the service has room: the order among the services is best kept."""
    offsets = {(route.priority or 0) - service.first for route in service.routes}
    length = len(service.numbers)

    def fits(first: int) -> bool:
        numbers = range(first, first + length)
        apart = all(numbers[-1] < other[0] or other[-1] < numbers[0] for other in others)
        return apart and not any(first + offset in used for offset in offsets)

    distances = (step for distance in range(1, _HIGHEST) for step in (distance, -distance))
    candidates = (service.first + step for step in distances if 1 <= service.first + step <= _HIGHEST)
    return next(first for first in candidates if fits(first))
