"""An environment without NAT gateways: what runs in the VPC reaches every AWS API that it calls, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import settings
from ops.deployed.routes import reference, references
from tests.conftest import Made, Template, synthesize
from tests.resources import of_type, only

ENDPOINT = "AWS::EC2::VPCEndpoint"
INGRESS = "AWS::EC2::SecurityGroupIngress"
# Endpoints by the prefix of IAM actions, where they are not called alike.
ENDPOINTS = {"ecr": {"ecr.api", "ecr.dkr", "s3"}}
# For people, not for what runs here: a session in a task, and Security Hub EC2.57.
FOR_PEOPLE = {"ssm", "ssmmessages"}


@pytest.fixture(
    scope="module", params=[("dev", "codedeploy"), ("dev", "ecs"), ("prod", "codedeploy")], ids="-".join
)
def closed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The templates of an environment without NAT gateways."""
    name, controller = request.param
    environment = settings.load(name)
    network = environment.network.model_copy(update={"nat_gateways": 0, "interface_endpoints": True})
    release = environment.release.model_copy(update={"controller": controller})
    environment = environment.model_copy(update={"network": network, "release": release})
    return synthesize(environment, tmp_path_factory.mktemp("closed"))


def endpoints(found: Made) -> dict[str, Any]:
    """The properties of each endpoint by the name of its service, such as `ecr.api`."""
    by_service = {}
    for properties in of_type(found["Network"], ENDPOINT).values():
        name = properties["ServiceName"]
        text = name if isinstance(name, str) else name["Fn::Join"][1][-1]
        by_service[text.removeprefix("com.amazonaws.us-east-1").removeprefix(".")] = properties
    return by_service


def actions(template: Template, role: Any) -> Iterator[str]:
    """Every action that the policies of a template allow a role."""
    wanted = reference(role)
    documents = [
        policy["PolicyDocument"]
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for policy in of_type(template, kind).values()
        if wanted in {reference(each) for each in policy.get("Roles", [])}
    ]
    own = of_type(template, "AWS::IAM::Role")[wanted].get("Policies", [])
    documents += [policy["PolicyDocument"] for policy in own]
    for document in documents:
        for statement in document["Statement"]:
            allowed = statement["Action"]
            yield from [allowed] if isinstance(allowed, str) else allowed


def called(template: Template) -> Iterator[str]:
    """The prefix of every action that something in the VPC is allowed to call."""
    for definition in of_type(template, "AWS::ECS::TaskDefinition").values():
        for role in (definition["TaskRoleArn"], definition["ExecutionRoleArn"]):
            yield from (action.partition(":")[0] for action in actions(template, role))
    for function in of_type(template, "AWS::Lambda::Function").values():
        if "VpcConfig" in function:
            # Dead letters are published by Lambda itself, from outside; what a function publishes it is told where.
            told = "TOPIC_ARN" in json.dumps(function.get("Environment", {}))
            by_lambda = {"sns"} if "DeadLetterConfig" in function and not told else set()
            yield from {
                action.partition(":")[0] for action in actions(template, function["Role"])
            } - by_lambda


def groups_inside(template: Template) -> Iterator[Iterable[Any]]:
    """The security groups of everything that runs in the VPC and calls AWS."""
    for service in of_type(template, "AWS::ECS::Service").values():
        yield service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
    for task in of_type(template, "Custom::OneOffTask").values():
        yield task["SecurityGroups"]
    for function in of_type(template, "AWS::Lambda::Function").values():
        if "VpcConfig" in function:
            yield function["VpcConfig"]["SecurityGroupIds"]
    for rotation in of_type(template, "AWS::Serverless::Application").values():
        yield [rotation["Parameters"]["vpcSecurityGroupIds"]]


def test_no_subnet_but_the_public_ones_has_a_route_out(closed: Made) -> None:
    network = closed["Network"]
    assert not of_type(network, "AWS::EC2::NatGateway")
    routes = {reference(each["RouteTableId"]) for each in of_type(network, "AWS::EC2::Route").values()}
    assert routes
    assert all("PublicSubnet" in table for table in routes)


