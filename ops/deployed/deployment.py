"""What is deployed of an environment, read from its stacks: their states and their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from emulator import lifecycle
from emulator.instance import Instance
from ops.aws.clients import Clients, each
from ops.aws.endpoint import Endpoint
from ops.aws.refusals import says
from ops.aws.session import Session
from ops.errors import OpsError
from settings import SHARED_STACKS, Environment

ABSENT = "NOT_DEPLOYED"
_OF_A_PIPELINE = "delivery-"
# A stack in one of these has nothing to work with, and this helps.
_REMEDIES: Mapping[str, str] = {
    ABSENT: "is not deployed: `make deploy ENV={env}`",
    "REVIEW_IN_PROGRESS": "was never deployed, only reviewed: `make deploy ENV={env}`",
    "CREATE_IN_PROGRESS": "is being created: wait for its end and repeat",
    "CREATE_FAILED": "failed to be created: `make destroy ENV={env}`, then `make deploy ENV={env}`",
    "ROLLBACK_IN_PROGRESS": "failed to be created and is being rolled back: wait for its end, see its events",
    "ROLLBACK_COMPLETE": "failed to be created and was rolled back: `make deploy ENV={env}` makes it anew",
    "ROLLBACK_FAILED": "failed to be created, and to be rolled back: `make destroy ENV={env}`, then deploy",
    "DELETE_IN_PROGRESS": "is being deleted: wait for its end, then `make deploy ENV={env}`",
    "DELETE_FAILED": "was deleted only in part: `make destroy ENV={env}` again, then `make deploy ENV={env}`",
}
# A stack in one of these works, but is not what the template says.
_NOTICES: Mapping[str, str] = {
    "UPDATE_FAILED": "its last update failed half way: `make deploy ENV={env}`",
    "UPDATE_ROLLBACK_COMPLETE": "its last update failed and was rolled back: see its events, then "
    "`make deploy ENV={env}`",
    "UPDATE_ROLLBACK_FAILED": "its last update is stuck: `aws cloudformation continue-update-rollback "
    "--stack-name {stack} --resources-to-skip <what failed>`; `suppliers release watch --env {env}` names it",
}


@dataclass(frozen=True)
class Stack:
    """One stack as CloudFormation describes it; without outputs where it is not deployed."""

    name: str
    status: str
    outputs: Mapping[str, str]
    changed: datetime | None = None

    @property
    def usable(self) -> bool:
        """Whether its outputs name what is there."""
        return self.status not in _REMEDIES

    def notice(self, env: str) -> str | None:
        """What is wrong with it and what helps, or None."""
        text = _REMEDIES.get(self.status) or _NOTICES.get(self.status)
        if text is None and self.status.endswith("_IN_PROGRESS"):
            text = "is being changed at the moment"
        return f"{self.name} ({self.status}): {text.format(env=env, stack=self.name)}" if text else None


@dataclass(frozen=True)
class DeployedService:
    """What the outputs say of one microservice; `service_name` is its name in ECS."""

    name: str
    service_name: str
    log_group: str
    blue: str
    green: str

    def side(self, group: str) -> str:
        """Which side of the pair a target group is."""
        sides = {self.blue: "blue", self.green: "green"}
        return sides.get(group, f"target group {group.rpartition('targetgroup/')[2].partition('/')[0]}")


@dataclass(frozen=True)
class Deployment:
    """The stacks of an environment, by part: `network`, `data`, `compute`, each service by its name, `delivery`, ...

    What is asked of a part that is not deployed raises `OpsError` with the state of its stack and the remedy.
    """

    environment: Environment
    stacks: Mapping[str, Stack]

    def output(self, part: str, name: str) -> str:
        """An output of a part's stack."""
        stack = self.stacks[part]
        if not stack.usable:
            raise OpsError(f"{self.environment.name}: {stack.notice(self.environment.name)}")
        if name not in stack.outputs:
            raise OpsError(
                f"{self.environment.name}: {stack.name} has no output {name}, as an older version of this "
                f"project deployed it: `make deploy ENV={self.environment.name}`"
            )
        return stack.outputs[name]

    @property
    def cluster(self) -> str:
        """The name of the ECS cluster."""
        return self.output("compute", "ClusterName")

    @cached_property
    def services(self) -> Sequence[DeployedService]:
        """The microservices that are deployed, by name."""
        self.output("compute", "ClusterName")
        return [
            DeployedService(
                name=part,
                service_name=self.output(part, "ServiceName"),
                log_group=self.output(part, "LogGroupName"),
                blue=self.output(part, "BlueTargetGroupArn"),
                green=self.output(part, "GreenTargetGroupArn"),
            )
            for part, stack in sorted(self.stacks.items())
            if part not in SHARED_STACKS and not part.startswith(_OF_A_PIPELINE) and stack.usable
        ]

    def service(self, name: str) -> DeployedService:
        """The microservice of that name; raises `OpsError` with the names there are."""
        for service in self.services:
            if service.name == name:
                return service
        names = ", ".join(service.name for service in self.services)
        raise OpsError(f"{self.environment.name}: there is no service {name!r}; deployed: {names}")

    def pipeline(self, service: str) -> str:
        """The name of a service's pipeline; raises `OpsError` where there is none."""
        part, env = f"{_OF_A_PIPELINE}{self.service(service).name}", self.environment.name
        if part not in self.stacks:
            raise OpsError(f"{env}: has no pipelines: environments/{env}.toml has no [delivery]")
        self.output(part, "PipelineUrl")
        return f"suppliers-{env}-{service}"

    def settled(self, *services: str) -> None:
        """Raise `OpsError` while CloudFormation is changing one of these services' stacks, of all without a name.

        Two would change one service.
        """
        self.output("compute", "ClusterName")
        for part in services or [service.name for service in self.services]:
            stack = self.stacks[part]
            if stack.status.endswith("_IN_PROGRESS") and "CLEANUP" not in stack.status:
                raise OpsError(
                    f"{self.environment.name}: {stack.name} is being changed ({stack.status}): wait for its end and "
                    "repeat"
                )


