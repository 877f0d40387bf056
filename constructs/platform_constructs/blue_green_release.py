from typing import Literal

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from platform_constructs.alarm_topic import AlarmTopic
from platform_constructs.compliance import acknowledge
from platform_constructs.target_group_pair import TargetGroupPair

_CONFIGURATIONS = {
    "all-at-once": codedeploy.EcsDeploymentConfig.ALL_AT_ONCE,
    "canary": codedeploy.EcsDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
    "linear": codedeploy.EcsDeploymentConfig.LINEAR_10_PERCENT_EVERY_1_MINUTES,
}


class BlueGreenRelease(Construct):
    """How a service changes over to new tasks, and the alarms that send it back and tell people.

    CodeDeploy and native ECS keep the old tasks for the bake time; `rolling` replaces tasks in place.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: ecs.FargateService,
        container_name: str,
        container_port: int,
        target_groups: TargetGroupPair,
        production_listener: elbv2.IApplicationListener,
        test_listener: elbv2.IApplicationListener,
        production_rule: elbv2.ApplicationListenerRule,
        test_rule: elbv2.ApplicationListenerRule,
        controller: Literal["codedeploy", "ecs", "rolling"],
        strategy: Literal["all-at-once", "canary", "linear"],
        bake: Duration,
        check: lambda_.IFunction | None,
        topic: AlarmTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self.alarms = [
            self._server_errors(target_groups),
            self._slow_answers(target_groups),
            self._unhealthy(target_groups),
        ]
        for alarm in self.alarms:
            topic.notify(alarm)
        self.deployment_group: codedeploy.EcsDeploymentGroup | None = None
        self.hook_function = check
        target = service.load_balancer_target(
            container_name=container_name,
            container_port=container_port,
            alternate_target=ecs.AlternateTarget(
                "AlternateTarget",
                alternate_target_group=target_groups.green,
                production_listener=ecs.ListenerRuleConfiguration.application_listener_rule(production_rule),
                test_listener=ecs.ListenerRuleConfiguration.application_listener_rule(test_rule),
            )
            if controller == "ecs"
            else None,
        )
        target_groups.blue.add_target(target)
        if controller == "ecs":
            self._release_natively(service, check)
        if controller == "codedeploy":
            self.deployment_group = codedeploy.EcsDeploymentGroup(
                self,
                "DeploymentGroup",
                service=service,
                deployment_config=_CONFIGURATIONS[strategy],
                blue_green_deployment_config=codedeploy.EcsBlueGreenDeploymentConfig(
                    blue_target_group=target_groups.blue,
                    green_target_group=target_groups.green,
                    listener=production_listener,
                    test_listener=test_listener,
                    termination_wait_time=bake,
                ),
                auto_rollback=codedeploy.AutoRollbackConfig(
                    failed_deployment=True, stopped_deployment=True, deployment_in_alarm=True
                ),
                alarms=self.alarms,
            )
            acknowledge(
                self.deployment_group,
                "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AWSCodeDeployRoleForECS]",
                "AWS maintains this policy for exactly this purpose and only CodeDeploy can assume the role.",
            )

    def _release_natively(self, service: ecs.FargateService, check: lambda_.IFunction | None) -> None:
        service.enable_deployment_alarms([alarm.alarm_name for alarm in self.alarms])
        acknowledge(
            service.node.find_child("AlternateTargetRole"),
            "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers]",
            "AWS maintains this policy for exactly this purpose and only ECS can assume the role.",
        )
        if check is None:
            return
        role = iam.Role(
            self,
            "CheckRole",
            assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
            description="Calls the check of new tasks",
        )
        role.add_to_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[check.function_arn])
        )
        service.add_lifecycle_hook(
            ecs.DeploymentLifecycleLambdaTarget(
                check,
                "Check",
                lifecycle_stages=[ecs.DeploymentLifecycleStage.POST_TEST_TRAFFIC_SHIFT],
                role=role,
            )
        )
        # ECS calls the check as soon as the service exists.
        service.node.add_dependency(role)

    def _server_errors(self, target_groups: TargetGroupPair) -> cloudwatch.Alarm:
        return target_groups.metric_server_errors().create_alarm(
            self,
            "ServerErrors",
            alarm_description="Tasks answered 5xx more than 10 times in a minute",
            threshold=10,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=2,
            datapoints_to_alarm=2,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def _slow_answers(self, target_groups: TargetGroupPair) -> cloudwatch.Alarm:
        return target_groups.metric_response_time("p95").create_alarm(
            self,
            "SlowAnswers",
            alarm_description="One request in twenty takes longer than two seconds",
            threshold=2,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=3,
            datapoints_to_alarm=3,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def _unhealthy(self, target_groups: TargetGroupPair) -> cloudwatch.Alarm:
        return target_groups.metric_unhealthy_hosts().create_alarm(
            self,
            "UnhealthyTasks",
            alarm_description="Tasks have failed their health check for three minutes",
            threshold=0,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=3,
            datapoints_to_alarm=3,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
