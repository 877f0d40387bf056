"""Targets are healthy when they answer their health checks.

Why: ministack calls every registered target healthy. A deployment that waits for healthy tasks, a task
that never reached its database, an alarm or a test that reads DescribeTargetHealth need the truth.
Unnecessary when ministack probes targets as their group says.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from emulator import routing
from emulator.bridges import Context, replace
from emulator.health import Health

logger = logging.getLogger("emulator.target_health")

# Between the probes of a target that has not answered well yet: what on AWS takes a whole interval.
FIRST_PROBES_SECONDS = 0.25

_health: dict[tuple[str, str, int], Health] = {}


def install(context: Context) -> None:
    from ministack.services import alb

    replace(alb, "_describe_target_health", lambda original: _describe_target_health)
    alb._ACTION_MAP["DescribeTargetHealth"] = alb._describe_target_health


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


def targets_of(group: str) -> list[dict[str, Any]]:
    from ministack.services import alb

    account = group.split(":")[4]
    targets: list[dict[str, Any]] = list(alb._targets._data.get((account, group), []))
    return targets


class Prober:
    """Probes every target of every group for as long as it is entered.

    `unhealthy` is told the group and address of each target that stops answering well.
    """

    def __init__(self, unhealthy: Callable[[str, str], None]) -> None:
        self._unhealthy = unhealthy
        self._probes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> None:
        import aiohttp

        # A probe never takes a kept connection: it shall find out whether the target accepts new ones.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self._loop = asyncio.create_task(self._probe_forever())

    async def __aexit__(self, *exc: object) -> None:
        self._loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        await self._session.close()

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
            for target in targets_of(arn):
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
        url = (
            f"http://{host}:{port if probe_port == 'traffic-port' else probe_port}{group['HealthCheckPath']}"
        )
        timeout = aiohttp.ClientTimeout(total=float(group["HealthCheckTimeoutSeconds"]))
        matcher = str((group.get("Matcher") or {}).get("HttpCode", "200"))
        unhealthy = False
        threshold, interval = (
            int(group["UnhealthyThresholdCount"]),
            float(group["HealthCheckIntervalSeconds"]),
        )
        try:
            headers = {"User-Agent": "ELB-HealthChecker/2.0"}
            async with self._session.get(
                url, timeout=timeout, allow_redirects=False, headers=headers
            ) as response:
                if routing.status_matches(matcher, response.status):
                    health.succeeded(int(group["HealthyThresholdCount"]))
                else:
                    text = f"Health checks failed with these codes: [{response.status}]"
                    unhealthy = health.failed(threshold, interval, "Target.ResponseCodeMismatch", text)
        except TimeoutError:
            unhealthy = health.failed(threshold, interval, "Target.Timeout", "Request timed out")
        except aiohttp.ClientError:
            unhealthy = health.failed(
                threshold, interval, "Target.FailedHealthChecks", "Health checks failed"
            )
        finally:
            health.probing = False
            health.next_probe = time.monotonic() + (
                FIRST_PROBES_SECONDS if health.state == "initial" else interval
            )
        if unhealthy:
            logger.warning(
                "target %s:%s of %s is unhealthy: %s", host, port, group["TargetGroupName"], health.reason
            )
            self._unhealthy(arn, host)
