"""How strong the services are: the tasks that are wanted, that run, and that the load balancer gives requests to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.aws.clients import Clients, each
from ops.deployed.deployment import DeployedService
from ops.errors import OpsError

# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
_SERVICES_PER_CALL = 10
_TASKS_PER_CALL = 100


@dataclass(frozen=True)
class Counts:
    """The tasks of a service as ECS counts them."""

    desired: int
    running: int
    pending: int


@dataclass(frozen=True)
class Task:
    """A task of a service, with the address at which the load balancer reaches it."""

    arn: str
    service: str
    zone: str
    status: str
    address: str
    started: str

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True)
class Strength:
    """How many tasks of a service are wanted, and how many of them run and are healthy behind the load balancer."""

    desired: int
    serving: int

    @property
    def full(self) -> bool:
        return self.serving >= self.desired

    def __str__(self) -> str:
        return f"{self.serving}/{self.desired}"


class Fleet:
    """Some services of one cluster, watched with as few calls as there are answers to."""

    def __init__(self, clients: Clients, cluster: str, services: Sequence[DeployedService]) -> None:
        self._clients = clients
        self._cluster = cluster
        self._names = {service.service_name.rpartition("/")[2]: service for service in services}

    @property
    def services(self) -> Sequence[DeployedService]:
        return list(self._names.values())

    def counts(self) -> Mapping[str, Counts]:
        """What ECS says of each service, by its name."""
        return {
            service: Counts(found["desiredCount"], found["runningCount"], found["pendingCount"])
            for service, found in self.described().items()
        }

    def described(self) -> Mapping[str, Mapping[str, Any]]:
        """The whole description of each service, by its name; raises `OpsError` where one is gone."""
        names = list(self._names)
        chunks = [names[i : i + _SERVICES_PER_CALL] for i in range(0, len(names), _SERVICES_PER_CALL)]
        found = {}
        for page in each(self._describe, chunks):
            found.update({self._names[item["serviceName"]].name: item for item in page})
        return found

    def tasks(self) -> Sequence[Task]:
        """The tasks that are to run, by service and start."""
        found = [task for tasks in each(self._tasks, self.services) for task in tasks]
        return sorted(found, key=lambda task: (task.service, task.started, task.arn))

    def strengths(self, without: Collection[str] = ()) -> Mapping[str, Strength]:
        """How strong each service is, leaving out the tasks named by ARN, which are on their way out."""
        desired = self.described()
        tasks = self.tasks()
        healthy = dict(
            zip(
                (service.name for service in self.services),
                each(self._healthy_addresses, self.services),
                strict=True,
            )
        )
        return {
            name: Strength(
                int(description["desiredCount"]),
                sum(
                    task.service == name
                    and task.status == "RUNNING"
                    and task.arn not in without
                    and task.address in healthy[name]
                    for task in tasks
                ),
            )
            for name, description in desired.items()
        }

    def stop(self, task: Task, reason: str) -> None:
        """Have ECS stop a task: it is taken out of the load balancer, gets SIGTERM, and SIGKILL when it lingers."""
        self._clients.client("ecs").stop_task(cluster=self._cluster, task=task.arn, reason=reason)

    def _describe(self, names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        answer = self._clients.client("ecs").describe_services(cluster=self._cluster, services=names)
        found = [item for item in answer["services"] if item.get("status") == "ACTIVE"]
        missing = sorted(set(names) - {item["serviceName"] for item in found})
        if missing:
            raise OpsError(f"ECS has no active service {missing[0]} in cluster {self._cluster}: deploy again")
        return found

    def _tasks(self, service: DeployedService) -> Sequence[Task]:
        ecs = self._clients.client("ecs")
        pages = ecs.get_paginator("list_tasks").paginate(
            cluster=self._cluster,
            serviceName=service.service_name.rpartition("/")[2],
            PaginationConfig={"PageSize": _TASKS_PER_CALL},
        )
        return [
            Task(
                arn=item["taskArn"],
                service=service.name,
                zone=item.get("availabilityZone", ""),
                status=item["lastStatus"],
                address=next(_addresses(item), ""),
                started=str(item.get("startedAt", "~")),
            )
            for page in pages
            if page["taskArns"]
            for item in ecs.describe_tasks(cluster=self._cluster, tasks=page["taskArns"])["tasks"]
        ]

    def _healthy_addresses(self, service: DeployedService) -> frozenset[str]:
        elbv2 = self._clients.client("elbv2")
        return frozenset(
            target["Target"]["Id"]
            for group in (service.blue, service.green)
            for target in elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
            if target["TargetHealth"]["State"] == "healthy"
        )


def in_words(strengths: Mapping[str, Strength]) -> str:
    """Tasks that serve of those that are wanted, service by service."""
    return ", ".join(f"{name} {strength}" for name, strength in strengths.items())


def _addresses(task: Mapping[str, Any]) -> Iterator[str]:
    for attachment in task.get("attachments", ()):
        for detail in attachment.get("details", ()):
            if detail.get("name") == "privateIPv4Address":
                yield str(detail["value"])
