"""Which operation of which service an HTTP request is, with its parameters, as botocore's service models describe it.

https://smithy.io/2.0/aws/protocols/index.html
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import BaseCBORParser

_SCOPE = re.compile(r"[^/,\s]+/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
# Models that are not called as the requests are signed, by the model's `signingName` or `endpointPrefix`.
_MODELS = {
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elbv2",
    "email": "sesv2",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
_LABEL = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True)
class Call:
    """An operation of a service, by the names of botocore's models, with the members of its input that were sent."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    region: str
    headers: Mapping[str, str]


class UnknownRequest(LookupError):
    """No operation of AWS that botocore knows; the message says what was seen."""


def signed_for(authorization: str, query: str) -> tuple[str, str] | None:
    """The service and region that a request was signed for (Signature Version 4), in its header or address.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
    """
    credential = authorization or dict(parse_qsl(query)).get("X-Amz-Credential", "")
    found = _SCOPE.search(credential)
    return (found["service"], found["region"]) if found else None


def read(
    *, service: str, region: str, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> Call:
    """The call that a request is; `path` as it was sent, names of headers in lower case.

    Raises `UnknownRequest`.
    """
    name = _MODELS.get(service, service)
    try:
        model = _model(name)
    except LookupError:
        raise UnknownRequest(f"{service} is no service that is known here") from None
    operation, parameters = _operation(model, method, path, query, headers, body)
    return Call(name, operation, parameters, region, headers)


@cache
def _loader() -> Loader:
    return Loader()


@cache
def _model(name: str) -> Any:
    if name not in _loader().list_available_services("service-2"):
        raise LookupError(name)
    return ServiceModel(_loader().load_service_model(name, "service-2"), name)


def _operation(
    model: Any, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> tuple[str, Mapping[str, Any]]:
    if "x-amz-target" in headers:
        return headers["x-amz-target"].rpartition(".")[2], _json(body)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return path.rpartition("/")[2], _cbor(body)
    sent = dict(parse_qsl(query, keep_blank_values=True))
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        sent |= dict(parse_qsl(body.decode(), keep_blank_values=True))
    if "Action" in sent:
        action = sent.pop("Action")
        return action, _nested(sent)
    return _by_route(model, method, path, sent, headers, body)


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        read_ = json.loads(body or b"{}")
    except ValueError:
        return {}
    return read_ if isinstance(read_, dict) else {}


def _cbor(body: bytes) -> Mapping[str, Any]:
    read_ = BaseCBORParser().parse_data_item(io.BufferedReader(io.BytesIO(body))) if body else {}
    return read_ if isinstance(read_, dict) else {}


def _nested(sent: Mapping[str, str]) -> Mapping[str, Any]:
    """Members with dots in their names as lists and structures: `Names.member.1`, `Filter.1.Value`.

    https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
    """
    tree: dict[str, Any] = {}
    for name, value in sent.items():
        *above, last = (part for part in name.split(".") if part != "member")
        node = tree
        for part in above:
            inner = node.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            node = inner
        else:
            node[last] = value
    return {name: _listed(value) for name, value in tree.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


@dataclass(frozen=True)
class _Route:
    operation: str
    path: re.Pattern[str]
    labels: tuple[str, ...]
    literals: int
    query: Mapping[str, str]
    wanted_query: frozenset[str]
    wanted_headers: frozenset[str]

    @property
    def weight(self) -> int:
        return self.literals + len(self.query) + len(self.wanted_query) + len(self.wanted_headers)


@cache
def _routes(model: Any, method: str) -> tuple[_Route, ...]:
    made = [_route(model.operation_model(name)) for name in model.operation_names]
    return tuple(
        sorted((route for verb, route in made if verb == method), key=lambda each: each.weight, reverse=True)
    )


def _route(operation: Any) -> tuple[str, _Route]:
    path, _, query = operation.http["requestUri"].partition("?")
    members = operation.input_shape.members if operation.input_shape else {}
    required = operation.input_shape.required_members if operation.input_shape else []
    located = [members[name] for name in required]
    written = re.escape(path.rstrip("/")).replace(r"\{", "{").replace(r"\}", "}").replace(r"\+", "+")
    pattern = _LABEL.sub(lambda label: "(.+)" if label[2] else "([^/]+)", written)
    return operation.http["method"], _Route(
        operation=operation.name,
        path=re.compile(f"{pattern}/?"),
        labels=tuple(label[1] for label in _LABEL.finditer(path)),
        literals=sum(1 for part in path.split("/") if part and "{" not in part),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        wanted_query=frozenset(
            each.serialization["name"]
            for each in located
            if each.serialization.get("location") == "querystring"
        ),
        wanted_headers=frozenset(
            each.serialization["name"].lower()
            for each in located
            if each.serialization.get("location") == "header"
        ),
    )


def _by_route(
    model: Any,
    method: str,
    path: str,
    sent: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
) -> tuple[str, Mapping[str, Any]]:
    for route in _routes(model, method):
        found = route.path.fullmatch(path)
        asks = all(sent.get(name) == value for name, value in route.query.items())
        if (
            found is None
            or not asks
            or not route.wanted_query <= sent.keys()
            or not route.wanted_headers <= headers.keys()
        ):
            continue
        operation = model.operation_model(route.operation)
        parameters = _members(operation, sent, headers, body)
        at_uri = {
            shape.serialization["name"]: name
            for name, shape in _input(operation).items()
            if shape.serialization.get("location") == "uri"
        }
        for label, value in zip(route.labels, found.groups(), strict=True):
            parameters[at_uri.get(label, label)] = unquote(value)
        return route.operation, parameters
    raise UnknownRequest(f"{method} {path} is no operation of {model.service_name}")


def _input(operation: Any) -> Mapping[str, Any]:
    return dict(operation.input_shape.members) if operation.input_shape else {}


def _members(
    operation: Any, sent: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for name, shape in _input(operation).items():
        where, key = shape.serialization.get("location"), shape.serialization.get("name", name)
        if where == "querystring" and key in sent:
            parameters[name] = sent[key]
        elif where == "header" and key.lower() in headers:
            parameters[name] = headers[key.lower()]
    payload = operation.input_shape.serialization.get("payload") if operation.input_shape else None
    if operation.service_model.metadata["protocol"] == "rest-json" and not payload:
        parameters |= _json(body)
    return parameters
