"""Requests to the listeners of application load balancers are decided as on AWS.

Why: ministack's ALB ignores source-ip conditions (every address matches, so a closed path is open), sends
requests to targets that are not ready, answers all listeners under one host name, and opens a thread and
a connection a request. Here a request is decided by all conditions of a rule together and reaches healthy
targets over kept connections.
Unnecessary when ministack's ALB evaluates source-ip and target health.

Requests by the name of an internal load balancer behind CloudFront are taken for CloudFront's (emulator/edge.py).

How a listener is reached: see `listener_urls`. A test may set the header `X-Emulator-Source-Ip` to be
seen under another address than the one it connects from.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import contextlib
import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

from emulator import edge, routing
from emulator.bridges import Context, replace
from emulator.bridges.elbv2 import private_addresses, target_health

logger = logging.getLogger("emulator.load_balancer")

SOURCE_HEADER = "x-emulator-source-ip"
LARGEST_BODY = 16 * 1024 * 1024
IDLE_SECONDS = 15.0
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


_requests_at: Counter[str] = Counter()
_counting = threading.Lock()


def install(context: Context) -> None:
    from ministack.services.cloudformation import provisioners

    handler = provisioners._RESOURCE_HANDLERS["AWS::ElasticLoadBalancingV2::LoadBalancer"]
    for action in ("create", "update"):
        name = f"_elbv2_load_balancer_{action}"
        replace(provisioners, name, _with_local_name)
        handler[action] = getattr(provisioners, name)


def _with_local_name(original: Any) -> Any:
    def handle(*args: Any, **kwargs: Any) -> Any:
        from ministack.services import alb

        arn, attributes = original(*args, **kwargs)
        balancer = alb._lbs.get(arn)
        if balancer:
            # A name that leads here, with the port, so that `http://${DNSName}/` of a template opens.
            host = routing.listener_host(balancer["LoadBalancerName"], 80, default=True)
            name = f"{host}:{os.environ['EMULATOR_PORT']}"
            balancer["DNSName"] = name
            attributes = {**attributes, "DNSName": name}
        return arn, attributes

    return handle


def wait_until_idle(addresses: list[str], seconds: float = IDLE_SECONDS) -> None:
    """Return when no request is under way to these addresses, so that a stop interrupts none."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with _counting:
            if not any(_requests_at[address] for address in addresses):
                return
        time.sleep(0.05)


def _by_cloudfront(balancer: dict[str, Any], headers: dict[str, str], source: str) -> dict[str, str]:
    from ministack.services import cloudfront

    function = cloudfront._functions.get(edge.function_of(balancer["LoadBalancerName"]))
    if function is None or balancer.get("Scheme") != "internal":
        return headers
    return edge.as_forwarded(headers, source, function["code"].decode())


