"""A model of what Application Auto Scaling does to an ECS service under a load, minute by minute.

It follows the documentation, and where that leaves something open it assumes what is worse for a steady count:

- Alarms look at the newest minutes that are published, some metrics of which may be there later than others, and
  start their policy again each minute they last:
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html
- Target tracking makes itself two alarms: 3 of 3 minutes above the target, 15 of 15 below 90 % of it, and sets
  the count in proportion, rounded up:
  https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
  https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-autoscaling-targettracking.html
- After scaling out, a policy counts what it added as part of what it would add next, until its cooldown ends;
  after scaling in it waits; scaling out ends that wait. A cooldown is taken to bind its own policy only:
  https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html
- Of several policies the largest count wins, and target tracking scales in only when all targets that may agree:
  https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html#target-tracking-multiple-scaling-policies
- A policy starts from the tasks that run, not from the desired ones, and nothing scales in during a release:
  https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html
- A scheduled action sets new bounds and moves the count into them at once:
  https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scheduled-scaling.html

A release runs as many tasks again on the idle side, which does nothing until the traffic moves at the end. Memory
is taken to be held by both sides alike.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ops.scaling.alarm_state import State
from ops.scaling.load_curve import Load, LoadCurve
from ops.scaling.metric_math import Value
from ops.scaling.policies import (
    Alarm,
    Metric,
    Metrics,
    Policy,
    ServicePolicies,
    StepScaling,
    TargetTracking,
    value_of,
)

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
# Fargate starts a container, which has to pass two health checks.
START_MINUTES = 2
# Minutes until a minute's metrics are there to be looked at.
PUBLISH_MINUTES = 1
_HIGH_MINUTES = 3
_LOW_MINUTES = 15
_LOW_SHARE = 0.9
# As many as any alarm looks at.
_REMEMBERED_MINUTES = 60
# Loads this near to each other (as a share) are the same load.
_SAME = 0.1


@dataclass(frozen=True)
class Change:
    """The desired count changed: `by` names the policy or scheduled action, `scheduled` tells which of the two."""

    minute: int
    before: int
    after: int
    by: str
    scheduled: bool
    load: Load


@dataclass(frozen=True)
class Minute:
    """What one minute was like.

    `running` tasks serve, `all_running` includes the idle side of a release; `utilization` is the CPU of those
    that serve, in percent, above 100 when they cannot keep up.
    """

    load: Load
    min_tasks: int
    max_tasks: int
    desired: int
    running: int
    all_running: int
    utilization: float


@dataclass(frozen=True)
class Replay:
    """What a load curve did to a service."""

    service: str
    curve: LoadCurve
    start: datetime
    minutes: tuple[Minute, ...]
    changes: tuple[Change, ...]

    @property
    def direction_changes(self) -> int:
        """How often the count turned from growing to shrinking or back."""
        return sum(_opposite(first, second) for first, second in pairwise(self.changes))

    @property
    def flaps(self) -> tuple[tuple[Change, Change], ...]:
        """Changes by policies that took back the one before although the load was the same within a tenth."""
        return tuple(
            (first, second)
            for first, second in pairwise(self.changes)
            if _opposite(first, second)
            and not (first.scheduled or second.scheduled)
            and _alike(first.load, second.load)
        )

    @property
    def overloaded_minutes(self) -> int:
        """Minutes in which the load needed more than the running tasks had."""
        return sum(minute.utilization > 100 for minute in self.minutes)

    def minutes_until(self, running: int, since: int = 0) -> int | None:
        """Minutes from `since` until at least `running` tasks serve; None if they never do."""
        return next(
            (number for number, minute in enumerate(self.minutes[since:]) if minute.running >= running), None
        )


def _opposite(first: Change, second: Change) -> bool:
    return (first.after - first.before) * (second.after - second.before) < 0


def _alike(first: Load, second: Load) -> bool:
    pairs = ((first.cpu, second.cpu), (first.requests, second.requests), (first.memory, second.memory))
    return all(math.isclose(one, other, rel_tol=_SAME) for one, other in pairs)


def replay(
    policies: ServicePolicies,
    curve: LoadCurve,
    *,
    start: datetime = MONDAY,
    start_minutes: int = START_MINUTES,
    publish_minutes: int = PUBLISH_MINUTES,
    late_minutes: Mapping[str, int] | None = None,
) -> Replay:
    """Put a service under a load and record what its policies do.

    `late_minutes` are how many minutes later than the others some metrics are published, by their names. It begins
    with the minimum of tasks running. Raises `OpsError` for a metric that the model does not produce.
    """
    service = _Service(policies, start_minutes)
    scaler = _Scaler(policies, late_minutes or {})
    published: deque[Metrics] = deque(maxlen=publish_minutes + 1)
    minutes, changes = [], []
    for number, load in enumerate(curve.loads):
        if len(published) > publish_minutes:
            scaler.observe(published[0])
        service.advance(number, load.release)
        before = service.desired
        decided = scaler.decide(number, start + timedelta(minutes=number), service)
        if decided is not None:
            service.desire(decided.count, number)
            changes.append(Change(number, before, decided.count, decided.by, decided.scheduled, load))
        published.append(service.metrics(load))
        minutes.append(
            Minute(
                load=load,
                min_tasks=scaler.min_tasks,
                max_tasks=scaler.max_tasks,
                desired=service.desired,
                running=service.running,
                all_running=service.all_running,
                utilization=100 * load.cpu / service.running,
            )
        )
    return Replay(policies.service, curve, start, tuple(minutes), tuple(changes))


class _Service:
    """Tasks of one side, or during a release of both, that start some minutes after they are desired."""

    def __init__(self, policies: ServicePolicies, start_minutes: int) -> None:
        self._policies = policies
        self._start_minutes = start_minutes
        self._now = 0
        self._first_serves = True
        self._ready_at = [0] * policies.min_tasks
        self._idle_ready_at: list[int] | None = None

    @property
    def desired(self) -> int:
        return len(self._ready_at)

    @property
    def running(self) -> int:
        return sum(each <= self._now for each in self._ready_at)

    @property
    def all_running(self) -> int:
        return self.running + sum(each <= self._now for each in self._idle_ready_at or ())

    @property
    def releasing(self) -> bool:
        return self._idle_ready_at is not None

    def advance(self, minute: int, release: bool) -> None:
        self._now = minute
        if release and self._idle_ready_at is None:
            self._idle_ready_at = [minute + self._start_minutes] * self.desired
        elif not release and self._idle_ready_at is not None:
            # Only healthy tasks are given the traffic.
            self._ready_at = [min(each, minute) for each in self._idle_ready_at]
            self._idle_ready_at = None
            self._first_serves = not self._first_serves

    def desire(self, count: int, minute: int) -> None:
        for side in (self._ready_at, self._idle_ready_at):
            if side is not None:
                del side[count:]
                side.extend([minute + self._start_minutes] * (count - len(side)))

    def metrics(self, load: Load) -> Metrics:
        busy = min(load.cpu, self.running)
        values: dict[tuple[str, str], Value] = {
            ("AWS/ECS", "CPUUtilization"): 100 * busy / self.all_running,
            ("AWS/ECS", "MemoryUtilization"): 100 * min(load.memory / self.running, 1),
            ("ECS/ContainerInsights", "RunningTaskCount"): float(self.all_running),
            ("ECS/ContainerInsights", "DesiredTaskCount"): float(self.desired),
        }
        metrics = {Metric(*key): value for key, value in values.items()}
        for metric in self._policies.metrics:
            if metric.group is not None and metric.name in ("RequestCountPerTarget", "RequestCount"):
                metrics[metric] = self._requests(metric, load)
        return metrics

    def _requests(self, metric: Metric, load: Load) -> Value:
        # Only the live group gets requests; a group without tasks reports nothing.
        if (metric.group == self._policies.first_group) == self._first_serves:
            return load.requests / self.running if metric.name == "RequestCountPerTarget" else load.requests
        return None if self._idle_ready_at is None else 0.0


@dataclass(frozen=True)
class _Decision:
    count: int
    by: str
    scheduled: bool = False


@dataclass
class _Cooldown:
    """What a policy did last: until when it holds, and the count it started from when it scaled out."""

    out_until: int = -1
    out_from: int = 0
    in_until: int = -1


class _Scaler:
    """Decides each minute what the desired count should be."""

    def __init__(self, policies: ServicePolicies, late_minutes: Mapping[str, int]) -> None:
        self.min_tasks, self.max_tasks = policies.min_tasks, policies.max_tasks
        self._policies = policies
        self._late_minutes = late_minutes
        self._cooldowns = {policy: _Cooldown() for policy in policies.names}
        self._published: deque[Metrics] = deque(maxlen=max(late_minutes.values(), default=0) + 1)
        self._seen: dict[str, deque[Value]] = {
            policy: deque(maxlen=_REMEMBERED_MINUTES) for policy in policies.names
        }

    def observe(self, metrics: Metrics) -> None:
        """Take in the newest minute, and look once more at those before it that were incomplete."""
        self._published.append(metrics)
        for values in self._seen.values():
            values.append(None)
        for age, published in enumerate(reversed(self._published)):
            there = {
                metric: None if self._late_minutes.get(metric.name, 0) > age else value
                for metric, value in published.items()
            }
            for tracking in self._policies.tracking:
                self._seen[tracking.name][-1 - age] = value_of(tracking.series, there)
            for step in self._policies.steps:
                self._seen[step.name][-1 - age] = value_of(step.alarm.series, there)

    def decide(self, minute: int, moment: datetime, service: _Service) -> _Decision | None:
        scheduled = self._scheduled(moment, service.desired)
        if scheduled is not None:
            return scheduled
        proposals = [
            (self._bounded(count), policy) for policy, count in self._scaling_out(minute, service.running)
        ]
        count, policy = max(proposals, key=lambda each: each[0], default=(0, None))
        if policy is not None and count > service.desired:
            self._scaled_out(policy, minute, service.running)
            return _Decision(count, str(policy))
        if service.releasing:
            return None
        proposals = [
            (self._bounded(count), policy) for policy, count in self._scaling_in(minute, service.running)
        ]
        count, policy = max(proposals, key=lambda each: each[0], default=(service.desired, None))
        if policy is not None and count < service.desired:
            self._cooldowns[policy.name].in_until = minute + policy.in_cooldown
            return _Decision(count, str(policy))
        return None

    def _scheduled(self, moment: datetime, desired: int) -> _Decision | None:
        decision = None
        for action in self._policies.schedules:
            if action.due(moment):
                self.min_tasks, self.max_tasks = action.min_tasks, action.max_tasks
                decision = _Decision(self._bounded(desired), f"schedule {action.name}", scheduled=True)
        return decision if decision is not None and decision.count != desired else None

    def _bounded(self, count: int) -> int:
        return max(self.min_tasks, min(count, self.max_tasks))

    def _scaling_out(self, minute: int, running: int) -> Iterator[tuple[Policy, int]]:
        for tracking in self._policies.tracking:
            value = self._breaching(tracking, _high(tracking))
            if value is not None:
                yield tracking, math.ceil(self._base(tracking, minute, running) * value / tracking.target)
        for step in self._policies.steps:
            change = self._step(step)
            if change > 0:
                yield step, self._base(step, minute, running) + change

    def _scaling_in(self, minute: int, running: int) -> Iterator[tuple[Policy, int]]:
        targets = [each for each in self._policies.tracking if each.scales_in]
        lows = [self._breaching(each, _low(each)) for each in targets]
        for tracking, value in zip(targets, lows, strict=True):
            if None not in lows and value is not None and minute >= self._cooldowns[tracking.name].in_until:
                yield tracking, math.ceil(running * value / tracking.target)
        for step in self._policies.steps:
            change = self._step(step)
            if change < 0 and minute >= self._cooldowns[step.name].in_until:
                yield step, running + change

    def _base(self, policy: Policy, minute: int, running: int) -> int:
        cooldown = self._cooldowns[policy.name]
        return cooldown.out_from if minute < cooldown.out_until else running

    def _scaled_out(self, policy: Policy, minute: int, running: int) -> None:
        cooldown = self._cooldowns[policy.name]
        cooldown.out_from = self._base(policy, minute, running)
        cooldown.out_until = minute + policy.out_cooldown
        for each in self._cooldowns.values():
            each.in_until = -1

    def _step(self, step: StepScaling) -> int:
        value = self._breaching(step, step.alarm)
        if value is None:
            return 0
        beyond = value - step.alarm.threshold
        for each in step.steps:
            # At the threshold itself an alarm below it takes the step that ends there.
            if each.lower <= beyond < each.upper or (beyond == each.upper == 0):
                return each.change
        return 0

    def _breaching(self, policy: Policy, alarm: Alarm) -> float | None:
        """The newest value of a policy's series if its alarm is in alarm."""
        seen = self._seen[policy.name]
        if alarm.state(seen) is not State.ALARM:
            return None
        return next(value for value in reversed(seen) if value is not None)


def _high(tracking: TargetTracking) -> Alarm:
    return Alarm(tracking.series, "GreaterThanThreshold", tracking.target, _HIGH_MINUTES, _HIGH_MINUTES)


def _low(tracking: TargetTracking) -> Alarm:
    return Alarm(
        tracking.series, "LessThanThreshold", _LOW_SHARE * tracking.target, _LOW_MINUTES, _LOW_MINUTES
    )
