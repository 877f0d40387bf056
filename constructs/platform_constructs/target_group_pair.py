from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from platform_constructs.target_group_metrics import TargetGroupMetrics


class TargetGroupPair(Construct):
    """Two target groups, blue and green, one of which serves."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        load_balancer: elbv2.ApplicationLoadBalancer,
        port: int,
        health_check_path: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.blue, self.green = (
            elbv2.ApplicationTargetGroup(
                self,
                colour,
                vpc=vpc,
                port=port,
                protocol=elbv2.ApplicationProtocol.HTTP,
                target_type=elbv2.TargetType.IP,
                deregistration_delay=Duration.seconds(30),
                health_check=elbv2.HealthCheck(
                    path=health_check_path,
                    healthy_http_codes="200",
                    interval=Duration.seconds(10),
                    timeout=Duration.seconds(5),
                    healthy_threshold_count=2,
                    unhealthy_threshold_count=3,
                ),
            )
            for colour in ("Blue", "Green")
        )
        self.metrics = TargetGroupMetrics(
            load_balancer=load_balancer.load_balancer_full_name,
            blue=self.blue.target_group_full_name,
            green=self.green.target_group_full_name,
        )
