"""The one place that makes AWS clients, for an account of AWS and for the emulator."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from ops.aws.refusals import is_throttled
from ops.errors import OpsError
from settings import Environment

# Requests under way at once, over all services.
CONCURRENCY = 32
_ATTEMPTS = 4
_ANSWER_SECONDS = 15
# `adaptive` slows down by itself once AWS throttles, and repeats what was throttled.
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_CONFIG = Config(
    retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
    max_pool_connections=CONCURRENCY,
    connect_timeout=5,
    read_timeout=_ANSWER_SECONDS,
    user_agent_extra="suppliers-ops",
)

Given = TypeVar("Given")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Clients:
    """Makes clients for one region, each once; `variables`, where given, name the emulator and its credentials.

    Who does not answer is asked four times, for at most 15 seconds each, and a person is told on stderr that it takes long.
    """

    region: str
    variables: Mapping[str, str] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _told: list[str] = field(default_factory=list, init=False, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def client(self, service: str) -> Any:
        """A boto3 client of `service`, for any thread."""
        # Clients may be shared between threads, sessions may not:
        # https://docs.aws.amazon.com/boto3/latest/guide/clients.html#caveats
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    @cached_property
    def _session(self) -> Any:
        """One for all clients: each would look for credentials, and assume its roles, anew."""
        if not self.variables:
            return boto3.Session(region_name=self.region)
        return boto3.Session(
            region_name=self.region,
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
        )

    def _make(self, service: str) -> Any:
        client = self._session.client(
            service, endpoint_url=self.variables.get("AWS_ENDPOINT_URL"), config=_CONFIG
        )
        client.meta.events.register("needs-retry.*.*", self._tell)
        return client

    def _tell(
        self, response: Any, operation: Any, attempts: int, caught_exception: Exception | None, **_: Any
    ) -> None:
        """Say once that a command waits, and for what."""
        throttled = response is not None and is_throttled(response[1].get("Error", {}).get("Code", ""))
        if self._told or attempts >= _ATTEMPTS or not (throttled or caught_exception):
            return
        self._told.append(operation.name)
        why = "slows requests down" if throttled else "does not answer"
        service = operation.service_model.service_name
        print(f"{service} {why} ({operation.name}): asking again, please wait", file=sys.stderr)


def each(call: Callable[[Given], Answer], arguments: Iterable[Given]) -> list[Answer]:
    """What `call` answers to each argument, in their order, asked for at once; raises what the first one raises."""
    with ThreadPoolExecutor(max_workers=CONCURRENCY) as pool:
        return list(pool.map(call, arguments))


def together(**calls: Callable[[], Any]) -> dict[str, Any]:
    """What the calls answer, by their names, asked for at once; raises what the first one raises."""
    return dict(zip(calls, each(lambda call: call(), calls.values()), strict=True))


def once(call: Callable[[], Answer]) -> Callable[[], Answer]:
    """`call`, made the first time only, from whichever thread."""
    lock, made = Lock(), list[Answer]()

    def answer() -> Answer:
        with lock:
            if not made:
                made.append(call())
            return made[0]

    return answer


def account(clients: Clients, environment: Environment) -> str:
    """The account of the credentials; raises `OpsError` where the environment belongs to another one."""
    found = str(clients.client("sts").get_caller_identity()["Account"])
    if environment.account not in (None, found):
        raise OpsError(
            f"environments/{environment.name}.toml: account is {environment.account}, the credentials "
            f"are of {found}: choose another profile"
        )
    return found
