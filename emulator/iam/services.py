"""What AWS's services do with a role that they are given, or by themselves: their requirements, each with AWS's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.iam.actions import Ask


@dataclass(frozen=True)
class Through:
    """What an action on an encrypted resource needs of its key, through the service: https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service"""

    service: str
    key_actions: tuple[str, ...]
    # The name of the encryption context's entry whose value is the resource's ARN.
    encryption_context: str


# By action; a resource that is encrypted with a key of AWS needs nothing.
ENCRYPTED: Mapping[str, Through] = {
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    "secretsmanager:GetSecretValue": Through("secretsmanager", ("kms:Decrypt",), "SecretARN"),
    **{
        f"secretsmanager:{name}": Through(
            "secretsmanager", ("kms:GenerateDataKey", "kms:Decrypt"), "SecretARN"
        )
        for name in ("PutSecretValue", "UpdateSecret")
    },
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    "sns:Publish": Through("sns", ("kms:GenerateDataKey", "kms:Decrypt"), "aws:sns:topicArn"),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    "s3:GetObject": Through("s3", ("kms:Decrypt",), "aws:s3:arn"),
    "s3:PutObject": Through("s3", ("kms:GenerateDataKey",), "aws:s3:arn"),
}


def key_asks(ask: Ask, key: str | None, region: str) -> Iterator[Ask]:
    """What an action needs besides, of the key that its resource is encrypted with."""
    through = ENCRYPTED.get(ask.action)
    if through is None or key is None:
        return
    context: dict[str, str | tuple[str, ...]] = {
        "kms:viaservice": f"{through.service}.{region}.amazonaws.com",
        "aws:viaawsservice": "true",
        f"kms:encryptioncontext:{through.encryption_context}".lower(): ask.resource,
        "kms:encryptioncontextkeys": (through.encryption_context,),
    }
    yield from (Ask(action, key, context) for action in through.key_actions)


@dataclass(frozen=True)
class Step:
    """Something that a service does with a role, and how it words that it may not; `{}` is IAM's message."""

    ask: Ask
    refusal: str


# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
_CANNOT_PULL_SECRETS = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
_ECR = ".dkr.ecr."


def starting_a_task(definition: Mapping[str, Any], task: str, region: str, account: str) -> Iterator[Step]:
    """What ECS does with the execution role before it starts a task, by its id, on Fargate.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    """
    containers: Sequence[Mapping[str, Any]] = definition.get("containerDefinitions") or []
    for secret in (each for container in containers for each in container.get("secrets") or []):
        yield _secret(str(secret.get("valueFrom", "")), region, account)
    for image in (str(container.get("image", "")) for container in containers):
        if _ECR in image:
            yield from _pull(image)
    for container in containers:
        logging = container.get("logConfiguration") or {}
        if logging.get("logDriver") == "awslogs":
            yield from _log(
                logging.get("options") or {}, f"{container.get('name', '')}/{task}", region, account
            )


def _secret(value_from: str, region: str, account: str) -> Step:
    # A secret's ARN may go on with a key, a stage and a version; anything else is a parameter.
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
    if ":secretsmanager:" in value_from:
        arn = ":".join(value_from.split(":")[:7])
        return Step(
            Ask("secretsmanager:GetSecretValue", arn),
            f"{_CANNOT_PULL_SECRETS}unable to retrieve secret from asm: service call has been retried 1 time(s): "
            f"failed to fetch secret {arn} from secrets manager: AccessDeniedException: {{}}",
        )
    arn = (
        value_from
        if value_from.startswith("arn:")
        else f"arn:aws:ssm:{region}:{account}:parameter/{value_from.removeprefix('/')}"
    )
    return Step(
        Ask("ssm:GetParameters", arn),
        f"{_CANNOT_PULL_SECRETS}unable to retrieve secrets from ssm: service call has been retried 1 time(s): "
        "AccessDeniedException: {}",
    )


def _pull(image: str) -> Iterator[Step]:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/ECR_on_ECS.html
    registry, _, rest = image.partition("/")
    account, _, _, region, *_ = registry.split(".")
    repository = f"arn:aws:ecr:{region}:{account}:repository/{rest.partition('@')[0].partition(':')[0]}"
    yield Step(
        Ask("ecr:GetAuthorizationToken", "*"),
        f"{_CANNOT_PULL_SECRETS}unable to retrieve ecr registry auth: service call has been retried 1 time(s): "
        "AccessDeniedException: {}",
    )
    for action in ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"):
        yield Step(
            Ask(action, repository),
            f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: "
            "denied: {}",
        )


def _log(options: Mapping[str, str], name: str, region: str, account: str) -> Iterator[Step]:
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
    group = f"arn:aws:logs:{options.get('awslogs-region', region)}:{account}:log-group:{options.get('awslogs-group', '')}"
    stream = f"{group}:log-stream:{options.get('awslogs-stream-prefix', '')}/{name}"
    refusal = (
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
        "failed to create Cloudwatch log stream: AccessDeniedException: {}"
    )
    if str(options.get("awslogs-create-group", "")).lower() == "true":
        yield Step(Ask("logs:CreateLogGroup", f"{group}:log-stream:"), refusal)
    # Fargate creates the stream and says so when it may not; what it may not write is lost without a word, so here it
    # says so too.
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Step(Ask(action, stream), refusal)


# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
NO_EXECUTION_ROLE = "Fargate requires task definition to have execution role ARN to support ECR images, log drivers and secrets."


def cannot_assume(role: str) -> str:
    """What ECS says where a role's trust policy does not name it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-assume-role-error.html
    """
    return (
        f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the role being "
        "passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this "
        "role."
    )


def writing_a_log(group: str, region: str, account: str) -> tuple[Ask, ...]:
    """What a function's role needs for what it prints to be kept, in whichever stream.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """
    arn = f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:*"
    return (Ask("logs:CreateLogStream", arn), Ask("logs:PutLogEvents", arn))


# What CodeDeploy does with its role: https://docs.aws.amazon.com/codedeploy/latest/userguide/getting-started-create-service-role.html
CODEDEPLOY_LOOKS = (
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeRules",
)


def starting_a_release(
    service: str, task_set: str, roles: Sequence[str], alarms: Sequence[str]
) -> Iterator[Ask]:
    """What CodeDeploy needs before it starts a new task set of a service, whose tasks have these roles; by ARN, all."""
    yield Ask("ecs:DescribeServices", service)
    yield from (Ask(action, "*") for action in CODEDEPLOY_LOOKS)
    yield from (Ask("cloudwatch:DescribeAlarms", alarm) for alarm in alarms)
    yield Ask("ecs:CreateTaskSet", task_set)
    yield from (
        Ask("iam:PassRole", role, {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}) for role in roles
    )


def moving_traffic(routes: Sequence[str]) -> Iterator[Ask]:
    """What CodeDeploy needs to rewrite these rules and listeners, by ARN."""
    for arn in routes:
        rule = ":listener-rule/" in arn
        yield Ask(f"elasticloadbalancing:{'ModifyRule' if rule else 'ModifyListener'}", arn)


def ending_a_release(service: str, task_set: str) -> Iterator[Ask]:
    """What CodeDeploy needs to make the new task set the service's own, and to stop the old one."""
    yield Ask("ecs:UpdateServicePrimaryTaskSet", service)
    yield Ask("ecs:DeleteTaskSet", task_set)
