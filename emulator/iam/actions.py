"""What a call asks of IAM: actions, the resources that each is on, and the condition keys.

Which action an operation is and which types of resource it takes are AWS's own words (`reference`); what those do not
tell is in the tables below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from emulator.iam import reference
from emulator.iam.policies import Context
from emulator.iam.requests import Call

# What the caller knows of its resources that no request says, by kind and text: the ARN that a secret's name or a key's
# alias stands for, the group of a deployment; None where there is none. See `_LOOKED_UP`.
Lookup = Callable[[str, str], "str | None"]

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Ask:
    """One action that a call needs, on one resource."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


# Prefixes of actions that are not the name of botocore's model.
_PREFIXES = {
    "efs": "elasticfilesystem",
    "elbv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
    "sesv2": "ses",
    "stepfunctions": "states",
}

# Operations whose action has another name.
_ACTIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    # https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    ("lambda", "Invoke"): ("InvokeFunction",),
    ("lambda", "InvokeWithResponseStream"): ("InvokeFunction",),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    **{
        ("s3", operation): (action,)
        for operation, action in {
            "AbortMultipartUpload": "AbortMultipartUpload",
            "CompleteMultipartUpload": "PutObject",
            "CopyObject": "PutObject",
            "CreateMultipartUpload": "PutObject",
            "DeleteBucketCors": "PutBucketCORS",
            "DeleteBucketEncryption": "PutEncryptionConfiguration",
            "DeleteBucketLifecycle": "PutLifecycleConfiguration",
            "DeleteBucketTagging": "PutBucketTagging",
            "DeleteObjects": "DeleteObject",
            "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
            "GetBucketEncryption": "GetEncryptionConfiguration",
            "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
            "GetBucketNotificationConfiguration": "GetBucketNotification",
            "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
            "HeadBucket": "ListBucket",
            "HeadObject": "GetObject",
            "ListBuckets": "ListAllMyBuckets",
            "ListMultipartUploads": "ListBucketMultipartUploads",
            "ListObjectVersions": "ListBucketVersions",
            "ListObjects": "ListBucket",
            "ListObjectsV2": "ListBucket",
            "ListParts": "ListMultipartUploadParts",
            "PutBucketEncryption": "PutEncryptionConfiguration",
            "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
            "PutBucketNotificationConfiguration": "PutBucketNotification",
            "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
            "UploadPart": "PutObject",
            "UploadPartCopy": "PutObject",
        }.items()
    },
}
# A version that is named has actions of its own.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_VERSIONED = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}

# https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: "No permissions are required".
NEED_NOTHING = frozenset({"sts:GetCallerIdentity"})

# The members of requests that name what an ARN's variable stands for, where they are not called like it. Each service's
# page of https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
# has the ARN, its API reference the member.
_MEMBERS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("cloudwatch", "AlarmName"): ("AlarmName", "AlarmNames"),
    ("codebuild", "ProjectName"): ("projectName", "name", "names"),
    ("codecommit", "RepositoryName"): ("repositoryName",),
    ("codedeploy", "DeploymentConfigurationName"): ("deploymentConfigName",),
    ("codepipeline", "PipelineName"): ("pipelineName", "name"),
    ("ecs", "ClusterName"): ("cluster", "clusters", "clusterName"),
    ("ecs", "ServiceName"): ("service", "services", "serviceName"),
    ("ecs", "TaskDefinitionFamilyName"): ("family",),
    ("ecs", "TaskId"): ("task", "tasks"),
    ("iam", "RoleNameWithPath"): ("RoleName",),
    ("kms", "KeyId"): ("KeyId", "TargetKeyId"),
    ("lambda", "FunctionName"): ("FunctionName",),
    ("rds", "DbInstanceName"): ("DBInstanceIdentifier",),
    ("rds", "DbClusterInstanceName"): ("DBClusterIdentifier",),
    ("s3", "BucketName"): ("Bucket",),
    ("s3", "ObjectName"): ("Key",),
    ("secretsmanager", "SecretId"): ("SecretId", "Name"),
    ("ssm", "ParameterNameWithoutLeadingSlash"): ("Name", "Names"),
}

# Members whose value only the caller can make an ARN of.
_LOOKED_UP: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("secretsmanager", "secret"): (("SecretId", "secret"),),
    ("kms", "key"): (("KeyId", "key"), ("CiphertextBlob", "ciphertext")),
    ("cloudformation", "stack"): (("StackName", "stack"),),
    ("codedeploy", "deploymentgroup"): (("deploymentId", "deployment"),),
    ("ecs", "task-definition"): (("taskDefinition", "task-definition"),),
    ("iam", "role"): (("RoleName", "role"),),
}

