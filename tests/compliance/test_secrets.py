"""No secret is in what is deployed, shown or kept of it, and every secret changes by itself.

What the running containers, their logs and the deployed stacks show is searched by tests/e2e/test_deploy.py.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import settings
from tests.conftest import ENVIRONMENTS, Synthesize, built
from tests.resources import of_type

# Forms that nothing but a credential has.
CREDENTIAL = re.compile(
    rb"\b(AKIA|ASIA)[A-Z0-9]{16}\b"  # AWS access keys
    rb"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    rb"|\bgh[opsur]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}"
    rb"|\bxox[abprs]-[A-Za-z0-9-]{10,}"  # Slack
    rb"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."  # JSON web tokens
    rb"|[a-z][a-z0-9+]*://[^\s/:@\"'{}<>$]+:[^\s/:@\"'{}<>$]{3,}@"  # passwords in URLs
)
SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|credential|private_?key|api_?key|access_?key)")
# Where a secret is, how it is made and which service issues it: not the secret.
NO_SECRET_NAME = re.compile(
    r"(?i)(arn|id|length|template|key|type|url|service)$|^ServiceToken$|^GenerateSecretString$|PassedToService"
)


def named_values(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every value of a property whose name says that it is a secret; variables of containers and builds too."""
    if isinstance(document, dict):
        if isinstance(document.get("Name"), str) and "Value" in document:
            document = {**document, document["Name"]: document["Value"]}
        for key, value in document.items():
            is_resource = isinstance(value, dict) and bool({"Type", "Properties"} & value.keys())
            is_secret = SECRET_NAME.search(key) and not NO_SECRET_NAME.search(key)
            if is_secret and isinstance(value, str | dict) and not is_resource:
                yield "/".join((*path, key)), value
            yield from named_values(value, (*path, key))
    elif isinstance(document, list):
        for each in document:
            yield from named_values(each, path)


def refers(value: Any) -> bool:
    """Whether a value is a reference that is resolved where it is used, and no literal."""
    return isinstance(value, dict) and bool(value.keys() & {"Ref", "Fn::GetAtt", "Fn::GetStackOutput"})


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_only_password_a_template_mentions_is_resolved_by_cloudformation_itself(
    templates: Synthesize, name: str
) -> None:
    found = {
        f"{stack}/{path}": value
        for stack, template in templates(name).items()
        for path, value in named_values({"Resources": template["Resources"]})
        if not refers(value)
    }
    ((path, password),) = found.items()
    assert path.endswith("/Properties/MasterUserPassword")
    text = json.dumps(password)
    assert "{{resolve:secretsmanager:" in text
    assert ":SecretString:password::}}" in text


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_secrets_are_resolved_nowhere_but_in_the_database(templates: Synthesize, name: str) -> None:
    for stack, template in templates(name).items():
        for logical_id, resource in template["Resources"].items():
            allowed = resource["Type"] == "AWS::RDS::DBInstance"
            assert allowed or "{{resolve:" not in json.dumps(resource), f"{stack}/{logical_id}"
        shown = {key: value for key, value in template.items() if key != "Resources"}
        assert "{{resolve:secretsmanager" not in json.dumps(shown), stack
        assert "{{resolve:ssm-secure" not in json.dumps(shown), stack


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_output_is_a_secret(templates: Synthesize, name: str) -> None:
    for stack, template in templates(name).items():
        for output, content in template.get("Outputs", {}).items():
            # CDK's weak references between stacks are outputs; of secrets only the ARN is.
            assert (
                not SECRET_NAME.search(output)
                or output.endswith(("Arn", "ArnWithoutSuffix"))
                or refers(content["Value"])
            ), f"{stack}/{output}"
            assert "SecretString" not in json.dumps(content), f"{stack}/{output}"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_tasks_functions_and_builds_are_given_no_secret(templates: Synthesize, name: str) -> None:
    for template in templates(name).values():
        variables: list[tuple[str, Any]] = []
        for definition in of_type(template, "AWS::ECS::TaskDefinition").values():
            for container in definition["ContainerDefinitions"]:
                variables += [(each["Name"], each["Value"]) for each in container.get("Environment", ())]
                # A task reads its secret when it connects, so that a rotation needs no restart.
                assert "Secrets" not in container
        for function in of_type(template, "AWS::Lambda::Function").values():
            variables += function.get("Environment", {}).get("Variables", {}).items()
        for project in of_type(template, "AWS::CodeBuild::Project").values():
            variables += [
                (each["Name"], each["Value"])
                for each in project["Environment"].get("EnvironmentVariables", ())
            ]
        for variable, value in variables:
            assert not SECRET_NAME.search(variable) or variable.endswith("_ARN"), variable
            assert "{{resolve:" not in json.dumps(value), variable


