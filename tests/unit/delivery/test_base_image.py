from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from delivery import base_image
from delivery.errors import DeliveryError

IMAGE = "public.ecr.aws/docker/library/python:3.13-slim-trixie"


class Docker:
    """Notes its calls; the first `busy` pulls are refused."""

    def __init__(self, busy: int = 0) -> None:
        self.busy = busy
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, arguments: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        self.calls.append((*arguments, text))
        if arguments[0] == "pull" and self.busy:
            self.busy -= 1
            return subprocess.CompletedProcess([], 1, "", "Error\ntoomanyrequests: Rate exceeded\n")
        return subprocess.CompletedProcess([], 0, "", "")


class Registry:
    def get_authorization_token(self) -> Any:
        return {"authorizationData": {"authorizationToken": base64.b64encode(b"AWS:the-password").decode()}}


def refused() -> Any:
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetAuthorizationToken")


def pull(docker: Docker, image: str = IMAGE, registry: Any = Registry) -> tuple[list[float], list[str]]:
    slept: list[float] = []
    said: list[str] = []
    base_image.pull(image, registry, docker=docker, sleep=slept.append, say=said.append)
    return slept, said


def test_the_build_signs_in_before_it_pulls() -> None:
    docker = Docker()
    assert pull(docker) == ([], [])
    assert docker.calls == [
        ("login", "--username", "AWS", "--password-stdin", "public.ecr.aws", "the-password"),
        ("pull", "--quiet", IMAGE, ""),
    ]


def test_whoever_may_not_sign_in_pulls_without_a_name() -> None:
    docker = Docker()
    _, said = pull(docker, registry=refused)
    assert [call[0] for call in docker.calls] == ["pull"]
    assert said[0].startswith("public.ecr.aws: not signed in: ")


def test_an_image_of_another_registry_needs_no_public_one() -> None:
    docker = Docker()
    pull(docker, "registry.example.com/python:3.13", refused)
    assert [call[0] for call in docker.calls] == ["pull"]


def test_a_busy_registry_is_asked_again_later_and_later() -> None:
    slept, said = pull(Docker(busy=3))
    assert slept == sorted(slept)
    assert len(slept) == len(said) == 3
    assert said[0] == f"{IMAGE}: toomanyrequests: Rate exceeded; once more in 5 s"


def test_a_registry_that_stays_busy_ends_the_build_in_one_line() -> None:
    with pytest.raises(
        DeliveryError, match=r"python:3.13-slim-trixie: cannot be pulled: toomanyrequests: Rate exc"
    ):
        pull(Docker(busy=9))