class LoadBalancers:
    """Serves the listeners of every load balancer, and probes the targets behind them."""

    def __init__(self, context: Context) -> None:
        self.context = context

    async def __aenter__(self) -> LoadBalancers:
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    def serves(self, scope: Scope) -> bool:
        return self._address(scope) is not None

    @staticmethod
    def _address(scope: Scope) -> routing.Address | None:
        entrance = private_addresses.entrance_of(scope.get("client"))
        if entrance is not None:
            return routing.Address(entrance.load_balancer, entrance.port, scope["path"])
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        return routing.address_of(host, scope["path"])

    def listener_urls(self) -> list[dict[str, Any]]:
        """Where each listener of each load balancer is reached on this machine."""
        from ministack.services import alb

        found = []
        for balancer in alb._lbs.all_values():
            listeners = [
                item
                for item in alb._listeners.all_values()
                if item["LoadBalancerArn"] == balancer["LoadBalancerArn"]
            ]
            for listener in sorted(listeners, key=lambda item: int(item.get("Port", 0))):
                secure = routing.is_secure(listener)
                default = routing.default_listener(listeners, secure=secure) is listener
                host = routing.listener_host(balancer["LoadBalancerName"], listener["Port"], default=default)
                found.append(
                    {
                        "load_balancer": balancer["LoadBalancerName"],
                        "port": listener["Port"],
                        "protocol": listener.get("Protocol", "HTTP"),
                        "url": self._url(host, secure=secure),
                        "host": host,
                    }
                )
        return found

    def _url(self, host: str, *, secure: bool) -> str:
        instance = self.context.instance
        return f"https://{host}:{instance.tls_port}/" if secure else f"http://{host}:{instance.port}/"

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        from ministack.core.responses import request_scope
        from ministack.services import alb

        address = self._address(scope)
        assert address is not None
        for (account, region, _), balancer in alb._lbs.all_items():
            if balancer["LoadBalancerName"].lower() == address.name:
                with request_scope(account, region):
                    await self._serve(balancer, address, scope, receive, send)
                return
        await _answer(send, 404, f"no load balancer {address.name}")

    async def _serve(
        self, balancer: dict[str, Any], address: routing.Address, scope: Scope, receive: Receive, send: Send
    ) -> None:
        from ministack.services import alb

        secure = scope.get("scheme") == "https"
        arn = balancer["LoadBalancerArn"]
        listeners = [item for item in alb._listeners.values() if item["LoadBalancerArn"] == arn]
        listener = routing.choose_listener(listeners, address, secure=secure)
        if listener is None:
            # On AWS the connection would be refused.
            port = f" on port {address.port}" if address.port else ""
            scheme = "HTTPS" if secure else "HTTP"
            await _answer(send, 502, f"{address.name} has no {scheme} listener{port}")
            return
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            text = value.decode("latin-1")
            headers[key] = (
                f"{headers[key]}{'; ' if key == 'cookie' else ', '}{text}" if key in headers else text
            )
        entrance = private_addresses.entrance_of(scope.get("client"))
        connected_from = entrance.source if entrance else (scope.get("client") or ("127.0.0.1",))[0]
        source = headers.pop(SOURCE_HEADER, None) or connected_from
        if entrance is None and address.port is None:
            headers = _by_cloudfront(balancer, headers, source)
        query_string = scope.get("query_string", b"").decode("latin-1")
        request = routing.Request(
            method=scope["method"],
            host=headers.get("host", ""),
            path=address.path,
            query=parse_qs(query_string, keep_blank_values=True),
            headers=headers,
            source_ip=source,
        )
        rules = [rule for rule in alb._rules.values() if rule.get("ListenerArn") == listener["ListenerArn"]]
        rule = routing.select_rule(rules, request)
        actions = (rule or {}).get("Actions") or listener.get("DefaultActions") or []
        action = routing.deciding_action(actions)
        if action is None:
            await _answer(send, 503, "no rule of the listener answers this request")
        elif action["Type"] == "authenticate-oidc":
            location = routing.sign_in_url(action, request.host).encode("latin-1")
            await _answer(send, 302, "", extra=[(b"location", location)])
        elif action["Type"] == "authenticate-cognito":
            await _answer(send, 401, "the emulator signs nobody in")
        elif action["Type"] == "fixed-response":
            config = action.get("FixedResponseConfig") or {}
            status, text = int(config.get("StatusCode", 200)), str(config.get("MessageBody") or "")
            await _answer(send, status, text, config.get("ContentType") or "text/plain")
        elif action["Type"] == "redirect":
            await self._redirect(action, balancer, listeners, listener, request, query_string, send)
        else:
            await self._forward(action, arn, listener, scope, request, query_string, receive, send)

    async def _redirect(
        self,
        action: routing.Record,
        balancer: dict[str, Any],
        listeners: list[dict[str, Any]],
        listener: routing.Record,
        request: routing.Request,
        query_string: str,
        send: Send,
    ) -> None:
        config = action.get("RedirectConfig") or {}
        values = {
            "#{protocol}": str(listener.get("Protocol", "HTTP")),
            "#{host}": request.host.split(":", 1)[0],
            "#{port}": str(listener.get("Port", 80)),
            "#{path}": request.path.lstrip("/"),
            "#{query}": query_string,
        }

        def fill(key: str, default: str) -> str:
            text = str(config.get(key) or default)
            for placeholder, value in values.items():
                text = text.replace(placeholder, value)
            return text

        protocol, host, port = (
            fill("Protocol", "#{protocol}"),
            fill("Host", "#{host}"),
            fill("Port", "#{port}"),
        )
        path, query = fill("Path", "/#{path}"), fill("Query", "#{query}")
        base = f"{protocol.lower()}://{host}:{port}"
        if host == values["#{host}"]:
            # To another listener of the same load balancer: to where that one is reached here.
            target = next((item for item in listeners if str(item.get("Port")) == port), None)
            if target is not None:
                secure = routing.is_secure(target)
                default = routing.default_listener(listeners, secure=secure) is target
                name = routing.listener_host(balancer["LoadBalancerName"], int(port), default=default)
                base = self._url(name, secure=secure).rstrip("/")
        location = f"{base}{path}" + (f"?{query}" if query else "")
        status = int(str(config.get("StatusCode", "HTTP_301")).removeprefix("HTTP_"))
        await _answer(send, status, "", extra=[(b"location", location.encode("latin-1"))])

    async def _forward(
        self,
        action: routing.Record,
        arn: str,
        listener: routing.Record,
        scope: Scope,
        request: routing.Request,
        query_string: str,
        receive: Receive,
        send: Send,
    ) -> None:
        import aiohttp
        from ministack.services import alb
        from yarl import URL

        body = await _body(receive)
        if body is None:
            return
        if len(body) > LARGEST_BODY:
            await _answer(send, 413, "the request body is too large for the emulator")
            return
        weights = routing.forward_weights(action)
        if not weights:
            await _answer(send, 503, "no target group has any weight")
            return
        group = random.choices([item for item, _ in weights], [weight for _, weight in weights])[0]
        # The Host that the client sent stays: its port is the emulator's, and a service compares Origin with it.
        outgoing = {
            name: value
            for name, value in alb._target_headers(
                arn, listener, dict(request.headers), request.source_ip
            ).items()
            if name not in _HOP_BY_HOP and name != "content-length"
        }
        raw_path = (scope.get("raw_path") or request.path.encode()).decode("latin-1").split("?", 1)[0]
        if raw_path.startswith("/_alb/"):
            raw_path = request.path
        target_path = raw_path + (f"?{query_string}" if query_string else "")
        # A request that never reached its target is tried at another one, as long as there is one: a task
        # that was killed is still registered for a moment.
        tried: set[str] = set()
        while True:
            target = _pick(group, tried)
            if target is None:
                status, text = (
                    (502, "no target accepted the request") if tried else (503, "no registered targets")
                )
                await _answer(send, status, text)
                return
            host, port = target
            tried.add(host)
            started = False
            with _counted(host):
                try:
                    async with self._session.request(
                        request.method,
                        URL(f"http://{host}:{port}{target_path}", encoded=True),
                        headers=outgoing,
                        data=body or None,
                        allow_redirects=False,
                        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                    ) as response:
                        started = True
                        await _relay(response, send)
                        return
                except aiohttp.ClientConnectorError:
                    continue
                except (aiohttp.ClientError, TimeoutError) as error:
                    logger.warning("%s %s at %s:%s: %r", request.method, request.path, host, port, error)
                    if not started:
                        await _answer(send, 502, "the target closed the connection")
                        return
                    raise


