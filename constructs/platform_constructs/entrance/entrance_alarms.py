from aws_cdk import Duration
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.operator_alarm import OperatorAlarm

_FIVE_MINUTES = Duration.minutes(5)


class EntranceAlarms(Construct):
    """Tells people when the way in fails: the load balancer's own errors and CloudFront's, the certificate, the web ACL."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        load_balancer: elbv2.ApplicationLoadBalancer,
        server_errors: int,
        edge_errors: cloudwatch.IMetric | None,
        edge_error_percent: float,
        certificate: acm.ICertificate | None,
        certificate_days: int,
        blocked_requests: cloudwatch.IMetric | None,
        blocked_request_limit: int,
        topic: AlarmTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self.load_balancer_errors = OperatorAlarm(
            self,
            "LoadBalancerErrors",
            metric=load_balancer.metrics.http_code_elb(
                elbv2.HttpCodeElb.ELB_5XX_COUNT, period=_FIVE_MINUTES, statistic="Sum"
            ),
            says=f"The load balancer itself answered 5xx more than {server_errors} times in 5 minutes, twice "
            "in a row: it found no task, or none that answered",
            comparison="above",
            threshold=server_errors,
            periods=2,
            # Reported only when there are any.
            missing="fine",
            topic=topic,
        )
        self.alarms: list[OperatorAlarm] = [self.load_balancer_errors]
        self.edge_errors: OperatorAlarm | None = None
        if edge_errors is not None:
            self.edge_errors = OperatorAlarm(
                self,
                "EdgeErrors",
                metric=edge_errors,
                says=f"More than {edge_error_percent:g} % of the answers of CloudFront were 5xx for 10 minutes: it "
                "does not reach the load balancer, or passes on what is wrong behind it",
                comparison="above",
                threshold=edge_error_percent,
                periods=2,
                # No requests, no errors.
                missing="fine",
                topic=topic,
            )
            self.alarms.append(self.edge_errors)
        if certificate is not None:
            self.alarms.append(
                OperatorAlarm(
                    self,
                    "CertificateExpiring",
                    metric=certificate.metric_days_to_expiry(period=Duration.days(1), statistic="Minimum"),
                    says=f"The certificate of the site expires in less than {certificate_days} days: it "
                    "should have been renewed by now",
                    comparison="below",
                    threshold=certificate_days,
                    periods=1,
                    # Reported twice a day; a gap says nothing about the certificate.
                    missing="keeps",
                    topic=topic,
                )
            )
        if blocked_requests is not None:
            self.alarms.append(
                OperatorAlarm(
                    self,
                    "WafBlockingSpike",
                    metric=blocked_requests,
                    says=f"The web ACL blocked more than {blocked_request_limit} requests in 5 minutes: an "
                    "attack, or a rule that blocks customers",
                    comparison="above",
                    threshold=blocked_request_limit,
                    periods=1,
                    # Nothing blocked, nothing reported.
                    missing="fine",
                    topic=topic,
                )
            )