# Roles that a call passes on, by the path of the member, and to which service.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
_PASSED: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    ("ecs", "RegisterTaskDefinition"): (
        ("taskRoleArn", "ecs-tasks.amazonaws.com"),
        ("executionRoleArn", "ecs-tasks.amazonaws.com"),
    ),
    **{
        ("ecs", operation): (
            ("overrides.taskRoleArn", "ecs-tasks.amazonaws.com"),
            ("overrides.executionRoleArn", "ecs-tasks.amazonaws.com"),
        )
        for operation in ("RunTask", "StartTask")
    },
    # https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
    ("lambda", "CreateFunction"): (("Role", "lambda.amazonaws.com"),),
    ("lambda", "UpdateFunctionConfiguration"): (("Role", "lambda.amazonaws.com"),),
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/getting-started-create-service-role.html
    ("codedeploy", "CreateDeploymentGroup"): (("serviceRoleArn", "codedeploy.amazonaws.com"),),
    ("codedeploy", "UpdateDeploymentGroup"): (("serviceRoleArn", "codedeploy.amazonaws.com"),),
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
    ("cloudformation", "CreateStack"): (("RoleARN", "cloudformation.amazonaws.com"),),
    ("cloudformation", "UpdateStack"): (("RoleARN", "cloudformation.amazonaws.com"),),
    ("cloudformation", "CreateChangeSet"): (("RoleARN", "cloudformation.amazonaws.com"),),
    # https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    ("codebuild", "CreateProject"): (("serviceRole", "codebuild.amazonaws.com"),),
    ("codebuild", "UpdateProject"): (("serviceRole", "codebuild.amazonaws.com"),),
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
    ("codepipeline", "CreatePipeline"): (("pipeline.roleArn", "codepipeline.amazonaws.com"),),
    ("codepipeline", "UpdatePipeline"): (("pipeline.roleArn", "codepipeline.amazonaws.com"),),
}
# Operations that start what a task definition describes, and so pass its roles on.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-pass-role.html
_PASS_THE_DEFINITIONS = frozenset({("ecs", name) for name in ("RunTask", "StartTask", "CreateService")})


def passed_roles(call: Call, lookup: Lookup) -> Iterator[tuple[str, str]]:
    """The roles that a call passes on, by ARN, with the service that each is passed to."""
    for path, service in _PASSED.get((call.service, call.operation), ()):
        value: Any = call.parameters
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value:
            yield value, service
    if (call.service, call.operation) in _PASS_THE_DEFINITIONS:
        definition = str(call.parameters.get("taskDefinition", ""))
        overridden = call.parameters.get("overrides") or {}
        for member in ("taskRoleArn", "executionRoleArn"):
            role = lookup(f"task-definition-{member}", definition)
            if role and not overridden.get(member):
                yield role, "ecs-tasks.amazonaws.com"


def asks(call: Call, account: str, lookup: Lookup) -> list[Ask]:
    """Every action that the call needs, on each of its resources."""
    prefix = _PREFIXES.get(call.service, call.service)
    needed: list[Ask] = []
    for name in _ACTIONS.get((call.service, call.operation), (call.operation,)):
        if call.service == "s3" and call.parameters.get("VersionId"):
            name = _VERSIONED.get(name, name)
        action = _as_aws_writes_it(prefix, name)
        context = {**_keys(call, prefix, account), **_tag_keys(call)}
        needed += [Ask(action, resource, context) for resource in resources(action, call, account, lookup)]
    source = str(call.headers.get("x-amz-copy-source", "")) if call.service == "s3" else ""
    if source:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        needed.append(Ask("s3:GetObject", f"arn:aws:s3:::{source.lstrip('/').partition('?')[0]}"))
    needed += [
        Ask("iam:PassRole", role, {"iam:passedtoservice": service})
        for role, service in passed_roles(call, lookup)
    ]
    return [each for each in needed if each.action not in NEED_NOTHING]


@cache
def _as_aws_writes_it(prefix: str, operation: str) -> str:
    known = _known(f"{prefix}:{operation}")
    return known.name if known else f"{prefix}:{operation}"


def _known(name: str) -> reference.Action | None:
    try:
        found = reference.actions(name)
    except LookupError:
        return None
    return found[0] if found else None


def resources(action: str, call: Call, account: str, lookup: Lookup) -> list[str]:
    """The ARNs of the resources that an action of the call is on; `*` where it is on none, or none is named."""
    known = _known(action)
    found: list[str] = []
    for kind in sorted(
        known.resource_types if known else (), key=lambda each: (each not in _required(known), each)
    ):
        found += (each for each in _of_kind(action, kind, call, account, lookup) if each not in found)
        # Types that an action knows beside each other, such as a bucket and an access point, are one or the other.
        if found:
            break
    return found or ["*"]


def _required(known: reference.Action | None) -> frozenset[str]:
    return known.required if known else frozenset()


