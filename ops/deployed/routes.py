"""What a template says of the load balancer's traffic, and what CloudFormation would make of a change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import Any

Template = Mapping[str, Any]
# Target groups that receive requests, with their weights in lowest terms: {blue: 1} is all to blue, whether
# it was written as a single forward or as 100 to 0. Nobody receives anything where it is empty.
Traffic = Mapping[str, int]

RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
SERVICE = "AWS::ECS::Service"
LIVE_TRAFFIC = "Custom::LiveTraffic"
DEPLOYMENT_GROUP = "AWS::CodeDeploy::DeploymentGroup"

# Properties whose change makes CloudFormation replace the resource rather than update it ("Update requires:
# Replacement" in its reference), of all types that a listener rule refers to, directly or not. A test
# compares them with the published schemas.
CREATE_ONLY: Mapping[str, frozenset[str]] = {
    RULE: frozenset({"ListenerArn"}),
    LISTENER: frozenset({"LoadBalancerArn"}),
    TARGET_GROUP: frozenset(
        {"IpAddressType", "Name", "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId"}
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": frozenset({"Name", "Scheme", "Type"}),
}


# `ProductionListenerArn` where an output was named so, or what CDK makes of the listener's path.
_LISTENER_OUTPUT = re.compile(r"^(\w+)ListenerArn$|LoadBalancer([A-Z][a-z]+)[0-9A-F]{8}")


@dataclass(frozen=True)
class Route:
    """A listener rule, or the default action of a listener (without priority), as a template has it.

    `traffic` names target groups by logical id; it is None where nothing is forwarded. With `signed_in` only
    those who have signed in at the load balancer are let through. With `follows_live` its weights are whatever the
    load balancer has when CloudFormation writes it; `traffic` then only tells between which groups.
    """

    logical_id: str
    listener: str
    priority: int | None
    properties: Mapping[str, Any]
    traffic: Traffic | None
    signed_in: bool = False
    follows_live: bool = False


@dataclass(frozen=True)
class Group:
    """One side of a pair of target groups: of which service (its name and the logical id), and which side."""

    service: str
    service_id: str | None
    side: str


@dataclass(frozen=True)
class Blueprint:
    """The routes, target groups and services of a template."""

    template: Template

    @cached_property
    def resources(self) -> Mapping[str, Mapping[str, Any]]:
        return dict(self.template.get("Resources", {}))

    @cached_property
    def routes(self) -> Mapping[str, Route]:
        """By logical id, every listener rule, and every listener whose default action forwards."""
        return {route.logical_id: route for route in self._routes()}

    @cached_property
    def groups(self) -> Mapping[str, Group]:
        """By logical id, every target group; its side is its logical id where no output names it."""
        named: dict[str, tuple[str, str]] = {}
        for name, output in self.template.get("Outputs", {}).items():
            found = re.fullmatch(r"(.*)(Blue|Green)TargetGroupArn", name)
            if found:
                named[reference(output["Value"])] = (found[1], found[2].lower())
        owners = {
            group: (each["ContainerName"], logical_id)
            for logical_id, properties in self._of_type(SERVICE)
            for each in properties.get("LoadBalancers", [])
            for group in _groups_of(each)
        }
        by_prefix = {named[group][0]: owner for group, owner in owners.items() if group in named}
        groups = {}
        for logical_id, _ in self._of_type(TARGET_GROUP):
            prefix, side = named.get(logical_id, (logical_id, logical_id))
            service, service_id = owners.get(logical_id) or by_prefix.get(prefix) or (prefix, None)
            groups[logical_id] = Group(service, service_id, side)
        return groups

    @cached_property
    def listener_names(self) -> Mapping[str, str]:
        """By logical id, or by what names one of another stack, what people call a listener."""
        names = {}
        for _, rule in self._of_type(RULE):
            asked = rule["ListenerArn"]
            output = asked.get("Fn::GetStackOutput", {}) if isinstance(asked, Mapping) else {}
            found = _LISTENER_OUTPUT.search(str(output.get("OutputName", "")))
            if found:
                names[reference(asked)] = (found[1] or found[2]).lower()
        for name, output in self.template.get("Outputs", {}).items():
            found = re.fullmatch(r"(.+)ListenerArn", name)
            if found:
                names[reference(output["Value"])] = found[1].lower()
        return names

    @cached_property
    def deployment_groups(self) -> Mapping[str, tuple[str, str]]:
        """By logical id of the service, the logical ids of its CodeDeploy application and deployment group."""
        return {
            reference(service["ServiceName"]): (reference(properties["ApplicationName"]), logical_id)
            for logical_id, properties in self._of_type(DEPLOYMENT_GROUP)
            for service in properties.get("ECSServices", [])
        }

    @cached_property
    def native_services(self) -> Sequence[str]:
        """The logical ids of the services that ECS itself releases."""
        return [
            logical_id
            for logical_id, properties in self._of_type(SERVICE)
            if properties.get("DeploymentController", {}).get("Type", "ECS") == "ECS"
        ]

    def _routes(self) -> Iterator[Route]:
        for logical_id, rule in self._of_type(RULE):
            traffic = traffic_of(rule["Actions"])
            listener = reference(rule["ListenerArn"])
            priority, signed_in = int(rule["Priority"]), signs_in(rule["Actions"])
            follows = self._follows_live(rule["Actions"])
            yield Route(logical_id, listener, priority, rule, traffic, signed_in, follows)
        for logical_id, properties in self._of_type(LISTENER):
            traffic = traffic_of(properties["DefaultActions"])
            if traffic is not None:
                yield Route(logical_id, logical_id, None, properties, traffic)

    def _follows_live(self, actions: Sequence[Mapping[str, Any]]) -> bool:
        return any(
            isinstance(group.get("Weight"), Mapping)
            and self.resources.get(reference(group["Weight"]), {}).get("Type") == LIVE_TRAFFIC
            for action in actions
            for group in action.get("ForwardConfig", {}).get("TargetGroups", [])
        )

    def _of_type(self, resource_type: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for logical_id, resource in self.resources.items():
            if resource["Type"] == resource_type:
                yield logical_id, resource.get("Properties", {})


def traffic_of(actions: Sequence[Mapping[str, Any]]) -> Traffic | None:
    """Where the actions of a rule send requests, written in a template or answered by the load balancer.

    Weights that only CloudFormation will know count alike.
    """
    for action in actions:
        if action["Type"] == "forward":
            # The load balancer answers in both forms at once; the longer one is the whole truth.
            groups = action.get("ForwardConfig", {}).get("TargetGroups") or [action]
            return _lowest_terms(
                {reference(group["TargetGroupArn"]): _weight(group.get("Weight", 1)) for group in groups}
            )
    return None


def _weight(value: Any) -> int:
    return 1 if isinstance(value, Mapping) else int(value)


def signs_in(actions: Sequence[Mapping[str, Any]]) -> bool:
    """Whether only those who have signed in get through the actions of a rule, as `traffic_of` reads them."""
    return any(str(action["Type"]).startswith("authenticate-") for action in actions)


def reference(value: Any) -> str:
    """The logical id that a value of a template refers to, or the value itself."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        if "Ref" in value:
            return str(value["Ref"])
        if "Fn::GetAtt" in value:
            target = value["Fn::GetAtt"]
            return str(target if isinstance(target, str) else target[0]).partition(".")[0]
    return json.dumps(value, sort_keys=True)


