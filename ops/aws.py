"""The one place that makes AWS clients, for an account of AWS and for the emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3


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
