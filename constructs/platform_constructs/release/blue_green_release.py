from typing import Literal

from aws_cdk import Duration
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.operator_alarm import OperatorAlarm
from platform_constructs.release.release_rights import ReleaseRights
from platform_constructs.release.target_group_pair import TargetGroupPair

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
        application_name: str,
        rights: ReleaseRights | None,
        response_limit: Duration,
        topic: AlarmTopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self.alarms = self._alarms(container_name, target_groups, response_limit, topic)
        self.deployment_group: codedeploy.EcsDeploymentGroup | None = None
        self.hook_function = rights.check(self) if rights else None
        role = rights.role(self) if rights else None
        target = service.load_balancer_target(
            container_name=container_name,
            container_port=container_port,
            alternate_target=ecs.AlternateTarget(
                "AlternateTarget",
                alternate_target_group=target_groups.green,
                production_listener=ecs.ListenerRuleConfiguration.application_listener_rule(production_rule),
                test_listener=ecs.ListenerRuleConfiguration.application_listener_rule(test_rule),
                role=role,
            )
            if controller == "ecs"
            else None,
        )
        target_groups.blue.add_target(target)
        if controller == "ecs":
            self._release_natively(service, rights)
        if controller == "codedeploy":
            self.deployment_group = codedeploy.EcsDeploymentGroup(
                self,
                "DeploymentGroup",
                service=service,
                # A name that no other environment's begins with, as events and rights name it by its beginning.
                application=codedeploy.EcsApplication(self, "Application", application_name=application_name),
                role=role,
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

    def _release_natively(self, service: ecs.FargateService, rights: ReleaseRights | None) -> None:
        service.enable_deployment_alarms([alarm.alarm_name for alarm in self.alarms])
        if self.hook_function is None or rights is None:
            return
        service.add_lifecycle_hook(
            ecs.DeploymentLifecycleLambdaTarget(
                self.hook_function,
                "Check",
                lifecycle_stages=[ecs.DeploymentLifecycleStage.POST_TEST_TRAFFIC_SHIFT],
                role=rights.check_role(self),
            )
        )

    def _alarms(
        self, name: str, groups: TargetGroupPair, response_limit: Duration, topic: AlarmTopic
    ) -> list[OperatorAlarm]:
        seconds = response_limit.to_milliseconds() / 1000
        return [
            OperatorAlarm(
                self,
                "ServerErrors",
                metric=groups.metric_server_errors(),
                says=f"{name} answered 5xx more than 10 times in each of two minutes of four",
                comparison="above",
                threshold=10,
                periods=2,
                out_of=4,
                # No requests, no errors; and a release must not be taken back because nobody comes by.
                missing="fine",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "SlowAnswers",
                metric=groups.metric_response_time("p95"),
                says=f"One request in twenty to {name} has taken longer than {seconds:g} s in three minutes of five",
                comparison="above",
                threshold=seconds,
                periods=3,
                out_of=5,
                missing="fine",
                topic=topic,
            ),
            OperatorAlarm(
                self,
                "UnhealthyTasks",
                metric=groups.metric_unhealthy_hosts(),
                says=f"Tasks of {name} have failed their health check in three minutes of five",
                comparison="above",
                threshold=0,
                periods=3,
                out_of=5,
                # A group without targets reports nothing; that no task is left is another alarm.
                missing="fine",
                topic=topic,
            ),
        ]
