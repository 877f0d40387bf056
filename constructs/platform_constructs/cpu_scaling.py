from aws_cdk import Duration
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_ecs as ecs
from constructs import Construct


class CpuScaling(Construct):
    """Task counts that follow CPU: target tracking and a step add tasks, only the low step removes them.

    One policy for each direction that shrinks, so that none takes back what another just did
    (docs/decisions/0004-scaling-policies.md).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: ecs.FargateService,
        min_tasks: int,
        max_tasks: int,
        target_cpu_percent: int,
        step_out_cpu_percent: int,
        step_in_cpu_percent: int,
        cooldown: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        count = service.auto_scale_task_count(min_capacity=min_tasks, max_capacity=max_tasks)
        count.scale_on_cpu_utilization(
            "TargetCpu",
            target_utilization_percent=target_cpu_percent,
            disable_scale_in=True,
            scale_out_cooldown=cooldown,
            scale_in_cooldown=cooldown,
        )
        count.scale_on_metric(
            "CpuSteps",
            metric=service.metric_cpu_utilization(period=Duration.minutes(1)),
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            scaling_steps=[
                autoscaling.ScalingInterval(upper=step_in_cpu_percent, change=-1),
                autoscaling.ScalingInterval(lower=step_out_cpu_percent, change=+1),
            ],
            evaluation_periods=2,
            datapoints_to_alarm=2,
            cooldown=cooldown,
        )
