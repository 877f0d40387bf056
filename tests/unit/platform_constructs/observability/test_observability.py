from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

import settings
from directory.logs import Journal
from ops.command_line import app as command_line
from ops.diagram import dashboard as dashboard_picture
from ops.terminal.lazy import every
from tests import cdn
from tests.conftest import ENVIRONMENTS, Synthesize, Template, synthesize
from tests.resources import by_path, of_type, only

DOCUMENTED: Mapping[str, Any] = tomllib.loads(
    (settings.ROOT / "tests/documented_metrics.toml").read_text(encoding="utf-8")
)
RUNBOOK = (settings.ROOT / "docs/runbook.md").read_text(encoding="utf-8")
# What is drawn of the services' own measurements is compared with what they write, not with a list.
OWN_NAMESPACES = {"Directory", "Directory/Logs"}
SCALERS = ("/TaskCount/", "/Scaling/")


@dataclass(frozen=True)
class Metric:
    """A metric as an alarm or a widget asks for it, its dimensions as `Type.Attribute` of the resource they name."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str

    def dimension(self, name: str) -> str:
        return dict(self.dimensions)[name]


def found(templates: Mapping[str, Template], stack: str, value: Any) -> str:
    """A value of a template as text: what is known only when deployed as `LogicalId:Type.Attribute` of its resource."""
    if isinstance(value, str | int | float):
        return str(value)
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(found(templates, stack, part) for part in parts)
    if "Fn::GetStackOutput" in value:
        wanted = value["Fn::GetStackOutput"]
        other = wanted["StackName"].rpartition("-")[2].capitalize()
        return found(templates, other, templates[other]["Outputs"][wanted["OutputName"]]["Value"])
    if "Fn::GetAtt" in value:
        logical_id, attribute = value["Fn::GetAtt"]
    else:
        logical_id, attribute = value["Ref"], "Ref"
        if logical_id.startswith("AWS::"):
            return str(logical_id)
    resource = templates[stack]["Resources"][logical_id]
    return f"{logical_id}:{resource['Type']}.{attribute}"


def metrics_of_alarm(templates: Mapping[str, Template], stack: str, alarm: Any) -> Iterator[Metric]:
    queries = [each["MetricStat"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    if "MetricName" in alarm:
        queries.append({"Metric": alarm, "Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"]})
    for query in queries:
        metric = query["Metric"]
        yield Metric(
            metric["Namespace"],
            metric["MetricName"],
            tuple(
                sorted((d["Name"], found(templates, stack, d["Value"])) for d in metric.get("Dimensions", []))
            ),
            query["Stat"],
        )


def metrics_of_widget(widget: Any) -> list[Metric]:
    metrics: list[Metric] = []
    for given in widget["properties"].get("metrics", []):
        options = given[-1] if isinstance(given[-1], dict) else {}
        values = given[:-1] if options else given
        if "expression" in options:
            continue
        assert "." not in values, "abbreviated"
        metrics.append(
            Metric(
                values[0],
                values[1],
                tuple(sorted(zip(values[2::2], values[3::2], strict=True))),
                options.get("stat", "Average"),
            )
        )
    return metrics


def dashboard(templates: Mapping[str, Template]) -> Any:
    return dashboard_picture.body(
        templates["Observability"], lambda value: found(templates, "Observability", value)
    )


def alarms_of(templates: Mapping[str, Template]) -> Iterator[tuple[str, str, Any]]:
    for stack, template in templates.items():
        for logical_id, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
            yield stack, logical_id, alarm


def tells_people(alarm: Any) -> bool:
    """Not one of the alarms that drive a service's scaling."""
    return "Topic" in json.dumps(alarm.get("AlarmActions", []))


def everything_asked_for(templates: Mapping[str, Template]) -> Iterator[tuple[str, list[Metric]]]:
    """By who asks: every alarm's and every widget's metrics."""
    for stack, logical_id, alarm in alarms_of(templates):
        yield logical_id, list(metrics_of_alarm(templates, stack, alarm))
    for widget in dashboard(templates)["widgets"]:
        yield widget["properties"].get("title", "text"), metrics_of_widget(widget)


