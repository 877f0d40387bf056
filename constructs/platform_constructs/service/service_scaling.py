from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from aws_cdk import Duration, Names, TimeZone
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from platform_constructs.common.cron_expression import CronExpression

_MINUTE = Duration.minutes(1)
_STEP_MINUTES = 2
# After which the load balancer has told of a minute.
_LATE_MINUTES = 2


@dataclass(frozen=True, kw_only=True)
class TaskSchedule:
    """Task counts that hold from the minutes on that `cron` names."""

    name: str
    cron: CronExpression
    time_zone: str
    min_tasks: int
    max_tasks: int


@dataclass(frozen=True, kw_only=True)
class ServiceScalingProps:
    """Percentages are of what a task reserves, requests are a minute; None switches a target off."""

    min_tasks: int
    max_tasks: int
    target_cpu_percent: int
    step_out_cpu_percent: int
    step_in_cpu_percent: int
    target_memory_percent: int | None
    target_requests_per_task: int | None
    cooldown: Duration
    schedules: Sequence[TaskSchedule]


class ServiceScaling(Construct):
    """Task counts that follow the load: targets and a step add tasks, only the low step removes them.

    It removes one only when no target would bring it back: no policy takes back what another just did
    (docs/decisions/0004-scaling-policies.md).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: ecs.FargateService,
        requests_per_task: cloudwatch.MathExpression,
        props: ServiceScalingProps,
    ) -> None:
        super().__init__(scope, construct_id)
        self._service = service
        self._requests_per_task = requests_per_task
        self._props = props
        count = service.auto_scale_task_count(min_capacity=props.min_tasks, max_capacity=props.max_tasks)
        count.scale_on_cpu_utilization(
            "TargetCpu",
            target_utilization_percent=props.target_cpu_percent,
            disable_scale_in=True,
            scale_out_cooldown=props.cooldown,
        )
        if props.target_memory_percent is not None:
            count.scale_on_memory_utilization(
                "TargetMemory",
                target_utilization_percent=props.target_memory_percent,
                disable_scale_in=True,
                scale_out_cooldown=props.cooldown,
            )
        if props.target_requests_per_task is not None:
            self._track_requests(count, props.target_requests_per_task)
        self._step(count)
        for schedule in props.schedules:
            count.scale_on_schedule(
                schedule.name,
                schedule=autoscaling.Schedule.expression(f"cron({schedule.cron})"),
                time_zone=TimeZone.of(schedule.time_zone),
                min_capacity=schedule.min_tasks,
                max_capacity=schedule.max_tasks,
            )

    def _step(self, count: ecs.ScalableTaskCount) -> None:
        props = self._props
        # The target's own method: the count's does not tell what it made.
        steps = _scalable_target(count).scale_on_metric(
            "Steps",
            metric=self._load(),
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            scaling_steps=[
                autoscaling.ScalingInterval(upper=props.step_in_cpu_percent, change=-1),
                autoscaling.ScalingInterval(lower=props.step_out_cpu_percent, change=+1),
            ],
            evaluation_periods=_STEP_MINUTES,
            datapoints_to_alarm=_STEP_MINUTES,
            cooldown=props.cooldown,
        )
        if props.target_requests_per_task is not None:
            # Requests that are late look like none: so that older minutes decide as well, it takes more of them.
            alarm = steps.lower_alarm
            assert alarm is not None, "there is a step below"  # noqa: S101
            low = cast(cloudwatch.CfnAlarm, alarm.node.default_child)
            low.evaluation_periods = low.datapoints_to_alarm = _STEP_MINUTES + _LATE_MINUTES

    def _load(self) -> cloudwatch.MathExpression:
        """CPU that a desired task has to carry, in percent; or memory or requests, whichever is nearest to its target.

        During a release twice the desired tasks run and half of them idle, which halves the average of all.
        Memory and requests are scaled so that they read as the low step where one task less would just bring
        them to their target. A minute of which a part is late has no value: metric math would take the part for 0
        (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax),
        and idle tasks would go that do not idle. Requests are not among these parts, as no requests are no data.
        """
        props = self._props
        fewest = min([props.min_tasks, *(each.min_tasks for each in props.schedules)])
        low = props.step_in_cpu_percent * (fewest + 1) / fewest
        metrics: dict[str, cloudwatch.IMetric] = {
            "cpu": self._service.metric_cpu_utilization(period=_MINUTE, statistic="Average"),
            "running": self._metric_tasks("RunningTaskCount"),
            "desired": self._metric_tasks("DesiredTaskCount"),
        }
        present = "cpu >= 0 AND running >= 0 AND desired > 0"
        terms = ["cpu * running / desired"]
        if props.target_memory_percent is not None:
            metrics["memory"] = self._service.metric_memory_utilization(period=_MINUTE, statistic="Average")
            present += " AND memory >= 0"
            terms.append(f"memory * {low / props.target_memory_percent:.6g}")
        if props.target_requests_per_task is not None:
            metrics["requests"] = self._requests_per_task
            terms.append(f"requests * {low / props.target_requests_per_task:.6g}")
        load = terms[0] if len(terms) == 1 else f"MAX([{', '.join(terms)}])"
        return cloudwatch.MathExpression(
            expression=f"IF({present}, {load})",
            label="load (%)",
            period=_MINUTE,
            using_metrics=metrics,
        )

    def _metric_tasks(self, metric_name: str) -> cloudwatch.Metric:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
        return cloudwatch.Metric(
            namespace="ECS/ContainerInsights",
            metric_name=metric_name,
            dimensions_map={
                "ClusterName": self._service.cluster.cluster_name,
                "ServiceName": self._service.service_name,
            },
            statistic="Average",
            period=_MINUTE,
        )

    def _track_requests(self, count: ecs.ScalableTaskCount, target: int) -> None:
        # ALBRequestCountPerTarget knows one target group, so a swap would blind it
        # (https://github.com/aws/containers-roadmap/issues/1681), and the L2 takes no metric math.
        scalable_target = _scalable_target(count)
        policy = autoscaling.CfnScalingPolicy
        policy(
            scalable_target,
            "TargetRequests",
            policy_name=f"{Names.unique_id(scalable_target)}TargetRequests",
            policy_type="TargetTrackingScaling",
            scaling_target_id=scalable_target.scalable_target_id,
            target_tracking_scaling_policy_configuration=policy.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=target,
                disable_scale_in=True,
                scale_out_cooldown=self._props.cooldown.to_seconds(),
                customized_metric_specification=policy.CustomizedMetricSpecificationProperty(
                    metrics=_queries(self._requests_per_task)
                ),
            ),
        )


def _scalable_target(count: ecs.ScalableTaskCount) -> autoscaling.ScalableTarget:
    return cast(autoscaling.ScalableTarget, count.node.find_child("Target"))


def _queries(
    expression: cloudwatch.MathExpression,
) -> list[autoscaling.CfnScalingPolicy.TargetTrackingMetricDataQueryProperty]:
    policy = autoscaling.CfnScalingPolicy
    queries = []
    for query_id, metric in expression.using_metrics.items():
        stat = metric.to_metric_config().metric_stat
        assert stat is not None, "an expression over metrics"  # noqa: S101
        queries.append(
            policy.TargetTrackingMetricDataQueryProperty(
                id=query_id,
                return_data=False,
                metric_stat=policy.TargetTrackingMetricStatProperty(
                    stat=stat.statistic,
                    metric=policy.TargetTrackingMetricProperty(
                        namespace=stat.namespace,
                        metric_name=stat.metric_name,
                        dimensions=[
                            policy.TargetTrackingMetricDimensionProperty(name=each.name, value=each.value)
                            for each in stat.dimensions or ()
                        ],
                    ),
                ),
            )
        )
    queries.append(
        policy.TargetTrackingMetricDataQueryProperty(
            id="tracked", expression=expression.expression, label="requests a task", return_data=True
        )
    )
    return queries
