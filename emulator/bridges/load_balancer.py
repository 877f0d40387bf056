"""The data plane of application load balancers: listeners, rules and health checks as on AWS.

Why: ministack's ALB ignores source-ip conditions (every address matches, so a closed path is open),
knows one target group a forward action, calls every target healthy without asking it, answers all
listeners on one host name, and opens a thread and a connection a request. Here a request is decided by
all conditions of a rule together, reaches healthy targets over kept connections, and DescribeTargetHealth
tells what was probed.
Unnecessary when ministack's ALB evaluates source-ip, weights and health checks.

How a listener is reached: see `listener_urls`. A test may set the header `X-Emulator-Source-Ip` to be
seen under another address than the one it connects from.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from emulator import routing
from emulator.bridges import Context, replace

logger = logging.getLogger("emulator.load_balancer")

SOURCE_HEADER = "x-emulator-source-ip"
LARGEST_BODY = 16 * 1024 * 1024
# Between the probes of a target that has not answered well yet: what on AWS takes a whole interval.
FIRST_PROBES_SECONDS = 0.25
IDLE_SECONDS = 15.0
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Health:
    """What the probes of one target in one group found."""

    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    description: str = "Target registration is in progress"
    failures: int = 0
    successes: int = 0
    next_probe: float = 0.0
    probing: bool = False
    since: float = field(default_factory=time.monotonic)

    def succeeded(self, healthy_threshold: int) -> None:
        self.failures = 0
        self.successes += 1
        # One success makes a new target healthy; one that was unhealthy has to prove itself.
        if self.state == "initial" or self.successes >= healthy_threshold:
            self.state, self.reason, self.description = "healthy", "", ""

    def failed(self, unhealthy_threshold: int, interval: float, reason: str, description: str) -> bool:
        """Count a failure; True when it makes the target unhealthy."""
        self.successes = 0
        self.failures += 1
        if self.state == "unhealthy":
            return False
        if self.state == "initial":
            # Probed more often than on AWS, it still has as long as there.
            self.reason, self.description = "Elb.InitialHealthChecking", "Initial health checks in progress"
            if time.monotonic() - self.since < unhealthy_threshold * interval:
                return False
        elif self.failures < unhealthy_threshold:
            return False
        self.state, self.reason, self.description = "unhealthy", reason, description
        return True


_health: dict[tuple[str, str, int], Health] = {}
_requests_at: Counter[str] = Counter()
_counting = threading.Lock()


def install(context: Context) -> None:
    from ministack.services import alb
    from ministack.services.cloudformation import provisioners

    replace(alb, "_describe_target_health", lambda original: _describe_target_health)
    alb._ACTION_MAP["DescribeTargetHealth"] = alb._describe_target_health
    replace(alb, "_action_xml", _with_forward_config)
    replace(alb, "_parse_actions", _parsing_forward_config)
    replace(provisioners, "_elbv2_listener_actions", _keeping_forward_config)
    for kind, names in (
        ("Listener", ("_elbv2_listener_create", "_elbv2_listener_update")),
        ("LoadBalancer", ("_elbv2_load_balancer_create", "_elbv2_load_balancer_update")),
    ):
        for name in names:
            if kind == "LoadBalancer":
                replace(provisioners, name, _with_local_name)
            handler = provisioners._RESOURCE_HANDLERS[f"AWS::ElasticLoadBalancingV2::{kind}"]
            handler["create" if name.endswith("create") else "update"] = getattr(provisioners, name)


def wait_until_idle(addresses: list[str], seconds: float = IDLE_SECONDS) -> None:
    """Return when no request is under way to these addresses, so that a stop interrupts none."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with _counting:
            if not any(_requests_at[address] for address in addresses):
                return
        time.sleep(0.05)


def state_of(target_group: str, address: str, port: int) -> str:
    """The probed state of a target: initial, healthy, unhealthy, or unused where nothing routes to its group."""
    if target_group not in _groups_in_use():
        return "unused"
    health = _health.get((target_group, address, port))
    return health.state if health else "initial"


