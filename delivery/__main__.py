"""The commands of the builds; each reads the service from its environment and fails in one readable line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from delivery import accepted, base_image, migration, plan, scan, stack_release
from delivery.appspec import appspec, to_yaml
from delivery.errors import DeliveryError
from delivery.target import Target
from delivery.task_definition import with_image
from platform_constructs.service import build_context

SERVICES = Path("services")
OUTPUT = Path("release")

Client = Callable[..., Any]


def plan_release(variables: Mapping[str, str], client: Client) -> None:
    """Decide what this push means for the service; write release/release.env and, to build, release/context."""
    target = Target.from_environment(variables)
    version = build_context.version(SERVICES, target.service, target.architecture)
    decided = plan.decide(
        target,
        version=version,
        running=plan.find_running(client("ecs"), target),
        pushed=plan.is_pushed(client("ecr"), target, version),
        base_image=build_context.base_image(SERVICES),
    )
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / "release.env").write_text(decided.as_shell(), encoding="utf-8")
    if decided.build:
        build_context.stage(SERVICES, target.service, OUTPUT / "context")
    print(decided.reason)


def check_image(variables: Mapping[str, str], client: Client) -> None:
    """Stop a release whose image has findings of HIGH or above that have a fix and are not accepted."""
    target = Target.from_environment(variables)
    result = scan.check(client("ecr"), target, _version(variables), accepted=accepted.read())
    found = ", ".join(f"{count} {severity}" for severity, count in result.counts.items()) or "nothing"
    print("\n".join([f"{target.service}: the scan found {found}", *result.remarks]))


def pull_base(variables: Mapping[str, str], client: Client) -> None:
    """Pull the image that the build starts from, signed in where that allows more."""
    image = build_context.base_image(SERVICES)
    if image is None:
        print("the Dockerfile decides what it starts from")
        return
    base_image.pull(image, lambda: client("ecr-public", region_name=base_image.REGION))


def write_files(variables: Mapping[str, str], client: Client) -> None:
    """Write what CodeDeploy's action reads: taskdef.json and appspec.yaml."""
    target = Target.from_environment(variables)
    version = _version(variables)
    image = target.image(version)
    OUTPUT.mkdir(exist_ok=True)
    live = client("ecs").describe_task_definition(taskDefinition=target.family)["taskDefinition"]
    new = with_image(live, container=target.service, image=image, version=version)
    _write("taskdef.json", json.dumps(new, indent=2))
    document = appspec(container=target.service, port=target.container_port, hook=target.hook)
    _write("appspec.yaml", to_yaml(document))


def migrate_database(variables: Mapping[str, str], client: Client) -> None:
    """Prepare the database with the new image."""
    print(f"the database is prepared by {migration.migrate(client('ecs'), variables)}")


def release_by_stack(variables: Mapping[str, str], client: Client) -> None:
    """Release the image IMAGE of VERSION by the service's stack STACK, and wait for the end."""
    missing = [name for name in ("STACK", "IMAGE", "VERSION") if not variables.get(name)]
    if missing:
        raise DeliveryError(f"environment variables are missing: {', '.join(missing)}")
    stack, image, version = (variables[name] for name in ("STACK", "IMAGE", "VERSION"))
    cloudformation = client("cloudformation")
    stack_release.settle(cloudformation, stack, print)
    update = stack_release.start(cloudformation, stack, image, version)
    if update is None:
        print(f"{stack}: holds {image} already")
        return
    stack_release.follow(cloudformation, update, print)
    print(f"{stack}: runs {image}")


COMMANDS: Mapping[str, Callable[[Mapping[str, str], Client], None]] = {
    "plan": plan_release,
    "pull-base": pull_base,
    "check-image": check_image,
    "write": write_files,
    "migrate": migrate_database,
    "release": release_by_stack,
}


def main(arguments: Sequence[str], variables: Mapping[str, str], client: Client) -> int:
    """Run one command; the exit status is 1 when the release must not go on."""
    parser = argparse.ArgumentParser(prog="python -m delivery", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        commands.add_parser(name, help=function.__doc__)
    try:
        COMMANDS[parser.parse_args(arguments).command](variables, client)
    except (DeliveryError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"AWS answers: {error}", file=sys.stderr)
        return 1
    return 0


def _version(variables: Mapping[str, str]) -> str:
    if not variables.get("VERSION"):
        raise DeliveryError(
            "environment variables are missing: VERSION (`python -m delivery plan` writes it)"
        )
    return variables["VERSION"]


def _write(name: str, text: str) -> None:
    (OUTPUT / name).write_text(text, encoding="utf-8")
    print(f"{OUTPUT / name}:\n{text}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, boto3.client))
