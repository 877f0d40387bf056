"""What resources consume: a pure function a type, from properties and usage to items of the price list."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from ops.cost.model import Item, Resource, World
from ops.deployed.routes import references
from ops.errors import OpsError

Estimator = Callable[[Resource, World], Iterable[Item]]
ESTIMATORS: dict[str, Estimator] = {}

# Of one capacity unit an hour: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-capacity-units.html
_LCU_NEW_CONNECTIONS_PER_SECOND = 25
_LCU_ACTIVE_CONNECTIONS = 3000
_LCU_GB_PER_HOUR = 1
_LCU_RULE_EVALUATIONS_PER_SECOND = 1000
_FREE_RULES = 10

# Metrics that Container Insights with enhanced observability reports of Fargate tasks:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-enhanced-observability-metrics-ECS.html
# 16 of a task and 7 of each container, each by cluster, service, task family, and twice by task; 2 more of a
# cluster, 5 more of a service, and 1 more of each container that has a health check.
_TASK_METRICS = 16
_CONTAINER_METRICS = 7
_CLUSTER_METRICS = 2
_SERVICE_METRICS = 5

_GIB_PER_KIB = Decimal(1) / 1024 / 1024
_DASHBOARD_METRICS = 50
_DATABASE_VCPUS_LEAST = 2
_DAYS_PER_MONTH = Decimal(30)


def estimates(*types: str) -> Callable[[Estimator], Estimator]:
    """Register a function for resource types."""

    def register(function: Estimator) -> Estimator:
        ESTIMATORS.update(dict.fromkeys(types, function))
        return function

    return register


# Network


@estimates("AWS::EC2::NatGateway")
def _nat_gateway(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("nat.hour", world.hours, "fixed", "one gateway")
    gateways = sum(1 for _ in world.of_type(resource.type))
    yield Item("nat.gb", world.usage.network.nat_gb / gateways, "usage", "data through it")


@estimates("AWS::EC2::EIP")
def _address(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("public_ipv4.hour", world.hours, "fixed", "one public IPv4 address")


@estimates("AWS::EC2::VPCEndpoint")
def _endpoint(resource: Resource, world: World) -> Iterator[Item]:
    # Endpoints of S3 and DynamoDB are routes, and free: https://aws.amazon.com/privatelink/pricing/
    if resource.properties.get("VpcEndpointType", "Gateway") == "Gateway":
        return
    zones = len(resource.properties.get("SubnetIds", ())) or 1
    yield Item("vpce.interface.az_hour", zones * world.hours, "fixed", f"in {zones} zones")
    yield Item("vpce.interface.gb", world.usage.network.endpoint_gb, "usage", "data through it")


@estimates("AWS::ElasticLoadBalancingV2::LoadBalancer")
def _load_balancer(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("alb.hour", world.hours, "fixed", "one load balancer")
    public = resource.properties.get("Scheme") == "internet-facing"
    if public:
        zones = len(resource.properties.get("Subnets", ()))
        yield Item(
            "public_ipv4.hour", zones * world.hours, "fixed", f"public IPv4 addresses in {zones} zones"
        )
    yield Item(
        "alb.lcu_hour",
        capacity_units(world, _rules(resource, world)) * world.hours,
        "usage",
        "capacity units",
    )
    # To CloudFront they are free: https://aws.amazon.com/cloudfront/pricing/
    if public:
        yield Item("transfer.internet_gb", _answers_gb(world), "usage", "answers to the internet")


def capacity_units(world: World, rules: int) -> Decimal:
    """The mean capacity units of an Application Load Balancer: the largest of its four dimensions."""
    traffic = world.usage.traffic
    return max(
        traffic.new_connections_per_second / _LCU_NEW_CONNECTIONS_PER_SECOND,
        traffic.new_connections_per_second * traffic.connection_seconds / _LCU_ACTIVE_CONNECTIONS,
        _answers_gb(world) / world.hours / _LCU_GB_PER_HOUR,
        traffic.requests_per_second * max(rules - _FREE_RULES, 0) / _LCU_RULE_EVALUATIONS_PER_SECOND,
    )


def _answers_gb(world: World) -> Decimal:
    return world.requests * world.usage.traffic.response_kib * _GIB_PER_KIB


def _rules(resource: Resource, world: World) -> int:
    listeners = {
        each.logical_id for each in world.referring("AWS::ElasticLoadBalancingV2::Listener", resource)
    }
    counts = [
        sum(
            1
            for rule in world.of_type("AWS::ElasticLoadBalancingV2::ListenerRule", resource.stack)
            if rule.properties.get("ListenerArn") == {"Ref": listener}
        )
        for listener in listeners
    ]
    return max(counts, default=0)


@estimates("AWS::CloudFront::Distribution")
def _distribution(resource: Resource, world: World) -> Iterator[Item]:
    # By where viewers are: North America and Europe, the cheapest. https://aws.amazon.com/cloudfront/pricing/
    yield Item("cloudfront.https_requests_10k", world.requests / 10_000, "usage", "requests of viewers")
    yield Item("cloudfront.gb_first_10tb", _answers_gb(world), "usage", "answers to viewers")


@estimates("AWS::CloudFront::Function")
def _edge_function(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("cloudfront.functions_million", world.requests / 1_000_000, "usage", "runs, one a request")


@estimates("AWS::WAFv2::WebACL")
def _web_acl(resource: Resource, world: World) -> Iterator[Item]:
    rules = len(resource.properties.get("Rules", ()))
    yield Item("waf.acl_month", Decimal(1), "fixed", "one web ACL")
    yield Item("waf.rule_month", Decimal(rules), "fixed", f"{rules} rules and rule groups")
    yield Item("waf.requests_million", world.requests / 1_000_000, "usage", "requests")


# Tasks


@estimates("AWS::ECS::Service")
def _service(resource: Resource, world: World) -> Iterator[Item]:
    task = _task_of(resource, world)
    least, most = _range(resource, world)
    scaled = (most - least) * world.usage.tasks.share_of_range
    cpu, gib = Decimal(task["Cpu"]) / 1024, Decimal(task["Memory"]) / 1024
    architecture = task.get("RuntimePlatform", {}).get("CpuArchitecture", "X86_64")
    chip = "arm" if architecture == "ARM64" else "x86"
    at_least, at_most = markets(resource, least), markets(resource, most)
    for market, usual in markets(resource, least + scaled).items():
        tasks = at_least[market]
        spot = " on spot capacity" if market == "fargate_spot" else ""
        for unit, size, of in (("vcpu_hour", cpu, "vCPU"), ("gb_hour", gib, "GB")):
            key, each = f"{market}.{chip}.{unit}", size * world.hours
            note = f"{_plain(tasks)} tasks of {_plain(size)} {of}{spot}"
            yield Item(key, tasks * each, "fixed", note, most=at_most[market] * each)
            if usual > tasks:
                note = f"{_plain(usual - tasks)} of {_plain(at_most[market] - tasks)} more tasks, on average{spot}"
                yield Item(key, (usual - tasks) * each, "usage", note, most=Decimal(0))
    if _insights(resource, world):
        containers = task["ContainerDefinitions"]
        metrics = _TASK_METRICS + sum(_CONTAINER_METRICS + ("HealthCheck" in each) for each in containers)
        fixed = 2 * metrics + _SERVICE_METRICS
        yield Item(
            "cloudwatch.container_insights_metric_month",
            Decimal(fixed + 2 * metrics * least),
            "fixed",
            "Container Insights metrics of the service and its tasks",
            most=Decimal(fixed + 2 * metrics * most),
        )
    metrics_of_logs = world.usage.tasks.custom_metrics
    yield Item("cloudwatch.custom_metric_month", metrics_of_logs, "usage", "metrics that its logs carry")
    if _is_traced(task):
        services = sum(1 for _ in world.of_type(resource.type))
        traces = world.requests * world.usage.tracing.sampled_share / services
        yield Item("xray.traces_million", traces / 1_000_000, "usage", "traces")


def _task_of(service: Resource, world: World) -> Mapping[str, Any]:
    named = service.properties.get("TaskDefinition")
    for each in world.of_type("AWS::ECS::TaskDefinition", service.stack):
        # By family where the service's releases are CodeDeploy's, else by reference.
        if named in (each.properties.get("Family"), {"Ref": each.logical_id}):
            return each.properties
    raise OpsError(
        f"{service.stack}: {service.logical_id}: its task definition {named!r} is not in the template"
    )


def _range(service: Resource, world: World) -> tuple[int, int]:
    for target in world.referring("AWS::ApplicationAutoScaling::ScalableTarget", service):
        return int(target.properties["MinCapacity"]), int(target.properties["MaxCapacity"])
    count = int(service.properties.get("DesiredCount", 1))
    return count, count


def markets(service: Resource, tasks: Decimal | int) -> Mapping[str, Decimal]:
    """How many of a service's tasks run on each kind of capacity: the bases first, the rest by the weights.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-capacity-providers.html
    """
    providers = service.properties.get("CapacityProviderStrategy") or [
        {"CapacityProvider": "FARGATE", "Weight": 1}
    ]
    total = sum(int(each.get("Weight", 0)) for each in providers)
    left, found = Decimal(tasks), {}
    for each in providers:
        base = min(Decimal(int(each.get("Base", 0))), left)
        found[each["CapacityProvider"].lower()] = base
        left -= base
    for each in providers:
        found[each["CapacityProvider"].lower()] += left * int(each.get("Weight", 0)) / (total or 1)
    return found


def _insights(service: Resource, world: World) -> bool:
    return any(_is_enhanced(cluster) for cluster in world.of_type("AWS::ECS::Cluster", service.stack))


def _is_enhanced(cluster: Resource) -> bool:
    return {"Name": "containerInsights", "Value": "enhanced"} in cluster.properties.get("ClusterSettings", [])


def _is_traced(task: Mapping[str, Any]) -> bool:
    variables = (
        each["Name"]
        for container in task["ContainerDefinitions"]
        for each in container.get("Environment", ())
    )
    return any(name.startswith(("OTEL_", "AWS_XRAY_")) for name in variables)


@estimates("AWS::ECS::Cluster")
def _cluster(resource: Resource, world: World) -> Iterator[Item]:
    if _is_enhanced(resource):
        metrics = Decimal(_TASK_METRICS + _CONTAINER_METRICS + _CLUSTER_METRICS)
        yield Item(
            "cloudwatch.container_insights_metric_month", metrics, "fixed", "Container Insights metrics"
        )


@estimates("AWS::ApplicationAutoScaling::ScalingPolicy")
def _scaling_policy(resource: Resource, world: World) -> Iterator[Item]:
    # Target tracking makes alarms of its own, one for each direction it scales in.
    tracking = resource.properties.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        return
    alarms = 1 if tracking.get("DisableScaleIn") in (True, "true") else 2
    yield Item("cloudwatch.alarm_month", Decimal(alarms), "fixed", "alarms that it makes itself")


# Database and cache


@estimates("AWS::ElastiCache::ReplicationGroup")
def _cache(resource: Resource, world: World) -> Iterator[Item]:
    # Its logs are priced at their groups; backups beyond one of each cache would cost, and there are none.
    properties = resource.properties
    nodes, size = int(properties["NumCacheClusters"]), properties["CacheNodeType"]
    beside = f" and {nodes - 1} replicas" if nodes > 2 else " and a replica" if nodes == 2 else ""
    yield Item(
        f"elasticache.{properties['Engine']}.{size}_hour",
        nodes * world.hours,
        "fixed",
        f"{size}, a primary{beside}",
    )


@estimates("AWS::RDS::DBCluster")
def _database_cluster(resource: Resource, world: World) -> Iterator[Item]:
    # Each of its instances is charged, and has all of the storage: https://aws.amazon.com/rds/mysql/pricing/
    properties = resource.properties
    engine, size = properties["Engine"], properties["DBClusterInstanceClass"]
    storage, kind = Decimal(properties["AllocatedStorage"]), properties["StorageType"]
    yield Item(
        f"rds.{engine}.{size}.readable_standbys_hour",
        world.hours,
        "fixed",
        f"{size} with two readable standbys",
    )
    yield Item(
        f"rds.storage.{kind}.readable_standbys_gb_month",
        storage,
        "fixed",
        f"{storage} GB of {kind} for each of three",
    )
    yield from _beside(properties, storage, world)
    yield Item("transfer.zone_gb", world.usage.network.zone_gb, "usage", "data between zones")


@estimates("AWS::RDS::DBInstance")
def _database(resource: Resource, world: World) -> Iterator[Item]:
    properties = resource.properties
    followed = set(references(properties.get("SourceDBInstanceIdentifier")))
    if followed:
        # What is not said of a replica it has from its source; its own automated backups are off until they are set.
        source = next(
            each for each in world.of_type(resource.type, resource.stack) if each.logical_id in followed
        )
        properties = {**source.properties, "MultiAZ": False, "BackupRetentionPeriod": 0, **properties}
    zones = "multi_az" if properties.get("MultiAZ") in (True, "true") else "single_az"
    engine, size = properties["Engine"], properties["DBInstanceClass"]
    storage, kind = Decimal(properties["AllocatedStorage"]), properties.get("StorageType", "gp2")
    standby = " with a standby" if zones == "multi_az" else ""
    yield Item(f"rds.{engine}.{size}.{zones}_hour", world.hours, "fixed", f"{size}{standby}")
    yield Item(f"rds.storage.{kind}.{zones}_gb_month", storage, "fixed", f"{storage} GB of {kind}{standby}")
    yield from _beside(properties, storage, world)
    # Charged by the sender and by the receiver: https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer
    # That of a replication is free: https://aws.amazon.com/rds/mysql/pricing/
    if not followed:
        yield Item("transfer.zone_gb", world.usage.network.zone_gb, "usage", "data between zones")


def _beside(properties: Mapping[str, Any], storage: Decimal, world: World) -> Iterator[Item]:
    usage = world.usage.database
    # As much as the storage is free: https://aws.amazon.com/rds/mysql/pricing/
    days = int(properties.get("BackupRetentionPeriod", 1))
    backup = (
        max(usage.used_gib + days * usage.changed_gib_per_day - storage, Decimal(0)) if days else Decimal(0)
    )
    yield Item(
        "rds.backup_gb_month",
        backup,
        "usage",
        f"backups of {days} days beyond the {storage} GB that are free",
    )
    yield Item("cloudwatch.logs_ingest_gb", usage.log_gb, "usage", "exported logs and enhanced monitoring")


@estimates("AWS::RDS::DBProxy")
def _proxy(resource: Resource, world: World) -> Iterator[Item]:
    # By the vCPUs of the database behind it, two at least: https://aws.amazon.com/rds/proxy/pricing/
    targets = [
        logical_id
        for group in world.referring("AWS::RDS::DBProxyTargetGroup", resource)
        for logical_id in references(group.properties)
    ]
    vcpus = max(
        [
            _DATABASE_VCPUS_LEAST,
            *(
                database_vcpus(each.properties["DBInstanceClass"])
                for each in world.of_type("AWS::RDS::DBInstance", resource.stack)
                if each.logical_id in targets
            ),
        ]
    )
    yield Item(
        "rds_proxy.vcpu_hour", vcpus * world.hours, "fixed", f"proxy, by {vcpus} vCPUs of its database"
    )


def database_vcpus(instance_class: str) -> int:
    """vCPUs of a database instance class: 2 up to `large`, 4 of `xlarge`, 4 times the number of `8xlarge`.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html
    """
    size = instance_class.rpartition(".")[2]
    found = re.fullmatch(r"(\d*)xlarge", size)
    return 4 * int(found[1] or 1) if found else _DATABASE_VCPUS_LEAST


@estimates("AWS::Backup::BackupVault", "AWS::Backup::LogicallyAirGappedBackupVault")
def _vault(resource: Resource, world: World) -> Iterator[Item]:
    copies = world.usage.backup.kept_copies
    # The first copy is whole, the next ones hold what changed: https://docs.aws.amazon.com/aws-backup/latest/devguide/creating-a-backup.html#incremental-backups
    stored = (
        world.usage.database.used_gib + max(copies - 1, Decimal(0)) * world.usage.database.changed_gib_per_day
    )
    yield Item(
        "rds.backup_gb_month", stored if copies else Decimal(0), "usage", f"{copies} copies of the database"
    )


# Keys, secrets, functions, storage, messages


@estimates("AWS::KMS::Key")
def _key(resource: Resource, world: World) -> Iterator[Item]:
    # Each of the first two rotations adds a dollar a month: https://aws.amazon.com/kms/pricing/
    rotates = ", in its first year" if resource.properties.get("EnableKeyRotation") in (True, "true") else ""
    yield Item("kms.key_month", Decimal(1), "fixed", f"one key{rotates}")
    yield Item("kms.requests_10k", world.usage.keys.requests / 10_000, "usage", "requests")


@estimates("AWS::SecretsManager::Secret")
def _secret(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("secretsmanager.secret_month", Decimal(1), "fixed", "one secret")
    yield Item("secretsmanager.api_10k", world.usage.secrets.calls / 10_000, "usage", "calls")


@estimates("AWS::Lambda::Function")
def _function(resource: Resource, world: World) -> Iterator[Item]:
    architectures = resource.properties.get("Architectures", ["x86_64"])
    yield from _runs(
        world, "arm" if "arm64" in architectures else "x86", resource.properties.get("MemorySize", 128)
    )


@estimates("AWS::Serverless::Application")
def _rotation(resource: Resource, world: World) -> Iterator[Item]:
    # The published rotation applications hold one function of the default size.
    yield from _runs(world, "x86", 128)


def _runs(world: World, chip: str, memory_mib: int | str) -> Iterator[Item]:
    usage = world.usage.functions
    seconds = usage.invocations * usage.seconds * Decimal(memory_mib) / 1024
    yield Item("lambda.requests_million", usage.invocations / 1_000_000, "usage", "invocations")
    yield Item(f"lambda.{chip}.gb_second", seconds, "usage", f"run time with {memory_mib} MB")


@estimates("AWS::S3::Bucket")
def _bucket(resource: Resource, world: World) -> Iterator[Item]:
    usage = world.usage.storage
    yield Item("s3.storage_gb_month", usage.bucket_gb, "usage", "storage")
    yield Item("s3.put_1k", usage.bucket_puts / 1000, "usage", "writes")
    yield Item("s3.get_1k", usage.bucket_gets / 1000, "usage", "reads")


@estimates("AWS::SNS::Topic")
def _topic(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("sns.email_100k", world.usage.messages.emails / 100_000, "usage", "messages by email")


@estimates("AWS::SQS::Queue")
def _queue(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("sqs.requests_million", world.usage.queues.requests / 1_000_000, "usage", "requests")


# Delivery


@estimates("AWS::CodeCommit::Repository")
def _repository(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("codecommit.active_user_month", world.usage.delivery.committers, "usage", "people who use it")


@estimates("AWS::ECR::Repository")
def _images(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("ecr.gb_month", world.usage.storage.repository_gb, "usage", "images")


@estimates("AWS::CodePipeline::Pipeline")
def _pipeline(resource: Resource, world: World) -> Iterator[Item]:
    if resource.properties.get("PipelineType", "V1") == "V1":
        yield Item("codepipeline.v1.active_pipeline_month", Decimal(1), "fixed", "one pipeline")
        return
    # Approvals and custom actions are free: https://aws.amazon.com/codepipeline/pricing/
    minutes = sum(
        (
            runs * _minutes(action["ActionTypeId"]["Category"], world)
            for runs, action in _actions(resource, world)
            if action["ActionTypeId"]["Category"] != "Approval"
            and action["ActionTypeId"]["Owner"] != "Custom"
        ),
        Decimal(0),
    )
    yield Item("codepipeline.v2.action_minute", minutes, "usage", "minutes of actions")


def _actions(pipeline: Resource, world: World) -> Iterator[tuple[Decimal, Mapping[str, Any]]]:
    """Each action with how often it runs: the stages of sources and builds at every push, the others for releases."""
    usage = world.usage.delivery
    released = False
    for stage in pipeline.properties["Stages"]:
        categories = {action["ActionTypeId"]["Category"] for action in stage["Actions"]}
        released = released or bool(categories & {"Approval", "Deploy"})
        for action in stage["Actions"]:
            yield (usage.releases if released else usage.pushes), action


def _minutes(category: str, world: World) -> Decimal:
    usage = world.usage.delivery
    return {"Source": usage.source_minutes, "Deploy": usage.deploy_minutes}.get(category, usage.build_minutes)


@estimates("AWS::CodeBuild::Project")
def _builds(resource: Resource, world: World) -> Iterator[Item]:
    environment = resource.properties["Environment"]
    chip = "arm" if environment["Type"].startswith("ARM") else "linux"
    size = environment["ComputeType"].removeprefix("BUILD_GENERAL1_").lower()
    runs = sum(
        (
            times
            for pipeline in world.of_type("AWS::CodePipeline::Pipeline", resource.stack)
            for times, action in _actions(pipeline, world)
            if action.get("Configuration", {}).get("ProjectName") == {"Ref": resource.logical_id}
        ),
        Decimal(0),
    )
    minutes = runs * world.usage.delivery.build_minutes
    yield Item(f"codebuild.{chip}.{size}_minute", minutes, "usage", f"{runs} builds")


# Watching


@estimates("AWS::Logs::LogGroup")
def _log_group(resource: Resource, world: World) -> Iterator[Item]:
    usage = world.usage.logs
    flow = any(world.referring("AWS::EC2::FlowLog", resource))
    ingested = usage.flow_log_gb if flow else usage.group_gb
    yield Item("cloudwatch.logs_ingest_gb", ingested, "usage", "flow logs" if flow else "logs")
    days = resource.properties.get("RetentionInDays")
    # Without a retention nothing is ever removed: what a year leaves behind.
    months = Decimal(days or 365) / _DAYS_PER_MONTH
    kept = f"{days} days of logs" if days else "logs kept for ever: after a year"
    yield Item("cloudwatch.logs_storage_gb_month", ingested * months * usage.stored_share, "usage", kept)


@estimates("AWS::Logs::MetricFilter")
def _metric_filter(resource: Resource, world: World) -> Iterator[Item]:
    metrics = len(resource.properties.get("MetricTransformations", ()))
    yield Item(
        "cloudwatch.custom_metric_month", Decimal(metrics), "usage", "metrics, where something matches"
    )


@estimates("AWS::CloudWatch::Alarm")
def _alarm(resource: Resource, world: World) -> Iterator[Item]:
    """An alarm is charged by the metrics it reads, each for itself, also those of an expression."""
    properties = resource.properties
    queries = properties.get("Metrics", ())
    periods = [each["MetricStat"]["Period"] for each in queries if "MetricStat" in each]
    metrics = len(periods) or 1
    # Three metrics: the one watched and both edges of its band.
    banded = any("ANOMALY_DETECTION_BAND" in each.get("Expression", "") for each in queries)
    high = min([*periods, int(properties.get("Period", 60))]) < 60
    key = "cloudwatch.high_resolution_alarm_month" if high else "cloudwatch.alarm_month"
    yield Item(key, Decimal(metrics * (3 if banded else 1)), "fixed", "alarm metrics")


@estimates("AWS::CloudWatch::CompositeAlarm")
def _composite_alarm(resource: Resource, world: World) -> Iterator[Item]:
    yield Item("cloudwatch.composite_alarm_month", Decimal(1), "fixed", "one composite alarm")


@estimates("AWS::CloudWatch::Dashboard")
def _dashboard(resource: Resource, world: World) -> Iterator[Item]:
    metrics = dashboard_metrics(resource.properties["DashboardBody"])
    small = metrics <= _DASHBOARD_METRICS
    note = (
        f"{metrics} metrics"
        if small
        else f"{metrics} metrics: more than the {_DASHBOARD_METRICS} of a free one"
    )
    yield Item("cloudwatch.dashboard_month", Decimal(1), "fixed", note, allowed=small)


def dashboard_metrics(body: Any) -> int:
    """How many metrics a dashboard names."""
    parts = [body] if isinstance(body, str) else body["Fn::Join"][1]
    text = "".join(each if isinstance(each, str) else "reference" for each in parts)
    try:
        widgets = json.loads(text)["widgets"]
    except (ValueError, KeyError, TypeError):
        return len(re.findall(r'\["(?:AWS/|ECS/|\.)', text))
    rows = [row for widget in widgets for row in widget.get("properties", {}).get("metrics", ())]
    return sum(1 for row in rows if row and isinstance(row[0], str))


@estimates("AWS::Synthetics::Canary")
def _canary(resource: Resource, world: World) -> Iterator[Item]:
    runs = runs_per_month(str(resource.properties["Schedule"]["Expression"]), world.hours)
    schedule = resource.properties["Schedule"]["Expression"]
    yield Item("synthetics.canary_run", runs, "fixed", f"runs, {schedule}")
    # Each run is a run of the function behind it, which AWS makes.
    memory = Decimal(resource.properties.get("RunConfig", {}).get("MemoryInMB", 1024)) / 1024
    yield Item("lambda.requests_million", runs / 1_000_000, "usage", "invocations of its function")
    yield Item("lambda.x86.gb_second", runs * world.usage.functions.seconds * memory, "usage", "its run time")


def runs_per_month(schedule: str, hours: Decimal) -> Decimal:
    """How often a `rate(...)` fires in a month; `rate(0 minute)` never, any `cron(...)` is taken as hourly."""
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    if not found:
        return hours
    period = int(found[1]) * {"minute": 1, "hour": 60, "day": 1440}[found[2]]
    return hours * 60 / period if period else Decimal(0)


def _plain(number: Decimal) -> str:
    return f"{number.quantize(Decimal('0.01')).normalize():f}"
