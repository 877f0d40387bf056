from __future__ import annotations

import json
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from typer.testing import CliRunner

import settings
from ops.command_line import app
from ops.cost import catalogue, free, prices, refresh, render, usage
from ops.cost.compare import Comparison
from ops.cost.estimate import Estimate, estimate, sum_of
from ops.cost.model import Resource, World
from ops.cost.prices import Allowance, Price, Prices
from ops.cost.resources import ESTIMATORS, dashboard_metrics, markets, runs_per_month
from ops.errors import OpsError
from ops.synthesis import templates as template_files
from tests import cdn
from tests.conftest import ENVIRONMENTS, Synthesize

# A price list that no refresh changes, so that what is worked out by hand below stays true.
PRICES = {
    "alb.hour": "0.0225",
    "alb.lcu_hour": "0.008",
    "cloudfront.functions_million": "0.10",
    "cloudfront.gb_first_10tb": "0.085",
    "cloudfront.https_requests_10k": "0.0100",
    "cloudwatch.alarm_month": "0.10",
    "cloudwatch.composite_alarm_month": "0.50",
    "cloudwatch.container_insights_metric_month": "0.07",
    "cloudwatch.custom_metric_month": "0.30",
    "cloudwatch.dashboard_month": "3.00",
    "cloudwatch.high_resolution_alarm_month": "0.30",
    "cloudwatch.logs_ingest_gb": "0.50",
    "cloudwatch.logs_storage_gb_month": "0.03",
    "fargate.arm.gb_hour": "0.00356",
    "fargate.arm.vcpu_hour": "0.03238",
    "fargate.x86.gb_hour": "0.004445",
    "fargate.x86.vcpu_hour": "0.04048",
    "fargate_spot.x86.gb_hour": "0.00139",
    "fargate_spot.x86.vcpu_hour": "0.01264",
    "kms.key_month": "1.00",
    "kms.requests_10k": "0.03",
    "lambda.requests_million": "0.20",
    "lambda.x86.gb_second": "0.0000166667",
    "nat.gb": "0.045",
    "nat.hour": "0.045",
    "public_ipv4.hour": "0.005",
    "rds.backup_gb_month": "0.095",
    "rds.mysql.db.t4g.medium.multi_az_hour": "0.129",
    "rds.mysql.db.t4g.medium.single_az_hour": "0.065",
    "rds.storage.gp3.multi_az_gb_month": "0.23",
    "rds_proxy.vcpu_hour": "0.015",
    "rds.storage.gp3.single_az_gb_month": "0.115",
    "secretsmanager.api_10k": "0.05",
    "secretsmanager.secret_month": "0.40",
    "sns.email_100k": "2.00",
    "synthetics.canary_run": "0.0012",
    "transfer.internet_gb": "0.09",
    "transfer.zone_gb": "0.01",
    "vpce.interface.az_hour": "0.01",
    "vpce.interface.gb": "0.01",
    "waf.acl_month": "5.00",
    "waf.requests_million": "0.60",
    "waf.rule_month": "1.00",
}
ALLOWANCES = {"cloudwatch.dashboard_month": 3, "cloudwatch.alarm_month": 10, "transfer.internet_gb": 100}
HOURS = Decimal(730)


def price_list(**changes: str | None) -> Prices:
    figures: dict[str, str | None] = {
        **PRICES,
        **{key.replace("__", "."): usd for key, usd in changes.items()},
    }
    return Prices(
        "us-east-1",
        {
            key: Price(None if usd is None else Decimal(usd), "a test", "2026-11-21")
            for key, usd in figures.items()
        },
        {key: Allowance(Decimal(quantity), "an account") for key, quantity in ALLOWANCES.items()},
        HOURS,
    )


def stack(**resources: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "Resources": {
            logical_id: {"Type": resource_type, "Properties": properties}
            for logical_id, (resource_type, properties) in resources.items()
        }
    }


def estimated(assumed: usage.Usage | None = None, **stacks: dict[str, Any]) -> Estimate:
    return estimate("dev", stacks, price_list(), assumed or usage.load())


def usd(found: Estimate, resource: str, key: str) -> str:
    (line,) = (line for line in found.lines if (line.resource, line.key) == (resource, key))
    return str(line.usd)


