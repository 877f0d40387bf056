"""What runs is unprivileged, and is made of what is written down."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

import settings
from tests.conftest import ENVIRONMENTS, Synthesize
from tests.resources import of_type

SERVICES = sorted(path.parent for path in (settings.ROOT / "services").glob("*/Dockerfile"))
NAMES = [path.name for path in SERVICES]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_container_runs_with_the_least_that_fargate_lets_it_have(
    templates: Synthesize, name: str
) -> None:
    definitions = [
        definition
        for template in templates(name).values()
        for definition in of_type(template, "AWS::ECS::TaskDefinition").values()
    ]
    assert len(definitions) >= len(settings.load(name).services)
    for definition in definitions:
        assert definition["RequiresCompatibilities"] == ["FARGATE"]
        assert definition["NetworkMode"] == "awsvpc"
        assert not {"PidMode", "IpcMode", "ProxyConfiguration"} & definition.keys()
        for volume in definition.get("Volumes", ()):
            assert "Host" not in volume
        for container in definition["ContainerDefinitions"]:
            user, _, group = container["User"].partition(":")
            assert int(user) >= 10_000
            assert int(group) >= 10_000
            assert container["ReadonlyRootFilesystem"] is True
            assert container["Privileged"] is False
            assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
            # Fargate refuses the option; images without set-user-id programs stand in for it
            # (tests/services/test_images.py).
            assert "DockerSecurityOptions" not in container
            assert container["LogConfiguration"]["LogDriver"] == "awslogs"
            # Without it the account decides: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html
            options = container["LogConfiguration"]["Options"]
            assert (options["mode"], options["max-buffer-size"]) == ("non-blocking", f"{25 * 2**20}b")


@pytest.mark.parametrize("service", NAMES)
def test_images_install_only_what_has_the_hash_that_is_written_down(service: str) -> None:
    folder = settings.ROOT / "services" / service
    dockerfile = (folder / "Dockerfile").read_text()
    installs = re.findall(r"pip [^\n]*install ([^\n]*)", dockerfile)
    assert installs
    for arguments in installs:
        assert "--require-hashes" in arguments
        assert "--only-binary :all:" in arguments
    requirements = (folder / "requirements.txt").read_text().replace("\\\n", " ")
    pinned = [
        line for line in requirements.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    assert pinned
    for line in pinned:
        assert re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line.strip()), line


@pytest.mark.parametrize("service", NAMES)
def test_images_start_from_the_base_that_can_be_pinned_by_digest(service: str) -> None:
    dockerfile = (settings.ROOT / "services" / service / "Dockerfile").read_text()
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.M)) == {"${PYTHON_IMAGE}"}
    reference = (settings.ROOT / "services/shared/base-image").read_text()
    assert re.fullmatch(r"[a-z0-9./-]+:[\w.-]+(@sha256:[0-9a-f]{64})?\n", reference)


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_pipelines_and_deployments_build_from_the_same_base(templates: Synthesize, name: str) -> None:
    builds = [
        json.dumps(project["Source"])
        for project in of_type(templates(name).pipelines, "AWS::CodeBuild::Project").values()
        if "docker build" in json.dumps(project["Source"])
    ]
    assert len(builds) == len(settings.load(name).services)
    for build in builds:
        # It reads the name from the same file as the assets do (tests/unit/delivery/test_base_image.py).
        assert "python -m delivery pull-base" in build
        assert "PYTHON_IMAGE=$BASE_IMAGE" in build


def test_on_the_emulator_a_digest_that_only_the_registry_knows_is_left_out() -> None:
    wrapper = settings.ROOT / "emulator/cdk-docker"
    done = subprocess.run(
        [
            wrapper,
            "build",
            "--build-arg",
            f"PYTHON_IMAGE=python:3@sha256:{'a' * 64}",
            "--build-arg",
            "VERSION=1",
            ".",
        ],
        env={"EMULATOR_DOCKER": "echo", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "build --build-arg PYTHON_IMAGE=python:3 --build-arg VERSION=1 .\n"
