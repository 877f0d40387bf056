from collections.abc import Sequence

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
_LOGS = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*")
# https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
_PUBLISHER = ("kms:Decrypt", "kms:GenerateDataKey*")
# What those need in whose name CodePipeline, CodeBuild and CodeCommit keep things under a customer key:
# https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-create-cross-account.html
# https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-kms.html
# https://docs.aws.amazon.com/codecommit/latest/userguide/encryption.html
KEY_USER = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


class EncryptionKey(kms.Key):
    """A customer-managed key that rotates every year and that only named AWS services may use."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        description: str,
        removal_policy: RemovalPolicy,
        services: Sequence[str] = (),
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=description,
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        for service in services:
            self.add_to_resource_policy(
                iam.PolicyStatement(
                    actions=list(_LOGS if _is_logs(service) else _PUBLISHER),
                    principals=[iam.ServicePrincipal(service)],
                    resources=["*"],
                    conditions=_only_for_this_account(self, service),
                )
            )


def _is_logs(service: str) -> bool:
    return service.startswith("logs.")


def _only_for_this_account(scope: Construct, service: str) -> dict[str, dict[str, str]]:
    stack = Stack.of(scope)
    if _is_logs(service):
        # CloudWatch Logs names the log group in the encryption context and sends no source account:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        arn = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:*"
        return {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn}}
    # SNS names the topic in the encryption context, whoever publishes. Of the source account AWS says for none of our
    # publishers that it is part of these calls, and of EventBridge that it is not:
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    # https://docs.aws.amazon.com/gamelift/latest/flexmatchguide/queue-notification-sns-sse.html
    topics = f"arn:{stack.partition}:sns:{stack.region}:{stack.account}:*"
    return {"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": topics}}