NETWORK = stack(
    Vpc=("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"}),
    Address=("AWS::EC2::EIP", {"Domain": "vpc"}),
    Nat=("AWS::EC2::NatGateway", {"SubnetId": "subnet"}),
    Storage=("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway", "RouteTableIds": ["a", "b"]}),
    Registry=("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Interface", "SubnetIds": ["a", "b", "c"]}),
    Flows=("AWS::EC2::FlowLog", {"LogGroupName": {"Ref": "FlowLogs"}}),
    FlowLogs=("AWS::Logs::LogGroup", {"RetentionInDays": 365}),
    Key=("AWS::KMS::Key", {"EnableKeyRotation": True}),
)


def test_a_network_stack_costs_what_is_worked_out_by_hand() -> None:
    found = estimated(Network=NETWORK)
    # 730 h x 0.045 = 32.85, and 10 GB x 0.045 = 0.45
    assert (usd(found, "Nat", "nat.hour"), usd(found, "Nat", "nat.gb")) == ("32.85", "0.45")
    # 730 h x 0.005 = 3.65
    assert usd(found, "Address", "public_ipv4.hour") == "3.65"
    # 3 zones x 730 h x 0.01 = 21.90, and 2 GB x 0.01 = 0.02; the gateway endpoint is free
    assert usd(found, "Registry", "vpce.interface.az_hour") == "21.90"
    assert usd(found, "Registry", "vpce.interface.gb") == "0.02"
    assert not [line for line in found.lines if line.resource == "Storage"]
    # 3 GB x 0.50 = 1.50; 3 GB x 365/30 months x 0.15 = 5.475 GB, x 0.03 = 0.16425
    assert usd(found, "FlowLogs", "cloudwatch.logs_ingest_gb") == "1.50"
    assert usd(found, "FlowLogs", "cloudwatch.logs_storage_gb_month") == "0.16"
    # 1.00, and 50,000 requests / 10,000 x 0.03 = 0.15
    assert usd(found, "Key", "kms.key_month") == "1.00"
    assert usd(found, "Key", "kms.requests_10k") == "0.15"
    # 32.85 + 3.65 + 21.90 + 1.00 = 59.40; 0.45 + 0.02 + 1.50 + 0.16 + 0.15 = 2.28
    assert (str(found.total.fixed), str(found.total.usage), str(found.total.usd)) == (
        "59.40",
        "2.28",
        "61.68",
    )
    assert found.free == {"AWS::EC2::VPC": 1, "AWS::EC2::FlowLog": 1}


DATA = stack(
    Instance=(
        "AWS::RDS::DBInstance",
        {
            "Engine": "mysql",
            "DBInstanceClass": "db.t4g.medium",
            "MultiAZ": True,
            "StorageType": "gp3",
            "AllocatedStorage": "5",
            "BackupRetentionPeriod": 30,
        },
    ),
    Administrator=("AWS::SecretsManager::Secret", {}),
    Attachment=("AWS::SecretsManager::SecretTargetAttachment", {}),
    Rotation=("AWS::Lambda::Function", {"MemorySize": 256}),
)


def test_a_data_stack_costs_what_is_worked_out_by_hand() -> None:
    found = estimated(Data=DATA)
    # 730 h x 0.129 = 94.17; 5 GB x 0.23 = 1.15
    assert usd(found, "Instance", "rds.mysql.db.t4g.medium.multi_az_hour") == "94.17"
    assert usd(found, "Instance", "rds.storage.gp3.multi_az_gb_month") == "1.15"
    # 5 GB held + 30 days x 0.2 GB = 11 GB, less the 5 GB that are free: 6 GB x 0.095 = 0.57
    assert usd(found, "Instance", "rds.backup_gb_month") == "0.57"
    # 1 GB x 0.50 = 0.50; 20 GB x 0.01 = 0.20
    assert usd(found, "Instance", "cloudwatch.logs_ingest_gb") == "0.50"
    assert usd(found, "Instance", "transfer.zone_gb") == "0.20"
    # 0.40, and 20,000 calls / 10,000 x 0.05 = 0.10
    assert usd(found, "Administrator", "secretsmanager.secret_month") == "0.40"
    assert usd(found, "Administrator", "secretsmanager.api_10k") == "0.10"
    # 500 / 1,000,000 x 0.20 = 0.0001; 500 x 5 s x 0.25 GB = 625 GB-s, x 0.0000166667 = 0.0104
    assert usd(found, "Rotation", "lambda.requests_million") == "0.00"
    assert usd(found, "Rotation", "lambda.x86.gb_second") == "0.01"
    # 94.17 + 1.15 + 0.40 = 95.72; 0.57 + 0.50 + 0.20 + 0.10 + 0.01 = 1.38
    assert (str(found.total.fixed), str(found.total.usage), str(found.total.usd)) == (
        "95.72",
        "1.38",
        "97.10",
    )