def passes_checks(target_group: str, address: str, port: int) -> bool:
    """Whether the target answers its health checks, routed to or not."""
    health = _health.get((target_group, address, port))
    return health is not None and health.state == "healthy"


# --- records -----------------------------------------------------------------------------------------


def _with_local_name(original: Any) -> Any:
    def handle(*args: Any, **kwargs: Any) -> Any:
        from ministack.services import alb

        arn, attributes = original(*args, **kwargs)
        balancer = alb._lbs.get(arn)
        if balancer:
            # A name that leads here, so that what a template builds from DNSName can be opened.
            name = routing.listener_host(balancer["LoadBalancerName"], 80, default=True)
            balancer["DNSName"] = name
            attributes = {**attributes, "DNSName": name}
        return arn, attributes

    return handle


def _keeping_forward_config(original: Any) -> Any:
    def actions(props: dict[str, Any], lb_arn: Any, prop: str = "DefaultActions") -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = original(props, lb_arn, prop)
        declared = [item for item in props.get(prop) or [] if isinstance(item, dict)]
        for entry, action in zip(entries, declared, strict=True):
            if isinstance(action.get("ForwardConfig"), dict):
                entry["ForwardConfig"] = action["ForwardConfig"]
        return entries

    return actions


def _parsing_forward_config(original: Any) -> Any:
    def parse(params: dict[str, Any], prefix: str = "DefaultActions") -> list[dict[str, Any]]:
        from ministack.services import alb

        actions: list[dict[str, Any]] = original(params, prefix)
        for number, action in enumerate(actions, start=1):
            groups = []
            base = f"{prefix}.member.{number}.ForwardConfig.TargetGroups.member"
            for index in range(1, 6):
                arn = alb._p(params, f"{base}.{index}.TargetGroupArn")
                if arn:
                    groups.append(
                        {"TargetGroupArn": arn, "Weight": int(alb._p(params, f"{base}.{index}.Weight", "1"))}
                    )
            if groups:
                action["ForwardConfig"] = {"TargetGroups": groups}
                action.setdefault("TargetGroupArn", groups[0]["TargetGroupArn"])
        return actions

    return parse


def _with_forward_config(original: Any) -> Any:
    def xml(action: dict[str, Any]) -> str:
        text: str = original(action)
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        if not groups:
            return text
        members = "".join(
            f"<member><TargetGroupArn>{group['TargetGroupArn']}</TargetGroupArn>"
            f"<Weight>{group.get('Weight', 1)}</Weight></member>"
            for group in groups
        )
        return text.replace(
            "</member>", f"<ForwardConfig><TargetGroups>{members}</TargetGroups></ForwardConfig></member>"
        )

    return xml


def _describe_target_health(params: dict[str, Any]) -> Any:
    from ministack.services import alb

    arn = alb._p(params, "TargetGroupArn")
    if arn not in alb._tgs:
        return alb._error("TargetGroupNotFound", f"Target group '{arn}' not found.")
    wanted = {target["Id"] for target in alb._parse_targets_param(params)}
    members = []
    for target in alb._targets.get(arn, []):
        if wanted and target["Id"] not in wanted:
            continue
        port = int(target.get("Port") or alb._tgs[arn].get("Port", 80))
        state = state_of(arn, target["Id"], port)
        health = _health.get((arn, target["Id"], port))
        reason, description = (health.reason, health.description) if health else ("", "")
        if state == "unused":
            reason, description = "Target.NotInUse", "Target group is not configured to receive traffic"
        details = f"<Reason>{reason}</Reason><Description>{description}</Description>" if reason else ""
        members.append(
            f"<member><Target><Id>{target['Id']}</Id><Port>{port}</Port></Target>"
            f"<HealthCheckPort>{port}</HealthCheckPort>"
            f"<TargetHealth><State>{state}</State>{details}</TargetHealth></member>"
        )
    body = f"<TargetHealthDescriptions>{''.join(members)}</TargetHealthDescriptions>"
    return alb._xml(200, "DescribeTargetHealth", body)


