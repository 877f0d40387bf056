from collections.abc import Sequence
from typing import Any

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from constructs import Construct

from platform_constructs.cache.shared_cache import CACHE_PORT
from platform_constructs.common.alarm_topic import AlarmTopic
from platform_constructs.common.conventions import removal_policy
from platform_constructs.common.encryption_key import EncryptionKey
from platform_constructs.database.relational_database import DATABASE_PORT
from platform_constructs.network.zoned_vpc import ZonedVpc
from settings import Alarms, Network


class NetworkStack(Stack):
    """What every other stack uses: the VPC over the configured zones, the key of log groups, the topic of alarms."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        zones: Sequence[str],
        network: Network,
        alarms: Alarms,
        runbook_url: str,
        cache: bool,
        prefix: str,
        protected: bool,
        **stack: Any,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=f"{prefix}-network",
            termination_protection=protected,
            **stack,
        )
        keep = removal_policy(protected=protected)
        self.logs_key = EncryptionKey(
            self,
            "LogsKey",
            description=f"Logs of {self.stack_name}",
            removal_policy=keep,
            services=[f"logs.{self.region}.amazonaws.com"],
        )
        zoned = ZonedVpc(
            self,
            "Network",
            availability_zones=zones,
            cidr=network.cidr,
            nat_gateways=network.nat_gateways,
            interface_endpoints=network.interface_endpoints,
            flow_logs=network.flow_logs,
            data_ports=[DATABASE_PORT, *([CACHE_PORT] if cache else [])],
            logs_key=self.logs_key,
            removal_policy=keep,
        )
        self.vpc = zoned.vpc
        self.application_subnets = zoned.application_subnets
        self.endpoints = zoned.endpoints
        topic_key = EncryptionKey(
            self,
            "TopicKey",
            description=f"Alarm messages of {prefix}",
            removal_policy=RemovalPolicy.DESTROY,
            services=["cloudwatch.amazonaws.com", "events.rds.amazonaws.com", "budgets.amazonaws.com"],
        )
        self.alarm_topic = AlarmTopic(
            self,
            "Alarms",
            environment=prefix,
            encryption_key=topic_key,
            emails=alarms.emails,
            runbook_url=runbook_url,
        )
        CfnOutput(self, "VpcId", value=self.vpc.vpc_id)