def test_a_replica_costs_an_instance_in_one_zone_with_the_storage_of_its_source() -> None:
    replica = {"DBInstanceClass": "db.t4g.medium", "SourceDBInstanceIdentifier": {"Ref": "Instance"}}
    template = dict(DATA)
    template["Resources"] = {
        **DATA["Resources"],
        "Replica": {"Type": "AWS::RDS::DBInstance", "Properties": replica},
    }
    found = estimated(Data=template)
    # 730 h x 0.065 = 47.45; 5 GB x 0.115 = 0.575
    assert usd(found, "Replica", "rds.mysql.db.t4g.medium.single_az_hour") == "47.45"
    assert usd(found, "Replica", "rds.storage.gp3.single_az_gb_month") == "0.58"
    assert usd(found, "Replica", "rds.backup_gb_month") == "0.00"
    # The tasks read no more for it, and the replication costs nothing.
    assert [line.resource for line in found.lines if line.key == "transfer.zone_gb"] == ["Instance"]


def compute(**service: Any) -> dict[str, Any]:
    return stack(
        Cluster=(
            "AWS::ECS::Cluster",
            {"ClusterSettings": [{"Name": "containerInsights", "Value": "enhanced"}]},
        ),
        Task=(
            "AWS::ECS::TaskDefinition",
            {
                "Family": "suppliers-dev-customer",
                "Cpu": "256",
                "Memory": "512",
                "RuntimePlatform": {"CpuArchitecture": "ARM64"},
                "ContainerDefinitions": [{"Name": "customer"}],
            },
        ),
        Customer=("AWS::ECS::Service", {"TaskDefinition": "suppliers-dev-customer", **service}),
        CustomerTasks=(
            "AWS::ApplicationAutoScaling::ScalableTarget",
            {
                "MinCapacity": 2,
                "MaxCapacity": 4,
                "ResourceId": {"Fn::Join": ["/", ["service", {"Fn::GetAtt": ["Customer", "Name"]}]]},
            },
        ),
        TargetCpu=(
            "AWS::ApplicationAutoScaling::ScalingPolicy",
            {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50}},
        ),
        Balancer=(
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            {"Scheme": "internet-facing", "Subnets": ["a", "b", "c"]},
        ),
        Http=("AWS::ElasticLoadBalancingV2::Listener", {"LoadBalancerArn": {"Ref": "Balancer"}}),
    )


def test_cloudfront_is_paid_by_request_and_by_gb_and_the_way_to_it_is_free() -> None:
    edge = stack(
        Distribution=("AWS::CloudFront::Distribution", {}),
        Function=("AWS::CloudFront::Function", {}),
        Origin=("AWS::CloudFront::VpcOrigin", {}),
        Pages=("AWS::CloudFront::CachePolicy", {}),
        Balancer=("AWS::ElasticLoadBalancingV2::LoadBalancer", {"Scheme": "internal", "Subnets": ["a", "b"]}),
    )
    found = estimated(Compute=edge)
    # 2,628,000 requests: 262.8 x 0.01; 50.1251 GB x 0.085 = 4.2606; 2.628 million x 0.10 = 0.2628
    assert usd(found, "Distribution", "cloudfront.https_requests_10k") == "2.63"
    assert usd(found, "Distribution", "cloudfront.gb_first_10tb") == "4.26"
    assert usd(found, "Function", "cloudfront.functions_million") == "0.26"
    keys = {line.key for line in found.lines if line.resource == "Balancer"}
    assert keys == {"alb.hour", "alb.lcu_hour"}, "no public address, no transfer to the internet"
    assert found.without_price == ()


def test_an_environment_behind_cloudfront_has_no_cost_that_nobody_knows() -> None:
    found = estimate("prod", cdn.templates("domain"), prices.load("us-east-1"), usage.load())
    assert [each for each in found.without_price if "CloudFront" in each or "cloudfront" in each] == []
    # 10 million requests, 1 TB and 2 million runs are free: 0.628 million x 0.10
    edge = {line.key: str(line.usd) for line in found.lines if line.service == "CloudFront"}
    assert edge == {
        "cloudfront.https_requests_10k": "0.00",
        "cloudfront.gb_first_10tb": "0.00",
        "cloudfront.functions_million": "0.06",
    }