def _groups_in_use() -> set[str]:
    from ministack.services import alb

    actions = [
        action
        for record in [*alb._rules.all_values(), *alb._listeners.all_values()]
        for action in [*(record.get("Actions") or []), *(record.get("DefaultActions") or [])]
    ]
    groups = {str(action["TargetGroupArn"]) for action in actions if action.get("TargetGroupArn")}
    for action in actions:
        for group in (action.get("ForwardConfig") or {}).get("TargetGroups") or []:
            groups.add(str(group["TargetGroupArn"]))
    return groups


# --- requests ----------------------------------------------------------------------------------------


class LoadBalancers:
    """Serves the listeners of every load balancer, and probes the targets behind them."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._probes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> LoadBalancers:
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60),
        )
        # A probe never takes a kept connection: it shall find out whether the target accepts new ones.
        self._prober = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self._health_loop = asyncio.create_task(self._probe_forever())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._health_loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._health_loop
        await self._prober.close()
        await self._session.close()

    def serves(self, scope: Scope) -> bool:
        return self._address(scope) is not None

    @staticmethod
    def _address(scope: Scope) -> routing.Address | None:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        return routing.address_of(host, scope["path"])

    def listener_urls(self) -> list[dict[str, Any]]:
        """Where each listener of each load balancer is reached on this machine."""
        from ministack.services import alb

        found = []
        for balancer in alb._lbs.all_values():
            listeners = [
                item for item in alb._listeners.all_values() if item["LoadBalancerArn"] == balancer["LoadBalancerArn"]
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
                    return await self._serve(balancer, address, scope, receive, send)
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
            return await _answer(send, 502, f"{address.name} has no {scheme} listener{port}")
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            text = value.decode("latin-1")
            headers[key] = f"{headers[key]}{'; ' if key == 'cookie' else ', '}{text}" if key in headers else text
        source = headers.pop(SOURCE_HEADER, None) or (scope.get("client") or ("127.0.0.1",))[0]
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
        action = next((item for item in actions if item.get("Type") in _TERMINAL), None)
        if action is None:
            return await _answer(send, 503, "no rule of the listener answers this request")
        if action["Type"] == "fixed-response":
            config = action.get("FixedResponseConfig") or {}
            content_type = config.get("ContentType") or "text/plain"
            return await _answer(
                send, int(config.get("StatusCode", 200)), str(config.get("MessageBody") or ""), content_type
            )
        if action["Type"] == "redirect":
            return await self._redirect(action, balancer, listeners, listener, request, query_string, send)
        await self._forward(action, arn, listener, scope, request, query_string, receive, send)

    async def _redirect(
        self,
        action: dict[str, Any],
        balancer: dict[str, Any],
        listeners: list[dict[str, Any]],
        listener: dict[str, Any],
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

        protocol, host, port = fill("Protocol", "#{protocol}"), fill("Host", "#{host}"), fill("Port", "#{port}")
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
        action: dict[str, Any],
        arn: str,
        listener: dict[str, Any],
        scope: Scope,
        request: routing.Request,
        query_string: str,
        receive: Receive,
        send: Send,
    ) -> None:
        import aiohttp
        from ministack.services import alb
        from yarl import URL

        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > LARGEST_BODY:
                return await _answer(send, 413, "the request body is too large for the emulator")
            if not message.get("more_body"):
                break

        weights = routing.forward_weights(action)
        if not weights:
            return await _answer(send, 503, "no target group has any weight")
        group = random.choices([item for item, _ in weights], [weight for _, weight in weights])[0]
        # The Host that the client sent stays: its port is the emulator's, and a service compares Origin with it.
        outgoing = {
            name: value
            for name, value in alb._target_headers(arn, listener, dict(request.headers), request.source_ip).items()
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
                status, text = (502, "no target accepted the request") if tried else (503, "no registered targets")
                return await _answer(send, status, text)
            host, port = target
            tried.add(host)
            started = False
            with _counted(host):
                try:
                    async with self._session.request(
                        request.method,
                        URL(f"http://{host}:{port}{target_path}", encoded=True),
                        headers=outgoing,
                        data=bytes(body) if body else None,
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
                        return await _answer(send, 502, "the target closed the connection")
                    raise

    # --- health checks -----------------------------------------------------------------------------

    async def _probe_forever(self) -> None:
        while True:
            try:
                self._start_due_probes()
            except Exception:
                logger.exception("the health checks went wrong; they go on")
            await asyncio.sleep(0.1)

    def _start_due_probes(self) -> None:
        from ministack.services import alb

        now = time.monotonic()
        registered: set[tuple[str, str, int]] = set()
        for group in alb._tgs.all_values():
            arn = group["TargetGroupArn"]
            if group.get("TargetType") == "lambda" or not group.get("HealthCheckEnabled", True):
                continue
            for target in _targets(arn):
                key = (arn, str(target["Id"]), int(target.get("Port") or group.get("Port", 80)))
                registered.add(key)
                health = _health.setdefault(key, Health())
                if now >= health.next_probe and not health.probing:
                    health.probing = True
                    probe = asyncio.create_task(self._probe(group, key, health))
                    self._probes.add(probe)
                    probe.add_done_callback(self._probes.discard)
        for key in _health.keys() - registered:
            del _health[key]

    async def _probe(self, group: dict[str, Any], key: tuple[str, str, int], health: Health) -> None:
        import aiohttp

        arn, host, port = key
        probe_port = group.get("HealthCheckPort", "traffic-port")
        url = f"http://{host}:{port if probe_port == 'traffic-port' else probe_port}{group['HealthCheckPath']}"
        timeout = aiohttp.ClientTimeout(total=float(group["HealthCheckTimeoutSeconds"]))
        matcher = str((group.get("Matcher") or {}).get("HttpCode", "200"))
        unhealthy = False
        threshold, interval = int(group["UnhealthyThresholdCount"]), float(group["HealthCheckIntervalSeconds"])
        try:
            headers = {"User-Agent": "ELB-HealthChecker/2.0"}
            async with self._prober.get(url, timeout=timeout, allow_redirects=False, headers=headers) as response:
                if routing.status_matches(matcher, response.status):
                    health.succeeded(int(group["HealthyThresholdCount"]))
                else:
                    text = f"Health checks failed with these codes: [{response.status}]"
                    unhealthy = health.failed(threshold, interval, "Target.ResponseCodeMismatch", text)
        except TimeoutError:
            unhealthy = health.failed(threshold, interval, "Target.Timeout", "Request timed out")
        except aiohttp.ClientError:
            unhealthy = health.failed(threshold, interval, "Target.FailedHealthChecks", "Health checks failed")
        finally:
            health.probing = False
            health.next_probe = time.monotonic() + (
                FIRST_PROBES_SECONDS if health.state == "initial" else interval
            )
        if unhealthy:
            logger.warning("target %s:%s of %s is unhealthy: %s", host, port, group["TargetGroupName"], health.reason)
            from emulator.bridges import services

            services.replace_unhealthy_task(arn, host)


_TERMINAL = frozenset({"forward", "redirect", "fixed-response"})


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


def _targets(group: str) -> list[dict[str, Any]]:
    from ministack.services import alb

    account = group.split(":")[4]
    targets: list[dict[str, Any]] = list(alb._targets._data.get((account, group), []))
    return targets


def _pick(group: str, tried: set[str]) -> tuple[str, int] | None:
    """A healthy target that was not tried yet; any one where none is healthy, as the load balancer fails open."""
    from ministack.services import alb

    port_of_group = (alb._tgs.get(group) or {}).get("Port", 80)
    candidates = [(str(item["Id"]), int(item.get("Port") or port_of_group)) for item in _targets(group)]
    candidates = [item for item in candidates if item[0] not in tried]
    healthy = [item for item in candidates if passes_checks(group, *item)]
    return random.choice(healthy or candidates) if candidates else None


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
