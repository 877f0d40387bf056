from typing import Any

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from platform_constructs.alarm_topic import AlarmTopic
from platform_constructs.database_alarms import DatabaseAlarms
from platform_constructs.operations_dashboard import OperationsDashboard
from platform_constructs.service_alarms import ServiceAlarms
from stacks.compute import ComputeStack
from stacks.data import DataStack


class ObservabilityStack(Stack):
    """What operators see and are told."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        data: DataStack,
        compute: ComputeStack,
        topic: AlarmTopic,
        prefix: str,
        protected: bool,
        **stack: Any,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{prefix}-observability",
            termination_protection=protected,
            **stack,
        )
        microservices = list(compute.microservices.values())
        service_alarms = [
            ServiceAlarms(self, f"{microservice.node.id}Alarms", microservice=microservice, topic=topic)
            for microservice in microservices
        ]
        database_alarms = DatabaseAlarms(
            self,
            "DatabaseAlarms",
            instance=data.database.instance,
            storage_gib=data.storage_gib,
            topic=topic,
        )
        dashboard = OperationsDashboard(
            self,
            "Operations",
            name=prefix,
            load_balancer=compute.entrance.load_balancer,
            microservices=microservices,
            database=data.database.instance,
            alarms=[alarm for each in service_alarms for alarm in each.alarms] + database_alarms.alarms,
        ).dashboard
        CfnOutput(
            self,
            "DashboardUrl",
            value=f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
            f"#dashboards/dashboard/{dashboard.dashboard_name}",
        )
        CfnOutput(self, "AlarmTopicArn", value=topic.topic.topic_arn)
