from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

_MINUTE = Duration.minutes(1)
# Over the groups that report: one of them is idle, and has no data. Not FILL: it makes a value of the newest minute,
# which is not there yet, and an alarm would look at that for ever.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax-functions-list
_SUM = "SUM([{blue}, {green}])"


class TargetGroupPair(Construct):
    """Two target groups, blue and green, one of which serves; its metrics are of both, so a swap blinds nothing."""

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
        # Asked for once: each question to CDK is a round trip to its process.
        balancer = load_balancer.load_balancer_full_name
        self._dimensions = {
            colour: {"LoadBalancer": balancer, "TargetGroup": group.target_group_full_name}
            for colour, group in (("blue", self.blue), ("green", self.green))
        }

    def metric_server_errors(self, period: Duration = _MINUTE) -> cloudwatch.MathExpression:
        """Answers 5xx of the tasks, as a count a period; 0 where all answers were good, no data without requests.

        The load balancer reports a count of errors only where there are some. An alarm over such a metric takes errors
        long ago for the latest, and those of a minute each for errors in a row.
        """
        return cloudwatch.MathExpression(
            expression="IF(requests > 0, errors)",
            label="5xx",
            period=period,
            using_metrics={
                "requests": self.metric_requests(period),
                "errors": self._combined(_SUM, "errors", "5xx", "HTTPCode_Target_5XX_Count", "Sum", period),
            },
        )

    def metric_server_error_percent(self, period: Duration = _MINUTE) -> cloudwatch.MathExpression:
        """Share of the requests that the tasks answered with 5xx; 0 below 20 requests a period, too few for a share."""
        return cloudwatch.MathExpression(
            expression="IF(all_requests >= 20, 100 * server_errors / all_requests, 0)",
            label="5xx (%)",
            period=period,
            using_metrics={
                "server_errors": self.metric_server_errors(period),
                "all_requests": self.metric_requests(period),
            },
        )

    def metric_requests(self, period: Duration = _MINUTE) -> cloudwatch.MathExpression:
        """Requests, as a count a period."""
        return self._combined(_SUM, "requests", "requests", "RequestCount", "Sum", period)

    def metric_requests_per_task(self, period: Duration = _MINUTE) -> cloudwatch.MathExpression:
        """Requests a task that serves gets, as a count a period.

        The load balancer averages over the tasks of one group, so the sum over both is right whichever serves,
        and while a release shifts the traffic between groups of one size.
        """
        label = "requests a task"
        return self._combined(_SUM, "perTask", label, "RequestCountPerTarget", "Sum", period)

    def metric_response_time(
        self, statistic: str = "p95", period: Duration = _MINUTE
    ) -> cloudwatch.MathExpression:
        """Seconds until the tasks answered, of the slower group; no data when there were no requests."""
        label = f"{statistic} response time"
        slower = "MAX([{blue}, {green}])"
        return self._combined(slower, statistic, label, "TargetResponseTime", statistic, period)

    def metric_unhealthy_hosts(self, period: Duration = _MINUTE) -> cloudwatch.MathExpression:
        """Tasks that fail their health check, the most within a period."""
        return self._combined(_SUM, "unhealthy", "unhealthy", "UnHealthyHostCount", "Maximum", period)

    def metric_healthy_hosts(self, period: Duration = _MINUTE) -> cloudwatch.MathExpression:
        """Tasks that pass their health check, the fewest within a period."""
        return self._combined(_SUM, "healthy", "healthy", "HealthyHostCount", "Minimum", period)

    def metrics_by_group(
        self, metric_name: str, statistic: str, label: str, period: Duration = _MINUTE
    ) -> list[cloudwatch.IMetric]:
        """The same metric of each group, blue first, to be drawn beside each other."""
        return [
            self._metric(colour, metric_name, statistic, period, f"{label} ({colour})")
            for colour in self._dimensions
        ]

    def _metric(
        self,
        colour: str,
        metric_name: str,
        statistic: str,
        period: Duration,
        label: str | None = None,
    ) -> cloudwatch.Metric:
        # Built by hand: the metrics of a target group without a listener cannot be asked for, and
        # one of the two is always idle.
        return cloudwatch.Metric(
            namespace="AWS/ApplicationELB",
            metric_name=metric_name,
            dimensions_map=self._dimensions[colour],
            statistic=statistic,
            period=period,
            label=label,
        )

    def _combined(
        self, expression: str, key: str, label: str, metric_name: str, statistic: str, period: Duration
    ) -> cloudwatch.MathExpression:
        # Ids are unique within a graph, so they carry the key.
        ids = {"blue": f"{key}_blue", "green": f"{key}_green"}
        metrics: dict[str, cloudwatch.IMetric] = {
            ids[colour]: self._metric(colour, metric_name, statistic, period) for colour in self._dimensions
        }
        return cloudwatch.MathExpression(
            expression=expression.format(**ids), label=label, period=period, using_metrics=metrics
        )
