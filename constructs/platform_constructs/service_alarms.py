from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from platform_constructs.alarm_topic import AlarmTopic
from platform_constructs.microservice import Microservice

_ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_FIVE_MINUTES = Duration.minutes(5)


class ServiceAlarms(Construct):
    """Tells people when a service fails its users, whichever of its target groups is live."""

    def __init__(
        self, scope: Construct, construct_id: str, *, microservice: Microservice, topic: AlarmTopic
    ) -> None:
        super().__init__(scope, construct_id)
        groups, service, name = microservice.target_groups, microservice.service, microservice.name
        self.alarms = [
            groups.metric_server_errors(_FIVE_MINUTES).create_alarm(
                self,
                "ServerErrors",
                alarm_description=f"{name} answered 5xx more than 10 times in 5 minutes, twice in a row",
                threshold=10,
                comparison_operator=_ABOVE,
                evaluation_periods=2,
                # No requests, no errors.
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            ),
            groups.metric_unhealthy_hosts().create_alarm(
                self,
                "UnhealthyTasks",
                alarm_description=f"Tasks of {name} fail their health check",
                threshold=0,
                comparison_operator=_ABOVE,
                evaluation_periods=3,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            ),
            groups.metric_healthy_hosts().create_alarm(
                self,
                "NoHealthyTask",
                alarm_description=f"{name} has no healthy task: its users get errors",
                threshold=1,
                comparison_operator=_BELOW,
                evaluation_periods=2,
                # Without targets the load balancer reports nothing at all.
                treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
            ),
            groups.metric_response_time("p95", _FIVE_MINUTES).create_alarm(
                self,
                "SlowAnswers",
                alarm_description=f"One request in twenty to {name} takes longer than a second",
                threshold=1,
                comparison_operator=_ABOVE,
                evaluation_periods=3,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            ),
            service.metric_cpu_utilization(period=_FIVE_MINUTES).create_alarm(
                self,
                "CpuHigh",
                alarm_description=f"{name} needs more than 85 % of its CPU although it could have scaled out",
                threshold=85,
                comparison_operator=_ABOVE,
                evaluation_periods=3,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            ),
        ]
        for alarm in self.alarms:
            topic.notify(alarm)
