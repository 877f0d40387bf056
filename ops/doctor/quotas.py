"""Quotas of an account, against what the templates make and what is there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ops.aws.clients import Clients
from ops.aws.refusals import says
from ops.doctor.findings import Finding, missing, ok, unchecked
from ops.synthesis.templates import Templates
from settings import Environment

_AWS = "https://docs.aws.amazon.com"
_VPC = f"{_AWS}/vpc/latest/userguide/amazon-vpc-limits.html"
_BALANCER = f"{_AWS}/elasticloadbalancing/latest/application/load-balancer-limits.html"
_RDS = f"{_AWS}/general/latest/gr/rds-service.html"
_IAM = f"{_AWS}/IAM/latest/UserGuide/reference_iam-quotas.html"
_CODEBUILD = f"{_AWS}/codebuild/latest/userguide/limits.html"
# Of services that are the same in all Regions, Service Quotas tells here only:
# https://docs.aws.amazon.com/servicequotas/latest/userguide/intro.html
_GLOBAL = "us-east-1"

Needed = Callable[[Environment, Templates], float]
Used = Callable[[Clients, Environment], float]


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A limit that a deployment may run into, by its codes in Service Quotas; `page` is where AWS explains it.

    `needed` is counted in the templates of the stacks that are still to be made, and compared together with what `used`
    finds in the account; where a limit is one of each environment's own, nothing is `used` and all templates count.
    """

    name: str
    service: str
    code: str
    page: str
    needed: Needed
    used: Used | None = None
    everywhere: bool = False

    def finding(
        self,
        clients: Clients,
        everywhere: Clients,
        environment: Environment,
        more: Templates,
        all_of_it: Templates,
    ) -> Finding:
        """Whether the quota leaves room."""
        if self.used is None:
            needed, detail = self.needed(environment, all_of_it), "for the environment"
        else:
            made = self.needed(environment, more)
            if not made:
                return ok(self.name, "the environment makes no more")
            there = self.used(clients, environment)
            needed, detail = there + made, f"{there:g} there, {made:g} to be made"
        if not needed:
            return ok(self.name, "none is needed")
        limit = self._limit(everywhere if self.everywhere else clients)
        if limit is None:
            return unchecked(
                self.name, f"Service Quotas knows no {self.code} of {self.service} here: {self.page}"
            )
        if needed <= limit:
            return ok(self.name, f"{needed:g} of {limit:g}: {detail}")
        region = f" --region {_GLOBAL}" if self.everywhere else ""
        return missing(
            self.name,
            f"{needed:g} of {limit:g}: {detail} ({self.page})",
            f"aws service-quotas request-service-quota-increase{region} --service-code {self.service} "
            f"--quota-code {self.code} --desired-value {needed:g}",
        )

    def _limit(self, clients: Clients) -> float | None:
        asked = {"ServiceCode": self.service, "QuotaCode": self.code}
        quotas = clients.client("service-quotas")
        try:
            return float(quotas.get_service_quota(**asked)["Quota"]["Value"])
        except ClientError as error:
            # Where nobody ever asked for another value, some services only know the default.
            if not says(error, "NoSuchResourceException"):
                raise
        try:
            return float(quotas.get_aws_default_service_quota(**asked)["Quota"]["Value"])
        except ClientError as error:
            if not says(error, "NoSuchResourceException"):
                raise
            return None


def everywhere(clients: Clients) -> Clients:
    """Clients for what is the same in all Regions."""
    return clients if clients.region == _GLOBAL else Clients(_GLOBAL, clients.variables)


def _resources(templates: Templates, *types: str) -> Iterator[Mapping[str, Any]]:
    for template in templates.values():
        for resource in template["Resources"].values():
            if resource["Type"] in types:
                yield resource.get("Properties", {})


def _of(*types: str, **having: str) -> Needed:
    """How many resources of these types, with these properties, the templates hold."""

    def count(_: Environment, templates: Templates) -> float:
        return sum(
            all(properties.get(key) == value for key, value in having.items())
            for properties in _resources(templates, *types)
        )

    return count


def _there(service: str, operation: str, result: str, **asked: Any) -> Used:
    """How many things the account lists."""

    def count(clients: Clients, _: Environment) -> float:
        client = clients.client(service)
        if not client.can_paginate(operation):
            return len(getattr(client, operation)(**asked)[result])
        pages = client.get_paginator(operation).paginate(**asked)
        found = 0
        for page in pages:
            answer: Any = page
            for part in result.split("."):
                answer = answer.get(part) or ()
            found += len(answer)
        return found

    return count


