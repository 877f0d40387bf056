"""Tasks are spread over the zones of their subnets.

Why: ministack starts every task in the first subnet and calls its zone the region's first, so that no zone
could be lost without all of them. Fargate spreads the tasks of a service over the zones of its subnets, and
puts a new one where the fewest are:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-rebalancing.html
Unnecessary when ministack places tasks.

The zones are names: all containers are on this machine.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from emulator.bridges import Context, replace

_lock = threading.Lock()


def install(context: Context) -> None:
    from ministack.services import ecs

    replace(ecs, "_run_task", _spreading)
    ecs._ACTION_MAP["RunTask"] = ecs._run_task


def subnet_for(subnets: Sequence[str], zones: Mapping[str, str], taken: Counter[str]) -> str:
    """The subnet whose zone has the fewest of the group's tasks; of several the first. All must have a zone."""
    return min(subnets, key=lambda subnet: taken[zones[subnet]])


def _spreading(original: Any) -> Any:
    def run_task(data: dict[str, Any]) -> Any:
        from ministack.services import ec2

        subnets = _subnets(data)
        zones = {
            subnet: str((ec2._subnets.get(subnet) or {}).get("AvailabilityZone") or "") for subnet in subnets
        }
        if not all(zones.values()) or not subnets:
            return original(data)
        tasks: list[Any] = []
        failures: list[Any] = []
        response = None
        # Two that start tasks of one service at once would choose the same zone.
        with _lock:
            for _ in range(int(data.get("count", 1))):
                subnet = subnet_for(subnets, zones, _taken(data))
                others = [each for each in subnets if each != subnet]
                network = data["networkConfiguration"]
                network = {**network, "awsvpcConfiguration": {**network["awsvpcConfiguration"]}}
                network["awsvpcConfiguration"]["subnets"] = [subnet, *others]
                response = original({**data, "count": 1, "networkConfiguration": network})
                if response[0] >= 400:
                    return response
                answer = json.loads(response[2])
                for task in answer["tasks"]:
                    task["availabilityZone"] = zones[subnet]
                    _place(task["taskArn"], zones[subnet])
                tasks += answer["tasks"]
                failures += answer["failures"]
        if response is None:
            return original(data)
        return response[0], response[1], json.dumps({"tasks": tasks, "failures": failures}).encode()

    return run_task


def _subnets(data: Mapping[str, Any]) -> list[str]:
    network = data.get("networkConfiguration") or {}
    return [str(each) for each in (network.get("awsvpcConfiguration") or {}).get("subnets") or []]


def _taken(data: Mapping[str, Any]) -> Counter[str]:
    from ministack.services import ecs

    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    return Counter(
        str(task.get("availabilityZone"))
        for task in ecs._tasks.values()
        if task.get("desiredStatus") == "RUNNING"
        and task.get("lastStatus") != "STOPPED"
        and task.get("group") == data.get("group", "")
        and ecs._cluster_name_from_arn(task.get("clusterArn", "")) == cluster
    )


def _place(arn: str, zone: str) -> None:
    from ministack.services import ecs

    task = ecs._tasks.get(arn)
    if task is not None:
        task["availabilityZone"] = zone
