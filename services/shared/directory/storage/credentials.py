"""Database credentials from AWS Secrets Manager."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any


class CredentialsUnavailable(Exception):
    """The secret could not be read, or is not a JSON object with `username` and `password`."""


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str
    password: str = field(repr=False)


def read_secret(arn: str) -> Credentials:
    """The current version of a secret; blocking."""
    # botocore costs a third of a second to import: only a process that reads secrets pays it,
    # and it does so beside the event loop.
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session

    parts = arn.split(":")
    region = parts[3] if arn.startswith("arn:") and len(parts) > 3 else None
    try:
        client: Any = Session().create_client(
            "secretsmanager",
            region_name=region,
            config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 3}),
        )
        secret = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
        return Credentials(str(secret["username"]), str(secret["password"]))
    except (BotoCoreError, ClientError) as error:
        raise CredentialsUnavailable(f"secret {arn}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CredentialsUnavailable(
            f"secret {arn}: expected JSON with username and password ({type(error).__name__})"
        ) from None


class SecretCredentials:
    """The credentials of one secret, kept until the server refuses them."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._current: Credentials | None = None
        self._lock = asyncio.Lock()

    async def get(self, refused: Credentials | None = None) -> Credentials:
        """What is known, unless it is what the server has just refused."""
        async with self._lock:
            if self._current is None or self._current == refused:
                self._current = await asyncio.to_thread(read_secret, self._arn)
            return self._current


class FixedCredentials:
    """Credentials that are known already, as those in a DATABASE_URL are."""

    def __init__(self, username: str, password: str) -> None:
        self._credentials = Credentials(username, password)

    async def get(self, refused: Credentials | None = None) -> Credentials:
        return self._credentials
