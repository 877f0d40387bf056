from __future__ import annotations

import pytest

import settings
from tests.conftest import ENVIRONMENTS, Synthesize
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


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_only_the_application_subnets_reach_the_data_subnets_and_only_on_the_database_port(
    templates: Synthesize, name: str
) -> None:
    template = templates(name)["Network"]
    subnets = of_type(template, "AWS::EC2::Subnet")
    data = {each for each in subnets if "DataSubnet" in each}
    application = {each["CidrBlock"] for id_, each in subnets.items() if "ApplicationSubnet" in id_}
    acl = next(iter(of_type(template, "AWS::EC2::NetworkAcl")))
    associated = of_type(template, "AWS::EC2::SubnetNetworkAclAssociation").values()
    assert {each["SubnetId"]["Ref"] for each in associated} == data
    assert {each["NetworkAclId"]["Ref"] for each in associated} == {acl}
    port = only(of_type(templates(name)["Data"], "AWS::RDS::DBInstance"))["Port"]
    entries = of_type(template, "AWS::EC2::NetworkAclEntry").values()
    for egress, ports in ((False, {"From": int(port), "To": int(port)}), (True, {"From": 1024, "To": 65535})):
        every = [each for each in entries if each["Egress"] is egress]
        assert len({each["RuleNumber"] for each in every}) == len(every)
        # https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-nacls
        assert len(every) <= 20
        between = [each for each in every if each["CidrBlock"] not in application]
        assert {each["CidrBlock"] for each in between} == {subnets[each]["CidrBlock"] for each in data}
        found = [each for each in every if each not in between]
        assert {each["CidrBlock"] for each in found} == application
        for entry in found:
            assert (entry["RuleAction"], entry["Protocol"], entry["PortRange"]) == ("allow", 6, ports)
