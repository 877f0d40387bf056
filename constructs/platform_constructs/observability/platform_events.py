from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import jsii
from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk.interfaces.aws_events import IRuleRef
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.database.relational_database import RelationalDatabase

# States of CodeDeploy and of ECS's own controllers:
# https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html
_RELEASE_STATES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "ReleaseStarted": (("START",), ("SERVICE_DEPLOYMENT_IN_PROGRESS",)),
    "ReleaseSucceeded": (("SUCCESS",), ("SERVICE_DEPLOYMENT_COMPLETED",)),
    "ReleaseFailed": (("FAILURE", "STOP"), ("SERVICE_DEPLOYMENT_FAILED",)),
}
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-cloud-watch-events.html
_DATABASE_EVENTS = {"db-instance": "RDS DB Instance Event", "db-cluster": "RDS DB Cluster Event"}


@dataclass(frozen=True, kw_only=True)
class PipelineEvents:
    """What pipelines tell of themselves, whose names begin with `prefix`.

    The execution that comes of a pipeline's creation fails where the repository is new and empty: that is how it begins.
    """

    prefix: str
    begin_empty: bool

    def failed(self) -> events.EventPattern:
        """Executions that failed, and not because nothing was ever pushed."""
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
        failed = {"pipeline": events.Match.prefix(f"{self.prefix}-"), "state": ["FAILED"]}
        trigger = "execution-trigger"
        # EventBridge takes $or without anything beside it only, so both alternatives are whole.
        begun = [
            {**failed, trigger: {"trigger-type": [{"anything-but": ["CreatePipeline"]}]}},
            {**failed, trigger: {"trigger-type": [{"exists": False}]}},
        ]
        return events.EventPattern(
            source=["aws.codepipeline"],
            detail_type=["CodePipeline Pipeline Execution State Change"],
            detail={"$or": begun} if self.begin_empty else failed,
        )


class PlatformEvents(Construct):
    """What happened to the platform: releases and failovers, each kept as a line of a log and counted as a metric.

    A dashboard's vertical annotations are fixed when it is deployed, so a release cannot draw one. Amazon
    EventBridge counts the events that match a rule, which can be drawn and can raise an alarm. Of a pipeline that failed
    people are also told which, as the alarm counts for all of them. `applications` is what the names of the services'
    applications in CodeDeploy begin with.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        controller: Literal["codedeploy", "ecs", "rolling"],
        applications: str,
        database: RelationalDatabase,
        pipelines: PipelineEvents | None,
        topic: AlarmTopic,
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = logs.LogGroup(
            self,
            "LogGroup",
            log_group_name=f"/aws/events/{Stack.of(self).stack_name}",
            encryption_key=logs_key,
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=removal_policy,
        )
        # Named, since policies of log groups share one set of names in an account.
        logs.ResourcePolicy(
            self,
            "LogPolicy",
            resource_policy_name=f"{Stack.of(self).stack_name}-events",
            policy_statements=[
                iam.PolicyStatement(
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                    principals=[
                        iam.ServicePrincipal("events.amazonaws.com"),
                        iam.ServicePrincipal("delivery.logs.amazonaws.com"),
                    ],
                    resources=[self.log_group.log_group_arn],
                )
            ],
        )
        self._target = _LogLine(self.log_group)
        self._rules = {
            name: self._rule(name, self._release_pattern(cluster, controller, applications, *states))
            for name, states in _RELEASE_STATES.items()
        }
        self._rules["Failover"] = self._rule(
            "Failover",
            events.EventPattern(
                source=["aws.rds"],
                detail_type=[_DATABASE_EVENTS[database.source_type]],
                detail={
                    "SourceIdentifier": [database.identifier],
                    "EventCategories": ["failover"],
                },
            ),
        )

        if pipelines is not None:
            self._rules["PipelineFailed"] = self._rule("PipelineFailed", pipelines.failed())
            self._rules["PipelineFailed"].add_target(
                topic.message(
                    self,
                    topic.description(
                        f"The pipeline {events.EventField.from_path('$.detail.pipeline')} failed, in its execution "
                        f"{events.EventField.from_path('$.detail.execution-id')}",
                        "pipeline-failed",
                    ),
                )
            )

    def metric_releases_started(self, period: Duration) -> cloudwatch.Metric:
        """Releases that began, of any service, as a count a period."""
        return self._metric("ReleaseStarted", "started", period)

    def metric_releases_succeeded(self, period: Duration) -> cloudwatch.Metric:
        """Releases that ended well, as a count a period; going back to the old version counts as one."""
        return self._metric("ReleaseSucceeded", "succeeded", period)

    def metric_releases_failed(self, period: Duration) -> cloudwatch.Metric:
        """Releases that failed or were stopped, as a count a period."""
        return self._metric("ReleaseFailed", "failed", period)

    def metric_pipelines_failed(self, period: Duration) -> cloudwatch.Metric:
        """Executions of pipelines that failed, as a count a period."""
        return self._metric("PipelineFailed", "pipeline failed", period)

    def metric_failovers(self, period: Duration) -> cloudwatch.Metric:
        """Events of a failover of the database, as a count a period: its start and its end are one each."""
        return self._metric("Failover", "failover", period)

    def _metric(self, name: str, label: str, period: Duration) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/Events",
            metric_name="TriggeredRules",
            dimensions_map={"RuleName": self._rules[name].rule_name},
            statistic="Sum",
            period=period,
            label=label,
        )

    def _rule(self, name: str, pattern: events.EventPattern) -> events.Rule:
        return events.Rule(self, name, event_pattern=pattern, targets=[self._target])

    def _release_pattern(
        self,
        cluster: ecs.ICluster,
        controller: Literal["codedeploy", "ecs", "rolling"],
        applications: str,
        by_codedeploy: Sequence[str],
        by_ecs: Sequence[str],
    ) -> events.EventPattern:
        # By the beginnings of names: those of all services would outgrow a pattern's 2,048 characters.
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
        if controller == "codedeploy":
            return events.EventPattern(
                source=["aws.codedeploy"],
                detail_type=["CodeDeploy Deployment State-change Notification"],
                detail={"application": events.Match.prefix(applications), "state": list(by_codedeploy)},
            )
        return events.EventPattern(
            source=["aws.ecs"],
            detail_type=["ECS Deployment State Change"],
            # All services of the cluster are ours.
            resources=events.Match.prefix(
                Stack.of(self).format_arn(
                    service="ecs", resource="service", resource_name=f"{cluster.cluster_name}/"
                )
            ),
            detail={"eventName": list(by_ecs)},
        )


@jsii.implements(events.IRuleTarget)
class _LogLine:
    """A log group as a rule's target.

    CDK's own target makes a custom resource for each rule, to write the policy that one resource holds here.
    """

    def __init__(self, log_group: logs.LogGroup) -> None:
        self._log_group = log_group

    def bind(self, rule: IRuleRef, id: str | None = None) -> events.RuleTargetConfig:
        arn = Stack.of(self._log_group).format_arn(
            service="logs",
            resource="log-group",
            resource_name=self._log_group.log_group_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return events.RuleTargetConfig(arn=arn)
