"""The states of the alarms of every template, as CloudWatch would decide them from data that are late or missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

import settings
from ops.scaling.alarm_state import EXTRA_PERIODS, State
from ops.scaling.metric_math import Value
from ops.scaling.policies import Alarm, Metric, alarm_from, metrics_in, value_of
from tests import cdn
from tests.conftest import ENVIRONMENTS, Synthesize, Template, copy_settings, synthesize
from tests.resources import by_path, of_type, only

# What is of one target group is of the blue one, which serves; a group without targets reports nothing.
WELL: Mapping[str, Value] = {
    "AWS/ApplicationELB HTTPCode_ELB_5XX_Count": None,
    "AWS/ApplicationELB HTTPCode_Target_5XX_Count": None,
    "AWS/ApplicationELB HealthyHostCount": 2,
    "AWS/ApplicationELB RequestCount": 600,
    "AWS/ApplicationELB TargetResponseTime": 0.1,
    "AWS/ApplicationELB UnHealthyHostCount": 0,
    "AWS/Backup NumberOfBackupJobsCompleted": None,
    "AWS/Backup NumberOfBackupJobsFailed": None,
    "AWS/CertificateManager DaysToExpiry": 300,
    "AWS/CloudFront 5xxErrorRate": 0,
    "AWS/ECS CPUUtilization": 40,
    "AWS/ElastiCache DatabaseMemoryUsagePercentage": 20,
    "AWS/ElastiCache EngineCPUUtilization": 5,
    "AWS/ElastiCache Evictions": 0,
    "AWS/ElastiCache ReplicationLag": 0.1,
    "AWS/Events TriggeredRules": None,
    "AWS/Lambda Errors": 0,
    "AWS/RDS AvailabilityPercentage": 100,
    "AWS/RDS CPUUtilization": 20,
    "AWS/RDS ClientConnectionsSetupFailedAuth": 0,
    "AWS/RDS DatabaseConnections": 10,
    "AWS/RDS DatabaseConnectionsBorrowLatency": 500,
    "AWS/RDS DatabaseConnectionsCurrentlySessionPinned": 0,
    "AWS/RDS FreeStorageSpace": 4e10,
    "AWS/RDS FreeableMemory": 2e9,
    "AWS/RDS ReplicaLag": 0,
    "AWS/WAFV2 BlockedRequests": None,
    "CloudWatchSynthetics SuccessPercent": 100,
    "Directory/Logs error-lines": 0,
    "ECS/ContainerInsights RunningTaskCount": 2,
}
# What is wrong when an alarm has to fire, by the section of the runbook.
WRONG: Mapping[str, Mapping[str, Value]] = {
    "backup-failed": {"NumberOfBackupJobsFailed": 1},
    "cache-cpu-high": {"EngineCPUUtilization": 95},
    "cache-evictions": {"Evictions": 50},
    "cache-memory-high": {"DatabaseMemoryUsagePercentage": 90},
    "cache-replication-lag": {"ReplicationLag": 5},
    "canary-failed": {"SuccessPercent": 0},
    "certificate-expiring": {"DaysToExpiry": 10},
    "cpu-high": {"CPUUtilization": 90},
    "cpu-low": {"CPUUtilization": 5, "RunningTaskCount": 4},
    "database-connections-high": {"DatabaseConnections": 5000},
    "database-cpu-high": {"CPUUtilization": 95},
    "database-failover": {"TriggeredRules": 1},
    "database-memory-low": {"FreeableMemory": 1e6},
    "database-proxy-borrow-slow": {"DatabaseConnectionsBorrowLatency": 1e6},
    "database-proxy-pinned": {"DatabaseConnectionsCurrentlySessionPinned": 3},
    "database-proxy-refusing": {"ClientConnectionsSetupFailedAuth": 50},
    "database-proxy-unavailable": {"AvailabilityPercentage": 0},
    "database-storage-low": {"FreeStorageSpace": 1e6},
    "deployment-failed": {"TriggeredRules": 1},
    "edge-errors": {"5xxErrorRate": 50},
    "error-lines": {"error-lines": 50},
    "load-balancer-errors": {"HTTPCode_ELB_5XX_Count": 500},
    "no-healthy-task": {"HealthyHostCount": 0},
    "no-running-task": {"RunningTaskCount": 0},
    "pipeline-failed": {"TriggeredRules": 1},
    "replica-connections-high": {"DatabaseConnections": 5000},
    "replica-cpu-high": {"CPUUtilization": 95},
    "replica-lag-high": {"ReplicaLag": 600},
    "replica-memory-low": {"FreeableMemory": 1e6},
    "replica-storage-low": {"FreeStorageSpace": 1e6},
    "rotation-failed": {"Errors": 1},
    "server-error-share": {"HTTPCode_Target_5XX_Count": 300},
    "server-errors": {"HTTPCode_Target_5XX_Count": 300},
    "slow-answers": {"TargetResponseTime": 9},
    "unhealthy-tasks": {"UnHealthyHostCount": 1},
    "waf-blocking-spike": {"BlockedRequests": 50_000},
}
# What is gone when an alarm has to fire because nothing is told any more.
GONE = {
    "cache-cpu-high": State.ALARM,
    "database-cpu-high": State.ALARM,
    "database-proxy-unavailable": State.ALARM,
    "no-healthy-task": State.ALARM,
    "no-running-task": State.ALARM,
    "replica-cpu-high": State.ALARM,
    "backup-missing": State.INSUFFICIENT_DATA,
    "canary-failed": State.INSUFFICIENT_DATA,
}
# What is counted grows while it is late; everything else is not there before it is complete.
COUNTS = re.compile("Count|Errors|Requests|Evictions|FailedAuth|TriggeredRules|Jobs|error-lines")


@dataclass(frozen=True)
class Told:
    """An alarm that tells people."""

    id: str
    section: str
    alarm: Alarm
    properties: Mapping[str, Any]
    after: tuple[str, ...] = ()

    @property
    def metrics(self) -> set[Metric]:
        return set(metrics_in(self.alarm.series))

    def value(self, changes: Mapping[str, Value], late: Mapping[str, int], age: int) -> Value:
        """The value of a period that is `age` periods older than the newest one; `late` is in minutes."""
        return value_of(
            self.alarm.series,
            {metric: self._published(metric, changes, late, age) for metric in self.metrics},
        )

    def state(
        self,
        changes: Mapping[str, Value],
        late: Mapping[str, int] | None = None,
        before: State = State.OK,
    ) -> State:
        periods = self.alarm.periods + EXTRA_PERIODS
        values = [self.value(changes, late or {}, age) for age in reversed(range(periods))]
        return self.alarm.state(values, before)

    def _published(
        self, metric: Metric, changes: Mapping[str, Value], late: Mapping[str, int], age: int
    ) -> Value:
        name = name_of(metric)
        found = WELL[f"{metric.namespace} {name}"]
        if metric.group is not None and "Green" in metric.group:
            return changes.get(f"green {name}")
        found = changes.get(name, found)
        if name == "NumberOfBackupJobsCompleted" and name not in changes:
            found = 1.0 if age % 24 == 5 else None
        seconds = self.alarm.period_seconds
        missing = late.get(name, 0) * 60 - age * seconds
        if found is None or missing <= 0:
            return found
        if missing >= seconds:
            return None
        return found * (1 - missing / seconds) if COUNTS.search(name) else found


def name_of(metric: Metric) -> str:
    return "error-lines" if metric.name.endswith("-error-lines") else metric.name


def told(templates: Mapping[str, Template]) -> Iterator[Told]:
    for template in templates.values():
        for logical_id, properties in of_type(template, "AWS::CloudWatch::Alarm").items():
            if "Topic" in json.dumps(properties["AlarmActions"]):
                section = properties["AlarmDescription"].rpartition("#")[2]
                after = tuple(template["Resources"][logical_id].get("DependsOn", ()))
                yield Told(logical_id, section, alarm_from(properties), properties, after)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Template]:
    """Production with all that can be switched on, and every target of scaling."""
    folder = copy_settings(tmp_path_factory.mktemp("everything"))
    with (folder / "services/customer/service.toml").open("a") as file:
        file.write("target_requests_per_target = 600\ntarget_memory_percent = 80\n")
    prod = settings.load("prod", folder)
    database = prod.database.model_copy(update={"read_replicas": 1, "proxy": True})
    more = {"canary": settings.Canary(), "cache": settings.Cache(), "database": database}
    return synthesize(prod.model_copy(update=more), folder / "out")


@pytest.fixture
def alarms(everything: Mapping[str, Template]) -> list[Told]:
    return [*told(everything), *told(cdn.templates("domain"))]


def lateness(metrics: set[Metric], minutes: int) -> Iterator[dict[str, int]]:
    """Each metric alone, and all of them, so many minutes late."""
    names = sorted({name_of(each) for each in metrics})
    yield from ({name: minutes} for name in names)
    yield dict.fromkeys(names, minutes)


def test_every_alarm_has_an_example_of_what_it_is_for(alarms: list[Told]) -> None:
    assert {each.section for each in alarms} == {*WRONG, *GONE}


@pytest.mark.parametrize("minutes", [0, 1, 2])
def test_nothing_fires_while_all_is_well_although_the_newest_data_are_late(
    alarms: list[Told], minutes: int
) -> None:
    in_a_release = {"green HealthyHostCount": 0.0, "green UnHealthyHostCount": 0.0}
    idle: dict[str, Value] = {"RequestCount": None, "TargetResponseTime": None, "CPUUtilization": 1}
    for changes in ({}, in_a_release, idle):
        for each in alarms:
            for late in lateness(each.metrics, minutes):
                assert each.state(changes, late) is State.OK, (each.id, changes, late)


@pytest.mark.parametrize("minutes", [0, 1, 2])
def test_what_is_wrong_fires_although_the_newest_data_are_late(alarms: list[Told], minutes: int) -> None:
    for each in alarms:
        if each.section in WRONG:
            for late in lateness(each.metrics, minutes):
                assert each.state(WRONG[each.section], late) is State.ALARM, (each.id, late)


def test_on_the_other_side_of_a_pair_it_fires_as_well(alarms: list[Told]) -> None:
    fired = 0
    for each in alarms:
        of_pair = [metric.name for metric in each.metrics if "Green" in (metric.group or "")]
        if of_pair and each.section in WRONG:
            swapped: dict[str, Value] = dict.fromkeys(of_pair)
            swapped |= {f"green {name}": WELL[f"AWS/ApplicationELB {name}"] for name in of_pair}
            swapped |= {f"green {name}": value for name, value in WRONG[each.section].items()}
            assert each.state(swapped) is State.ALARM, each.id
            fired += 1
    assert fired >= 2 * 5


def test_what_falls_silent_is_told_where_it_should_not(alarms: list[Told]) -> None:
    silent = {name.rpartition(" ")[2]: None for name in WELL}
    for each in alarms:
        expected = GONE.get(each.section, State.OK)
        assert each.state(silent) is expected, each.id
        if expected is State.INSUFFICIENT_DATA:
            assert each.properties["InsufficientDataActions"] == each.properties["AlarmActions"]


def test_cpu_of_which_nothing_is_told_is_not_low(alarms: list[Told]) -> None:
    low = [each for each in alarms if each.section == "cpu-low"]
    for each in low:
        assert each.state({"CPUUtilization": None, "RunningTaskCount": 4}) is State.OK
    assert len(low) >= 2


def test_an_alarm_of_something_that_is_made_with_it_does_not_take_silence_for_a_breach(
    everything: Mapping[str, Template],
) -> None:
    """It would fire before the first data are there, in every new environment."""
    for each in (*told(everything), *told(cdn.templates("domain"))):
        if each.properties["TreatMissingData"] == "breaching":
            stats = [
                query["MetricStat"] for query in each.properties.get("Metrics", []) if "MetricStat" in query
            ]
            of = json.dumps(
                [each.properties.get("Dimensions"), *(stat["Metric"]["Dimensions"] for stat in stats)]
            )
            if "Fn::GetAtt" in of or '"Ref"' in of:
                # In a service's stack: made when the service's tasks run.
                assert any("Minimum" in after for after in each.after), each.id


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_new_alarm_tells_nobody_that_it_is_well(templates: Synthesize, name: str) -> None:
    """Alarms begin without data; one that is well a minute later has changed to OK like one that is over."""
    found = templates(name)
    for template in found.values():
        for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
            for logical_id, alarm in of_type(template, kind).items():
                assert "OKActions" not in alarm, logical_id
                if alarm.get("TreatMissingData") != "missing":
                    assert "InsufficientDataActions" not in alarm, logical_id


def test_who_was_told_that_an_alarm_fires_is_told_when_it_is_over(everything: Mapping[str, Template]) -> None:
    network = everything["Network"]
    rule = only(by_path(network, "Alarms/Recoveries/Resource"))["Properties"]
    detail = rule["EventPattern"]["detail"]
    assert (detail["previousState"], detail["state"]) == ({"value": ["ALARM"]}, {"value": ["OK"]})
    (prefix,) = (each["prefix"] for each in rule["EventPattern"]["resources"])
    assert json.dumps(prefix).rpartition(":alarm:")[2].startswith("suppliers-prod-")
    (words,) = (each["anything-but"]["wildcard"] for each in detail["alarmName"])
    not_these = [re.compile(word.replace("*", ".*")) for word in words]
    (topic,) = of_type(network, "AWS::SNS::Topic")
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": topic}]
    for stack, template in everything.items():
        for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
            for logical_id, alarm in of_type(template, kind).items():
                # CloudFormation's own name is stack, logical id and something random.
                name = alarm.get("AlarmName", f"suppliers-prod-{stack.lower()}-{logical_id}-A1B2C3")
                assert name.startswith("suppliers-prod-")
                tells = "Topic" in json.dumps(alarm.get("AlarmActions", []))
                assert tells != any(each.fullmatch(name) for each in not_these), name


def test_neither_an_alarm_nor_a_scaling_policy_fills_in_what_is_not_there(
    templates: Synthesize, everything: Mapping[str, Template]
) -> None:
    """The newest period is never complete, so that the value made up for it is the one that is looked at.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    looked = 0
    for found in (everything, cdn.templates("domain"), *map(templates, ENVIRONMENTS)):
        for template in found.values():
            for kind in ("AWS::CloudWatch::Alarm", "AWS::ApplicationAutoScaling::ScalingPolicy"):
                for logical_id, properties in of_type(template, kind).items():
                    assert "FILL" not in json.dumps(properties), logical_id
                    looked += 1
    assert looked > 100


def test_no_alarm_looks_back_further_than_cloudwatch_does(alarms: list[Told]) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    for each in alarms:
        longest = 7 * 24 * 3600 if each.alarm.period_seconds >= 3600 else 24 * 3600
        assert each.alarm.periods * each.alarm.period_seconds <= longest, each.id
