"""What policies do not allow is refused in AWS's words: to sessions of roles, and to what AWS does in their name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import settings
from emulator import lifecycle
from emulator.instance import Instance
from ops.aws.clients import Clients
from tests.e2e import roles
from tests.e2e.checkout import free_port
from tests.e2e.roles import allow, document, make_role, trust, write_rights

pytestmark = pytest.mark.docker

ACCOUNT, REGION = "000000000000", "us-east-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SECONDS = 30.0
THROUGH_SECRETS = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}


@dataclass(frozen=True)
class Session:
    """Clients with a role's credentials."""

    _session: Any
    _url: str

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self._url)


@dataclass(frozen=True)
class Site:
    """An emulator with a secret that a key of the account encrypts."""

    instance: Instance
    administrator: Clients
    key: str
    secret: str

    def client(self, service: str) -> Any:
        return self.administrator.client(service)

    def session(self, role: str, *, secret: str | None = None, token: str | None = None) -> Session:
        """With the rights of a role; another secret or token than the session's is somebody's guess."""
        found = self.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        made = boto3.Session(
            region_name=REGION,
            aws_access_key_id=found["AccessKeyId"],
            aws_secret_access_key=secret or found["SecretAccessKey"],
            aws_session_token=token or found["SessionToken"],
        )
        return Session(made, self.instance.url)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    instance = Instance(port=free_port(int(os.environ.get("EMULATOR_PORT") or 4666)))
    # As users start it: what it starts outlives the process that does.
    subprocess.run(
        [sys.executable, "-m", "emulator", "up", "--port", str(instance.port)],
        cwd=settings.ROOT,
        check=True,
        timeout=300,
    )
    try:
        variables = {
            "AWS_ENDPOINT_URL": instance.url,
            "AWS_ACCESS_KEY_ID": instance.account,
            "AWS_SECRET_ACCESS_KEY": "emulator",
        }
        administrator = Clients(REGION, variables)
        policy = document({**allow("kms:*"), "Principal": {"AWS": ROOT}})
        key = administrator.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
        secret = administrator.client("secretsmanager").create_secret(
            Name="database", SecretString="open sesame", KmsKeyId=key
        )["ARN"]
        yield Site(instance, administrator, key, secret)
    finally:
        lifecycle.down(instance)


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    """Code and words of what was refused."""
    found = error.value.response["Error"]
    return found["Code"], found["Message"]


def test_a_secret_needs_its_key_too_and_only_through_secrets_manager(site: Site) -> None:
    iam, read = site.client("iam"), allow("secretsmanager:GetSecretValue", resource=site.secret)
    role = make_role(iam, "reader", trust(AWS=ROOT))
    session = site.session(role)
    secrets = session.client("secretsmanager")

    def refused() -> tuple[str, str]:
        with pytest.raises(ClientError) as error:
            secrets.get_secret_value(SecretId="database")
        return refusal(error)

    who = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/test is not authorized to perform:"
    assert refused() == (
        "AccessDeniedException",
        f"{who} secretsmanager:GetSecretValue on resource: {site.secret} because no identity-based policy allows the "
        "secretsmanager:GetSecretValue action",
    )
    write_rights(iam, "reader", read)
    assert refused() == (
        "AccessDeniedException",
        f"{who} kms:Decrypt on resource: {site.key} because no identity-based policy allows the kms:Decrypt action",
    )
    write_rights(iam, "reader", read, allow("kms:Decrypt", resource=site.key, Condition=THROUGH_SECRETS))
    assert secrets.get_secret_value(SecretId="database")["SecretString"] == "open sesame"
    ciphertext = site.client("kms").encrypt(KeyId=site.key, Plaintext=b"x")["CiphertextBlob"]
    with pytest.raises(ClientError) as error:
        session.client("kms").decrypt(CiphertextBlob=ciphertext)
    assert refusal(error)[0] == "AccessDeniedException"
    # What the secret's own policy forbids, no other policy allows.
    forbidding = document({**allow("secretsmanager:*"), "Effect": "Deny", "Principal": {"AWS": role}})
    site.client("secretsmanager").put_resource_policy(
        SecretId=site.secret, ResourcePolicy=json.dumps(forbidding)
    )
    assert refused()[1].endswith("with an explicit deny in a resource-based policy")
    site.client("secretsmanager").delete_resource_policy(SecretId=site.secret)


