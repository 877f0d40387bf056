"""Service-linked roles: with them services of AWS act on their own, and some are made too late for what needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from ops.aws.clients import Clients
from ops.aws.refusals import says, told_by_aws
from ops.errors import OpsError
from ops.synthesis.templates import Templates
from settings import Environment

_AWS = "https://docs.aws.amazon.com"


@dataclass(frozen=True, kw_only=True)
class ServiceRole:
    """A role that belongs to a service, and the types of resources that need it; `page` says so.

    With `early` what needs it fails until it exists; the others are made in time by whoever may make them.
    """

    name: str
    service: str
    types: frozenset[str]
    page: str
    early: bool = False

    @property
    def command(self) -> str:
        """What makes it."""
        return f"aws iam create-service-linked-role --aws-service-name {self.service}"


SERVICE_ROLES: tuple[ServiceRole, ...] = (
    ServiceRole(
        name="AWSServiceRoleForApplicationAutoScaling_ECSService",
        service="ecs.application-autoscaling.amazonaws.com",
        types=frozenset({"AWS::ApplicationAutoScaling::ScalableTarget"}),
        page=f"{_AWS}/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html",
    ),
    ServiceRole(
        name="AWSServiceRoleForBackup",
        service="backup.amazonaws.com",
        types=frozenset(
            {"AWS::Backup::BackupPlan", "AWS::Backup::BackupSelection", "AWS::Backup::BackupVault"}
        ),
        page=f"{_AWS}/aws-backup/latest/devguide/using-service-linked-roles-AWSServiceRoleForBackup.html",
    ),
    ServiceRole(
        name="AWSServiceRoleForCloudFrontVPCOrigin",
        service="vpcorigin.cloudfront.amazonaws.com",
        types=frozenset({"AWS::CloudFront::VpcOrigin"}),
        page=f"{_AWS}/AmazonCloudFront/latest/DeveloperGuide/using-service-linked-roles.html",
    ),
    # "Creation of this role might take up to 15 minutes. Until it exists, notification rule creation will fail."
    ServiceRole(
        name="AWSServiceRoleForCodeStarNotifications",
        service="codestar-notifications.amazonaws.com",
        types=frozenset({"AWS::CodeStarNotifications::NotificationRule"}),
        page=f"{_AWS}/dtconsole/latest/userguide/using-service-linked-roles.html",
        early=True,
    ),
    ServiceRole(
        name="AWSServiceRoleForECS",
        service="ecs.amazonaws.com",
        types=frozenset({"AWS::ECS::Cluster", "AWS::ECS::Service"}),
        page=f"{_AWS}/AmazonECS/latest/developerguide/using-service-linked-roles.html",
    ),
    ServiceRole(
        name="AWSServiceRoleForElastiCache",
        service="elasticache.amazonaws.com",
        types=frozenset({"AWS::ElastiCache::ReplicationGroup"}),
        page=f"{_AWS}/AmazonElastiCache/latest/dg/using-service-linked-roles.html",
    ),
    ServiceRole(
        name="AWSServiceRoleForElasticLoadBalancing",
        service="elasticloadbalancing.amazonaws.com",
        types=frozenset({"AWS::ElasticLoadBalancingV2::LoadBalancer"}),
        page=f"{_AWS}/elasticloadbalancing/latest/userguide/elb-service-linked-roles.html",
    ),
    ServiceRole(
        name="AWSServiceRoleForRDS",
        service="rds.amazonaws.com",
        types=frozenset({"AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::RDS::DBProxy"}),
        page=f"{_AWS}/AmazonRDS/latest/UserGuide/UsingWithRDS.IAM.ServiceLinkedRoles.html",
    ),
)


def needed(templates: Templates) -> list[ServiceRole]:
    """The roles that resources of the templates need."""
    types = {
        resource["Type"] for template in templates.values() for resource in template["Resources"].values()
    }
    return [role for role in SERVICE_ROLES if role.types & types]


def absent(clients: Clients, roles: Iterable[ServiceRole]) -> list[ServiceRole]:
    """Those that the account does not have yet."""
    iam = clients.client("iam")
    found = []
    for role in roles:
        try:
            iam.get_role(RoleName=role.name)
        except ClientError as error:
            if not says(error, "NoSuchEntity"):
                raise
            found.append(role)
    return found


def ensure(
    clients: Clients, environment: Environment, templates: Templates, say: Callable[[str], None]
) -> None:
    """Make the roles that are absent; raises `OpsError` where one may not be made that is needed beforehand."""
    iam = clients.client("iam")
    with told_by_aws(environment.name):
        missing = absent(clients, needed(templates))
    for role in missing:
        try:
            iam.create_service_linked_role(AWSServiceName=role.service)
        except ClientError as error:
            if role.early:
                raise OpsError(
                    f"{role.name} is missing, without which the deployment fails ({role.page}), and cannot be made "
                    f"({error.response['Error']['Code']}). Somebody with iam:CreateServiceLinkedRole: {role.command}"
                ) from None
            say(f"{role.name}: left to {role.service} to make ({error.response['Error']['Code']})")
        else:
            say(f"{role.name}: made")