def _of_kind(action: str, kind: str, call: Call, account: str, lookup: Lookup) -> Iterable[str]:
    prefix = action.partition(":")[0]
    form = reference.resource_type(prefix, kind)["arn"]
    for member, looked_up in _LOOKED_UP.get((prefix, kind.lower()), ()):
        text = call.parameters.get(member)
        arn = lookup(looked_up, _text(text)) if text else None
        if arn:
            return [arn]
    pattern = re.compile(".+".join(re.escape(part) for part in re.split(r"\$\{\w+\}", form)))
    found = [each for each in _texts(call.parameters.values()) if pattern.fullmatch(each)]
    found += (each for each in _filled(prefix, form, call, account, given=found) if each not in found)
    return [_as_requested(action, kind, each) for each in found]


def _as_requested(action: str, kind: str, arn: str) -> str:
    # A group's ARN ends with :* in policies, but for the actions on tags:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    if kind == "log-group" and not action.lower().startswith(("logs:tag", "logs:untag", "logs:listtags")):
        return arn if arn.endswith(":*") or ":log-stream:" in arn else f"{arn}:log-stream:"
    return arn


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (each for each in value if isinstance(each, str))


def _filled(prefix: str, form: str, call: Call, account: str, *, given: Sequence[str]) -> Iterator[str]:
    """The form with its variables filled by members of the request; several where a member lists several.

    `given` are the ARNs that the request has whole.
    """
    made = [
        form.replace("${Partition}", "aws").replace("${Region}", call.region).replace("${Account}", account)
    ]
    for variable in _VARIABLE.findall(made[0]):
        names = [_name(variable, each) for each in _values(prefix, variable, call) if each not in given]
        made = [each.replace(f"${{{variable}}}", name) for each in made for name in names]
    yield from made


def _values(prefix: str, variable: str, call: Call) -> list[str]:
    members = _MEMBERS.get((prefix, variable))
    if members is None:
        # Called like it, or like several of it.
        names = (variable.lower(), f"{variable.lower()}s")
        members = tuple(each for each in call.parameters if each.lower() in names)
    for member in members:
        texts = list(_texts([call.parameters.get(member)]))
        if texts:
            return texts
    unsaid = _UNSAID.get((prefix, variable))
    return [unsaid] if unsaid else []


# What stands for a member that was not sent.
_UNSAID = {
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html: "If you do not specify a cluster, the
    # default cluster is assumed."
    ("ecs", "ClusterName"): "default",
    # A revision is known only once it is registered.
    ("ecs", "TaskDefinitionRevisionNumber"): "*",
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
    ("cloudformation", "Id"): "*",
}


def _name(variable: str, text: str) -> str:
    """The name that an ARN ends with, or the text itself."""
    if text.startswith("arn:"):
        return re.split(r"[:/]", text)[-1]
    return text.removeprefix("/") if variable.endswith("WithoutLeadingSlash") else text


def _tag_keys(call: Call) -> dict[str, str | tuple[str, ...]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-requesttag"""
    tags = call.parameters.get("tags") or call.parameters.get("Tags")
    if isinstance(tags, Mapping):
        pairs = {str(key): str(value) for key, value in tags.items()}
    elif isinstance(tags, list):
        pairs = {
            str(each.get("key") or each.get("Key")): str(each.get("value") or each.get("Value") or "")
            for each in tags
            if isinstance(each, Mapping)
        }
    else:
        return {}
    return {
        "aws:tagkeys": tuple(pairs),
        **{f"aws:requesttag/{key}".lower(): value for key, value in pairs.items()},
    }


def _keys(call: Call, prefix: str, account: str) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of the service that the request itself has, of those that the project's policies use.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
    """
    parameters = call.parameters
    if prefix == "ecs":
        cluster = str(parameters.get("cluster") or "default")
        return {
            "ecs:cluster": cluster
            if cluster.startswith("arn:")
            else f"arn:aws:ecs:{call.region}:{account}:cluster/{cluster}"
        }
    if prefix == "s3":
        sent = {f"s3:{name}": value for name, value in call.headers.items() if name.startswith("x-amz-")}
        members = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}
        listed = {key: str(parameters[name]) for name, key in members.items() if name in parameters}
        return {**sent, **listed, "s3:resourceaccount": account}
    if prefix == "kms":
        encryption = parameters.get("EncryptionContext") or {}
        return {
            "kms:calleraccount": account,
            "kms:encryptioncontextkeys": tuple(encryption),
            **{f"kms:encryptioncontext:{key}".lower(): str(value) for key, value in encryption.items()},
        }
    if prefix == "secretsmanager":
        members = {
            "SecretId": "secretsmanager:secretid",
            "VersionId": "secretsmanager:versionid",
            "VersionStage": "secretsmanager:versionstage",
        }
        return {key: str(parameters[name]) for name, key in members.items() if name in parameters}
    if prefix == "cloudwatch" and "Namespace" in parameters:
        return {"cloudwatch:namespace": str(parameters["Namespace"])}
    return {}