def with_sections(project: Path, name: str, text: str) -> settings.Environment:
    file = project / f"environments/{name}.toml"
    file.write_text(file.read_text() + text)
    return settings.load(name, project)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Template]:
    """Production with the canary, a read replica, the proxy and the cache as well."""
    prod = settings.load("prod")
    database = prod.database.model_copy(update={"read_replicas": 1, "proxy": True})
    more = {"canary": settings.Canary(), "cache": settings.Cache(), "database": database}
    environment = prod.model_copy(update=more)
    return synthesize(environment, tmp_path_factory.mktemp("complete"))


@pytest.fixture(params=[*ENVIRONMENTS, "complete", "behind CloudFront"])
def deployed(request: pytest.FixtureRequest, templates: Synthesize) -> Mapping[str, Template]:
    """The templates of an environment, and of one with everything."""
    if request.param == "complete":
        found: Mapping[str, Template] = request.getfixturevalue("complete")
        return found
    if request.param == "behind CloudFront":
        return cdn.templates("domain")
    return templates(request.param)


def test_every_metric_is_documented_with_just_these_dimensions(deployed: Mapping[str, Template]) -> None:
    for asker, metrics in everything_asked_for(deployed):
        for metric in metrics:
            if metric.namespace in OWN_NAMESPACES:
                continue
            reported = DOCUMENTED[metric.namespace]["reported"]
            names = sorted(name for name, _ in metric.dimensions)
            assert any(
                metric.name in each["metrics"] and names == sorted(each["dimensions"]) for each in reported
            ), f"{asker}: {metric}"


def test_the_list_of_documented_metrics_names_its_sources() -> None:
    for namespace, entry in DOCUMENTED.items():
        assert entry["url"].startswith("https://docs.aws.amazon.com/"), namespace


WHOSE = {
    # Nodes are numbered after their group.
    "CacheClusterId": "AWS::ElastiCache::ReplicationGroup.Ref-00N",
    "BackupVaultName": "AWS::Backup::BackupVault.BackupVaultName",
    "CanaryName": "AWS::Synthetics::Canary.Ref",
    "CertificateArn": "AWS::CertificateManager::Certificate.Ref",
    "ClusterName": "AWS::ECS::Cluster.Ref",
    "DistributionId": "AWS::CloudFront::Distribution.Ref",
    "DBInstanceIdentifier": "AWS::RDS::DBInstance.Ref",
    "LoadBalancer": "AWS::ElasticLoadBalancingV2::LoadBalancer.LoadBalancerFullName",
    "PipelineName": "AWS::CodePipeline::Pipeline.Ref",
    "RuleName": "AWS::Events::Rule.Ref",
    "ServiceName": "AWS::ECS::Service.Name",
    "TargetGroup": "AWS::ElasticLoadBalancingV2::TargetGroup.TargetGroupFullName",
}


def test_every_metric_is_of_a_resource_of_the_stacks_or_of_the_services(
    deployed: Mapping[str, Template],
) -> None:
    seen = set()
    for asker, metrics in everything_asked_for(deployed):
        for metric in metrics:
            for name, value in metric.dimensions:
                seen.add(name)
                if name in ("Environment", "Service"):
                    assert metric.namespace == "Directory"
                elif (
                    name in ("CacheNodeId", "Currency", "Region", "Rule", "WebACL", "TargetRole")
                    or value == "default"
                ):
                    # Each of them a fixed word.
                    assert ":" not in value
                elif name == "FunctionName":
                    applications = of_type(deployed["Data"], "AWS::Serverless::Application").values()
                    assert value in {each["Parameters"]["functionName"] for each in applications}
                elif name == "ProxyName":
                    assert value == only(of_type(deployed["Data"], "AWS::RDS::DBProxy"))["DBProxyName"]
                else:
                    owner = re.sub(r"-00\d$", "-00N", value.partition(":")[2])
                    assert owner == WHOSE[name], f"{asker}: {name} is {value}"
    assert {"ClusterName", "DBInstanceIdentifier", "LoadBalancer", "RuleName", "TargetGroup"} <= seen


