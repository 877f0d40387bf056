from collections.abc import Sequence
from typing import cast

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from platform_constructs.common.compliance import acknowledge, acknowledge_provider
from platform_constructs.network.aws_endpoints import AwsEndpoints

# Where answers go: clients open connections from these ports.
_EPHEMERAL = ec2.AclTraffic.tcp_port_range(1024, 65535)


class ZonedVpc(Construct):
    """A VPC over named zones whose traffic is logged.

    Its data subnets have no route out, and only the application subnets reach them, on `data_ports`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        availability_zones: Sequence[str],
        cidr: str,
        nat_gateways: int,
        interface_endpoints: bool,
        flow_logs: bool,
        data_ports: Sequence[int],
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            availability_zones=list(availability_zones),
            ip_addresses=ec2.IpAddresses.cidr(cidr),
            nat_gateways=nat_gateways,
            restrict_default_security_group=True,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=24,
                    map_public_ip_on_launch=False,
                ),
                ec2.SubnetConfiguration(
                    name="Application",
                    subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS
                    if nat_gateways
                    else ec2.SubnetType.PRIVATE_ISOLATED,
                    cidr_mask=24,
                ),
                ec2.SubnetConfiguration(
                    name="Data", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=26
                ),
            ],
        )
        acknowledge_provider(self, "VpcRestrictDefaultSG")
        for subnet in self.vpc.public_subnets:
            acknowledge(
                cast(ec2.PublicSubnet, subnet),
                "VPCNoUnrestrictedRouteToIGW",
                "A public subnet is one with this route. It holds the load balancer and the NAT gateways; what runs "
                "the services and keeps the data is in subnets without it.",
            )
        self.application_subnets = self.vpc.select_subnets(subnet_group_name="Application")
        self.endpoints = AwsEndpoints(
            self,
            "Endpoints",
            vpc=self.vpc,
            subnets=self.application_subnets,
            interfaces=interface_endpoints,
        )
        self._close_data_tier(data_ports)
        if flow_logs:
            self._log_flows(logs_key, removal_policy)

    def _close_data_tier(self, ports: Sequence[int]) -> None:
        """Let only the application subnets reach the data subnets, on a port a server, and only answers leave them."""
        acl = ec2.NetworkAcl(
            self,
            "DataAcl",
            vpc=self.vpc,
            subnet_selection=ec2.SubnetSelection(subnet_group_name="Data"),
        )
        acknowledge(
            acl,
            "VPC3",
            "A second lock on the data subnets alone, where it stays simple: a port a server in from the application "
            "subnets, answers out, nothing else. Security groups decide everywhere, here too.",
        )
        for number, subnet in enumerate(self.application_subnets.subnets):
            source = ec2.AclCidr.ipv4(subnet.ipv4_cidr_block)
            first, *others = ports
            for name, direction, traffic, first_rule in (
                ("Ingress", ec2.TrafficDirection.INGRESS, ec2.AclTraffic.tcp_port(first), 100),
                ("Egress", ec2.TrafficDirection.EGRESS, _EPHEMERAL, 100),
                *(
                    (
                        f"Ingress{port}-",
                        ec2.TrafficDirection.INGRESS,
                        ec2.AclTraffic.tcp_port(port),
                        200 + 100 * place,
                    )
                    for place, port in enumerate(others)
                ),
            ):
                acl.add_entry(
                    f"{name}{number}",
                    cidr=source,
                    traffic=traffic,
                    direction=direction,
                    rule_number=first_rule + number,
                    rule_action=ec2.Action.ALLOW,
                )
        # Between servers of one cluster or cache in several zones; their own ports are among these.
        for number, subnet in enumerate(self.vpc.select_subnets(subnet_group_name="Data").subnets, start=500):
            for name, direction in (
                ("Ingress", ec2.TrafficDirection.INGRESS),
                ("Egress", ec2.TrafficDirection.EGRESS),
            ):
                acl.add_entry(
                    f"Between{name}{number}",
                    cidr=ec2.AclCidr.ipv4(subnet.ipv4_cidr_block),
                    traffic=_EPHEMERAL,
                    direction=direction,
                    rule_number=number,
                    rule_action=ec2.Action.ALLOW,
                )

    def _log_flows(self, key: kms.IKey, removal_policy: RemovalPolicy) -> None:
        group = logs.LogGroup(
            self,
            "FlowLogGroup",
            log_group_name=f"/{Stack.of(self).stack_name}/flow-logs",
            encryption_key=key,
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=removal_policy,
        )
        flow_log = self.vpc.add_flow_log(
            "FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group)
        )
        # It delivers by its role from the start, so the role's rights come first.
        cast(ec2.CfnFlowLog, flow_log.node.find_child("FlowLog")).node.add_dependency(
            cast(iam.Role, flow_log.iam_role)
        )