def test_every_api_that_something_in_the_vpc_calls_has_an_endpoint(closed: Made) -> None:
    # The rotation functions come from AWS and call this alone.
    assert of_type(closed["Data"], "AWS::Serverless::Application")
    prefixes = {"secretsmanager", *(prefix for template in closed.values() for prefix in called(template))}
    needed = set().union(*(ENDPOINTS.get(prefix, {prefix}) for prefix in prefixes))
    assert {"ecr.api", "logs", "secretsmanager", "ecs", "ec2", "codedeploy"} <= needed
    there = set(endpoints(closed))
    assert needed <= there
    assert there - needed <= FOR_PEOPLE


def test_everything_that_calls_an_api_is_admitted_by_its_group_and_nobody_else(
    closed: Made,
) -> None:
    network = closed["Network"]
    (endpoint_group,) = {
        reference(group)
        for properties in endpoints(closed).values()
        for group in properties.get("SecurityGroupIds", [])
    }
    assert not of_type(network, "AWS::EC2::SecurityGroup")[endpoint_group].get("SecurityGroupIngress")
    for stack in ("Data", "Compute", "Customer", "Employee"):
        template = closed[stack]
        admitted = set()
        for rule in of_type(template, INGRESS).values():
            if endpoint_group in str(rule["GroupId"]):
                assert (rule["FromPort"], rule["ToPort"]) == (443, 443)
                admitted.add(reference(rule["SourceSecurityGroupId"]))
        callers = list(groups_inside(template))
        assert callers
        for groups in callers:
            assert admitted & {reference(group) for group in groups}, groups


def test_tasks_are_started_when_they_are_admitted(closed: Made) -> None:
    template = closed.platform
    admissions = {
        reference(rule["SourceSecurityGroupId"]): logical_id
        for logical_id, rule in of_type(template, INGRESS).items()
        if "AwsEndpoints" in logical_id
    }
    assert admissions
    for kind in ("AWS::ECS::Service", "Custom::OneOffTask"):
        for logical_id, properties in of_type(template, kind).items():
            inside = properties.get("NetworkConfiguration", {}).get("AwsvpcConfiguration", properties)
            groups = [reference(each) for each in inside["SecurityGroups"]]
            needed = {admissions[group] for group in groups if group in admissions}
            assert needed
            assert needed <= set(template["Resources"][logical_id]["DependsOn"])


def test_endpoints_are_private_names_in_every_application_subnet(closed: Made) -> None:
    application = {
        each for each in of_type(closed["Network"], "AWS::EC2::Subnet") if "ApplicationSubnet" in each
    }
    for service, properties in endpoints(closed).items():
        if properties["VpcEndpointType"] == "Interface":
            assert properties["PrivateDnsEnabled"] is True, service
            assert {reference(each) for each in properties["SubnetIds"]} == application


def test_only_principals_of_the_account_get_through_where_the_service_supports_it(
    closed: Made,
) -> None:
    for service, properties in endpoints(closed).items():
        if service in ("ssmmessages", "codedeploy"):
            assert "PolicyDocument" not in properties
            continue
        first, *others = properties["PolicyDocument"]["Statement"]
        assert first["Condition"]["StringEquals"]["aws:PrincipalAccount"] == {"Ref": "AWS::AccountId"}, (
            service
        )
        if service == "s3":
            assert "aws:ResourceAccount" in first["Condition"]["StringEquals"]
            (layers,) = others
            assert (layers["Action"], layers["Resource"]) == (
                "s3:GetObject",
                "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*",
            )
        else:
            assert others == []


def test_s3_is_reached_by_a_gateway_from_every_application_subnet(closed: Made) -> None:
    network = closed["Network"]
    gateway = endpoints(closed)["s3"]
    assert gateway["VpcEndpointType"] == "Gateway"
    tables = {
        reference(each["RouteTableId"])
        for each in of_type(network, "AWS::EC2::SubnetRouteTableAssociation").values()
        if "ApplicationSubnet" in reference(each["SubnetId"])
    }
    assert {reference(each) for each in gateway["RouteTableIds"]} == tables


def test_the_database_has_no_way_to_any_endpoint(closed: Made) -> None:
    template = closed["Data"]
    (group,) = only(of_type(template, "AWS::RDS::DBInstance"))["VPCSecurityGroups"]
    for rule in of_type(template, INGRESS).values():
        assert reference(rule["SourceSecurityGroupId"]) != reference(group)
        assert reference(group) not in set(references(rule["SourceSecurityGroupId"]))
