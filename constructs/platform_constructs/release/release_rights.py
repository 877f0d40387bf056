from typing import Literal

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from platform_constructs.common.compliance import acknowledge

# By controller: who releases, and the policy that AWS maintains for it.
_POLICIES = {
    "codedeploy": ("codedeploy.amazonaws.com", "AWSCodeDeployRoleForECS", "CodeDeploy"),
    "ecs": ("ecs.amazonaws.com", "AmazonECSInfrastructureRolePolicyForLoadBalancers", "ECS"),
}


class ReleaseRights(Construct):
    """What CodeDeploy or ECS may do to release services: the same for every service, so one role for all.

    With `check`, ECS may call that function; CodeDeploy calls it by the rights of its own role.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        controller: Literal["codedeploy", "ecs"],
        check: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        principal, policy, who = _POLICIES[controller]
        self._check = check
        self._role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(principal),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(policy)],
            description="Moves traffic and tasks from one release to the next",
        )
        acknowledge(
            self._role,
            f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{policy}]",
            f"AWS maintains this policy for exactly this purpose and only {who} can assume the role.",
        )
        self._check_role: iam.Role | None = None
        if controller == "ecs":
            self._check_role = iam.Role(
                self,
                "CheckRole",
                assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
                description="Calls the check of new tasks",
            )
            self._check_role.add_to_policy(
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[check.function_arn])
            )

    # Other stacks name what is here without changing it: their grants would tie the two in a knot.

    def role(self, scope: Construct) -> iam.IRole:
        """Who moves traffic and tasks, for a construct of another stack."""
        return iam.Role.from_role_arn(scope, "ReleaseRole", self._role.role_arn, mutable=False)

    def check_role(self, scope: Construct) -> iam.IRole | None:
        """Who calls the check for ECS, for a construct of another stack."""
        if self._check_role is None:
            return None
        return iam.Role.from_role_arn(scope, "CheckRole", self._check_role.role_arn, mutable=False)

    def check(self, scope: Construct) -> lambda_.IFunction:
        """The check of new tasks, for a construct of another stack."""
        return lambda_.Function.from_function_arn(scope, "CheckFunction", self._check.function_arn)