def _summary(key: str) -> Used:
    return lambda clients, _: float(clients.client("iam").get_account_summary()["SummaryMap"][key])


def _vcpus(spot: bool) -> Needed:
    """All services at their maximum, twice: in a release old and new tasks run."""

    def count(environment: Environment, _: Templates) -> float:
        total = 0.0
        for service in environment.services:
            beyond = (service.scaling.most_tasks - service.scaling.fewest_tasks) * service.spot_percent / 100
            tasks = beyond if spot else service.scaling.most_tasks - beyond
            total += 2 * tasks * service.cpu / 1024
        return total

    return count


def _tasks(environment: Environment, _: Templates) -> float:
    return 2 * sum(service.scaling.most_tasks for service in environment.services)


def _interfaces(environment: Environment, templates: Templates) -> float:
    """Of tasks, of interface endpoints and of the load balancer, one a zone."""
    endpoints = _of("AWS::EC2::VPCEndpoint", VpcEndpointType="Interface")(environment, templates)
    own = bool(list(_resources(templates, "AWS::EC2::VPC")))
    return own * (_tasks(environment, templates) + (endpoints + 1) * len(environment.availability_zones))


def _builds(kind: str) -> Needed:
    """A push starts all pipelines, each of which builds one thing after the other."""

    def count(_: Environment, templates: Templates) -> float:
        of_kind = sum(
            project["Environment"]["Type"] == kind
            for project in _resources(templates, "AWS::CodeBuild::Project")
        )
        return sum(1 for _ in _resources(templates, "AWS::CodePipeline::Pipeline")) if of_kind else 0

    return count


def _servers(environment: Environment, templates: Templates) -> float:
    single = sum(1 for _ in _resources(templates, "AWS::RDS::DBInstance"))
    return single + 3 * sum(1 for _ in _resources(templates, "AWS::RDS::DBCluster"))


def _storage(_: Environment, templates: Templates) -> float:
    found = [*_resources(templates, "AWS::RDS::DBInstance", "AWS::RDS::DBCluster")]
    return sum(float(each.get("MaxAllocatedStorage") or each.get("AllocatedStorage") or 0) for each in found)


def _stored(clients: Clients, _: Environment) -> float:
    pages = clients.client("rds").get_paginator("describe_db_instances").paginate()
    return sum(float(each["AllocatedStorage"]) for page in pages for each in page["DBInstances"])


def _gateways_of_a_zone(clients: Clients, environment: Environment) -> float:
    ec2 = clients.client("ec2")
    zones = {
        subnet["SubnetId"]: subnet["AvailabilityZone"]
        for page in ec2.get_paginator("describe_subnets").paginate()
        for subnet in page["Subnets"]
    }
    counted = Counter(
        zones.get(gateway.get("SubnetId"))
        for page in ec2.get_paginator("describe_nat_gateways").paginate()
        for gateway in page["NatGateways"]
        if gateway["State"] in ("pending", "available")
    )
    return max(counted[zone] for zone in environment.availability_zones)


def _nat(_: Environment, templates: Templates) -> float:
    # At most one a zone.
    return float(any(True for _ in _resources(templates, "AWS::EC2::NatGateway")))


def _functions(_: Environment, templates: Templates) -> float:
    """Each runs once at a time, those that nested stacks make to rotate passwords as well."""
    return sum(1 for _ in _resources(templates, "AWS::Lambda::Function", "AWS::Serverless::Application"))


def _stacks(_: Environment, templates: Templates) -> float:
    return len(templates) + sum(1 for _ in _resources(templates, "AWS::Serverless::Application"))


def _rules(_: Environment, templates: Templates) -> float:
    """Of notifications AWS makes one each."""
    return sum(
        1 for _ in _resources(templates, "AWS::Events::Rule", "AWS::CodeStarNotifications::NotificationRule")
    )


