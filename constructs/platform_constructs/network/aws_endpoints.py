from typing import cast

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct, DependencyGroup, IDependable

_Service = ec2.InterfaceVpcEndpointAwsService

# What is called from inside the VPC, and by what. Fargate tasks need none for ECS itself:
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
_INTERFACES = {
    "EcrApi": _Service.ECR,  # Fargate, for the images
    "EcrDocker": _Service.ECR_DOCKER,
    "Logs": _Service.CLOUDWATCH_LOGS,  # Fargate, for the logs of the tasks
    "SecretsManager": _Service.SECRETS_MANAGER,  # services and rotation functions, for credentials
    "Kms": _Service.KMS,  # `ecs execute-command`, for its session
    "SsmMessages": _Service.SSM_MESSAGES,
    "Ssm": _Service.SSM,  # nothing of ours: Security Hub EC2.57
    "Ec2": _Service.EC2,  # the check of new tasks, for the load balancer's private addresses
    "Ecs": _Service.ECS,  # the check of new tasks, for what is being released
    "CodeDeploy": _Service.CODEDEPLOY,  # the check of new tasks, for its verdict
    "Sns": _Service.SNS,  # the check of new tasks, for a mail about those that keep stopping
}
# Their documentation describes no endpoint policies, and one that is not supported is refused:
# https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
_WITHOUT_POLICY = frozenset({"SsmMessages", "CodeDeploy"})


class AwsEndpoints(Construct):
    """Ways to the AWS APIs that leave neither the VPC nor the account: S3 always, the others with `interfaces`.

    Only principals of this account get through, where the service supports it; to S3 also Fargate, for the layers
    of images, which ECR keeps in a bucket of its own. The interfaces admit the groups that are given to `admit`,
    and nobody else.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.Vpc,
        subnets: ec2.SelectedSubnets,
        interfaces: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self.security_group: ec2.SecurityGroup | None = None
        selection = ec2.SubnetSelection(subnets=subnets.subnets)
        s3 = vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3, subnets=[selection])
        account, region = Stack.of(self).account, Stack.of(self).region
        ours = {"aws:PrincipalAccount": account}
        s3.add_to_policy(_allow("*", on="*", when={**ours, "aws:ResourceAccount": account}))
        # https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
        s3.add_to_policy(_allow("s3:GetObject", on=f"arn:aws:s3:::prod-{region}-starport-layer-bucket/*"))
        if not interfaces:
            return
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=vpc,
            description="Interface endpoints of AWS APIs",
            allow_all_outbound=False,
        )
        for name, service in _INTERFACES.items():
            endpoint = vpc.add_interface_endpoint(
                name,
                service=service,
                open=False,
                security_groups=[self.security_group],
                subnets=selection,
            )
            if name not in _WITHOUT_POLICY:
                endpoint.add_to_policy(_allow("*", on="*", when=ours))

    def admit(self, caller: ec2.ISecurityGroup) -> IDependable:
        """Let members of a group call the interfaces, where there are any.

        The rules belong to the group; what calls AWS as soon as it exists depends on what is returned.
        """
        admitted = DependencyGroup()
        if self.security_group is not None:
            endpoints = ec2.SecurityGroup.from_security_group_id(
                cast(Construct, caller), "AwsEndpoints", self.security_group.security_group_id
            )
            endpoints.connections.allow_from(caller, ec2.Port.HTTPS, "AWS APIs")
            admitted.add(endpoints)
        return admitted


def _allow(action: str, *, on: str, when: dict[str, str] | None = None) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        principals=[iam.AnyPrincipal()],
        actions=[action],
        resources=[on],
        conditions={"StringEquals": when} if when else None,
    )