def test_a_compute_stack_costs_what_is_worked_out_by_hand() -> None:
    found = estimated(Compute=compute())
    lines = {(line.resource, line.key, line.basis): str(line.usd) for line in found.lines}
    # Two tasks: 2 x 0.25 vCPU x 730 h x 0.03238 = 11.8187; 2 x 0.5 GB x 730 h x 0.00356 = 2.5988
    assert lines["Customer", "fargate.arm.vcpu_hour", "fixed"] == "11.82"
    assert lines["Customer", "fargate.arm.gb_hour", "fixed"] == "2.60"
    # A tenth of the way from 2 to 4, 0.2 tasks: 1.18187 and 0.25988
    assert lines["Customer", "fargate.arm.vcpu_hour", "usage"] == "1.18"
    assert lines["Customer", "fargate.arm.gb_hour", "usage"] == "0.26"
    # 23 metrics each of a service and of a family, 5 of the service; 46 of each of two tasks: 143 x 0.07
    assert lines["Customer", "cloudwatch.container_insights_metric_month", "fixed"] == "10.01"
    # 25 metrics of the cluster x 0.07
    assert lines["Cluster", "cloudwatch.container_insights_metric_month", "fixed"] == "1.75"
    # 4 metrics in its logs x 0.30
    assert lines["Customer", "cloudwatch.custom_metric_month", "usage"] == "1.20"
    # Two alarms that target tracking makes, of the ten that are free
    assert lines["TargetCpu", "cloudwatch.alarm_month", "fixed"] == "0.00"
    # 730 h x 0.0225 = 16.425, half a cent up; 3 addresses x 730 h x 0.005 = 10.95
    assert lines["Balancer", "alb.hour", "fixed"] == "16.43"
    assert lines["Balancer", "public_ipv4.hour", "fixed"] == "10.95"
    # 2,628,000 answers of 20 KiB are 50.1251 GB, 0.0687 an hour: more units than 0.3/25 connections
    # or 0.3 x 60/3000 open ones; 50.1251 unit-hours x 0.008 = 0.401
    assert lines["Balancer", "alb.lcu_hour", "usage"] == "0.40"
    # All of the 50 GB are within the 100 that are free
    assert lines["Balancer", "transfer.internet_gb", "usage"] == "0.00"
    # 11.82 + 2.60 + 10.01 + 1.75 + 16.43 + 10.95; 1.18 + 0.26 + 1.20 + 0.40
    assert (str(found.total.fixed), str(found.total.usage)) == ("53.56", "3.04")
    # Four tasks all month: 23.64 + 5.20 (23.6374 and 5.1976) + 235 metrics x 0.07 = 16.45, the rest as it is:
    # + 1.75 + 16.43 + 10.95 + 1.20 + 0.40
    assert str(found.total.most) == "76.02"


def test_spot_tasks_are_counted_after_the_base() -> None:
    service = Resource(
        "Compute",
        "Customer",
        "AWS::ECS::Service",
        {
            "CapacityProviderStrategy": [
                {"CapacityProvider": "FARGATE", "Base": 1, "Weight": 1},
                {"CapacityProvider": "FARGATE_SPOT", "Weight": 3},
            ]
        },
    )
    assert markets(service, 1) == {"fargate": 1, "fargate_spot": 0}
    assert markets(service, 5) == {"fargate": 2, "fargate_spot": 3}


def test_a_price_without_a_source_is_told_and_not_guessed() -> None:
    template = compute(
        CapacityProviderStrategy=[{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}],
    )
    found = estimate("dev", {"Compute": template}, price_list(fargate_spot__arm__gb_hour=None), usage.load())
    assert found.without_price == (
        "no price known for fargate_spot.arm.vcpu_hour in us-east-1",
        "no price known for fargate_spot.arm.gb_hour in us-east-1",
    )
    assert all(line.usd is None for line in found.lines if line.key.startswith("fargate_spot"))
    assert "Not in the sums: no price known for fargate_spot.arm.gb_hour" in render.markdown(found)


def test_a_region_without_prices_has_none_and_says_so() -> None:
    found = estimate("dev", {"Network": NETWORK}, prices.load("sa-east-1"), usage.load())
    assert found.total.usd == 0
    assert "no price known for nat.hour in sa-east-1" in found.without_price


