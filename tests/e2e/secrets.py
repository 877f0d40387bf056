"""Where a deployment could show a secret, and whether it does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from tests.e2e.checkout import Checkout


def passwords(checkout: Checkout) -> dict[str, str]:
    """The password of every secret of the environment `local`, by name."""
    client = checkout.aws().client("secretsmanager")
    return {
        secret["Name"]: json.loads(client.get_secret_value(SecretId=secret["ARN"])["SecretString"])[
            "password"
        ]
        for secret in client.list_secrets()["SecretList"]
    }


def shown(checkout: Checkout) -> Iterator[tuple[str, str]]:
    """All that the deployment shows, each by where: containers, their logs, task definitions, stacks, files."""
    yield from _containers(checkout)
    yield from _described(checkout)
    local = checkout.folder / ".local"
    files = [*local.glob("*.log"), *local.glob("emulator-*/*.log")]
    files += checkout.folder.glob("cdk.out/**/*.json")
    for file in files:
        yield str(file.relative_to(checkout.folder)), file.read_text(errors="replace")


def _containers(checkout: Checkout) -> Iterator[tuple[str, str]]:
    for line in checkout.docker("ps", "-a", "--format", "{{.ID}} {{.Names}}"):
        container, name = line.split()
        # Amazon RDS has no environment: the server in a container is told its first password by one.
        if not name.startswith("ministack-rds-"):
            for command in ("inspect", "logs"):
                done = subprocess.run(
                    ["docker", command, container], capture_output=True, text=True, check=True, timeout=60
                )
                yield f"docker {command} {name}", done.stdout + done.stderr


def _described(checkout: Checkout) -> Iterator[tuple[str, str]]:
    clients = checkout.aws()
    cloudformation, ecs, logs = (clients.client(each) for each in ("cloudformation", "ecs", "logs"))
    for stack in cloudformation.describe_stacks()["Stacks"]:
        name = stack["StackName"]
        yield f"{name}, as described", json.dumps(stack, default=str)
        yield f"{name}, its template", json.dumps(cloudformation.get_template(StackName=name)["TemplateBody"])
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        yield f"{name}, its events", json.dumps(events, default=str)
    for arn in ecs.list_task_definitions()["taskDefinitionArns"]:
        yield arn, json.dumps(ecs.describe_task_definition(taskDefinition=arn), default=str)
    for function in clients.client("lambda").list_functions()["Functions"]:
        yield function["FunctionName"], json.dumps(function, default=str)
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
            found = logs.get_log_events(
                logGroupName=name, logStreamName=stream["logStreamName"], limit=10_000
            )
            yield f"{name}/{stream['logStreamName']}", "\n".join(each["message"] for each in found["events"])
