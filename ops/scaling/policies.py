"""What a synthesized template says about the scaling of a service: bounds, targets, steps, alarms, schedules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from ops.errors import OpsError
from ops.scaling.alarm_state import EXTRA_PERIODS, Missing, State, state_of
from ops.scaling.metric_math import Value, evaluate
from platform_constructs.common.cron_expression import CronExpression

Properties = Mapping[str, Any]

_PREDEFINED = {
    "ECSServiceAverageCPUUtilization": ("AWS/ECS", "CPUUtilization"),
    "ECSServiceAverageMemoryUtilization": ("AWS/ECS", "MemoryUtilization"),
}
# What ECS takes when a policy names none:
# https://docs.aws.amazon.com/autoscaling/application/APIReference/API_TargetTrackingScalingPolicyConfiguration.html
_COOLDOWN_SECONDS = 300
_PERIOD_SECONDS = 60


@dataclass(frozen=True)
class Metric:
    """One metric; `group` is the target group it counts, if of one: its logical id or the output that names it."""

    namespace: str
    name: str
    group: str | None = None


Metrics = Mapping[Metric, Value]


@dataclass(frozen=True)
class Expression:
    """Metric math over metrics and other expressions, by their ids."""

    text: str
    operands: Mapping[str, Metric | Expression]


Series = Metric | Expression


def value_of(series: Series, metrics: Metrics) -> Value:
    """The value of a series in a minute; raises `OpsError` for a metric that `metrics` does not have."""
    if isinstance(series, Metric):
        if series not in metrics:
            raise OpsError(f"metric {series.namespace} {series.name} is not modelled")
        return metrics[series]
    return evaluate(series.text, {name: value_of(each, metrics) for name, each in series.operands.items()})


@dataclass(frozen=True)
class Alarm:
    """In alarm when `datapoints` of the last `periods` values are beyond the threshold."""

    series: Series
    comparison: str
    threshold: float
    periods: int
    datapoints: int
    period_seconds: int = _PERIOD_SECONDS
    missing: Missing = "missing"

    def breached_by(self, value: float) -> bool:
        """Whether a single value is beyond the threshold."""
        match self.comparison:
            case "GreaterThanOrEqualToThreshold":
                return value >= self.threshold
            case "GreaterThanThreshold":
                return value > self.threshold
            case "LessThanOrEqualToThreshold":
                return value <= self.threshold
            case "LessThanThreshold":
                return value < self.threshold
        raise OpsError(f"comparison {self.comparison} of an alarm is not modelled")

    def state(self, values: Sequence[Value], before: State = State.INSUFFICIENT_DATA) -> State:
        """The state that follows `before` when these are the newest values of the series, the last one the newest."""
        newest = islice(reversed(values), self.periods + EXTRA_PERIODS)
        return state_of(
            [None if value is None else self.breached_by(value) for value in newest][::-1],
            periods=self.periods,
            datapoints=self.datapoints,
            missing=self.missing,
            before=before,
        )


@dataclass(frozen=True)
class TargetTracking:
    """Keeps a metric at its target; cooldowns in minutes."""

    name: str
    series: Series
    target: float
    out_cooldown: int
    in_cooldown: int
    scales_in: bool

    def __str__(self) -> str:
        names = sorted({metric.name for metric in metrics_in(self.series)})
        return f"target {self.target:g} of {', '.join(names)}"


@dataclass(frozen=True)
class Step:
    """A change of the count for values from `lower` to below `upper` of the threshold."""

    lower: float
    upper: float
    change: int


@dataclass(frozen=True)
class StepScaling:
    """Changes the count by steps while its alarm lasts; cooldown in minutes."""

    name: str
    alarm: Alarm
    steps: tuple[Step, ...]
    cooldown: int

    @property
    def out_cooldown(self) -> int:
        """The one cooldown, as of a policy that scales out."""
        return self.cooldown

    @property
    def in_cooldown(self) -> int:
        """The one cooldown, as of a policy that scales in."""
        return self.cooldown

    def __str__(self) -> str:
        changes = ", ".join(f"{each.change:+d}" for each in self.steps)
        return f"step {changes} at {self.alarm.threshold:g}"


@dataclass(frozen=True)
class ScheduledAction:
    """Bounds that hold from a minute on."""

    name: str
    cron: CronExpression
    zone: ZoneInfo
    min_tasks: int
    max_tasks: int

    def due(self, moment: datetime) -> bool:
        """Whether the action happens in the minute of `moment`."""
        return self.cron.matches(moment.astimezone(self.zone))


Policy = TargetTracking | StepScaling


@dataclass(frozen=True)
class ServicePolicies:
    """All that moves the task count of one service; `first_group` serves until the first release."""

    service: str
    min_tasks: int
    max_tasks: int
    tracking: tuple[TargetTracking, ...]
    steps: tuple[StepScaling, ...]
    schedules: tuple[ScheduledAction, ...]
    first_group: str

    @property
    def names(self) -> tuple[str, ...]:
        """Of all policies, scheduled actions apart."""
        return (*(each.name for each in self.tracking), *(each.name for each in self.steps))

    @property
    def metrics(self) -> frozenset[Metric]:
        """The metrics that any policy reads."""
        series = (*(each.series for each in self.tracking), *(each.alarm.series for each in self.steps))
        return frozenset(metric for each in series for metric in metrics_in(each))


def services_of(template: Mapping[str, Any]) -> list[str]:
    """The services that a template scales."""
    return sorted(_name(_properties(template)[_service_of(target)]) for _, target in _scalable(template))


def read(template: Mapping[str, Any], service: str) -> ServicePolicies:
    """What scales `service`; raises `OpsError` when there is no such service or what it uses is not modelled."""
    properties = _properties(template)
    for target_id, target in _scalable(template):
        ecs_service = properties[_service_of(target)]
        if _name(ecs_service) != service:
            continue
        policies = {
            policy_id: policy
            for policy_id, policy in _of_type(template, "AWS::ApplicationAutoScaling::ScalingPolicy")
            if policy["ScalingTargetId"] == {"Ref": target_id}
        }
        tracking = tuple(
            _tracking(policy)
            for policy in policies.values()
            if policy["PolicyType"] == "TargetTrackingScaling"
        )
        steps = tuple(
            _steps(policy, _alarm_of(template, policy_id))
            for policy_id, policy in policies.items()
            if policy["PolicyType"] == "StepScaling"
        )
        return ServicePolicies(
            service=service,
            min_tasks=target["MinCapacity"],
            max_tasks=target["MaxCapacity"],
            tracking=tracking,
            steps=steps,
            schedules=tuple(map(_scheduled, target.get("ScheduledActions", ()))),
            first_group=ecs_service["LoadBalancers"][0]["TargetGroupArn"]["Ref"],
        )
    raise OpsError(f"service: {service!r} is not scaled; allowed: {', '.join(services_of(template))}")


def _properties(template: Mapping[str, Any]) -> Mapping[str, Properties]:
    return {logical_id: each.get("Properties", {}) for logical_id, each in template["Resources"].items()}


def _of_type(template: Mapping[str, Any], resource_type: str) -> Iterator[tuple[str, Properties]]:
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == resource_type:
            yield logical_id, resource["Properties"]


def _scalable(template: Mapping[str, Any]) -> Iterator[tuple[str, Properties]]:
    for logical_id, target in _of_type(template, "AWS::ApplicationAutoScaling::ScalableTarget"):
        if target["ScalableDimension"] == "ecs:service:DesiredCount":
            yield logical_id, target


def _service_of(target: Properties) -> str:
    *_, name = target["ResourceId"]["Fn::Join"][1]
    return str(name["Fn::GetAtt"][0])


def _name(ecs_service: Properties) -> str:
    return str(ecs_service["LoadBalancers"][0]["ContainerName"])


def _alarm_of(template: Mapping[str, Any], policy_id: str) -> Alarm:
    for _, alarm in _of_type(template, "AWS::CloudWatch::Alarm"):
        if {"Ref": policy_id} in alarm.get("AlarmActions", ()):
            found = alarm_from(alarm)
            if found.period_seconds != _PERIOD_SECONDS:
                raise OpsError(
                    f"periods of {found.period_seconds} s in an alarm are not modelled, only {_PERIOD_SECONDS} s"
                )
            return found
    raise OpsError(f"policy {policy_id} has no alarm that starts it")


def alarm_from(alarm: Properties) -> Alarm:
    """An alarm as its properties in a template describe it."""
    if "Metrics" in alarm:
        series: Series = _expression(alarm["Metrics"])
        periods = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
    else:
        series = _metric(alarm)
        periods = {alarm["Period"]}
    # "Each metric must be using the same period":
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-on-metric-math-expressions.html
    (period,) = periods
    count = alarm["EvaluationPeriods"]
    return Alarm(
        series=series,
        comparison=alarm["ComparisonOperator"],
        threshold=alarm["Threshold"],
        periods=count,
        datapoints=alarm.get("DatapointsToAlarm", count),
        period_seconds=period,
        missing=alarm.get("TreatMissingData", "missing"),
    )


def _tracking(policy: Properties) -> TargetTracking:
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    if "PredefinedMetricSpecification" in configuration:
        kind = configuration["PredefinedMetricSpecification"]["PredefinedMetricType"]
        if kind not in _PREDEFINED:
            raise OpsError(f"target tracking of {kind} is not modelled")
        series: Series = Metric(*_PREDEFINED[kind])
    else:
        specification = configuration["CustomizedMetricSpecification"]
        series = (
            _expression(specification["Metrics"]) if "Metrics" in specification else _metric(specification)
        )
    return TargetTracking(
        name=policy["PolicyName"],
        series=series,
        target=configuration["TargetValue"],
        out_cooldown=configuration.get("ScaleOutCooldown", _COOLDOWN_SECONDS) // 60,
        in_cooldown=configuration.get("ScaleInCooldown", _COOLDOWN_SECONDS) // 60,
        scales_in=not configuration.get("DisableScaleIn", False),
    )


def _steps(policy: Properties, alarm: Alarm) -> StepScaling:
    configuration = policy["StepScalingPolicyConfiguration"]
    if configuration["AdjustmentType"] != "ChangeInCapacity":
        raise OpsError(f"steps by {configuration['AdjustmentType']} are not modelled")
    return StepScaling(
        name=policy["PolicyName"],
        alarm=alarm,
        steps=tuple(
            Step(
                lower=each.get("MetricIntervalLowerBound", float("-inf")),
                upper=each.get("MetricIntervalUpperBound", float("inf")),
                change=each["ScalingAdjustment"],
            )
            for each in configuration["StepAdjustments"]
        ),
        cooldown=configuration.get("Cooldown", _COOLDOWN_SECONDS) // 60,
    )


def _scheduled(action: Properties) -> ScheduledAction:
    found = re.fullmatch(r"cron\((.*)\)", action["Schedule"])
    if found is None:
        raise OpsError(f"schedule {action['Schedule']} is not modelled, only cron(...)")
    bounds = action["ScalableTargetAction"]
    return ScheduledAction(
        name=action["ScheduledActionName"],
        cron=CronExpression.parse(found[1]),
        zone=ZoneInfo(action.get("Timezone", "UTC")),
        min_tasks=bounds["MinCapacity"],
        max_tasks=bounds["MaxCapacity"],
    )


def _expression(queries: Iterable[Properties]) -> Expression:
    """The query whose data is returned, with the ones it refers to."""
    by_id = {str(query["Id"]): query for query in queries}

    def series(query: Properties) -> Series:
        if "MetricStat" in query:
            return _metric(query["MetricStat"]["Metric"])
        names = set(re.findall(r"[a-z]\w*", query["Expression"])) & by_id.keys()
        return Expression(query["Expression"], {name: series(by_id[name]) for name in sorted(names)})

    (returned,) = (query for query in by_id.values() if query.get("ReturnData", True))
    found = series(returned)
    return found if isinstance(found, Expression) else Expression("it", {"it": found})


def _metric(metric: Properties) -> Metric:
    groups = [each["Value"] for each in metric.get("Dimensions", ()) if each["Name"] == "TargetGroup"]
    return Metric(metric["Namespace"], metric["MetricName"], _group(groups[0]) if groups else None)


def _group(value: Any) -> str:
    match value:
        case {"Fn::GetStackOutput": {"OutputName": name}} | {"Fn::GetAtt": [name, *_]}:
            return str(name)
        case _:
            return str(value)


def metrics_in(series: Series) -> Iterator[Metric]:
    """The metrics that a series is made of."""
    if isinstance(series, Metric):
        yield series
    else:
        for each in series.operands.values():
            yield from metrics_in(each)