def test_an_unknown_type_is_told() -> None:
    found = estimated(Other=stack(Cache=("AWS::MemoryDB::Cluster", {})))
    assert found.without_price == (
        "AWS::MemoryDB::Cluster is not priced: ops/cost/resources.py does not know the type",
    )


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_resource_of_an_environment_is_priced_or_free_with_a_reason(
    templates: Synthesize, name: str
) -> None:
    found = estimate(name, templates(name), prices.load(settings.load(name).region), usage.load())
    assert found.without_price == ()
    for template in templates(name).values():
        for resource in template["Resources"].values():
            assert (resource["Type"] in ESTIMATORS) != bool(free.reason(resource["Type"])), resource["Type"]


def test_what_security_and_observability_add_is_priced() -> None:
    found = estimated(
        Compute=stack(
            Firewall=("AWS::WAFv2::WebACL", {"Rules": [{}, {}, {}]}),
            Association=("AWS::WAFv2::WebACLAssociation", {}),
            Vault=("AWS::Backup::BackupVault", {}),
            Plan=("AWS::Backup::BackupPlan", {}),
            Probe=("AWS::Synthetics::Canary", {"Schedule": {"Expression": "rate(5 minutes)"}}),
            Budget=("AWS::Budgets::Budget", {}),
            Trouble=("AWS::CloudWatch::CompositeAlarm", {}),
            Unusual=(
                "AWS::CloudWatch::Alarm",
                {
                    "Metrics": [
                        {"Expression": "ANOMALY_DETECTION_BAND(a, 2)"},
                        {"MetricStat": {"Period": 300}},
                    ]
                },
            ),
            Fast=("AWS::CloudWatch::Alarm", {"Period": 10}),
            Errors=("AWS::Logs::MetricFilter", {"MetricTransformations": [{}, {}]}),
        )
    )
    # 5.00 and 3 rules; 2,628,000 requests x 0.60 a million = 1.5768
    assert usd(found, "Firewall", "waf.acl_month") == "5.00"
    assert usd(found, "Firewall", "waf.rule_month") == "3.00"
    assert usd(found, "Firewall", "waf.requests_million") == "1.58"
    # 5 GB and 11 copies of 0.2 GB: 7.2 GB x 0.095 = 0.684
    assert usd(found, "Vault", "rds.backup_gb_month") == "0.68"
    # 730 x 12 = 8760 runs x 0.0012 = 10.512
    assert usd(found, "Probe", "synthetics.canary_run") == "10.51"
    assert usd(found, "Trouble", "cloudwatch.composite_alarm_month") == "0.50"
    assert usd(found, "Errors", "cloudwatch.custom_metric_month") == "0.60"
    assert usd(found, "Fast", "cloudwatch.high_resolution_alarm_month") == "0.30"
    (band,) = (line for line in found.lines if line.resource == "Unusual")
    assert (band.quantity, band.free) == (Decimal(3), Decimal(3))
    assert found.without_price == ()
    assert set(found.free) == {
        "AWS::WAFv2::WebACLAssociation",
        "AWS::Backup::BackupPlan",
        "AWS::Budgets::Budget",
    }


@pytest.mark.parametrize(
    ("instance_class", "vcpus", "month"),
    [
        ("db.t4g.micro", 2, "21.90"),
        ("db.m7g.large", 2, "21.90"),
        ("db.r7g.xlarge", 4, "43.80"),
        ("db.m7g.4xlarge", 16, "175.20"),
    ],
)
def test_a_proxy_costs_by_the_vcpus_of_its_database_two_at_least(
    instance_class: str, vcpus: int, month: str
) -> None:
    found = estimated(
        Data=stack(
            Instance=(
                "AWS::RDS::DBInstance",
                {"Engine": "mysql", "DBInstanceClass": instance_class, "AllocatedStorage": "5"},
            ),
            Other=(
                "AWS::RDS::DBInstance",
                {"Engine": "mysql", "DBInstanceClass": "db.m7g.48xlarge", "AllocatedStorage": "5"},
            ),
            Proxy=("AWS::RDS::DBProxy", {"DBProxyName": "suppliers-dev"}),
            Targets=(
                "AWS::RDS::DBProxyTargetGroup",
                {"DBProxyName": {"Ref": "Proxy"}, "DBInstanceIdentifiers": [{"Ref": "Instance"}]},
            ),
        )
    )
    # 730 h x 0.015 a vCPU
    assert usd(found, "Proxy", "rds_proxy.vcpu_hour") == month
    (line,) = (each for each in found.lines if each.resource == "Proxy")
    assert line.quantity == vcpus * 730
    assert "AWS::RDS::DBProxyTargetGroup" in found.free