@contextlib.contextmanager
def _counted(address: str) -> Iterator[None]:
    with _counting:
        _requests_at[address] += 1
    try:
        yield
    finally:
        with _counting:
            _requests_at[address] -= 1
            if not _requests_at[address]:
                del _requests_at[address]


def _pick(group: str, tried: set[str]) -> tuple[str, int] | None:
    """A healthy target that was not tried yet; any one where none is healthy, as the load balancer fails open."""
    from ministack.services import alb

    port_of_group = (alb._tgs.get(group) or {}).get("Port", 80)
    candidates = [
        (str(item["Id"]), int(item.get("Port") or port_of_group)) for item in target_health.targets_of(group)
    ]
    candidates = [item for item in candidates if item[0] not in tried]
    healthy = [item for item in candidates if target_health.passes_checks(group, *item)]
    return random.choice(healthy or candidates) if candidates else None


async def _body(receive: Receive) -> bytes | None:
    """The request's body, cut off once it is too large; None when the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY or not message.get("more_body"):
            return bytes(body)


async def _relay(response: Any, send: Send) -> None:
    headers = [
        (name, value)
        for name, value in response.raw_headers
        if name.decode("latin-1").lower() not in _HOP_BY_HOP
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    async for chunk in response.content.iter_any():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _answer(
    send: Send,
    status: int,
    text: str,
    content_type: str = "text/plain",
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """An answer of the load balancer's own."""
    body = text.encode()
    headers = [
        (b"server", b"awselb/2.0"),
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *(extra or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
