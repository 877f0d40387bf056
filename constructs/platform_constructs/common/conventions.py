from typing import cast

from aws_cdk import App, CfnParameter, RemovalPolicy, Stack, Tags
from aws_cdk import aws_codestarnotifications as notifications
from aws_cdk import aws_ssm as ssm

from platform_constructs.common.log_retention import keep_logs
from platform_constructs.common.managed_policies import manage_policies
from platform_constructs.common.stack_inputs import INPUTS

# People reported that another tag replaces a rule, whose fixed name the old one then still has; AWS's schema says that it
# is changed in place. Without tags it does not matter:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-codestarnotifications-notificationrule.html
_UNTAGGED = [notifications.CfnNotificationRule.CFN_RESOURCE_TYPE_NAME]


def removal_policy(*, protected: bool) -> RemovalPolicy:
    """What becomes of whatever holds data: a protected environment's is kept, except by a creation that fails.

    What such a creation made is empty, and with a fixed name it would keep the next one from succeeding:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html
    """
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if protected else RemovalPolicy.DESTROY


def apply_conventions(app: App, *, environment: str, log_retention_days: int) -> None:
    """Make hold for every resource of an app: its tags, how long logs are kept, that policies have names.

    Call it when all stacks are there. The tag `environment` is also what the budget counts by.
    """
    for key, value in {"application": "suppliers", "environment": environment}.items():
        Tags.of(app).add(key, value, exclude_resource_types=_UNTAGGED)
    keep_logs(app, days=log_retention_days)
    manage_policies(app)
    for stack in app.node.children:
        if Stack.is_stack(stack):
            _note_inputs(cast(Stack, stack))


def _note_inputs(stack: Stack) -> None:
    """Let whoever deploys a stack note what it read of others, and make CloudFormation read it anew by noting it."""
    noted = CfnParameter(
        stack,
        INPUTS,
        default="none",
        description="Digest of the outputs of other stacks that this one was deployed with; set by make deploy",
    )
    # A resource, because CloudFormation has nothing to update where only a parameter changes that nothing refers to.
    ssm.CfnParameter(
        stack,
        f"{INPUTS}Noted",
        type="String",
        name=f"/{stack.stack_name}/inputs",
        value=noted.value_as_string,
        description=noted.description,
    ).apply_removal_policy(RemovalPolicy.DESTROY)