@pytest.mark.parametrize(
    ("service", "method", "parameters", "code"),
    [
        ("s3", "get_object", {"Bucket": "b", "Key": "k"}, "AccessDenied"),
        ("ecs", "list_clusters", {}, "AccessDeniedException"),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation"),
        ("sns", "list_topics", {}, "AuthorizationError"),
        ("logs", "describe_log_groups", {}, "AccessDeniedException"),
        ("lambda", "invoke", {"FunctionName": "f"}, "AccessDeniedException"),
        ("cloudformation", "describe_stacks", {}, "AccessDenied"),
        ("codedeploy", "list_applications", {}, "AccessDeniedException"),
        ("elbv2", "describe_rules", {}, "AccessDenied"),
        ("cloudwatch", "list_metrics", {}, "AccessDeniedException"),
    ],
)
def test_a_role_without_policies_may_nothing_but_say_who_it_is(
    site: Site, service: str, method: str, parameters: dict[str, Any], code: str
) -> None:
    name = f"nobody-{service}"
    session = site.session(make_role(site.client("iam"), name, trust(AWS=ROOT)))
    assert session.client("sts").get_caller_identity()["Arn"].endswith(f":assumed-role/{name}/test")
    with pytest.raises(ClientError) as error:
        getattr(session.client(service), method)(**parameters)
    found, words = refusal(error)
    assert found == code
    assert "because no identity-based policy allows the" in words


def test_a_role_is_taken_only_by_whom_its_trust_policy_names(site: Site) -> None:
    role = make_role(site.client("iam"), "for-functions", trust(Service="lambda.amazonaws.com"))
    with pytest.raises(ClientError) as error:
        site.session(role)
    assert refusal(error)[1].endswith("because no role trust policy allows the sts:AssumeRole action")


@pytest.mark.parametrize(("secret", "token"), [("wrong", None), (None, "wrong")])
def test_credentials_that_are_not_those_of_the_session_are_refused(
    site: Site, secret: str | None, token: str | None
) -> None:
    role = make_role(site.client("iam"), f"guessed-{secret}-{token}", trust(AWS=ROOT))
    guessed = site.session(role, secret=secret, token=token)
    with pytest.raises(ClientError) as error:
        guessed.client("ecs").list_clusters()
    assert refusal(error)[0] in {"InvalidSignatureException", "UnrecognizedClientException"}


GROUP = "/tasks"
LOG = allow(
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    resource=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:*",
)


def run(site: Site, **roles_: str) -> dict[str, Any]:
    """A task that prints what its secret is, once it has ended or does not start."""
    ecs = site.client("ecs")
    ecs.create_cluster(clusterName="main")
    container = {
        "name": "print",
        "image": "python:3.13-slim-trixie",
        "command": ["python", "-c", "import os; print('it is', os.environ['SECRET'])"],
        "secrets": [{"name": "SECRET", "valueFrom": site.secret}],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": GROUP,
                "awslogs-region": REGION,
                "awslogs-stream-prefix": "print",
            },
        },
    }
    definition = ecs.register_task_definition(
        family="print",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[container],
        **roles_,
    )["taskDefinition"]["taskDefinitionArn"]
    (task,) = ecs.run_task(cluster="main", taskDefinition=definition, launchType="FARGATE")["tasks"]
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        (found,) = ecs.describe_tasks(cluster="main", tasks=[task["taskArn"]])["tasks"]
        if found["lastStatus"] == "STOPPED":
            return dict(found)
        time.sleep(0.2)
    raise AssertionError(f"the task is {found['lastStatus']}")


