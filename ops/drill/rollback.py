"""The drill that takes a release back."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ops.aws.clients import Clients
from ops.aws.session import Session
from ops.deployed import stacks
from ops.deployed.deployment import DeployedService, Deployment
from ops.deployed.routes import Blueprint, traffic_of
from ops.drill.conduct import Look
from ops.errors import OpsError
from ops.load.strength import Fleet, in_words
from ops.release import guard

# For new tasks to start, to be tested and to receive their first request.
PATIENCE_SECONDS = 1200.0


@dataclass
class Rollback:
    """The version that serves is released once more, and taken back while its new tasks serve."""

    clients: Clients
    fleet: Fleet
    service: DeployedService
    listener: str
    original: str
    release: Release
    hold: float
    facts: dict[str, str] = field(default_factory=dict)
    name: str = "rollback"
    pause: Callable[[float], None] = time.sleep
    meaning: str = (
        "The version that serves is released once more, and the release is stopped with rollback as soon as its new "
        "tasks serve users, as an alarm would do. That shows the way back with a version that works; whether "
        "alarms notice one that does not is not shown."
    )

    @property
    def steps(self) -> Sequence[str]:
        return [
            f"release {self.service.name} by {self.release.by} with the task definition that serves",
            f"wait until the new tasks receive requests, and {self.hold:g} s more",
            "stop the release with rollback",
        ]

    def strike(self) -> None:
        started = time.monotonic()
        self.facts["release"] = self.release.start()
        while set(self._shares()) <= {self.original}:
            if self.release.ended():
                raise OpsError(f"the release {self.facts['release']} ended before it received a request")
            if time.monotonic() - started > PATIENCE_SECONDS:
                self.release.stop()
                raise OpsError(
                    f"the release {self.facts['release']} received no request within {PATIENCE_SECONDS:g} s and was "
                    "stopped: see `suppliers releases`"
                )
            self.pause(0.2)
        self.facts["new tasks served after"] = f"{time.monotonic() - started:.1f} s"
        self.pause(self.hold)
        if self.release.ended():
            raise OpsError(
                f"the release {self.facts['release']} ended before it could be taken back: give less than the "
                "bake time as --hold"
            )
        self.facts["share of the traffic when stopped"] = self._text(self._shares())
        self.release.stop()

    def look(self) -> Look:
        shares, strengths = self._shares(), self.fleet.strengths()
        back = set(shares) == {self.original}
        state = self.release.state()
        recovered = back and self.release.taken_back() and all(each.full for each in strengths.values())
        return Look(f"traffic {self._text(shares)}; release {state}; {in_words(strengths)}", recovered)

    def _shares(self) -> Mapping[str, float]:
        return shares(self.clients, self.listener, self.service)

    def _text(self, shares: Mapping[str, float]) -> str:
        return ", ".join(
            f"{share:.0f} % {self.service.side(group)}" for group, share in sorted(shares.items())
        )


def shares(clients: Clients, listener: str, service: DeployedService) -> Mapping[str, float]:
    """The percentage of a service's traffic that each group of its pair receives, over the listener's rules."""
    found: defaultdict[str, float] = defaultdict(float)
    rules = 0
    for page in clients.client("elbv2").get_paginator("describe_rules").paginate(ListenerArn=listener):
        for rule in page["Rules"]:
            weights = {
                group: weight
                for group, weight in (traffic_of(rule["Actions"]) or {}).items()
                if group in (service.blue, service.green)
            }
            if weights:
                rules += 1
                for group, weight in weights.items():
                    found[group] += 100 * weight / sum(weights.values())
    return {group: share / rules for group, share in found.items()}


class Release(Protocol):
    """A release that can be started, watched and stopped with rollback."""

    @property
    def by(self) -> str:
        """Who makes it."""
        ...

    def start(self) -> str:
        """Start it; its id."""
        ...

    def state(self) -> str:
        """What it is doing."""
        ...

    def ended(self) -> bool:
        """Whether it has come to an end, good or bad."""
        ...

    def stop(self) -> None:
        """Order the way back."""
        ...

    def taken_back(self) -> bool:
        """Whether the way back has come to its end."""
        ...


@dataclass
class CodeDeployRelease:
    """A deployment of CodeDeploy."""

    clients: Clients
    application: str
    group: str
    task_definition: str
    container: str
    port: int
    by: str = "CodeDeploy"
    _id: str = ""

    def start(self) -> str:
        properties = {
            "TaskDefinition": self.task_definition,
            "LoadBalancerInfo": {"ContainerName": self.container, "ContainerPort": self.port},
        }
        content = {
            "version": 0.0,
            "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}],
        }
        answer = self.clients.client("codedeploy").create_deployment(
            applicationName=self.application,
            deploymentGroupName=self.group,
            description="Drill: the version that serves once more, to be taken back",
            revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(content)}},
        )
        self._id = str(answer["deploymentId"])
        return self._id

    def state(self) -> str:
        return str(self._info(self._id)["status"])

    def ended(self) -> bool:
        return "completeTime" in self._info(self._id)

    def stop(self) -> None:
        self.clients.client("codedeploy").stop_deployment(deploymentId=self._id, autoRollbackEnabled=True)

    def taken_back(self) -> bool:
        info = self._info(self._id)
        rollback = info.get("rollbackInfo", {}).get("rollbackDeploymentId")
        return "completeTime" in info and (not rollback or "completeTime" in self._info(rollback))

    def _info(self, identifier: str) -> Mapping[str, Any]:
        found = self.clients.client("codedeploy").get_deployment(deploymentId=identifier)
        return dict(found["deploymentInfo"])


_ECS_ENDED = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


@dataclass
class EcsRelease:
    """A deployment of ECS itself."""

    clients: Clients
    cluster: str
    service: str
    by: str = "ECS"
    _arn: str = ""

    def start(self) -> str:
        ecs = self.clients.client("ecs")
        before = {found["serviceDeploymentArn"] for found in self._listed()}
        ecs.update_service(cluster=self.cluster, service=self.service, forceNewDeployment=True)
        for _ in range(30):
            new = [arn for found in self._listed() if (arn := found["serviceDeploymentArn"]) not in before]
            if new:
                self._arn = str(new[0])
                return self._arn.rpartition("/")[2]
            time.sleep(1)
        raise OpsError(f"ECS started no deployment of {self.service}: see its events")

    def state(self) -> str:
        return str(self._found()["status"])

    def ended(self) -> bool:
        return self.state() in _ECS_ENDED

    def stop(self) -> None:
        self.clients.client("ecs").stop_service_deployment(
            serviceDeploymentArn=self._arn, stopType="ROLLBACK"
        )

    def taken_back(self) -> bool:
        return self.state() == "ROLLBACK_SUCCESSFUL"

    def _listed(self) -> Sequence[Mapping[str, Any]]:
        answer = self.clients.client("ecs").list_service_deployments(
            cluster=self.cluster, service=self.service
        )
        return list(answer["serviceDeployments"])

    def _found(self) -> Mapping[str, Any]:
        (found,) = self.clients.client("ecs").describe_service_deployments(serviceDeploymentArns=[self._arn])[
            "serviceDeployments"
        ]
        return dict(found)


def rollback(
    session: Session, deployment: Deployment, fleet: Fleet, service: DeployedService, *, hold: float
) -> Rollback:
    """The release drill of a service; raises `OpsError` where releases cannot be taken back, or one is under way."""
    controller = session.environment.release.controller
    if controller == "rolling":
        raise OpsError(
            f"{session.name}: releases replace the tasks one by one (controller = 'rolling'), which has no way back "
            "to drill; rollback needs 'codedeploy' or 'ecs'"
        )
    stack = guard.read(session.clients, stacks.service_stack(session.name, service.name))
    if stack is None:
        raise OpsError(f"{session.name}: nothing is deployed: `make deploy ENV={session.name}`")
    if stack.releases:
        raise OpsError(
            f"{session.name}: {next(iter(stack.releases.values())).name} is under way: wait for its end and repeat"
        )
    listener = deployment.output("compute", "ProductionListenerArn")
    (original, *more) = shares(session.clients, listener, service)
    if more:
        raise OpsError(f"{session.name}: the traffic of {service.name} is split: end its release first")
    description = fleet.described()[service.name]
    name = service.service_name.rpartition("/")[2]
    release: Release
    if controller == "ecs":
        release = EcsRelease(session.clients, deployment.cluster, name)
    else:
        (primary,) = (each for each in description["taskSets"] if each["status"] == "PRIMARY")
        serving = (primary.get("loadBalancers") or description["loadBalancers"])[0]
        release = CodeDeployRelease(
            session.clients,
            *_deployment_group(stack, name),
            task_definition=primary["taskDefinition"],
            container=serving["containerName"],
            port=int(serving["containerPort"]),
        )
    return Rollback(
        session.clients,
        fleet,
        service,
        listener,
        original,
        release,
        hold,
        facts={"service": service.name, "side that served": service.side(original)},
    )


def _deployment_group(stack: guard.Deployed, service: str) -> tuple[str, str]:
    for logical_id, (application, group) in Blueprint(stack.template).deployment_groups.items():
        if stack.physical_ids.get(logical_id, "").rpartition("/")[2] == service:
            return stack.physical_ids[application], stack.physical_ids[group]
    raise OpsError(f"{stack.stack} has no deployment group of {service}: deploy again")