def replaced(before: Blueprint, after: Blueprint) -> frozenset[str]:
    """The logical ids whose resources CloudFormation would replace, as far as listener rules depend on them."""
    found: set[str] = set()
    while True:
        more = {
            logical_id
            for logical_id, resource in before.resources.items()
            if logical_id in after.resources
            and logical_id not in found
            and _is_replaced(resource, after.resources[logical_id], found)
        }
        if not more:
            return frozenset(found)
        found |= more


def references(value: Any) -> Iterator[str]:
    """Every logical id that a value of a template refers to."""
    if isinstance(value, Mapping):
        if "Ref" in value or "Fn::GetAtt" in value:
            yield reference(value)
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)


def _is_replaced(before: Mapping[str, Any], after: Mapping[str, Any], others: set[str]) -> bool:
    if before["Type"] != after["Type"]:
        return True
    old, new = before.get("Properties", {}), after.get("Properties", {})
    return any(
        old.get(name) != new.get(name) or not others.isdisjoint(references(new.get(name)))
        for name in CREATE_ONLY.get(before["Type"], ())
    )


def _groups_of(load_balancer: Mapping[str, Any]) -> Iterator[str]:
    yield reference(load_balancer["TargetGroupArn"])
    alternate = load_balancer.get("AdvancedConfiguration", {}).get("AlternateTargetGroupArn")
    if alternate is not None:
        yield reference(alternate)


def _lowest_terms(weights: Mapping[str, int]) -> Traffic:
    divisor = gcd(*weights.values()) or 1
    return {group: weight // divisor for group, weight in sorted(weights.items()) if weight}