def read(session: Session) -> Deployment:
    """The deployment of the session's environment; raises `OpsError` where nothing of it is there."""
    environment = session.environment
    stacks = dict(
        zip(
            parts(environment),
            each(
                lambda part: _stack(session.clients, f"suppliers-{environment.name}-{part}"),
                parts(environment),
            ),
            strict=True,
        )
    )
    if all(stack.status == ABSENT for stack in stacks.values()):
        raise OpsError(_nothing(session))
    return Deployment(environment, stacks)


def parts(environment: Environment) -> tuple[str, ...]:
    """The parts that an environment's stacks are named by, in the order they are deployed in."""
    return tuple(_by_stack(environment).values())


def stack_names(environment: Environment) -> Mapping[str, str]:
    """What CloudFormation calls an environment's stacks, by their construct ids."""
    return {stack: f"suppliers-{environment.name}-{part}" for stack, part in _by_stack(environment).items()}


def _by_stack(environment: Environment) -> Mapping[str, str]:
    services = {service.stack_id: service.name for service in environment.services}
    pipelines = {f"Delivery{stack}": f"{_OF_A_PIPELINE}{name}" for stack, name in services.items()}
    return {
        **{"Network": "network", "Data": "data", "Compute": "compute"},
        **services,
        **({"Delivery": "delivery", **pipelines} if environment.delivery else {}),
        "Observability": "observability",
    }


def endpoint(deployment: Deployment, instance: Instance | None) -> Endpoint:
    """Where the application answers, seen from this machine."""
    url = deployment.output("compute", "ApplicationUrl").rstrip("/")
    if instance is None:
        return Endpoint(url)
    # Of the load balancer: the emulator has no CloudFront in front of it.
    secure = deployment.environment.tls is not None
    name = f"suppliers-{deployment.environment.name}"
    for listener in lifecycle.listeners(instance):
        if listener["load_balancer"] == name and listener["port"] == (443 if secure else 80):
            return Endpoint(listener["url"].rstrip("/"), instance.certificate_authority if secure else None)
    raise OpsError(f"the emulator has no production listener of {name}: see {instance.log}")


def _stack(clients: Clients, name: str) -> Stack:
    try:
        (found,) = clients.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if says(error, "ValidationError") and "does not exist" in str(error):
            return Stack(name, ABSENT, {})
        raise
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    status = str(found["StackStatus"])
    return Stack(
        name,
        ABSENT if status == "DELETE_COMPLETE" else status,
        outputs,
        found.get("LastUpdatedTime") or found["CreationTime"],
    )


def _nothing(session: Session) -> str:
    env, region = session.name, session.environment.region
    if session.instance is not None:
        make = "deploy" if session.environment.emulator else "rehearse"
        return f"{env}: nothing is deployed on the emulator: `make {make} ENV={env}`"
    # Whoever has signed in to another account sees nothing either.
    account: Any = session.clients.client("sts").get_caller_identity()["Account"]
    return (
        f"{env}: nothing is deployed in account {account}, {region}: choose another account (AWS_PROFILE=...), "
        f"or `make deploy ENV={env}`"
    )
