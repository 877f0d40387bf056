from collections.abc import Mapping

from aws_cdk import aws_iam as iam


def allow(
    role: iam.IRole, *actions: str, on: str, when: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    """Allow a role some actions on one resource, under conditions; for what no `grant_*` method gives as narrowly."""
    statement = iam.PolicyStatement(actions=list(actions), resources=[on], conditions=when)
    if isinstance(role, iam.Role):
        # The same without an answer, which jsii would fetch.
        role.add_to_policy(statement)
    else:
        role.add_to_principal_policy(statement)