def test_no_alarm_and_no_widget_looks_at_one_group_of_a_pair_only(deployed: Mapping[str, Template]) -> None:
    looked = 0
    for asker, metrics in everything_asked_for(deployed):
        groups: dict[tuple[str, str, str], set[str]] = {}
        for metric in metrics:
            if metric.namespace == "AWS/ApplicationELB" and "TargetGroup" in dict(metric.dimensions):
                group = metric.dimension("TargetGroup").partition(":")[0]
                pair, colour = re.split(r"(?=Blue|Green)", group)[:2]
                key = (metric.name, metric.statistic, pair)
                groups.setdefault(key, set()).add(re.split(r"(?<=Blue|reen)", colour)[0])
        for key, colours in groups.items():
            assert colours == {"Blue", "Green"}, f"{asker}: {key}"
            looked += 1
    assert looked >= 20


def test_an_expression_over_a_pair_takes_a_silent_group_for_nothing(templates: Synthesize) -> None:
    """One of the two groups always reports nothing."""
    sums = 0
    for _, _, alarm in alarms_of(templates("prod")):
        for query in alarm.get("Metrics", []):
            expression = query.get("Expression", "")
            if "_blue" in expression:
                assert re.fullmatch(r"(SUM|MAX)\(\[(\w+)_blue, \2_green\]\)", expression)
                sums += 1
    # Errors and requests of the three alarms of errors (the share needs requests twice), healthy and unhealthy tasks, answers' time.
    assert sums == 2 * (3 * 2 + 1 + 3)


def sections_of(markdown: str) -> dict[str, str]:
    """By anchor, as GitHub makes them."""
    parts = re.split(r"^#{1,6} (.+)$", markdown, flags=re.MULTILINE)[1:]
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"): text
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


def told_alarms(templates: Mapping[str, Template]) -> Iterator[tuple[str, Any]]:
    for _, logical_id, alarm in alarms_of(templates):
        if tells_people(alarm):
            yield logical_id, alarm
    yield from of_type(templates["Observability"], "AWS::CloudWatch::CompositeAlarm").items()


def test_every_alarm_has_an_action_and_those_without_people_drive_scaling(
    deployed: Mapping[str, Template],
) -> None:
    topic = next(iter(of_type(deployed["Network"], "AWS::SNS::Topic")))
    for stack, logical_id, alarm in alarms_of(deployed):
        (action,) = alarm["AlarmActions"]
        if tells_people(alarm):
            assert found(deployed, stack, action) == f"{topic}:AWS::SNS::Topic.Ref"
        else:
            assert found(deployed, stack, action).endswith("ScalingPolicy.Ref"), logical_id


def test_every_alarm_says_what_it_means_and_where_the_runbook_says_what_to_do(
    deployed: Mapping[str, Template],
) -> None:
    sections = sections_of(RUNBOOK)
    for logical_id, alarm in told_alarms(deployed):
        text, separator, link = alarm["AlarmDescription"].partition(". Runbook: ")
        assert separator, logical_id
        assert len(text) > 20
        page, _, anchor = link.partition("#")
        assert page == "docs/runbook.md" or (page.startswith("https://") and "docs/runbook.md" in page)
        assert anchor in sections, logical_id


def test_every_alarm_says_what_missing_data_means_as_the_runbook_tells(
    deployed: Mapping[str, Template],
) -> None:
    breaching = {
        *("NoHealthyTask", "NoRunningTask"),
        *("DatabaseCpuHigh", "ReplicaCpuHigh", "CacheCpuHigh", "DatabaseProxyUnavailable"),
    }
    keeping = {
        *("DatabaseConnectionsHigh", "DatabaseStorageLow", "DatabaseMemoryLow"),
        *("ReplicaConnectionsHigh", "ReplicaStorageLow", "ReplicaMemoryLow", "ReplicaLagHigh"),
        *("CacheMemoryHigh", "CacheEvictions", "CacheReplicationLag"),
        "CertificateExpiring",
    }
    for stack, logical_id, alarm in alarms_of(deployed):
        if tells_people(alarm):
            path = deployed[stack]["Resources"][logical_id]["Metadata"]["aws:cdk:path"]
            name = path.removesuffix("/Resource").rpartition("/")[2]
            expected = "breaching" if name in breaching else "ignore" if name in keeping else "notBreaching"
            if name in ("BackupMissing", "CanaryFailed"):
                expected = "missing"
            assert alarm["TreatMissingData"] == expected, logical_id


