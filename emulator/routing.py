"""How a load balancer decides about a request: pure logic, on the records that ministack keeps."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

# `<load balancer>.alb.localhost` is its production listener, `<load balancer>--8080.alb.localhost` the
# listener on port 8080. One label in front of `.alb.localhost`, so that one wildcard certificate fits all.
_HOST = re.compile(r"^(?P<name>[a-z0-9](?:[a-z0-9-]*?[a-z0-9])?)(?:--(?P<port>\d{1,5}))?\.alb\.localhost$")
_PATH = re.compile(r"^/_alb/(?P<name>[A-Za-z0-9-]+)(?::(?P<port>\d{1,5}))?(?P<rest>/.*)?$")

Record = Mapping[str, Any]
_ACTIONS = frozenset({"authenticate-cognito", "authenticate-oidc", "fixed-response", "forward", "redirect"})


@dataclass(frozen=True)
class Address:
    """A load balancer named by a request, with the listener port if the request names one."""

    name: str
    port: int | None
    path: str


def address_of(host: str, path: str) -> Address | None:
    """The load balancer that a request is for, or None when it is for the AWS API."""
    by_host = _HOST.match(host.split(":", 1)[0].lower())
    if by_host:
        return Address(by_host["name"], int(by_host["port"]) if by_host["port"] else None, path)
    by_path = _PATH.match(path)
    if by_path:
        return Address(
            by_path["name"].lower(), int(by_path["port"]) if by_path["port"] else None, by_path["rest"] or "/"
        )
    return None


def listener_host(name: str, port: int, *, default: bool) -> str:
    """The host name under which a listener is reached; the inverse of `address_of`."""
    return f"{name.lower()}.alb.localhost" if default else f"{name.lower()}--{port}.alb.localhost"


def is_secure(listener: Record) -> bool:
    return str(listener.get("Protocol", "HTTP")).upper() in ("HTTPS", "TLS")


def default_listener(listeners: Iterable[Record], *, secure: bool) -> Record | None:
    """The listener that a host name without a port means: the standard port of the scheme, else the lowest."""
    standard = 443 if secure else 80
    matching = [listener for listener in listeners if is_secure(listener) == secure]
    return min(matching, key=lambda item: (item.get("Port") != standard, item.get("Port", 0)), default=None)


def choose_listener(listeners: Sequence[Record], address: Address, *, secure: bool) -> Record | None:
    """The listener that takes a request, or None when none listens there."""
    if address.port is None:
        return default_listener(listeners, secure=secure)
    return next(
        (item for item in listeners if item.get("Port") == address.port and is_secure(item) == secure), None
    )


@dataclass(frozen=True)
class Request:
    """What listener rules look at."""

    method: str
    host: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    source_ip: str


def condition_holds(condition: Record, request: Request) -> bool:
    """Whether one condition of a listener rule holds; its values are alternatives.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
    """
    field = condition.get("Field", "")
    values = [value for value in condition.get("Values") or [] if isinstance(value, str)]
    if field == "path-pattern":
        return any(fnmatch.fnmatchcase(request.path, _glob(value)) for value in values)
    if field == "host-header":
        name = request.host.split(":", 1)[0].lower()
        return any(fnmatch.fnmatchcase(name, _glob(value.lower())) for value in values)
    if field == "http-request-method":
        return request.method in values
    if field == "source-ip":
        return _inside(request.source_ip, values)
    if field == "http-header":
        config = condition.get("HttpHeaderConfig") or {}
        actual = request.headers.get(str(config.get("HttpHeaderName", "")).lower())
        patterns = config.get("Values") or values
        return actual is not None and any(
            fnmatch.fnmatchcase(actual.lower(), _glob(str(pattern).lower())) for pattern in patterns
        )
    if field == "query-string":
        return any(_query_matches(value, request.query) for value in values)
    # A condition that is not understood must not let a request through to what it protects.
    return False


def select_rule(rules: Iterable[Record], request: Request) -> Record | None:
    """The rule that decides: the lowest priority whose conditions all hold, the default rule last."""
    for rule in sorted(rules, key=_priority):
        if rule.get("IsDefault") or all(
            condition_holds(item, request) for item in rule.get("Conditions") or []
        ):
            return rule
    return None


def deciding_action(actions: Iterable[Record]) -> Record | None:
    """The action that answers a request of somebody who has not signed in, which nobody can here.

    The first in their order, so that a rule which signs users in lets nobody through.
    """
    ordered = sorted(actions, key=lambda item: int(item.get("Order") or 0))
    return next((item for item in ordered if item.get("Type") in _ACTIONS), None)


def sign_in_url(action: Record, host: str) -> str:
    """Where an `authenticate-oidc` action sends a browser.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
    """
    config = action.get("AuthenticateOidcConfig") or {}
    query = {
        "client_id": str(config.get("ClientId", "")),
        "redirect_uri": f"https://{host}/oauth2/idpresponse",
        "response_type": "code",
        "scope": str(config.get("Scope") or "openid"),
    }
    return f"{config.get('AuthorizationEndpoint', '')}?{urlencode(query)}"


def forward_weights(action: Record) -> list[tuple[str, int]]:
    """Target groups of a forward action with their weights, those of weight 0 left out."""
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    weighted = [(str(group["TargetGroupArn"]), int(group.get("Weight", 1))) for group in groups]
    if not weighted and action.get("TargetGroupArn"):
        weighted = [(str(action["TargetGroupArn"]), 1)]
    return [(arn, weight) for arn, weight in weighted if weight > 0]


def status_matches(matcher: str, status: int) -> bool:
    """Whether a health check's answer counts as success: `200`, `200,302` or `200-399`."""
    for part in str(matcher or "200").split(","):
        low, _, high = part.strip().partition("-")
        if low.isdigit() and int(low) <= status <= int(high if high.isdigit() else low):
            return True
    return False


def _glob(pattern: str) -> str:
    # Only * and ? are wildcards in a rule; a [ is itself.
    return pattern.replace("[", "[[]")


def _priority(rule: Record) -> tuple[int, int]:
    text = str(rule.get("Priority", "default"))
    return (0, int(text)) if text.isdigit() and not rule.get("IsDefault") else (1, 0)


def _inside(address: str, networks: Iterable[str]) -> bool:
    try:
        source = ipaddress.ip_address(address)
        return any(source in ipaddress.ip_network(network, strict=False) for network in networks)
    except ValueError:
        return False


def _query_matches(value: str, query: Mapping[str, Sequence[str]]) -> bool:
    key, separator, expected = value.partition("=")
    if not separator or not key:
        pattern = _glob(expected if separator else key)
        return any(fnmatch.fnmatchcase(item, pattern) for items in query.values() for item in items)
    return any(fnmatch.fnmatchcase(item, _glob(expected)) for item in query.get(key, ()))
