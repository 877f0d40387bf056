"""Listeners that want a port which another listener still has when CloudFormation makes or moves them.

CloudFormation removes what a template has no more after all else is made and changed; a load balancer refuses a second
listener on one port (DuplicateListener):
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ops.deployed.routes import Template

_LISTENER = "AWS::ElasticLoadBalancingV2::Listener"


def taken(before: Template, after: Template, made: Mapping[str, str]) -> Iterator[str]:
    """A line for each listener that wants a port which another one has and does not leave in time.

    `made` are the physical ids of what is deployed, by logical id. One that moves in time is one that the other waits
    for (`DependsOn`).
    """
    wanted = _listeners(after)
    held = {port: name for name, port in _ports(before) if name in made}
    for name, port in _ports(after):
        holder = held.get(port, name)
        if holder == name:
            continue
        if holder not in wanted:
            yield (
                f"{name}: port {port} is that of the listener {holder}, which CloudFormation removes last, so that the "
                f"load balancer refuses this one. Remedy: aws elbv2 delete-listener --listener-arn {made[holder]}, and "
                f"deploy at once; port {port} answers nobody in between"
            )
        elif holder not in _waits_for(wanted[name]):
            yield f"{name}: port {port} is that of the listener {holder}, which moves in no order: let it wait for that one"


def _listeners(template: Template) -> dict[str, Mapping[str, Any]]:
    return {name: each for name, each in template["Resources"].items() if each["Type"] == _LISTENER}


def _ports(template: Template) -> Iterator[tuple[str, int]]:
    for name, each in _listeners(template).items():
        yield name, int(each["Properties"]["Port"])


def _waits_for(resource: Mapping[str, Any]) -> list[str]:
    found = resource.get("DependsOn", [])
    return [found] if isinstance(found, str) else list(found)