def test_each_metric_of_an_alarm_is_charged_once_the_free_ones_are_used_up() -> None:
    metric = {"MetricStat": {"Period": 60}}
    pair = {"Metrics": [{"Expression": "blue + green"}, metric, metric]}
    found = estimated(
        Alarms=stack(**{f"Alarm{index}": ("AWS::CloudWatch::Alarm", pair) for index in range(6)})
    )
    assert [str(line.usd) for line in found.lines] == ["0.00"] * 5 + ["0.20"]


def test_without_free_allowances_all_is_charged(tmp_path: Path) -> None:
    own = tmp_path / "usage.toml"
    own.write_text("[account]\nfree_allowances = false\n")
    dashboard = stack(Operations=("AWS::CloudWatch::Dashboard", {"DashboardBody": '{"widgets": []}'}))
    assert estimated(Watching=dashboard).total.usd == 0
    assert str(estimated(usage.load(own), Watching=dashboard).total.usd) == "3.00"


def test_a_dashboard_of_more_than_fifty_metrics_is_not_free() -> None:
    metrics = [["AWS/ECS", "CPUUtilization"]] * 51
    body = {"Fn::Join": ["", [json.dumps({"widgets": [{"properties": {"metrics": metrics}}]})]]}
    found = estimated(Watching=stack(Big=("AWS::CloudWatch::Dashboard", {"DashboardBody": body})))
    assert (dashboard_metrics(body), str(found.total.usd)) == (51, "3.00")


def test_a_schedule_says_how_often_it_fires() -> None:
    schedules = {"rate(1 minute)": 43800, "rate(1 hour)": 730, "rate(0 minute)": 0, "cron(0 * * * ? *)": 730}
    assert {text: runs_per_month(text, HOURS) for text in schedules} == schedules