# The codes stand beside the quotas in https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html, as links
# into the console. Of new accounts those of Fargate, CodeBuild and Lambda are far below the defaults.
QUOTAS: Sequence[Quota] = (
    Quota(
        name="Fargate vCPUs",
        service="fargate",
        code="L-3032A538",
        page=f"{_AWS}/AmazonECS/latest/developerguide/service-quotas.html",
        needed=_vcpus(spot=False),
    ),
    Quota(
        name="Fargate Spot vCPUs",
        service="fargate",
        code="L-36FBB829",
        page=f"{_AWS}/AmazonECS/latest/developerguide/service-quotas.html",
        needed=_vcpus(spot=True),
    ),
    Quota(
        name="concurrent builds, ARM/Small",
        service="codebuild",
        code="L-5ED1D25B",
        page=_CODEBUILD,
        needed=_builds("ARM_CONTAINER"),
    ),
    Quota(
        name="concurrent builds, Linux/Small",
        service="codebuild",
        code="L-9D07B6EF",
        page=_CODEBUILD,
        needed=_builds("LINUX_CONTAINER"),
    ),
    Quota(
        name="build projects",
        service="codebuild",
        code="L-ACCF6C0D",
        page=_CODEBUILD,
        needed=_of("AWS::CodeBuild::Project"),
        used=_there("codebuild", "list_projects", "projects"),
    ),
    Quota(
        name="pipelines",
        service="codepipeline",
        code="L-78D200AD",
        page=f"{_AWS}/codepipeline/latest/userguide/limits.html",
        needed=_of("AWS::CodePipeline::Pipeline"),
        used=_there("codepipeline", "list_pipelines", "pipelines"),
    ),
    Quota(
        name="CodeDeploy applications",
        service="codedeploy",
        code="L-3F19B6A5",
        page=f"{_AWS}/codedeploy/latest/userguide/limits.html",
        needed=_of("AWS::CodeDeploy::Application"),
        used=_there("codedeploy", "list_applications", "applications"),
    ),
    Quota(
        name="concurrent executions of functions",
        service="lambda",
        code="L-B99A9384",
        page=f"{_AWS}/lambda/latest/dg/gettingstarted-limits.html",
        needed=_functions,
    ),
    Quota(
        name="elastic IP addresses",
        service="ec2",
        code="L-0263D0A3",
        page=_VPC,
        needed=_of("AWS::EC2::EIP"),
        used=_there("ec2", "describe_addresses", "Addresses"),
    ),
    Quota(
        name="VPCs",
        service="vpc",
        code="L-F678F1CE",
        page=_VPC,
        needed=_of("AWS::EC2::VPC"),
        used=_there("ec2", "describe_vpcs", "Vpcs"),
    ),
    Quota(
        name="internet gateways",
        service="vpc",
        code="L-A4707A72",
        page=_VPC,
        needed=_of("AWS::EC2::InternetGateway"),
        used=_there("ec2", "describe_internet_gateways", "InternetGateways"),
    ),
    Quota(
        name="NAT gateways of a zone",
        service="vpc",
        code="L-FE5A380F",
        page=_VPC,
        needed=_nat,
        used=_gateways_of_a_zone,
    ),
    Quota(
        name="gateway endpoints",
        service="vpc",
        code="L-1B52E74A",
        page=f"{_AWS}/vpc/latest/privatelink/vpc-limits-endpoints.html",
        needed=_of("AWS::EC2::VPCEndpoint", VpcEndpointType="Gateway"),
        used=_there(
            "ec2",
            "describe_vpc_endpoints",
            "VpcEndpoints",
            Filters=[{"Name": "vpc-endpoint-type", "Values": ["Gateway"]}],
        ),
    ),
    Quota(
        name="interface endpoints of the VPC",
        service="vpc",
        code="L-29B6F2EB",
        page=f"{_AWS}/vpc/latest/privatelink/vpc-limits-endpoints.html",
        needed=_of("AWS::EC2::VPCEndpoint", VpcEndpointType="Interface"),
    ),
    Quota(
        name="security groups",
        service="vpc",
        code="L-E79EC296",
        page=_VPC,
        needed=_of("AWS::EC2::SecurityGroup"),
        used=_there("ec2", "describe_security_groups", "SecurityGroups"),
    ),
    Quota(
        name="network interfaces",
        service="vpc",
        code="L-DF5E4CA3",
        page=_VPC,
        needed=_interfaces,
        used=_there("ec2", "describe_network_interfaces", "NetworkInterfaces"),
    ),
    Quota(
        name="application load balancers",
        service="elasticloadbalancing",
        code="L-53DA6B97",
        page=_BALANCER,
        needed=_of("AWS::ElasticLoadBalancingV2::LoadBalancer"),
        used=_there("elbv2", "describe_load_balancers", "LoadBalancers"),
    ),
    Quota(
        name="target groups",
        service="elasticloadbalancing",
        code="L-B22855CB",
        page=_BALANCER,
        needed=_of("AWS::ElasticLoadBalancingV2::TargetGroup"),
        used=_there("elbv2", "describe_target_groups", "TargetGroups"),
    ),
    Quota(
        name="rules of the load balancer",
        service="elasticloadbalancing",
        code="L-7EED9B64",
        page=_BALANCER,
        needed=_of("AWS::ElasticLoadBalancingV2::ListenerRule"),
    ),
    Quota(
        name="targets of the load balancer",
        service="elasticloadbalancing",
        code="L-7E6692B2",
        page=_BALANCER,
        needed=_tasks,
    ),
    Quota(
        name="database instances",
        service="rds",
        code="L-7B6409FD",
        page=_RDS,
        needed=_servers,
        used=_there("rds", "describe_db_instances", "DBInstances"),
    ),
    Quota(
        name="database clusters",
        service="rds",
        code="L-952B80B8",
        page=_RDS,
        needed=_of("AWS::RDS::DBCluster"),
        used=_there("rds", "describe_db_clusters", "DBClusters"),
    ),
    Quota(
        name="GiB of all databases",
        service="rds",
        code="L-7ADDB58A",
        page=_RDS,
        needed=_storage,
        used=_stored,
    ),
    Quota(
        name="event subscriptions of RDS",
        service="rds",
        code="L-A59F4C87",
        page=_RDS,
        needed=_of("AWS::RDS::EventSubscription"),
        used=_there("rds", "describe_event_subscriptions", "EventSubscriptionsList"),
    ),
    Quota(
        name="parameter groups of RDS",
        service="rds",
        code="L-DE55804A",
        page=_RDS,
        needed=_of("AWS::RDS::DBParameterGroup"),
        used=_there("rds", "describe_db_parameter_groups", "DBParameterGroups"),
    ),
    Quota(
        name="cluster parameter groups of RDS",
        service="rds",
        code="L-E4C808A8",
        page=_RDS,
        needed=_of("AWS::RDS::DBClusterParameterGroup"),
        used=_there("rds", "describe_db_cluster_parameter_groups", "DBClusterParameterGroups"),
    ),
    Quota(
        name="proxies of RDS",
        service="rds",
        code="L-D94C7EA3",
        page=_RDS,
        needed=_of("AWS::RDS::DBProxy"),
        used=_there("rds", "describe_db_proxies", "DBProxies"),
    ),
    Quota(
        name="stacks",
        service="cloudformation",
        code="L-0485CB21",
        page=f"{_AWS}/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html",
        needed=_stacks,
        used=_there("cloudformation", "describe_stacks", "Stacks"),
    ),
    Quota(
        name="rules of events",
        service="events",
        code="L-244521F2",
        page=f"{_AWS}/eventbridge/latest/userguide/eb-quota.html",
        needed=_rules,
        used=_there("events", "list_rules", "Rules"),
    ),
    Quota(
        name="roles",
        service="iam",
        code="L-FE177D64",
        page=_IAM,
        needed=_of("AWS::IAM::Role"),
        used=_summary("Roles"),
        everywhere=True,
    ),
    Quota(
        name="customer managed policies",
        service="iam",
        code="L-E95E4862",
        page=_IAM,
        needed=_of("AWS::IAM::ManagedPolicy"),
        used=_summary("Policies"),
        everywhere=True,
    ),
    Quota(
        name="buckets",
        service="s3",
        code="L-DC2B2D3D",
        page=f"{_AWS}/AmazonS3/latest/userguide/BucketRestrictions.html",
        needed=_of("AWS::S3::Bucket"),
        used=_there("s3", "list_buckets", "Buckets"),
        everywhere=True,
    ),
    Quota(
        name="keys",
        service="kms",
        code="L-C2F1777E",
        page=f"{_AWS}/kms/latest/developerguide/resource-limits.html",
        needed=_of("AWS::KMS::Key"),
        used=_there("kms", "list_keys", "Keys"),
    ),
    Quota(
        name="distributions",
        service="cloudfront",
        code="L-24B04930",
        page=f"{_AWS}/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html",
        needed=_of("AWS::CloudFront::Distribution"),
        used=_there("cloudfront", "list_distributions", "DistributionList.Items"),
        everywhere=True,
    ),
)
# Not raised when asked, and not in Service Quotas:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html
LOG_POLICIES = 10


def log_policies(clients: Clients, environment: Environment, more: Templates) -> Finding:
    """Whether there is room for the policy that lets events be logged."""
    name = "resource policies of CloudWatch Logs"
    needed = _of("AWS::Logs::ResourcePolicy")(environment, more)
    there = _there("logs", "describe_resource_policies", "resourcePolicies")(clients, environment)
    detail = f"{there + needed:g} of {LOG_POLICIES}: {there:g} there, {needed:g} to be made"
    if needed and there + needed > LOG_POLICIES:
        return missing(
            name,
            detail,
            "aws logs describe-resource-policies; then aws logs delete-resource-policy --policy-name ...",
        )
    return ok(name, detail)