def test_a_task_starts_only_with_what_its_execution_role_lets_ecs_do(site: Site) -> None:
    iam = site.client("iam")
    site.client("logs").create_log_group(logGroupName=GROUP)
    role = make_role(iam, "execution", trust(Service="ecs-tasks.amazonaws.com"))
    read = allow("secretsmanager:GetSecretValue", resource=site.secret)
    decrypt = allow("kms:Decrypt", resource=site.key, Condition=THROUGH_SECRETS)
    for statements, action in (
        ((LOG,), "secretsmanager:GetSecretValue"),
        ((LOG, read), "kms:Decrypt"),
        ((read, decrypt), "logs:CreateLogStream"),
    ):
        write_rights(iam, "execution", *statements)
        task = run(site, executionRoleArn=role)
        assert task["stopCode"] == "TaskFailedToStart"
        assert task["stoppedReason"].startswith("ResourceInitializationError: ")
        assert f"is not authorized to perform: {action} on resource: " in task["stoppedReason"]
    write_rights(iam, "execution", LOG, read, decrypt)
    task = run(site, executionRoleArn=role)
    assert task["containers"][0]["exitCode"] == 0
    printed = site.client("logs").filter_log_events(logGroupName=GROUP)["events"]
    assert [event["message"] for event in printed] == ["it is open sesame"]


def test_a_task_does_not_start_with_a_role_that_ecs_may_not_take(site: Site) -> None:
    role = make_role(site.client("iam"), "of-functions", trust(Service="lambda.amazonaws.com"))
    task = run(site, executionRoleArn=role)
    assert task["stoppedReason"].startswith(f"ECS was unable to assume the role '{role}'")


def test_a_role_is_passed_on_only_where_its_user_may_pass_it(site: Site) -> None:
    iam = site.client("iam")
    passed = make_role(iam, "passed", trust(Service="ecs-tasks.amazonaws.com"))
    ecs = site.session(
        make_role(iam, "deployer", trust(AWS=ROOT), allow("ecs:RegisterTaskDefinition"))
    ).client("ecs")
    definition = {
        "family": "passing",
        "executionRoleArn": passed,
        "containerDefinitions": [{"name": "a", "image": "b", "memory": 128}],
    }
    with pytest.raises(ClientError) as error:
        ecs.register_task_definition(**definition)
    assert f"is not authorized to perform: iam:PassRole on resource: {passed}" in refusal(error)[1]
    for service, allowed in (("ec2", False), ("ecs-tasks", True)):
        condition = {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}
        write_rights(
            iam,
            "deployer",
            allow("ecs:RegisterTaskDefinition"),
            allow("iam:PassRole", resource=passed, Condition=condition),
        )
        if allowed:
            assert ecs.register_task_definition(**definition)["taskDefinition"]["revision"] == 1
        else:
            with pytest.raises(ClientError, match="iam:PassRole"):
                ecs.register_task_definition(**definition)


def test_what_was_used_is_recorded_with_the_statement_that_allowed_it(site: Site) -> None:
    iam = site.client("iam")
    role = make_role(iam, "recorded", trust(AWS=ROOT), {**allow("ecs:ListClusters"), "Sid": "Look"})
    ecs = site.session(role).client("ecs")
    ecs.list_clusters()
    ecs.list_clusters()
    with pytest.raises(ClientError):
        ecs.list_task_definitions()
    found = [each for each in lifecycle.ask(site.instance, "/_emulator/rights") if each["principal"] == role]
    kept = ("action", "resource", "allowed", "policy", "statement", "count")
    assert [{name: each[name] for name in kept} for each in found] == [
        {
            "action": "ecs:ListClusters",
            "resource": "*",
            "allowed": True,
            "policy": f"{role}/{roles.POLICY}",
            "statement": "Look",
            "count": 2,
        },
        {
            "action": "ecs:ListTaskDefinitions",
            "resource": "*",
            "allowed": False,
            "policy": "",
            "statement": "",
            "count": 1,
        },
    ]
    assert found[0]["first"] < found[0]["last"]