def test_alarms_of_different_environments_never_share_a_name(templates: Synthesize) -> None:
    names = [
        alarm["AlarmName"]
        for name in ENVIRONMENTS
        for _, alarm in told_alarms(templates(name))
        if "AlarmName" in alarm
    ]
    assert len(names) == len(set(names)) == sum(len(list(told_alarms(templates(n)))) for n in ENVIRONMENTS)


EXPECTED = {
    *("CpuHigh", "CpuLow", "UnhealthyTasks", "ServerErrors", "ServerErrorShare", "SlowAnswers"),
    *("NoRunningTask", "NoHealthyTask", "LoadBalancerErrors", "ErrorLines", "CertificateExpiring"),
    "WafBlockingSpike",
    *("DatabaseCpuHigh", "DatabaseConnectionsHigh", "DatabaseStorageLow", "DatabaseMemoryLow"),
    *("CacheCpuHigh", "CacheMemoryHigh", "CacheEvictions", "CacheReplicationLag"),
    *("ReplicaCpuHigh", "ReplicaConnectionsHigh", "ReplicaStorageLow", "ReplicaMemoryLow", "ReplicaLagHigh"),
    *("DatabaseProxyUnavailable", "DatabaseProxyPinned", "DatabaseProxyBorrowSlow", "DatabaseProxyRefusing"),
    *("RotationSingleUserFailed", "MigratorUserRotationFailed"),
    *("CustomerUserRotationFailed", "EmployeeUserRotationFailed"),
    *("DatabaseFailover", "BackupFailed", "BackupMissing", "DeploymentFailed", "PipelineFailed"),
    "CanaryFailed",
}


def test_everything_that_people_must_hear_of_has_an_alarm(complete: Mapping[str, Template]) -> None:
    present = {
        complete[stack]["Resources"][logical_id]["Metadata"]["aws:cdk:path"]
        .removesuffix("/Resource")
        .rpartition("/")[2]
        for stack, logical_id, alarm in alarms_of(complete)
        if tells_people(alarm)
    }
    assert present == EXPECTED


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_server_errors_are_told_after_ten_in_five_minutes_twice(templates: Synthesize, name: str) -> None:
    resources = by_path(templates(name)["Customer"], "Customer/Alarms/ServerErrors/")
    alarm = only(resources)["Properties"]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (10, "GreaterThanThreshold")
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (2, 2)
    assert {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each} == {300}


def test_cpu_is_told_at_the_levels_that_scale(templates: Synthesize) -> None:
    scaling = next(each for each in settings.load("prod").services if each.name == "customer").scaling
    template = templates("prod")["Customer"]
    high = only(by_path(template, "Customer/Alarms/CpuHigh/"))["Properties"]
    low = only(by_path(template, "Customer/Alarms/CpuLow/"))["Properties"]
    assert high["Threshold"] == scaling.step_out_cpu_percent
    assert low["Threshold"] == scaling.step_in_cpu_percent
    # Idling at the minimum is what a quiet night looks like.
    expression = next(each["Expression"] for each in low["Metrics"] if "Expression" in each)
    assert expression == (
        f"IF(used_cpu >= 0 AND running_tasks >= 0, IF(running_tasks > {scaling.min_tasks}, used_cpu, 100))"
    )


def test_customers_are_affected_when_anything_they_see_fails(complete: Mapping[str, Template]) -> None:
    composite = only(of_type(complete["Observability"], "AWS::CloudWatch::CompositeAlarm"))
    children = set(re.findall(r'ALARM\("([^"]+)"\)', composite["AlarmRule"]))
    assert composite["AlarmRule"] == " OR ".join(
        f'ALARM("{each}")' for each in re.findall(r'ALARM\("([^"]+)"\)', composite["AlarmRule"])
    )
    names = {alarm["AlarmName"] for _, _, alarm in alarms_of(complete) if tells_people(alarm)}
    assert children <= names
    kinds = {
        "canary-failed",
        "load-balancer-errors",
        *("server-errors", "server-error-share", "slow-answers", "unhealthy-tasks"),
        *("no-healthy-task", "no-running-task"),
    }
    for kind in kinds:
        assert any(each.endswith(kind) for each in children), kind


