"""The image that a build starts from, pulled before the build, so that a busy registry fails no release."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from delivery.errors import DeliveryError

# Where it signs in, whatever the region of a build: https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html
PUBLIC_REGISTRY = "public.ecr.aws"
REGION = "us-east-1"
_PAUSES = (5.0, 20.0, 60.0)
_TIME_LIMIT_SECONDS = 600

Docker = Callable[[Sequence[str], str], "subprocess.CompletedProcess[str]"]


def docker(arguments: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    """Run docker with a text as its input."""
    return subprocess.run(
        ["docker", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIME_LIMIT_SECONDS,
    )


def pull(
    image: str,
    public_registry: Callable[[], Any],
    *,
    docker: Docker = docker,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = print,
) -> None:
    """Pull an image, several times if need be; raises `DeliveryError` when the last time fails too.

    Who has not signed in to the public registry may pull once a second, together with all builds behind the same
    address; who has, ten times: https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html
    """
    if image.partition("/")[0] == PUBLIC_REGISTRY:
        _sign_in(public_registry, docker, say)
    for pause in (*_PAUSES, None):
        done = docker(["pull", "--quiet", image], "")
        if done.returncode == 0:
            return
        reason = (done.stderr.strip().splitlines() or ["docker said nothing"])[-1]
        if pause is None:
            raise DeliveryError(f"{image}: cannot be pulled: {reason}")
        say(f"{image}: {reason}; once more in {pause:.0f} s")
        sleep(pause)


def _sign_in(public_registry: Callable[[], Any], docker: Docker, say: Callable[[str], None]) -> None:
    try:
        token = public_registry().get_authorization_token()["authorizationData"]["authorizationToken"]
    except (BotoCoreError, ClientError) as error:
        # It is public: without a name it is pulled as well, only not as often.
        say(f"{PUBLIC_REGISTRY}: not signed in: {error}")
        return
    user, _, password = base64.b64decode(token).decode().partition(":")
    done = docker(["login", "--username", user, "--password-stdin", PUBLIC_REGISTRY], password)
    if done.returncode:
        say(f"{PUBLIC_REGISTRY}: not signed in: {done.stderr.strip()}")
