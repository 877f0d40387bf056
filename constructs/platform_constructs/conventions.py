from typing import cast

from aws_cdk import App, Aspects, CfnParameter, RemovalPolicy, Stack, Tags
from aws_cdk import aws_ssm as ssm

from platform_constructs.log_retention import LogRetention
from platform_constructs.managed_policies import manage_policies
from platform_constructs.stack_inputs import INPUTS


def apply_conventions(app: App, *, environment: str, log_retention_days: int) -> None:
    """Make hold for every resource of an app: its tags, how long logs are kept, that policies have names.

    Call it when all stacks are there. The tag `environment` is also what the budget counts by.
    """
    Tags.of(app).add("application", "suppliers")
    Tags.of(app).add("environment", environment)
    Aspects.of(app).add(LogRetention(log_retention_days))
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