def test_the_load_balancers_largest_dimension_counts(tmp_path: Path) -> None:
    own = tmp_path / "usage.toml"
    own.write_text("[traffic]\nnew_connections_per_second = 50\n")
    found = estimated(usage.load(own), Compute=compute())
    # 50 new connections a second are 2 units, 50 x 60 open ones are 1: 2 x 730 h x 0.008
    assert usd(found, "Balancer", "alb.lcu_hour") == "11.68"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tasks]\nshare = 1\n", "tasks.share: unknown key; usage.toml lists the known ones"),
        (
            "[tasks]\nshare_of_range = 2\n",
            "tasks.share_of_range: must be at most 1, not 2",
        ),
        ("[traffic]\nrequests_per_second = -1\n", "traffic.requests_per_second: must be at least"),
        ("[coffee]\n", "coffee: unknown key"),
        ("tasks", "is not TOML"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(OpsError, match=r"own\.toml") as raised:
        usage.load(own)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_price_has_a_source_a_date_and_a_service() -> None:
    table = prices.document()
    for region, entries in table["regions"].items():
        found = prices.load(region)
        assert list(entries) == sorted(entries)
        for key, price in found.entries.items():
            assert price.source
            assert date(2026, 11, 1) <= date.fromisoformat(price.collected)
            assert price.usd is None or price.usd > 0, key
    assert {catalogue.service_of(each) for each in table["free"]} >= {"CloudWatch", "CodePipeline"}


def test_a_comparison_tells_what_each_change_adds_or_saves() -> None:
    before = estimated(Network=NETWORK, Data=DATA)
    more = stack(**{"SecondNat": ("AWS::EC2::NatGateway", {})})
    after = estimated(Network={"Resources": {**NETWORK["Resources"], **more["Resources"]}})
    found = Comparison("main", before, after)
    by_name = {each.resource: str(each.usd) for each in found.differences}
    # The 10 GB now go through two gateways: 0.45 becomes 0.23 and 0.23
    assert by_name == {
        "Nat": "-0.22",
        "SecondNat": "33.08",
        "Administrator": "-0.50",
        "Instance": "-96.59",
        "Rotation": "-0.01",
    }
    assert found.usd == sum(each.usd for each in found.differences)
    text = render.difference(found)
    assert "| Data | Instance | 96.59 |  | -96.59 |" in text
    assert "### dev in us-east-1: -64.24 USD a month" in text
    assert render.comparison_document(found)["difference"] == "-64.24"


def test_no_difference_is_told() -> None:
    same = estimated(Network=NETWORK)
    text = render.difference(Comparison("main", same, same))
    assert "### dev in us-east-1: +0.00 USD a month" in text
    assert "No resource costs anything else than before." in text


def test_the_templates_of_a_revision_are_those_of_its_snapshots(tmp_path: Path) -> None:
    folder = tmp_path / template_files.SNAPSHOTS / "dev"
    folder.mkdir(parents=True)

    def commit() -> None:
        for command in (
            ("init", "-q"),
            ("add", "-A"),
            ("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "a"),
        ):
            subprocess.run(["git", *command], cwd=tmp_path, check=True)

    (folder / "Network.json").write_text(json.dumps(NETWORK))
    commit()
    (folder / "Network.json").write_text(json.dumps(stack()))
    environment = settings.load("dev")
    assert template_files.of_revision(environment, "HEAD", tmp_path) == {"Network": NETWORK}
    commit()
    assert template_files.of_revision(environment, "HEAD~1", tmp_path) == {"Network": NETWORK}
    assert template_files.of_revision(settings.load("prod"), "HEAD", tmp_path) == {}
    with pytest.raises(OpsError, match="nope: is no revision of this repository"):
        template_files.of_revision(environment, "nope", tmp_path)
    with pytest.raises(OpsError, match="--upload-pack=x: is no revision"):
        template_files.of_revision(environment, "--upload-pack=x", tmp_path)


def test_templates_of_another_environment_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Network.template.json").write_text(json.dumps(NETWORK))
    artifacts = {"Network": {"properties": {"stackName": "suppliers-prod-network"}}}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    assert template_files.in_folder(tmp_path, settings.load("prod")) == {"Network": NETWORK}
    with pytest.raises(
        OpsError, match="is of suppliers-prod-network, not of environment dev: run `make synth"
    ):
        template_files.in_folder(tmp_path, settings.load("dev"))
    with pytest.raises(OpsError, match="holds no templates: run `make synth ENV=dev`"):
        template_files.in_folder(tmp_path / "nowhere", settings.load("dev"))


def test_json_amounts_are_exact_strings() -> None:
    document = json.loads(json.dumps(render.document(estimated(Network=NETWORK))))
    assert document["total"] == {"fixed": "59.40", "usage": "2.28", "sum": "61.68", "most": "61.68"}
    assert document["services"]["VPC"]["fixed"] == "58.40"
    assert {"resource": "Nat", "key": "nat.hour", "usd": "32.85", "quantity": "730"}.items() <= next(
        line for line in document["lines"] if line["key"] == "nat.hour"
    ).items()


def test_sums_are_sums_of_the_lines_that_are_shown() -> None:
    found = estimated(Network=NETWORK, Data=DATA, Compute=compute())
    assert sum(total.usd for total in found.by(lambda line: line.service).values()) == found.total.usd
    assert sum_of(found.lines).usd == sum(line.usd for line in found.lines if line.usd is not None)


def product(usage_type: str, *tiers: tuple[str, str], **attributes: str) -> str:
    """A product as the API answers it: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html"""
    return json.dumps(
        {
            "product": {
                "productFamily": "NAT Gateway",
                "attributes": {"usagetype": usage_type, **attributes},
                "sku": "M2YSHUBETB3JX4M4",
            },
            "serviceCode": "AmazonEC2",
            "terms": {
                "OnDemand": {
                    "M2YSHUBETB3JX4M4.JRTCKXETXF": {
                        "priceDimensions": {
                            f"M2YSHUBETB3JX4M4.JRTCKXETXF.{index}": {
                                "unit": "Hrs",
                                "beginRange": begin,
                                "pricePerUnit": {"USD": price},
                            }
                            for index, (begin, price) in enumerate(tiers)
                        },
                        "effectiveDate": "2026-11-01T00:00:00Z",
                        "offerTermCode": "JRTCKXETXF",
                    }
                }
            },
            "version": "20261101000000",
            "publicationDate": "2026-11-01T00:00:00Z",
        }
    )


def asked(region: str, key: str, *pages: list[str]) -> list[refresh.Change]:
    client = boto3.client(
        "pricing", region_name="us-east-1", aws_access_key_id="recorded", aws_secret_access_key="recorded"
    )
    how = catalogue.query(key)
    assert how is not None
    request: dict[str, Any] = {
        "ServiceCode": how.service,
        "Filters": [
            {"Type": "TERM_MATCH", "Field": name, "Value": value}
            for name, value in {**how.filters, how.region_field: region}.items()
        ],
    }
    with Stubber(client) as stubber:
        for index, page in enumerate(pages):
            more = {"NextToken": f"page {index + 1}"} if index + 1 < len(pages) else {}
            given = {"NextToken": f"page {index}"} if index else {}
            answer = {"FormatVersion": "aws_v1", "PriceList": page, **more}
            stubber.add_response("get_products", answer, {**request, **given})
        return refresh.ask(client, region, [key], {key: Decimal("0.045")})


def test_a_price_is_refreshed_from_the_api(tmp_path: Path) -> None:
    (change,) = asked(
        "eu-west-3",
        "nat.hour",
        [product("EUW3-NatGateway-Bytes", ("0", "0.05"))],
        [product("EUW3-NatGateway-Hours", ("0", "0.0500000000"))],
    )
    assert str(change) == "nat.hour: 0.045 to 0.0500000000"
    table = tmp_path / "prices.json"
    table.write_text(prices.TABLE.read_text())
    refresh.write("eu-west-3", [change], date(2026, 12, 1), table)
    after = prices.load("eu-west-3", table)
    assert after.entries["nat.hour"] == Price(Decimal("0.05"), "AWS pricing API", "2026-12-01")
    assert after.entries["alb.hour"] == prices.load("eu-west-3").entries["alb.hour"]


def test_the_first_tier_that_is_charged_gives_the_price() -> None:
    tiers = (("0", "0.0000000000"), ("20000", "0.0000030000"))
    asymmetric = product("us-east-1-KMS-Requests-Asymmetric", ("0", "0.15"))
    symmetric = product("us-east-1-KMS-Requests", *tiers)
    (change,) = asked("us-east-1", "kms.requests_10k", [asymmetric, symmetric])
    assert change.new == Decimal("0.03")


def test_an_ambiguous_answer_keeps_the_price() -> None:
    pair = [
        product("NatGateway-Hours", ("0", "0.045")),
        product("USE1-NatGateway-Hours", ("0", "0.05")),
    ]
    (change,) = asked("us-east-1", "nat.hour", pair)
    assert str(change) == "nat.hour: kept at 0.045: the API answers 2 prices"


def test_a_price_that_the_api_does_not_know_is_kept() -> None:
    (change,) = refresh.ask(None, "us-east-1", ["fargate_spot.x86.gb_hour"], {})
    assert str(change) == "fargate_spot.x86.gb_hour: kept at none: the API has no query for it"


def test_the_instance_class_is_asked_for_by_its_engine_and_zones() -> None:
    how = catalogue.query("rds.mysql.db.m7g.large.multi_az_hour")
    assert how is not None
    assert how.filters["instanceType"] == "db.m7g.large"
    assert (how.filters["databaseEngine"], how.filters["deploymentOption"]) == ("MySQL", "Multi-AZ")
    assert how.matches("USE1-Multi-AZUsage:db.m7g.large")
    assert not how.matches("InstanceUsage:db.m7g.large")


def test_a_world_finds_what_refers_to_a_resource() -> None:
    world = World({"Network": NETWORK}, usage.load(), HOURS)
    (group,) = world.of_type("AWS::Logs::LogGroup")
    assert [each.logical_id for each in world.referring("AWS::EC2::FlowLog", group)] == ["Flows"]


def command(*arguments: str) -> str:
    folder = str(template_files.SNAPSHOTS / "dev")
    done = CliRunner().invoke(app, ["cost", "--env", "dev", "--templates", folder, *arguments])
    assert (done.exception, done.exit_code) == (None, 0)
    return done.stdout


def test_the_command_prints_lines_and_sums_as_text_markdown_and_json() -> None:
    document = json.loads(command("--json"))
    total = document["total"]["sum"]
    assert document["without_price"] == []
    assert f"### dev in us-east-1: {total} USD a month" in command("--format", "markdown")
    text = command()
    assert "EntranceLoadBalancer" in text
    assert total in text


def test_the_command_compares_with_a_revision() -> None:
    document = json.loads(command("--compare", "HEAD", "--json"))
    assert document["revision"] == "HEAD"
    assert document["after"]["environment"] == "dev"
    assert "USD a month" in command("--compare", "HEAD")


@pytest.mark.parametrize("name", ["cost", "diagram", "doctor"])
def test_help_shows_an_example(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert f"python -m ops {name} --env" in done.stdout
