from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.operator_alarm import OperatorAlarm
from platform_constructs.service.microservice import Microservice

_MINUTE = Duration.minutes(1)
_FIVE_MINUTES = Duration.minutes(5)


class ServiceAlarms(Construct):
    """Tells people when a service fails its users or its scaling, whichever of its target groups is live.

    The alarms that also take a release back are the service's own (`Microservice.release.alarms`).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        microservice: Microservice,
        server_errors: int,
        server_error_percent: float,
        topic: AlarmTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        groups, name = microservice.target_groups, microservice.name
        low, _ = microservice.scaling_bounds
        step_in, step_out = microservice.scaling_cpu_percents
        self.error_lines = self._error_lines(microservice)
        self.customer_alarms: list[OperatorAlarm] = [
            OperatorAlarm(
                self,
                "ServerErrors",
                metric=groups.metric_server_errors(_FIVE_MINUTES),
                says=f"{name} answered 5xx more than {server_errors} times in 5 minutes, twice in a row",
                comparison="above",
                threshold=server_errors,
                periods=2,
                # No requests, no errors.
                missing="fine",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "ServerErrorShare",
                metric=groups.metric_server_error_percent(_FIVE_MINUTES),
                says=f"{name} answered more than {server_error_percent:g} % of its requests with 5xx "
                "for 10 minutes",
                comparison="above",
                threshold=server_error_percent,
                periods=2,
                missing="fine",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "NoHealthyTask",
                metric=groups.metric_healthy_hosts(),
                says=f"{name} has no healthy task: its users get errors",
                comparison="below",
                threshold=1,
                # As long as the group that serves is late, the idle one alone counts for a minute or two.
                periods=3,
                # Without targets the load balancer reports nothing at all.
                missing="breaching",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "NoRunningTask",
                metric=microservice.metric_running_tasks(_MINUTE),
                says=f"{name} has no running task",
                comparison="below",
                threshold=1,
                periods=3,
                # Container Insights reports a service as long as it exists, with 0 tasks too. No data for
                # three minutes is a service that is gone.
                missing="breaching",
                topic=topic,
            ),
        ]
        self.alarms = [
            *self.customer_alarms,
            OperatorAlarm(
                self,
                "CpuHigh",
                metric=microservice.metric_used("CPUUtilization", _FIVE_MINUTES),
                says=f"{name} has needed more than {step_out} % of its CPU for 15 minutes: scaling out did "
                "not help, or is at its maximum",
                comparison="above",
                threshold=step_out,
                periods=3,
                # Without tasks there is no CPU to need: NoRunningTask tells that.
                missing="fine",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "CpuLow",
                metric=microservice.metric_idle_cpu(low, _FIVE_MINUTES),
                says=f"{name} has needed less than {step_in} % of its CPU for an hour and still runs more "
                f"than its {low} tasks: scaling in does not work",
                comparison="below",
                threshold=step_in,
                periods=12,
                missing="fine",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "ErrorLines",
                metric=self.error_lines,
                says=f"{name} wrote more than 5 lines of level ERROR in 5 minutes",
                comparison="above",
                threshold=5,
                periods=1,
                # A log without new lines counts nothing.
                missing="fine",
                topic=topic,
            ),
        ]

    def _error_lines(self, microservice: Microservice) -> cloudwatch.Metric:
        """Lines of level ERROR or worse, as a count in five minutes."""
        return logs.MetricFilter(
            self,
            "ErrorLinesFilter",
            log_group=microservice.log_group,
            filter_pattern=logs.FilterPattern.any(
                logs.FilterPattern.string_value("$.level", "=", "ERROR"),
                logs.FilterPattern.string_value("$.level", "=", "CRITICAL"),
            ),
            metric_namespace="Directory/Logs",
            metric_name=f"{microservice.environment_name}-{microservice.name}-error-lines",
            metric_value="1",
            default_value=0,
        ).metric(statistic="Sum", period=_FIVE_MINUTES, label="ERROR lines")