def test_a_release_is_taken_back_by_alarms_that_customers_affected_is_made_of(
    templates: Synthesize,
) -> None:
    found_templates = templates("prod")
    composite = only(of_type(found_templates["Observability"], "AWS::CloudWatch::CompositeAlarm"))
    compute = found_templates.platform
    groups = of_type(compute, "AWS::CodeDeploy::DeploymentGroup")
    assert len(groups) == 2
    for group in groups.values():
        alarms = [each["Name"]["Ref"] for each in group["AlarmConfiguration"]["Alarms"]]
        assert len(alarms) == 3
        for logical_id in alarms:
            name = compute["Resources"][logical_id]["Properties"]["AlarmName"]
            assert f'ALARM("{name}")' in composite["AlarmRule"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_messages_are_encrypted_and_only_those_who_have_something_to_tell_may_send_them(
    templates: Synthesize, name: str
) -> None:
    template = templates(name)["Network"]
    assert only(of_type(template, "AWS::SNS::Topic"))["KmsMasterKeyId"]
    statements = only(of_type(template, "AWS::SNS::TopicPolicy"))["PolicyDocument"]["Statement"]
    senders = {each["Principal"]["Service"] for each in statements if each["Effect"] == "Allow"}
    assert senders == {
        *("cloudwatch.amazonaws.com", "events.rds.amazonaws.com", "budgets.amazonaws.com"),
        "codestar-notifications.amazonaws.com",
    }
    keys = json.dumps(of_type(template, "AWS::KMS::Key"))
    assert all(sender in keys for sender in senders)
    observed = templates(name)["Observability"]
    subscriptions = of_type(observed, "AWS::RDS::EventSubscription").values()
    assert any("failover" in each["EventCategories"] for each in subscriptions)


def test_the_budget_counts_one_environment_and_tells_before_it_is_spent(templates: Synthesize) -> None:
    budget = only(of_type(templates("prod")["Observability"], "AWS::Budgets::Budget"))
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:environment$prod"]}
    told = [
        (each["Notification"]["NotificationType"], each["Notification"]["Threshold"])
        for each in budget["NotificationsWithSubscribers"]
    ]
    assert told == [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]
    assert not of_type(templates("dev")["Observability"], "AWS::Budgets::Budget")


def test_a_web_acl_that_blocks_is_told_by_the_name_its_metrics_have(templates: Synthesize) -> None:
    acl = only(of_type(templates("prod").platform, "AWS::WAFv2::WebACL"))
    alarm = only(by_path(templates("prod")["Observability"], "EntranceAlarms/WafBlockingSpike/"))
    (metric,) = metrics_of_alarm(templates("prod"), "Observability", alarm["Properties"])
    assert metric.dimension("WebACL") == acl["VisibilityConfig"]["MetricName"]
    assert (metric.dimension("Rule"), alarm["Properties"]["Threshold"]) == ("ALL", 1000)
    assert not by_path(templates("dev")["Observability"], "WafBlockingSpike")


def test_the_runbook_may_be_published_elsewhere(tmp_path: Path) -> None:
    alarms = settings.Alarms(runbook_url="https://wiki.example.com/runbook")
    environment = settings.load("dev").model_copy(update={"alarms": alarms})
    for _, alarm in told_alarms(synthesize(environment, tmp_path)):
        link = alarm["AlarmDescription"].partition("Runbook: ")[2]
        assert link.startswith("https://wiki.example.com/runbook#")


# The services' own lines ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written() -> list[dict[str, Any]]:
    """What the services' logger writes of a read, a change and a failure, and its embedded metrics."""
    reading, writing = os.pipe()
    journal = Journal("customer", "prod", descriptor=writing)
    journal.request(method="GET", route="/suppliers", status=200, seconds=0.01, trace="Root=1-2-3")
    journal.request(
        method="POST",
        route="/admin/supplier-add",
        status=303,
        seconds=0.02,
        trace="",
        change=True,
        employee="5f6e",
    )
    journal.line({"time": 1.0, "level": "ERROR", "message": "cannot", "logger": "directory"})
    journal.close()
    os.close(writing)
    with os.fdopen(reading) as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_dashboard_draws_what_the_services_measure_under_the_names_they_use(
    templates: Synthesize, name: str, written: list[dict[str, Any]]
) -> None:
    (embedded,) = (line["_aws"]["CloudWatchMetrics"][0] for line in written if "_aws" in line)
    (dimensions,) = embedded["Dimensions"]
    containers = [
        {each["Name"]: each["Value"] for each in container["Environment"]}
        for definition in of_type(templates(name).platform, "AWS::ECS::TaskDefinition").values()
        for container in definition["ContainerDefinitions"]
    ]
    emitted = {(each["ENVIRONMENT"], each["SERVICE_NAME"]) for each in containers}
    drawn = [
        metric
        for _, metrics in everything_asked_for(templates(name))
        for metric in metrics
        if metric.namespace == "Directory"
    ]
    assert {metric.name for metric in drawn} == {"Latency", "Errors", "Changes"}
    for metric in drawn:
        assert embedded["Namespace"] == metric.namespace
        assert metric.name in {each["Name"] for each in embedded["Metrics"]}
        assert [key for key, _ in metric.dimensions] == sorted(dimensions)
        assert (metric.dimension("Environment"), metric.dimension("Service")) in emitted
    assert {metric.dimension("Service") for metric in drawn} == {service for _, service in emitted}


def test_lines_of_level_error_are_counted_and_no_others(
    templates: Synthesize, written: list[dict[str, Any]]
) -> None:
    filters = of_type(templates("prod").platform, "AWS::Logs::MetricFilter")
    assert len(filters) == 2
    for each in filters.values():
        terms = re.findall(r'\$\.(\w+) = "(\w+)"', each["FilterPattern"])
        assert " || ".join(f'($.{field} = "{value}")' for field, value in terms) in each["FilterPattern"]
        counted = [line for line in written if any(line.get(field) == value for field, value in terms)]
        assert [line["message"] for line in counted] == ["cannot"]
    asked = {
        metric.name
        for _, metrics in everything_asked_for(templates("prod"))
        for metric in metrics
        if metric.namespace == "Directory/Logs"
    }
    assert asked == {each["MetricTransformations"][0]["MetricName"] for each in filters.values()}


WORDS = {
    *("as", "asc", "by", "coalesce", "count", "desc", "fields", "filter", "from", "like", "limit", "max"),
    *("min", "pct", "sort", "stats"),
}


def test_saved_queries_ask_for_fields_that_the_services_write(
    templates: Synthesize, written: list[dict[str, Any]]
) -> None:
    fields = {key for line in written if line.get("message") == "request" for key in line}
    queries = of_type(templates("prod")["Observability"], "AWS::Logs::QueryDefinition")
    titles = {each["Name"].partition("/")[2] for each in queries.values()}
    assert titles == {"Slowest routes", "Errors by route", "One trace", "Changes by employee"}
    for query in queries.values():
        assert len(query["LogGroupNames"]) == 2
        text = re.sub(r'"[^"]*"|/[^/]*/|@\w+|\b\d+\b', " ", query["QueryString"])
        aliases = set(re.findall(r"\bas (\w+)", text))
        asked = set(re.findall(r"[a-z_]\w*", text)) - WORDS - aliases
        assert asked <= fields, query["Name"]
        assert asked


@pytest.mark.parametrize(("name", "days"), [("prod", 365), ("dev", 30), ("local", 7)])
def test_every_log_group_is_encrypted_and_keeps_its_lines_as_long_as_set(
    templates: Synthesize, name: str, days: int
) -> None:
    groups = {
        logical_id: group
        for template in templates(name).values()
        for logical_id, group in of_type(template, "AWS::Logs::LogGroup").items()
    }
    assert len(groups) >= 4
    for logical_id, group in groups.items():
        assert group["RetentionInDays"] == days, logical_id
        assert group["KmsKeyId"], logical_id


# Events -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"), [("prod", "aws.codedeploy"), ("dev", "aws.codedeploy"), ("local", "aws.ecs")]
)
def test_releases_and_failovers_are_kept_as_lines_of_a_log(
    templates: Synthesize, name: str, source: str
) -> None:
    template = templates(name)["Observability"]
    (group,) = of_type(template, "AWS::Logs::LogGroup")
    rules = of_type(template, "AWS::Events::Rule")
    assert sorted(each["EventPattern"]["source"][0] for each in rules.values()) == sorted(
        [source] * 3 + ["aws.rds"] + ["aws.codepipeline"] * bool(settings.load(name).delivery)
    )
    for rule in rules.values():
        target, *_ = rule["Targets"]
        assert found(templates(name), "Observability", target["Arn"]).endswith(
            f":log-group:{group}:AWS::Logs::LogGroup.Ref"
        )
    policy = only(of_type(template, "AWS::Logs::ResourcePolicy"))
    assert policy["PolicyName"] == f"suppliers-{name}-observability-events"
    assert "events.amazonaws.com" in json.dumps(policy["PolicyDocument"])


