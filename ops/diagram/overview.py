"""What there is in an environment, as a person would tell it: read from the templates, nothing added."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.deployed.routes import Blueprint, reference, references
from ops.synthesis.templates import Templates, merged

_TAG = "aws-cdk:subnet-name"


@dataclass(frozen=True)
class Tier:
    """Subnets of one purpose, an address range a zone."""

    name: str
    ranges: Mapping[str, str]


@dataclass(frozen=True)
class Listener:
    """A port of the load balancer; its name, or what it redirects to."""

    port: int
    protocol: str
    name: str


@dataclass(frozen=True)
class Service:
    """A microservice: what it answers, how large and how many its tasks are, what it uses, what releases it."""

    name: str
    paths: tuple[str, ...]
    restricted: bool
    vcpu: str
    memory: str
    architecture: str
    least: int
    most: int
    spot: bool
    database: bool
    controller: str
    sides: tuple[str, ...]


@dataclass(frozen=True)
class Database:
    """The database: one instance, or a cluster of three, two of which are read and stand by."""

    engine: str
    size: str
    storage_gib: int
    standby: bool
    readable_standbys: int
    replica: bool
    backup_days: int
    encrypted: bool
    tls_only: bool
    proxy: bool


@dataclass(frozen=True)
class Pipeline:
    """A pipeline with the names of its stages."""

    name: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Overview:
    """The parts of an environment; what is not there is empty, None or zero."""

    environment: str
    region: str
    vpc: str
    zones: tuple[str, ...]
    tiers: tuple[Tier, ...]
    nat_zones: tuple[str, ...]
    gateway_endpoints: tuple[str, ...]
    interface_endpoints: tuple[str, ...]
    load_balancer: str | None
    public: bool
    edge: bool
    listeners: tuple[Listener, ...]
    domain: str | None
    firewall_rules: int | None
    services: tuple[Service, ...]
    database: Database | None
    sources: str | None
    pipelines: tuple[Pipeline, ...]
    counts: Mapping[str, int]


def overview(templates: Templates, environment: str, region: str) -> Overview:
    """Read the parts of an environment from its templates."""
    whole = merged(templates)
    found = _Found({"": whole})
    subnets = found.of("AWS::EC2::Subnet")
    zones = tuple(sorted({str(each["AvailabilityZone"]) for each in subnets.values()}))
    compute = Blueprint(whole)
    balancer = next(iter(found.of("AWS::ElasticLoadBalancingV2::LoadBalancer").values()), None)
    firewall = next(iter(found.of("AWS::WAFv2::WebACL").values()), None)
    endpoints = sorted(_endpoints(found))
    vpc = next(iter(found.of("AWS::EC2::VPC").values()), {})
    repository = next(iter(found.of("AWS::CodeCommit::Repository").values()), None)
    return Overview(
        environment=environment,
        region=region,
        vpc=str(vpc.get("CidrBlock", "")),
        zones=zones,
        tiers=tuple(_tiers(subnets)),
        nat_zones=tuple(
            sorted(
                subnets[reference(each["SubnetId"])]["AvailabilityZone"]
                for each in found.of("AWS::EC2::NatGateway").values()
                if reference(each["SubnetId"]) in subnets
            )
        ),
        gateway_endpoints=tuple(name for kind, name in endpoints if kind == "Gateway"),
        interface_endpoints=tuple(name for kind, name in endpoints if kind == "Interface"),
        load_balancer=None if balancer is None else str(balancer.get("Name", "load balancer")),
        public=balancer is not None and balancer.get("Scheme") == "internet-facing",
        edge=bool(found.of("AWS::CloudFront::Distribution")),
        listeners=tuple(
            sorted(_listeners(found, compute), key=lambda each: (each.name != "production", each.port))
        ),
        domain=next(
            (each["Name"].rstrip(".") for each in found.of("AWS::Route53::RecordSet").values()), None
        ),
        firewall_rules=None if firewall is None else len(firewall.get("Rules", ())),
        services=tuple(_services(found, compute)),
        database=_database(found),
        sources=_sources(found, repository),
        pipelines=tuple(
            Pipeline(str(each.get("Name", logical_id)), tuple(stage["Name"] for stage in each["Stages"]))
            for logical_id, each in found.of("AWS::CodePipeline::Pipeline").items()
        ),
        counts=Counter(
            each["Type"] for template in templates.values() for each in template["Resources"].values()
        ),
    )


@dataclass(frozen=True)
class _Found:
    templates: Templates

    def of(self, resource_type: str) -> dict[str, Mapping[str, Any]]:
        """By logical id the properties of all resources of a type."""
        return {
            logical_id: each.get("Properties", {})
            for template in self.templates.values()
            for logical_id, each in sorted(template["Resources"].items())
            if each["Type"] == resource_type
        }


def _tiers(subnets: Mapping[str, Mapping[str, Any]]) -> Iterator[Tier]:
    tiers: dict[str, dict[str, str]] = {}
    for subnet in subnets.values():
        tags = {tag["Key"]: tag["Value"] for tag in subnet.get("Tags", ())}
        name = tags.get(_TAG, "Subnets")
        tiers.setdefault(name, {})[subnet["AvailabilityZone"]] = str(subnet["CidrBlock"])
    order = {"Public": 0, "Application": 1, "Data": 2}
    for name, ranges in sorted(tiers.items(), key=lambda each: (order.get(each[0], 9), each[0])):
        yield Tier(name, ranges)


def _endpoints(found: _Found) -> Iterator[tuple[str, str]]:
    for each in found.of("AWS::EC2::VPCEndpoint").values():
        parts = each["ServiceName"]
        text = parts if isinstance(parts, str) else str(parts["Fn::Join"][1][-1])
        name = text.removeprefix(".").removeprefix("com.amazonaws.")
        yield each.get("VpcEndpointType", "Gateway"), re.sub(r"^[a-z]+(-[a-z]+)+-\d\.", "", name)


def _listeners(found: _Found, compute: Blueprint) -> Iterator[Listener]:
    for logical_id, each in found.of("AWS::ElasticLoadBalancingV2::Listener").items():
        redirect = next(
            (action["RedirectConfig"] for action in each["DefaultActions"] if "RedirectConfig" in action),
            None,
        )
        name = compute.listener_names.get(logical_id, "")
        if redirect is not None:
            name = f"redirects to {redirect.get('Port', each['Port'])}"
        yield Listener(int(each["Port"]), str(each["Protocol"]), name)


def _services(found: _Found, compute: Blueprint) -> Iterator[Service]:
    tasks = found.of("AWS::ECS::TaskDefinition")
    groups = found.of("AWS::CodeDeploy::DeploymentGroup")
    for logical_id, each in found.of("AWS::ECS::Service").items():
        named = each["TaskDefinition"]
        task = next(task for key, task in tasks.items() if named in (task.get("Family"), {"Ref": key}))
        target = next(
            (
                target
                for target in found.of("AWS::ApplicationAutoScaling::ScalableTarget").values()
                if logical_id in set(references(target["ResourceId"]))
            ),
            None,
        )
        own = {key for key, group in compute.groups.items() if group.service_id == logical_id}
        rules = [rule for rule in compute.routes.values() if own & set(rule.traffic or ())]
        conditions = [condition for rule in rules for condition in rule.properties.get("Conditions", ())]
        paths = [
            path
            for each in conditions
            if each["Field"] == "path-pattern"
            for path in each["PathPatternConfig"]["Values"]
        ]
        count = int(each.get("DesiredCount", 1))
        yield Service(
            name=str(task["ContainerDefinitions"][0]["Name"]),
            paths=tuple(dict.fromkeys(paths)),
            restricted=any(condition["Field"] in ("source-ip", "http-header") for condition in conditions),
            vcpu=f"{int(task['Cpu']) / 1024:g} vCPU",
            memory=f"{int(task['Memory']) / 1024:g} GB",
            architecture="ARM64"
            if task.get("RuntimePlatform", {}).get("CpuArchitecture") == "ARM64"
            else "x86",
            least=int(target["MinCapacity"]) if target else count,
            most=int(target["MaxCapacity"]) if target else count,
            spot=any(
                provider["CapacityProvider"] == "FARGATE_SPOT"
                for provider in each.get("CapacityProviderStrategy", ())
            ),
            database=any(
                variable["Name"] == "DB_HOST"
                for container in task["ContainerDefinitions"]
                for variable in container.get("Environment", ())
            ),
            controller=_controller(logical_id, each, groups),
            sides=tuple(sorted({compute.groups[key].side for key in own})),
        )


def _controller(service_id: str, service: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]]) -> str:
    if service.get("DeploymentController", {}).get("Type") == "CODE_DEPLOY":
        mine = (
            group for group in groups.values() if service_id in set(references(group.get("ECSServices", [])))
        )
        config = next((str(group.get("DeploymentConfigName", "")) for group in mine), "")
        strategy = re.search(r"Canary|Linear|AllAtOnce", config)
        return f"CodeDeploy, {_WORDS[strategy[0]]}" if strategy else "CodeDeploy"
    strategy_name = str(service.get("DeploymentConfiguration", {}).get("Strategy", "ROLLING"))
    return f"ECS, {strategy_name.lower().replace('_', '/')}"


_WORDS = {"Canary": "canary", "Linear": "linear", "AllAtOnce": "all at once"}


def _database(found: _Found) -> Database | None:
    for each in found.of("AWS::RDS::DBCluster").values():
        return Database(
            engine=_engine(each),
            size=str(each["DBClusterInstanceClass"]),
            storage_gib=int(each["AllocatedStorage"]),
            standby=False,
            readable_standbys=2,
            replica=False,
            backup_days=int(each.get("BackupRetentionPeriod", 1)),
            encrypted=each.get("StorageEncrypted") in (True, "true"),
            tls_only=_tls_only(found, "AWS::RDS::DBClusterParameterGroup"),
            proxy=False,
        )
    instances = found.of("AWS::RDS::DBInstance").values()
    for each in instances:
        if _follows(each):
            continue
        return Database(
            engine=_engine(each),
            size=str(each["DBInstanceClass"]),
            storage_gib=int(each["AllocatedStorage"]),
            standby=each.get("MultiAZ") in (True, "true"),
            readable_standbys=0,
            replica=any(map(_follows, instances)),
            backup_days=int(each.get("BackupRetentionPeriod", 1)),
            encrypted=each.get("StorageEncrypted") in (True, "true"),
            tls_only=_tls_only(found, "AWS::RDS::DBParameterGroup"),
            proxy=bool(found.of("AWS::RDS::DBProxy")),
        )
    return None


def _engine(server: Mapping[str, Any]) -> str:
    name = "MySQL" if server["Engine"] == "mysql" else server["Engine"]
    return f"{name} {server.get('EngineVersion', '')}".strip()


def _tls_only(found: _Found, groups: str) -> bool:
    return any(
        group.get("Parameters", {}).get("require_secure_transport") == "1"
        for group in found.of(groups).values()
    )


def _follows(instance: Mapping[str, Any]) -> bool:
    return "SourceDBInstanceIdentifier" in instance


def _sources(found: _Found, repository: Mapping[str, Any] | None) -> str | None:
    if repository is not None:
        return f"CodeCommit {repository['RepositoryName']}"
    for pipeline in found.of("AWS::CodePipeline::Pipeline").values():
        for action in pipeline["Stages"][0]["Actions"]:
            configuration = action.get("Configuration", {})
            name = configuration.get("FullRepositoryId") or configuration.get("RepositoryName")
            if name:
                return str(name)
    return None
