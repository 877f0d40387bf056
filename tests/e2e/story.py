"""A service's life: deployed, released, changed, released badly, taken back, released again.

CloudFormation and the pipelines both change what runs; under load, nobody notices where they meet.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delivery.appspec import PLACEHOLDER, appspec
from delivery.task_definition import with_image
from ops.deployed import live
from tests.e2e import roles
from tests.e2e.checkout import Checkout
from tests.e2e.load import Load

SECONDS = 180.0


# A service whose home page, which its health check asks for, is fine, and whose list is not.
WITHOUT_LIST = """
from customer.app import create_app
from directory.web.server import main


class WithoutList:
    def __init__(self, application):
        self._application = application

    def __getattr__(self, name):
        return getattr(self._application, name)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/suppliers":
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._application(scope, receive, send)


main("customer", lambda settings: WithoutList(create_app(settings)))
"""


def environment(controller: str, release: str) -> str:
    """Settings of a small environment on the emulator, with more of its section [release]."""
    return f"""
region = "us-east-1"
availability_zones = ["us-east-1a", "us-east-1b"]
emulator = true

[database]
sample_data = true

[access]
admin_cidrs = ["127.0.0.0/8", "172.16.0.0/12"]

[release]
controller = "{controller}"
{release}

[services.employee.scaling]
min_tasks = 1
"""


@dataclass(frozen=True)
class Story:
    """One environment, whose service customer is told about."""

    checkout: Checkout
    environment: str
    controller: str

    @property
    def stack(self) -> str:
        return f"suppliers-{self.environment}-customer"

    @property
    def file(self) -> Path:
        return self.checkout.folder / f"environments/{self.environment}.toml"

    def client(self, service: str) -> Any:
        return self.checkout.aws().client(service)

    def load(self) -> Load:
        return Load(self.checkout.port, f"suppliers-{self.environment}.alb.localhost")

    def outputs(self, part: str) -> dict[str, str]:
        (stack,) = self.client("cloudformation").describe_stacks(
            StackName=f"suppliers-{self.environment}-{part}"
        )["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def status(self) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        return str(stack["StackStatus"])

    def running(self) -> dict[str, Any]:
        """The task definition that serves."""
        ecs = self.client("ecs")
        (record,) = ecs.describe_services(
            cluster=self.outputs("compute")["ClusterName"], services=[self.outputs("customer")["ServiceName"]]
        )["services"]
        return dict(ecs.describe_task_definition(taskDefinition=live.serving(record))["taskDefinition"])

    def version(self) -> str:
        return live.version(self.running())

    def deploy(self, *options: str, check: bool = True) -> str:
        """Deploy the stack of customer alone."""
        done = self.checkout.ops("deploy", "--env", self.environment, "--service", "customer", *options)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        assert check or done.returncode == 1, done.stdout
        return done.stdout + done.stderr

    def image(self, version: str, folder: Path, instruction: str = "") -> str:
        """An image in the repository of the pipeline, made from the one that serves."""
        running = self.running()
        base = running["containerDefinitions"][0]["image"]
        image = f"{base.partition('/')[0]}/suppliers-{self.environment}/customer:{version}"
        roles.allow_pull(self.client("iam"), running["executionRoleArn"], image)
        (folder / "Dockerfile").write_text(f"FROM {base}\nENV VERSION={version}\n{instruction}\n")
        subprocess.run(
            ["docker", "build", "-q", "-t", image, str(folder)],
            check=True,
            timeout=120,
            capture_output=True,
        )
        return image

    def push(self, version: str, folder: Path, instruction: str = "") -> bool:
        """What the pipeline does with a new version; whether it went well."""
        image = self.image(version, folder, instruction)
        if self.controller == "codedeploy":
            return self._by_codedeploy(image, version)
        done = subprocess.run(
            [sys.executable, "-m", "delivery", "release"],
            cwd=self.checkout.folder,
            env={
                **os.environ,
                **self.checkout.aws().variables,
                "AWS_DEFAULT_REGION": "us-east-1",
                "STACK": self.stack,
                "IMAGE": image,
                "VERSION": version,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        print(done.stdout, done.stderr)
        return done.returncode == 0

    def _by_codedeploy(self, image: str, version: str) -> bool:
        codedeploy, ecs = self.client("codedeploy"), self.client("ecs")
        application = f"suppliers-{self.environment}.customer"
        (group,) = codedeploy.list_deployment_groups(applicationName=application)["deploymentGroups"]
        newest = ecs.describe_task_definition(taskDefinition=self.stack)["taskDefinition"]
        registered = ecs.register_task_definition(
            **with_image(newest, container="customer", image=image, version=version)
        )["taskDefinition"]["taskDefinitionArn"]
        check = next(
            each["FunctionArn"]
            for page in self.client("lambda").get_paginator("list_functions").paginate()
            for each in page["Functions"]
            if f"-{self.environment}-" in each["FunctionName"] and "ReleaseCheck" in each["FunctionName"]
        )
        content = json.dumps(appspec(container="customer", port=8080, hook=check))
        identifier = codedeploy.create_deployment(
            applicationName=application,
            deploymentGroupName=group,
            revision={
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": content.replace(PLACEHOLDER, registered)},
            },
        )["deploymentId"]
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            info = codedeploy.get_deployment(deploymentId=identifier)["deploymentInfo"]
            back = info.get("rollbackInfo", {}).get("rollbackDeploymentId")
            if "completeTime" in info and (
                not back or "completeTime" in codedeploy.get_deployment(deploymentId=back)["deploymentInfo"]
            ):
                return bool(info["status"] == "Succeeded")
            time.sleep(0.3)
        raise AssertionError(f"{identifier} has not ended")


def tell(story: Story, folder: Path, *, whole: bool = True) -> None:
    """Play it, or the half of it that cannot be left out; the checkout's own version must be live at first."""
    first = story.version()
    with story.load() as load:
        # A push.
        assert story.push("second", folder)
        assert story.version() == "second"
        # A setting and a rule are changed, with the code that is live and the side that is.
        story.file.write_text(
            story.file.read_text()
            + '\n[services.customer]\ncpu = 512\nmemory_mib = 1024\npath_patterns = ["/*", "/suppliers"]\n'
        )
        story.deploy()
        assert (story.version(), story.running()["cpu"]) == ("second", "512")
        # A bad release is taken back to what was live.
        assert not story.push("third", folder, 'CMD ["python", "-c", "raise SystemExit(\'no settings\')"]')
        assert story.version() == "second"
        if whole:
            _refuse_and_repeat(story)
        # The next deployment ships the checkout when it is told to.
        story.deploy("--ship-checkout")
        assert (story.version(), story.running()["cpu"]) == (first, "512")
        if whole:
            _go_on(story, folder)
    assert load.failures == []
    seen = [version for version in load.versions[0] if version not in (first, "second", "fourth")]
    assert seen == [], "nobody got a version that was not live"


def _refuse_and_repeat(story: Story) -> None:
    # A path for health checks that the live version was not released as answering changes nothing.
    changed = story.file.read_text()
    story.file.write_text(changed + 'health_check_path = "/nowhere"\n')
    said = story.deploy(check=False)
    assert "add it to release_check_paths, release, then change it" in " ".join(said.split())
    assert story.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert (story.version(), story.running()["cpu"]) == ("second", "512")
    story.file.write_text(changed)
    # The next deployment changes nothing by itself.
    story.deploy()
    assert story.version() == "second"


def _go_on(story: Story, folder: Path) -> None:
    # The next push.
    assert story.push("fourth", folder)
    assert story.version() == "fourth"
    # What was told once is not told for ever.
    story.file.write_text(story.file.read_text().replace("cpu = 512", "cpu = 256"))
    story.deploy()
    assert (story.version(), story.running()["cpu"]) == ("fourth", "256")