def test_a_pipeline_that_failed_is_told_by_name_but_not_the_first_run_over_an_empty_repository(
    templates: Synthesize, project: Path, tmp_path: Path
) -> None:
    """A pipeline runs once when it is made: https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-create.html"""

    def rule(found_templates: Mapping[str, Template]) -> Any:
        return only(by_path(found_templates["Observability"], "Events/PipelineFailed/Resource"))["Properties"]

    ours = rule(templates("dev"))
    failed = {"pipeline": [{"prefix": "suppliers-dev-"}], "state": ["FAILED"]}
    assert ours["EventPattern"]["detail"] == {
        "$or": [
            {**failed, "execution-trigger": {"trigger-type": [{"anything-but": ["CreatePipeline"]}]}},
            {**failed, "execution-trigger": {"trigger-type": [{"exists": False}]}},
        ]
    }
    _, people = ours["Targets"]
    assert "Topic" in json.dumps(people["Arn"])
    text = people["InputTransformer"]["InputTemplate"]
    assert "<detail-pipeline> failed" in text
    assert "#pipeline-failed" in text
    file = project / "environments/dev.toml"
    file.write_text(file.read_text().replace('source = "codecommit"', "create_repository = false"))
    theirs = rule(synthesize(settings.load("dev", project), tmp_path / "out"))
    assert "$or" not in theirs["EventPattern"]["detail"]


