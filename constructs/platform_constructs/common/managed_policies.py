from typing import cast

from aws_cdk import ConstructSelector, Mixins
from aws_cdk import aws_iam as iam
from constructs import IConstruct

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html, without white space
MANAGED_POLICY_CHARACTERS = 6144
MANAGED_POLICIES_PER_ROLE = 10
# Where a resource stands in the tree, which CDK gives the new one by itself.
_PATH = "aws:cdk:path"


def manage_policies(scope: IConstruct) -> None:
    """Render every policy below `scope` as a customer managed policy instead of an inline one.

    What depends on a policy or on its role goes on to do so, and statements may still be added. Call it once
    everything is built: a policy that comes later stays inline, which the compliance checks refuse. Roles have
    `MANAGED_POLICIES_PER_ROLE` at most, of `MANAGED_POLICY_CHARACTERS` each (docs/decisions/0007-managed-policies.md).
    """
    inline = ConstructSelector.resources_of_type(iam.CfnPolicy.CFN_RESOURCE_TYPE_NAME)
    for resource in Mixins.of(scope, inline).selected_constructs:
        _manage(cast(iam.CfnPolicy, resource))


def _manage(inline: iam.CfnPolicy) -> None:
    node = inline.node
    policy = cast(iam.Policy, node.scope)
    roles = inline.roles
    # CDK leaves out a policy that allows nothing or belongs to nobody.
    unused = policy.document.is_empty or not policy.stack.resolve(roles)
    policy.node.try_remove_child(node.id)
    if not unused:
        # By another id: CloudFormation changes no resource's type, and like this the new policy is attached before
        # the inline one goes.
        managed = iam.CfnManagedPolicy(policy, "Managed", policy_document=inline.policy_document, roles=roles)
        for key, value in (inline.cfn_options.metadata or {}).items():
            if key != _PATH:
                managed.add_metadata(key, value)
