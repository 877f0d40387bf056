"""An account of AWS that answers as a test says, any number of requests at once.

The clients are boto3's own up to the point where a request would be sent. Requests and answers are held against
botocore's models, so that a field that AWS does not know fails the test; each request is counted.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

from ops.aws import session as sessions
from ops.aws.clients import Clients

REGION = "us-east-1"
ACCOUNT = "111122223333"

Answer = Mapping[str, Any]
Handler = Callable[[Mapping[str, Any]], Answer]


@dataclass(frozen=True)
class Account(Clients):
    """Answers `operations` ("ecs:DescribeServices", by boto3's name of the service), each after `latency` seconds."""

    region: str = REGION
    operations: dict[str, Handler] = field(default_factory=dict)
    latency: float = 0.0
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    most_at_once: list[int] = field(default_factory=lambda: [0, 0])
    _gate: threading.Lock = field(default_factory=threading.Lock)

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was asked for."""
        return Counter(name for name, _ in self.asked)

    def requests(self, operation: str) -> list[Mapping[str, Any]]:
        """The parameters of each request for an operation."""
        return [parameters for name, parameters in self.asked if name == operation]

    def client(self, service: str) -> Any:
        _ASKED[service] = self
        return _client(service)

    def answer(self, operation: str, parameters: Mapping[str, Any], model: Any) -> tuple[Any, Any]:
        """What a client gets in place of an HTTP response."""
        with self._gate:
            self.asked.append((operation, parameters))
            self.most_at_once[0] += 1
            self.most_at_once[1] = max(self.most_at_once)
        try:
            if self.latency:
                time.sleep(self.latency)
            assert operation in self.operations, f"{operation} was not expected: {dict(parameters)}"
            try:
                document = self.operations[operation](parameters)
            except ClientError as error:
                return _Response(400), error.response
            validate_parameters(document, model.output_shape) if model.output_shape else None
            return _Response(200), {"ResponseMetadata": {"HTTPStatusCode": 200}, **document}
        finally:
            with self._gate:
                self.most_at_once[0] -= 1


# Making a client takes longer than most tests do; whichever account was asked for it last answers.
_ASKED: dict[str, Account] = {}


@cache
def _client(service: str) -> Any:
    client = boto3.Session().client(
        service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
    )

    def keep(params: Any, context: dict[str, Any], **_: Any) -> None:
        context["asked"] = dict(params)

    def answer(model: Any, context: Mapping[str, Any], **_: Any) -> tuple[Any, Any]:
        return _ASKED[service].answer(f"{service}:{model.name}", context["asked"], model)

    client.meta.events.register("before-parameter-build.*.*", keep)
    client.meta.events.register("before-call.*.*", answer)
    return client


class _Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


def refusal(code: str, message: str = "", status: int = 400) -> ClientError:
    """What AWS refuses a request with."""
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")


def refuse(code: str, message: str = "") -> Handler:
    """A handler that refuses every request."""

    def handler(parameters: Mapping[str, Any]) -> Answer:
        raise refusal(code, message)

    return handler


def noting(asked: list[Answer], answer: Answer) -> Handler:
    """A handler that keeps what it is asked, and always answers the same."""

    def handler(parameters: Answer) -> Answer:
        asked.append(parameters)
        return answer

    return handler


@contextmanager
def signed_in(account: Clients, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command line works on this account."""
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "clients_of", lambda environment, instance: account)
        yield
