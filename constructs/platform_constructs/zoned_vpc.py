from collections.abc import Sequence
from typing import cast

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from platform_constructs.compliance import acknowledge

# What ec2.Vpc(restrict_default_security_group=True) adds to the stack.
_DEFAULT_GROUP_PROVIDER = "Custom::VpcRestrictDefaultSGCustomResourceProvider"

# What tasks call when there is no NAT gateway.
_INTERFACE_ENDPOINTS = {
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Ecs": ec2.InterfaceVpcEndpointAwsService.ECS,
    "Kms": ec2.InterfaceVpcEndpointAwsService.KMS,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "SsmMessages": ec2.InterfaceVpcEndpointAwsService.SSM_MESSAGES,
}


class ZonedVpc(Construct):
    """A VPC over named zones whose data subnets have no way in or out and whose traffic is logged."""

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
        acknowledge(
            Stack.of(self).node.find_child(_DEFAULT_GROUP_PROVIDER).node.find_child("Handler"),
            ("CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117"),
            "CDK's own function, which takes the rules from the default security group. CloudFormation calls it when the "
            "VPC is made or goes, waits for its answer, and fails with it; it reaches nothing inside the VPC.",
        )
        for subnet in self.vpc.public_subnets:
            acknowledge(
                cast(ec2.PublicSubnet, subnet),
                "VPCNoUnrestrictedRouteToIGW",
                "A public subnet is one with this route. It holds the load balancer and the NAT gateways; what runs "
                "the services and keeps the data is in subnets without it.",
            )
        self.application_subnets = self.vpc.select_subnets(subnet_group_name="Application")
        self.vpc.add_gateway_endpoint(
            "S3",
            service=ec2.GatewayVpcEndpointAwsService.S3,
            subnets=[ec2.SubnetSelection(subnets=self.application_subnets.subnets)],
        )
        if interface_endpoints:
            self._add_interface_endpoints()
        if flow_logs:
            self._log_flows(logs_key, removal_policy)

    def _add_interface_endpoints(self) -> None:
        callers = ec2.SecurityGroup(
            self,
            "EndpointSecurityGroup",
            vpc=self.vpc,
            description="AWS API endpoints, reached from inside the VPC",
            allow_all_outbound=False,
        )
        callers.add_ingress_rule(
            ec2.Peer.ipv4(self.vpc.vpc_cidr_block), ec2.Port.HTTPS, "AWS APIs from inside the VPC"
        )
        for name, service in _INTERFACE_ENDPOINTS.items():
            self.vpc.add_interface_endpoint(
                name,
                service=service,
                open=False,
                security_groups=[callers],
                subnets=ec2.SubnetSelection(subnets=self.application_subnets.subnets),
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
        self.vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group))
