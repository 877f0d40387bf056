"""The commands against moto's AWS: requests and answers as they go over the wire, made by somebody else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from ops.aws.clients import Clients
from ops.command_line import app
from ops.deployed import deployment
from ops.deployed.deployment import ABSENT, Stack
from ops.errors import OpsError

REGION = "us-east-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """An account with one service, deployed by hand; the ARNs and names that the outputs name."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    with mock_aws():
        compute, customer = _deploy()
        outputs = {"compute": compute, "customer": customer, "data": {"DatabaseIdentifier": "the-database"}}

        # moto's CloudFormation needs packages that nothing else here does.
        def stack(clients: Clients, name: str) -> Stack:
            part = name.rpartition("-")[2]
            status = "CREATE_COMPLETE" if part in outputs else ABSENT
            return Stack(name, status, outputs.get(part, {}))

        monkeypatch.setattr(deployment, "_stack", stack)
        yield compute | customer


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--env", "dev"], catch_exceptions=False)


def answer(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def _deploy() -> tuple[dict[str, str], dict[str, str]]:
    ec2, elbv2, ecs = client("ec2"), client("elbv2"), client("ecs")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{at}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
        for at, zone in enumerate("ab")
    ]  # fmt: skip
    balancer = elbv2.create_load_balancer(Name="suppliers-dev", Subnets=subnets)["LoadBalancers"][0]
    groups = {
        side: elbv2.create_target_group(
            Name=f"customer-{side}", Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip"
        )["TargetGroups"][0]["TargetGroupArn"]
        for side in ("blue", "green")
    }
    elbv2.register_targets(TargetGroupArn=groups["green"], Targets=[{"Id": "10.0.0.9", "Port": 8080}])
    listeners = {}
    for name, port in (("Production", 80), ("Test", 8080)):
        listeners[name] = elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=port,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )["Listeners"][0]["ListenerArn"]
        elbv2.create_rule(
            ListenerArn=listeners[name],
            Priority=200,
            Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
            Actions=[
                {
                    "Type": "forward",
                    "ForwardConfig": {
                        "TargetGroups": [
                            {"TargetGroupArn": groups["blue"], "Weight": 0},
                            {"TargetGroupArn": groups["green"], "Weight": 100},
                        ]
                    },
                }
            ],
        )
    ecs.create_cluster(clusterName="the-cluster")
    for version in ("one", "two"):
        ecs.register_task_definition(
            family="suppliers-dev-customer",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=[
                {
                    "name": "customer",
                    "memory": 512,
                    "image": "public.ecr.aws/docker/library/python:3.13-slim",
                    "dockerLabels": {"version": version},
                }
            ],
        )
    ecs.create_service(
        cluster="the-cluster",
        serviceName="the-service",
        taskDefinition="suppliers-dev-customer:2",
        desiredCount=2,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "securityGroups": []}},
        loadBalancers=[
            {"targetGroupArn": groups["green"], "containerName": "customer", "containerPort": 8080}
        ],
    )
    client("rds").create_db_instance(
        DBInstanceIdentifier="the-database",
        Engine="mysql",
        DBInstanceClass="db.t4g.small",
        MasterUsername="administrator",
        MasterUserPassword="not-a-secret",
        AllocatedStorage=20,
        MultiAZ=True,
    )
    client("cloudwatch").put_metric_alarm(
        AlarmName="suppliers-dev-observability-x",
        MetricName="m",
        Namespace="n",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Statistic="Sum",
    )
    client("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId="service/the-cluster/the-service",
        ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=2,
        MaxCapacity=4,
    )
    client("logs").create_log_group(logGroupName="/suppliers-dev/customer")
    return {
        "ApplicationUrl": f"http://{balancer['DNSName']}/",
        "ClusterName": "the-cluster",
        **{f"{name}ListenerArn": arn for name, arn in listeners.items()},
    }, {
        "ServiceName": "the-service",
        "BlueTargetGroupArn": groups["blue"],
        "GreenTargetGroupArn": groups["green"],
        "LogGroupName": "/suppliers-dev/customer",
    }


def test_status_finds_what_is_there_and_what_is_missing(aws: dict[str, str]) -> None:
    found = answer("status")
    (customer,) = found["services"]
    assert (customer["desired"], customer["version"], customer["live"]) == (2, "two", "green")
    assert sum(sum(states.values()) for states in customer["targets"].values()) == 1
    assert found["database"]["multi_az"] is True
    assert sum(found["alarms"].values()) == 1
    assert found["stacks"]["suppliers-dev-network"] == "NOT_DEPLOYED"
    assert "suppliers-dev-network (NOT_DEPLOYED): is not deployed" in run("status").stdout


def test_tasks_and_listeners(aws: dict[str, str]) -> None:
    subnet = client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    client("ecs").run_task(
        cluster="the-cluster",
        taskDefinition="suppliers-dev-customer",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": []}},
    )
    assert {task["version"] for task in answer("tasks")} == {"two"}
    rules = answer("listeners")
    assert [(rule["listener"], rule["leads_to"]) for rule in rules if rule["service"]] == [
        ("production", "customer green"),
        ("test", "customer green"),
    ]


def test_logs(aws: dict[str, str]) -> None:
    logs = client("logs")
    group = {"logGroupName": "/suppliers-dev/customer"}
    logs.create_log_stream(**group, logStreamName="customer/customer/0123456789")
    now = int(time.time() * 1000)
    logs.put_log_events(
        **group,
        logStreamName="customer/customer/0123456789",
        logEvents=[
            {"timestamp": now - 3_600_000, "message": '{"level": "INFO", "message": "long ago"}'},
            {"timestamp": now - 1_000, "message": '{"level": "ERROR", "message": "no database"}'},
        ],
    )
    shown = run("logs", "customer").stdout
    assert "no database" in shown
    assert "long ago" not in shown
    assert "long ago" in run("logs", "customer", "--since", "2h").stdout


def test_scale(aws: dict[str, str]) -> None:
    run("scale", "customer", "3", "--no-wait")
    (service,) = client("ecs").describe_services(cluster="the-cluster", services=["the-service"])["services"]
    assert service["desiredCount"] == 3
    with pytest.raises(OpsError, match="outside of 2 to 4"):
        run("scale", "customer", "5")
