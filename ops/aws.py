"""The one place that makes AWS clients, for an account of AWS and for the emulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ops.errors import OpsError
from settings import Environment


@dataclass(frozen=True)
class Clients:
    """Makes clients for one region; `variables`, where given, name the emulator and its credentials."""

    region: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client of `service`."""
        if not self.variables:
            return boto3.Session(region_name=self.region).client(service)
        return boto3.Session().client(
            service,
            region_name=self.region,
            endpoint_url=self.variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
        )


def account(clients: Clients, environment: Environment) -> str:
    """The account of the credentials; raises `OpsError` where the environment belongs to another one."""
    found = str(clients.client("sts").get_caller_identity()["Account"])
    if environment.account not in (None, found):
        raise OpsError(
            f"environments/{environment.name}.toml: account is {environment.account}, the credentials "
            f"are of {found}: choose another profile"
        )
    return found


@contextmanager
def told_by_aws(environment: Environment) -> Iterator[None]:
    """Say in one line what AWS refuses, and what helps where it cannot be reached."""
    try:
        yield
    except ClientError as error:
        raise OpsError(f"{environment.name}: AWS answers: {error}") from None
    except BotoCoreError as error:
        raise OpsError(
            f"{environment.name}: no access to AWS: {error} Sign in (`aws sso login`, AWS_PROFILE=...) and repeat"
        ) from None