# Dashboard --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_dashboard_is_named_by_its_environment(templates: Synthesize, name: str) -> None:
    found_dashboard = only(of_type(templates(name)["Observability"], "AWS::CloudWatch::Dashboard"))
    assert found_dashboard["DashboardName"] == f"suppliers-{name}"


def test_the_dashboard_shows_the_state_of_every_alarm_that_people_hear_of(
    deployed: Mapping[str, Template],
) -> None:
    widgets = dashboard(deployed)["widgets"]
    (status,) = (each for each in widgets if each["type"] == "alarm")
    assert status["y"] == 0
    shown = status["properties"]["alarms"]
    names = {alarm["AlarmName"] for _, alarm in told_alarms(deployed)}
    composite = next(iter(of_type(deployed["Observability"], "AWS::CloudWatch::CompositeAlarm")))
    assert shown[0].startswith(composite)
    assert {each.rpartition(":alarm:")[2] for each in shown[1:]} == {
        each for each in names if not each.endswith("customers-affected")
    }
    assert len(shown) <= 100


def test_no_widget_covers_another_and_all_fit_the_grid(deployed: Mapping[str, Template]) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard_picture.widgets(dashboard(deployed)):
        cells = {
            (x, y)
            for x in range(widget.x, widget.x + widget.width)
            for y in range(widget.y, widget.y + widget.height)
        }
        assert widget.x + widget.width <= 24
        assert not taken & cells, widget.title
        taken |= cells


def test_the_dashboard_draws_bounds_beside_what_they_bound(templates: Synthesize) -> None:
    environment = settings.load("prod")
    widgets: dict[str, Any] = {}
    for widget in dashboard(templates("prod"))["widgets"]:
        widgets.setdefault(widget["properties"].get("title", ""), widget["properties"])
    lines = {
        title: {each["label"]: each["value"] for each in widgets[title]["annotations"]["horizontal"]}
        for title in ("Tasks", "Connections")
    }
    assert lines == {"Tasks": {"minimum": 2, "maximum": 4}, "Connections": {"maximum": 256}}
    parameters = only(of_type(templates("prod")["Data"], "AWS::RDS::DBParameterGroup"))["Parameters"]
    assert parameters["max_connections"] == str(environment.database.connection_limit) == "256"


def test_cost_is_asked_for_where_aws_reports_it(templates: Synthesize) -> None:
    (cost,) = (
        each["properties"]
        for each in dashboard(templates("prod"))["widgets"]
        if each["properties"].get("title", "").startswith("Cost")
    )
    assert cost["region"] == "us-east-1"
    charges = [each for each in cost["metrics"] if each[0] == "AWS/Billing"]
    assert [each[-1].get("region", "us-east-1") for each in charges] == ["us-east-1"]


