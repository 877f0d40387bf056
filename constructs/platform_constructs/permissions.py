from collections.abc import Mapping

from aws_cdk import aws_iam as iam


def allow(
    role: iam.IRole, *actions: str, on: str, when: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    """Allow a role some actions on one resource, under conditions; for what no `grant_*` method gives as narrowly."""
    role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=[on], conditions=when))
