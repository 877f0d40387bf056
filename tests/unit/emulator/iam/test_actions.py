"""Requests as botocore makes them, and what IAM is asked for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from emulator.iam import actions, requests
from emulator.iam.actions import Ask
from emulator.iam.policies import Context
from emulator.iam.requests import Call, UnknownRequest

ACCOUNT, REGION = "111122223333", "us-east-1"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/main"
DEFINITION = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/prepare:7"
TASK_ROLE, EXECUTION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/task", f"arn:aws:iam::{ACCOUNT}:role/execution"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-AbCdEf"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1-2-3"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/shop/1-2-3"
GROUP = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:deploymentgroup:shop/customer"

KNOWN = {
    ("secret", "db"): SECRET,
    ("key", "alias/db"): KEY,
    ("ciphertext", "Y2lwaGVy"): KEY,
    ("stack", "shop"): STACK,
    ("deployment", "d-1"): GROUP,
    ("task-definition", "prepare"): DEFINITION,
    ("task-definition-taskRoleArn", "prepare"): TASK_ROLE,
    ("task-definition-executionRoleArn", "prepare"): EXECUTION_ROLE,
}


def lookup(kind: str, text: str) -> str | None:
    return KNOWN.get((kind, text))


def sent(service: str, method: str, parameters: Mapping[str, Any]) -> AWSPreparedRequest:
    client: Any = boto3.client(
        service,
        region_name=REGION,
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    seen: list[AWSPreparedRequest] = []

    def keep(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        seen.append(request)
        return AWSResponse(request.url, 400, {}, None)

    client.meta.events.register("before-send", keep)
    try:
        getattr(client, method)(**parameters)
    except Exception:
        if not seen:
            raise
    return seen[0]


def call(service: str, method: str, /, **parameters: Any) -> Call:
    request = sent(service, method, parameters)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    address = urlsplit(request.url)
    signed = requests.signed_for(headers.get("authorization", ""), address.query)
    assert signed is not None
    body: Any = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    return requests.read(
        service=signed[0],
        region=signed[1],
        method=request.method,
        path=address.path,
        query=address.query,
        headers=headers,
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


def asked(service: str, method: str, /, **parameters: Any) -> list[tuple[str, str]]:
    found = actions.asks(call(service, method, **parameters), ACCOUNT, lookup)
    return [(each.action, each.resource) for each in found]


def context(service: str, method: str, /, **parameters: Any) -> Context:
    found: list[Ask] = actions.asks(call(service, method, **parameters), ACCOUNT, lookup)
    return found[0].context


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


REGISTERED = {"family": "customer", "containerDefinitions": [{"name": "customer", "image": "x"}]}


@pytest.mark.parametrize(
    ("service", "method", "parameters", "expected"),
    [
        # What the functions of the platform call.
        ("ecs", "describe_services", {"cluster": CLUSTER, "services": ["customer"]}, [("ecs:DescribeServices", arn("ecs", "service/main/customer"))]),
        ("ecs", "update_service", {"cluster": "main", "service": arn("ecs", "service/main/customer")}, [("ecs:UpdateService", arn("ecs", "service/main/customer"))]),
        ("ecs", "describe_task_definition", {"taskDefinition": "prepare"}, [("ecs:DescribeTaskDefinition", "*")]),
        ("ecs", "describe_tasks", {"cluster": CLUSTER, "tasks": ["t1", arn("ecs", "task/main/t2")]}, [("ecs:DescribeTasks", arn("ecs", "task/main/t2")), ("ecs:DescribeTasks", arn("ecs", "task/main/t1"))]),
        ("ecs", "describe_tasks", {"cluster": CLUSTER, "tasks": ["t1"]}, [("ecs:DescribeTasks", arn("ecs", "task/main/t1"))]),
        ("ecs", "list_tasks", {"cluster": CLUSTER}, [("ecs:ListTasks", "*")]),
        ("ecs", "run_task", {"cluster": CLUSTER, "taskDefinition": "prepare"}, [("ecs:RunTask", DEFINITION), ("iam:PassRole", TASK_ROLE), ("iam:PassRole", EXECUTION_ROLE)]),
        ("ecs", "run_task", {"taskDefinition": "prepare", "overrides": {"taskRoleArn": "arn:aws:iam::1:role/other"}}, [("ecs:RunTask", DEFINITION), ("iam:PassRole", "arn:aws:iam::1:role/other"), ("iam:PassRole", EXECUTION_ROLE)]),
        ("ecs", "register_task_definition", {**REGISTERED, "taskRoleArn": TASK_ROLE}, [("ecs:RegisterTaskDefinition", arn("ecs", "task-definition/customer:*")), ("iam:PassRole", TASK_ROLE)]),
        ("ecs", "describe_service_revisions", {"serviceRevisionArns": [arn("ecs", "service-revision/main/customer/1")]}, [("ecs:DescribeServiceRevisions", arn("ecs", "service-revision/main/customer/1"))]),
        ("codedeploy", "create_deployment", {"applicationName": "shop", "deploymentGroupName": "customer"}, [("codedeploy:CreateDeployment", GROUP)]),
        ("codedeploy", "get_deployment", {"deploymentId": "d-1"}, [("codedeploy:GetDeployment", GROUP)]),
        ("codedeploy", "stop_deployment", {"deploymentId": "d-1"}, [("codedeploy:StopDeployment", "*")]),
        ("codedeploy", "list_deployments", {"applicationName": "shop", "deploymentGroupName": "customer"}, [("codedeploy:ListDeployments", GROUP)]),
        ("codedeploy", "get_deployment_group", {"applicationName": "shop", "deploymentGroupName": "customer"}, [("codedeploy:GetDeploymentGroup", GROUP)]),
        ("codedeploy", "list_deployment_targets", {"deploymentId": "d-1"}, [("codedeploy:ListDeploymentTargets", "*")]),
        ("codedeploy", "batch_get_deployment_targets", {"deploymentId": "d-1", "targetIds": ["x"]}, [("codedeploy:BatchGetDeploymentTargets", "*")]),
        ("codedeploy", "put_lifecycle_event_hook_execution_status", {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "x", "status": "Succeeded"}, [("codedeploy:PutLifecycleEventHookExecutionStatus", "*")]),
        ("cloudformation", "describe_stacks", {"StackName": "shop"}, [("cloudformation:DescribeStacks", STACK)]),
        ("cloudformation", "describe_stack_resource", {"StackName": STACK, "LogicalResourceId": "x"}, [("cloudformation:DescribeStackResource", STACK)]),
        ("cloudformation", "describe_stack_events", {"StackName": "new"}, [("cloudformation:DescribeStackEvents", arn("cloudformation", "stack/new/*"))]),
        ("cloudformation", "update_stack", {"StackName": "shop", "RoleARN": EXECUTION_ROLE}, [("cloudformation:UpdateStack", STACK), ("iam:PassRole", EXECUTION_ROLE)]),
        ("elbv2", "describe_rules", {"RuleArns": [arn("elasticloadbalancing", "listener-rule/app/a/b/c/d")]}, [("elasticloadbalancing:DescribeRules", "*")]),
        ("elbv2", "modify_rule", {"RuleArn": arn("elasticloadbalancing", "listener-rule/app/a/b/c/d")}, [("elasticloadbalancing:ModifyRule", arn("elasticloadbalancing", "listener-rule/app/a/b/c/d"))]),
        ("elbv2", "register_targets", {"TargetGroupArn": arn("elasticloadbalancing", "targetgroup/a/b"), "Targets": [{"Id": "10.0.0.1"}]}, [("elasticloadbalancing:RegisterTargets", arn("elasticloadbalancing", "targetgroup/a/b"))]),
        ("ec2", "describe_network_interfaces", {"NetworkInterfaceIds": ["eni-1"]}, [("ec2:DescribeNetworkInterfaces", "*")]),
        ("logs", "get_log_events", {"logGroupName": "/a/b", "logStreamName": "s/1"}, [("logs:GetLogEvents", arn("logs", "log-group:/a/b:log-stream:s/1"))]),
        ("sns", "publish", {"TopicArn": arn("sns", "alarms"), "Message": "m"}, [("sns:Publish", arn("sns", "alarms"))]),
        # What the services and the pipelines' builds call.
        ("secretsmanager", "get_secret_value", {"SecretId": SECRET}, [("secretsmanager:GetSecretValue", SECRET)]),
        ("secretsmanager", "get_secret_value", {"SecretId": "db"}, [("secretsmanager:GetSecretValue", SECRET)]),
        ("secretsmanager", "put_secret_value", {"SecretId": "new", "SecretString": "x"}, [("secretsmanager:PutSecretValue", arn("secretsmanager", "secret:new"))]),
        ("ecr", "describe_images", {"repositoryName": "shop/customer"}, [("ecr:DescribeImages", arn("ecr", "repository/shop/customer"))]),
        ("ecr", "describe_image_scan_findings", {"repositoryName": "shop/customer", "imageId": {"imageTag": "1"}}, [("ecr:DescribeImageScanFindings", arn("ecr", "repository/shop/customer"))]),
        ("ecr", "describe_repositories", {"repositoryNames": ["aa", "b/c"]}, [("ecr:DescribeRepositories", arn("ecr", "repository/aa")), ("ecr:DescribeRepositories", arn("ecr", "repository/b/c"))]),
        ("ecr", "get_authorization_token", {}, [("ecr:GetAuthorizationToken", "*")]),
        ("ecr-public", "get_authorization_token", {}, [("ecr-public:GetAuthorizationToken", "*")]),
        # Encryption.
        ("kms", "decrypt", {"CiphertextBlob": b"cipher"}, [("kms:Decrypt", KEY)]),
        ("kms", "generate_data_key", {"KeyId": "alias/db", "KeySpec": "AES_256"}, [("kms:GenerateDataKey", KEY)]),
        ("kms", "encrypt", {"KeyId": KEY, "Plaintext": b"x"}, [("kms:Encrypt", KEY)]),
        # Buckets.
        ("s3", "list_objects_v2", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("s3", "list_objects", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("s3", "list_buckets", {}, [("s3:ListAllMyBuckets", "*")]),
        ("s3", "head_object", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", "arn:aws:s3:::b/k")]),
        ("s3", "get_object", {"Bucket": "b", "Key": "a/k ü", "VersionId": "1"}, [("s3:GetObjectVersion", "arn:aws:s3:::b/a/k ü")]),
        ("s3", "put_object", {"Bucket": "b", "Key": "a/k", "Body": b"x"}, [("s3:PutObject", "arn:aws:s3:::b/a/k")]),
        ("s3", "upload_part", {"Bucket": "b", "Key": "k", "PartNumber": 1, "UploadId": "u", "Body": b"x"}, [("s3:PutObject", "arn:aws:s3:::b/k")]),
        ("s3", "copy_object", {"Bucket": "b", "Key": "k", "CopySource": "c/l"}, [("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "arn:aws:s3:::c/l")]),
        ("s3", "get_bucket_location", {"Bucket": "b"}, [("s3:GetBucketLocation", "arn:aws:s3:::b")]),
        ("s3", "put_bucket_encryption", {"Bucket": "b", "ServerSideEncryptionConfiguration": {"Rules": []}}, [("s3:PutEncryptionConfiguration", "arn:aws:s3:::b")]),
        # Others, one of each protocol and more.
        ("sts", "get_caller_identity", {}, []),
        ("sts", "assume_role", {"RoleArn": TASK_ROLE, "RoleSessionName": "session"}, [("sts:AssumeRole", TASK_ROLE)]),
        ("lambda", "invoke", {"FunctionName": "check"}, [("lambda:InvokeFunction", arn("lambda", "function:check"))]),
        ("lambda", "invoke", {"FunctionName": arn("lambda", "function:check")}, [("lambda:InvokeFunction", arn("lambda", "function:check"))]),
        ("lambda", "create_function", {"FunctionName": "f", "Role": TASK_ROLE, "Code": {"ZipFile": b"x"}}, [("lambda:CreateFunction", arn("lambda", "function:f")), ("iam:PassRole", TASK_ROLE)]),
        ("cloudwatch", "put_metric_data", {"Namespace": "Shop", "MetricData": [{"MetricName": "m"}]}, [("cloudwatch:PutMetricData", "*")]),
        ("cloudwatch", "describe_alarms", {"AlarmNames": ["a", "b"]}, [("cloudwatch:DescribeAlarms", arn("cloudwatch", "alarm:a")), ("cloudwatch:DescribeAlarms", arn("cloudwatch", "alarm:b"))]),
        ("codebuild", "start_build", {"projectName": "test"}, [("codebuild:StartBuild", arn("codebuild", "project/test"))]),
        ("codepipeline", "start_pipeline_execution", {"name": "customer"}, [("codepipeline:StartPipelineExecution", arn("codepipeline", "customer"))]),
        ("iam", "get_role", {"RoleName": "task"}, [("iam:GetRole", TASK_ROLE)]),
        ("ssm", "get_parameter", {"Name": "/cdk/version"}, [("ssm:GetParameter", arn("ssm", "parameter/cdk/version"))]),
    ],
)  # fmt: skip
def test_a_call_asks_for_actions_on_resources(
    service: str, method: str, parameters: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert asked(service, method, **parameters) == expected


@pytest.mark.parametrize(
    ("service", "method", "parameters", "key", "value"),
    [
        ("ecs", "list_tasks", {"cluster": "main"}, "ecs:cluster", CLUSTER),
        ("ecs", "run_task", {"taskDefinition": "prepare"}, "ecs:cluster", CLUSTER.replace("main", "default")),
        ("s3", "put_object", {"Bucket": "b", "Key": "k", "ACL": "bucket-owner-full-control"}, "s3:x-amz-acl", "bucket-owner-full-control"),
        ("s3", "list_objects_v2", {"Bucket": "b", "Prefix": "home/"}, "s3:prefix", "home/"),
        ("kms", "encrypt", {"KeyId": KEY, "Plaintext": b"x", "EncryptionContext": {"aws:logs:arn": "g"}}, "kms:encryptioncontext:aws:logs:arn", "g"),
        ("cloudwatch", "put_metric_data", {"Namespace": "Shop", "MetricData": [{"MetricName": "m"}]}, "cloudwatch:namespace", "Shop"),
        ("sns", "create_topic", {"Name": "t", "Tags": [{"Key": "environment", "Value": "dev"}]}, "aws:requesttag/environment", "dev"),
        ("ecs", "create_cluster", {"clusterName": "c", "tags": [{"key": "a", "value": "b"}]}, "aws:tagkeys", ("a",)),
    ],
)  # fmt: skip
def test_a_call_has_condition_keys(
    service: str, method: str, parameters: dict[str, Any], key: str, value: object
) -> None:
    assert context(service, method, **parameters)[key] == value


def test_a_role_is_passed_to_a_service() -> None:
    found = actions.asks(call("ecs", "run_task", taskDefinition="prepare"), ACCOUNT, lookup)
    assert {each.context.get("iam:passedtoservice") for each in found[1:]} == {"ecs-tasks.amazonaws.com"}


@pytest.mark.parametrize(
    ("service", "path"), [("nothing", "/"), ("lambda", "/2015-03-31/nowhere"), ("s3", "/b")]
)
def test_what_is_no_operation_of_aws_is_told(service: str, path: str) -> None:
    with pytest.raises(UnknownRequest):
        requests.read(
            service=service, region=REGION, method="PATCH", path=path, query="", headers={}, body=b""
        )


def test_a_request_without_a_signature_is_signed_for_nothing() -> None:
    assert requests.signed_for("Bearer x", "a=b") is None
    presigned = "X-Amz-Credential=ASIA%2F20261127%2Feu-west-1%2Fs3%2Faws4_request"
    assert requests.signed_for("", presigned) == ("s3", "eu-west-1")
