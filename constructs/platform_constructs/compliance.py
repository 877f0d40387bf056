from aws_cdk import Acknowledgment, Stack, Token, Validations
from constructs import IConstruct


def acknowledge(scope: IConstruct, rule: str, reason: str) -> None:
    """Accept one finding of AwsSolutions below `scope`, by its exact id, for a reason a stranger can judge.

    Call it on the smallest construct, beside the code that causes the finding.
    """
    Validations.of(scope).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason))


def readable_account(stack: Stack) -> str:
    """The account as cdk-nag writes it in the id of a finding."""
    return "<AWS::AccountId>" if Token.is_unresolved(stack.account) else stack.account
