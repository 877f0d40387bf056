from __future__ import annotations

from pathlib import Path

import pytest

import settings
from tests.conftest import ENVIRONMENTS, Synthesize, synthesize
from tests.resources import by_path, of_type, only


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_tier_has_a_subnet_in_every_zone(templates: Synthesize, name: str) -> None:
    subnets = of_type(templates(name)["Network"], "AWS::EC2::Subnet").values()
    zones = settings.load(name).availability_zones
    assert sorted(subnet["AvailabilityZone"] for subnet in subnets) == sorted(zones * 3)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_subnet_gives_out_public_addresses(templates: Synthesize, name: str) -> None:
    subnets = of_type(templates(name)["Network"], "AWS::EC2::Subnet").values()
    assert not any(subnet.get("MapPublicIpOnLaunch") for subnet in subnets)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_data_subnets_have_no_way_out(templates: Synthesize, name: str) -> None:
    routes = by_path(templates(name)["Network"], "/DataSubnet")
    assert not [key for key, resource in routes.items() if resource["Type"] == "AWS::EC2::Route"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nat_gateways_are_as_many_as_set(templates: Synthesize, name: str) -> None:
    gateways = of_type(templates(name)["Network"], "AWS::EC2::NatGateway")
    assert len(gateways) == settings.load(name).network.nat_gateways


def test_without_nat_the_tasks_reach_aws_through_endpoints(project: Path, tmp_path: Path) -> None:
    file = project / "environments/dev.toml"
    file.write_text(
        file.read_text().replace("nat_gateways = 1", "nat_gateways = 0\ninterface_endpoints = true")
    )
    template = synthesize(settings.load("dev", project), tmp_path / "out")["Network"]
    endpoints = of_type(template, "AWS::EC2::VPCEndpoint").values()
    kinds = sorted(endpoint["VpcEndpointType"] for endpoint in endpoints)
    assert kinds == ["Gateway"] + ["Interface"] * 7
    assert not of_type(template, "AWS::EC2::NatGateway")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_flows_are_logged_encrypted_for_as_long_as_set(templates: Synthesize, name: str) -> None:
    template = templates(name)["Network"]
    assert only(of_type(template, "AWS::EC2::FlowLog"))["TrafficType"] == "ALL"
    group = only(of_type(template, "AWS::Logs::LogGroup"))
    assert group["RetentionInDays"] == settings.load(name).logs.retention_days
    assert group["KmsKeyId"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_default_security_group_is_closed(templates: Synthesize, name: str) -> None:
    assert of_type(templates(name)["Network"], "Custom::VpcRestrictDefaultSG")