def test_nothing_that_is_uploaded_holds_a_credential(tmp_path: Path) -> None:
    for name in ENVIRONMENTS:
        built(settings.load(name), tmp_path / name, validated=False).synth()
    searched = 0
    for file in sorted(tmp_path.rglob("*")):
        if file.is_file():
            for part, content in contents(file):
                searched += 1
                found = CREDENTIAL.search(content)
                assert not found, f"{part}: {found[0][:12]!r}..."
    # Templates, both services' build contexts with what they share, and the functions' code.
    assert searched > 100


def contents(file: Path) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                yield f"{file}/{name}", archive.read(name)
    else:
        yield str(file), file.read_bytes()


@pytest.mark.parametrize(
    "credential",
    [
        "key = AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN RSA PRIVATE KEY-----",
        "mysql://directory:s3cret@db/suppliers",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    ],
)
def test_what_is_searched_for_would_be_found(credential: str) -> None:
    assert CREDENTIAL.search(credential.encode())


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_secret_of_every_stack_is_generated_and_rotates(templates: Synthesize, name: str) -> None:
    users = set()
    for stack, template in templates(name).items():
        secrets = of_type(template, "AWS::SecretsManager::Secret")
        attachments = of_type(template, "AWS::SecretsManager::SecretTargetAttachment")
        rotated = {
            attachments[reference]["SecretId"]["Ref"] if reference in attachments else reference
            for schedule in of_type(template, "AWS::SecretsManager::RotationSchedule").values()
            for reference in [schedule["SecretId"]["Ref"]]
        }
        assert rotated == set(secrets), stack
        for logical_id, secret in secrets.items():
            assert "SecretString" not in secret, logical_id
            generated = secret["GenerateSecretString"]
            assert generated["PasswordLength"] >= 30
            assert generated["GenerateStringKey"] == "password"
            assert secret["KmsKeyId"], logical_id
            users.add(
                re.findall(r'"username\\*": ?\\*"(\w+)', json.dumps(generated["SecretStringTemplate"]))[0]
            )
    expected = {user.replace("-", "_") for user in settings.load(name).database_users}
    assert users == {"directory_admin", "migrator", *expected}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_users_of_services_are_rotated_by_a_function_between_two_users(
    templates: Synthesize, name: str
) -> None:
    applications = of_type(templates(name)["Data"], "AWS::Serverless::Application")
    by_function = {each["Parameters"]["functionName"]: each["Parameters"] for each in applications.values()}
    prefix = f"suppliers-{name}-data-"
    assert set(by_function) == {
        f"{prefix}{user}-rotation"
        for user in ("administrator", "migrator", *settings.load(name).database_users)
    }
    for function, parameters in by_function.items():
        # The function makes and alternates the users as the administrator; that one changes its own password.
        assert ("masterSecretArn" in parameters) == (function != f"{prefix}administrator-rotation")
        assert parameters["vpcSubnetIds"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_secret_can_be_deleted_or_read_by_a_policy_of_its_own(templates: Synthesize, name: str) -> None:
    template = templates(name)["Data"]
    policies = of_type(template, "AWS::SecretsManager::ResourcePolicy").values()
    assert len(policies) == len(of_type(template, "AWS::SecretsManager::Secret"))
    for policy in policies:
        (statement,) = policy["ResourcePolicy"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Deny", "secretsmanager:DeleteSecret")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_secrets_are_read_by_tasks_alone_each_its_own(templates: Synthesize, name: str) -> None:
    readers: dict[str, int] = {}
    environment = settings.load(name)
    services = {service.stack_id for service in environment.services}
    for stack, template in templates(name).items():
        policies = of_type(template, "AWS::IAM::Policy") | of_type(template, "AWS::IAM::ManagedPolicy")
        for logical_id, policy in policies.items():
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                if "secretsmanager:GetSecretValue" in ([actions] if isinstance(actions, str) else actions):
                    assert stack in services, f"{stack}/{logical_id} reads a secret"
                    resources = statement["Resource"]
                    assert "*" not in json.dumps(resources)
                    many = len(resources) if isinstance(resources, list) else 1
                    role = f"{stack}/{logical_id}"
                    readers[role] = readers.get(role, 0) + many
    users = len(environment.database_users)
    preparing = sum(service.migrations for service in environment.services)
    assert preparing >= 1
    # One secret a service; a task that makes users reads theirs, the migrator's and the administrator's.
    assert sorted(readers.values())[:users] == [1] * users
    assert len(readers) == users + preparing
    assert all(2 < many <= users + 2 for many in sorted(readers.values())[users:])