def test_the_picture_of_the_dashboard_is_current(templates: Synthesize) -> None:
    drawn = dashboard_picture.picture(templates("prod")["Observability"])
    committed = (settings.ROOT / "docs/dashboard.svg").read_text(encoding="utf-8")
    assert committed == drawn, "draw it anew: make pictures"


# Canary -----------------------------------------------------------------------------------------------------


def test_the_canary_runs_inside_and_its_results_are_encrypted_and_go_away(
    complete: Mapping[str, Template],
) -> None:
    template = complete["Observability"]
    canary = only(of_type(template, "AWS::Synthetics::Canary"))
    assert canary["RuntimeVersion"] == "syn-python-selenium-14.0"
    assert canary["Schedule"]["Expression"] == "rate(5 minutes)"
    assert canary["VPCConfig"]["SubnetIds"]
    assert canary["Code"]["Handler"] == "directory_canary.handler"
    location = found(complete, "Observability", canary["ArtifactS3Location"])
    bucket_id = re.findall(r"s3://(\w+):AWS::S3::Bucket", location)[0]
    bucket = template["Resources"][bucket_id]["Properties"]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 90


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_there_is_no_canary_without_its_section(templates: Synthesize, name: str) -> None:
    assert settings.load(name).canary is None
    assert not of_type(templates(name)["Observability"], "AWS::Synthetics::Canary")


# Runbook ----------------------------------------------------------------------------------------------------


def descriptions(templates: Mapping[str, Template]) -> list[str]:
    return [alarm["AlarmDescription"] for _, alarm in told_alarms(templates)]


def test_every_section_of_the_runbook_has_three_commands_and_what_to_do(
    complete: Mapping[str, Template],
) -> None:
    sections = sections_of(RUNBOOK)
    linked = {alarm["AlarmDescription"].rpartition("#")[2] for _, alarm in told_alarms(complete)}
    linked |= {each.rpartition("#")[2] for each in descriptions(cdn.templates("domain"))}
    for anchor in (*linked, "budget"):
        meaning, fence, rest = sections[anchor].partition("```sh\n")
        commands, _, advice = rest.partition("```")
        assert fence, anchor
        assert len(meaning.split()) > 8, anchor
        assert len(commands.strip().splitlines()) == 3, anchor
        assert len(advice.split()) > 5, anchor


def test_no_link_inside_the_runbook_is_broken() -> None:
    assert set(re.findall(r"\]\(#([\w-]+)\)", RUNBOOK)) <= set(sections_of(RUNBOOK))


def test_the_runbook_names_commands_as_they_are() -> None:
    known = {words[0]: command for words, command in every(command_line) if len(words) == 1}
    lines = {
        match.replace("$ENV", "local").replace("$SERVICE", "customer")
        for match in re.findall(r"python -m ops ([^`\n]+)", RUNBOOK)
    }
    assert len(lines) > 10
    for line in lines:
        name, *arguments = shlex.split(line)
        assert name in known, line
        # Parses them and runs nothing; wrong options and missing arguments raise.
        known[name].make_context(name, list(arguments), resilient_parsing=not arguments)


# What the AWS CLI adds to the services' own operations.
ADDED_BY_THE_CLI = {("logs", "tail")}


def test_the_runbook_names_commands_of_aws_as_they_are() -> None:
    """Each operation and each of its parameters is one of the service's model."""
    lines = [
        line
        for fenced, inline in re.findall(r"```sh\n(.*?)```|`(aws [^`\n]+)`", RUNBOOK, re.DOTALL)
        for line in re.findall(r"\baws [a-z][^\n)]*", fenced or inline)
    ]
    assert len(lines) > 15
    session = botocore.session.get_session()
    for line in lines:
        _, service, operation, *options = shlex.split(line)
        if (service, operation) in ADDED_BY_THE_CLI:
            continue
        model: Any = session.get_service_model(service)
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in operations, line
        shape = model.operation_model(operations[operation]).input_shape
        known = {f"--{xform_name(name, '-')}" for name in (shape.members if shape else ())}
        given = {option for option in options if option.startswith("--")}
        assert given <= known | {"--query", "--output", "--max-results"}, line
