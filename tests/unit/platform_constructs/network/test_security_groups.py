"""Who may connect to whom, over all templates together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import settings
from ops.deployed.routes import reference
from tests.conftest import ENVIRONMENTS, Synthesize, Template
from tests.resources import of_type

GROUP = "AWS::EC2::SecurityGroup"
# What CDK writes into a group that lets nothing out.
NOTHING = "255.255.255.255/32"


def rules(found: Mapping[str, Template], direction: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every rule of a direction, inline or a resource of its own, with the name of its group."""
    for stack, template in found.items():
        for logical_id, group in of_type(template, GROUP).items():
            for rule in group.get(f"SecurityGroup{direction}", []):
                yield f"{stack}/{logical_id}", rule
        for rule in of_type(template, f"AWS::EC2::SecurityGroup{direction}").values():
            yield f"{stack}/{rule['GroupId']}", rule


def addresses(rule: Mapping[str, Any]) -> set[str]:
    return {str(rule[key]) for key in ("CidrIp", "CidrIpv6") if key in rule}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_only_the_load_balancer_is_reached_from_addresses(templates: Synthesize, name: str) -> None:
    found = list(rules(templates(name), "Ingress"))
    assert {group for group, rule in found if addresses(rule)} == {
        next(f"Compute/{each}" for each in of_type(templates(name).platform, GROUP) if "Entrance" in each)
    }
    for group, rule in found:
        assert addresses(rule) or rule["SourceSecurityGroupId"], group


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_only_addresses_that_anything_calls_are_of_https(templates: Synthesize, name: str) -> None:
    called = [
        (group, rule)
        for group, rule in rules(templates(name), "Egress")
        if addresses(rule) and addresses(rule) != {NOTHING}
    ]
    assert called
    for group, rule in called:
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443), group
        assert "Entrance" not in group, "the load balancer calls tasks and nobody else"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_group_says_what_it_lets_out(templates: Synthesize, name: str) -> None:
    # A group without a word on it lets everything out.
    template = templates(name).whole
    said = {reference(rule["GroupId"]) for rule in of_type(template, f"{GROUP}Egress").values()}
    for logical_id, group in of_type(template, GROUP).items():
        assert group.get("SecurityGroupEgress") or logical_id in said, logical_id


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_database_is_reached_by_its_users_the_preparations_and_the_rotation(
    templates: Synthesize, name: str
) -> None:
    template = templates(name).whole
    database = next(each for each in of_type(template, GROUP) if each.startswith("DataDatabaseSecurityGroup"))
    sources = {
        reference(rule["SourceSecurityGroupId"])[:-8]
        for rule in of_type(template, f"{GROUP}Ingress").values()
        if reference(rule["GroupId"]) == database
    }
    users = {
        f"{each.stack_id}SecurityGroup" for each in settings.load(name).services if each.database != "none"
    }
    assert sources == {
        "DataDatabaseClientSecurityGroup",
        "DataDatabaseRotationSecurityGroup",
        *users,
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_service_keeps_its_one_group_whatever_it_may_reach(templates: Synthesize, name: str) -> None:
    """CloudFormation cannot change the groups of a service that CodeDeploy releases."""
    for service in of_type(templates(name).platform, "AWS::ECS::Service").values():
        (group,) = service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
        assert re.fullmatch(r"[A-Za-z]+SecurityGroup[0-9A-F]{8}", reference(group))
