"""What stacks read of each other: whether it is still what they would read now, and whether it will still be there.

CloudFormation resolves `Fn::GetStackOutput` when the reading stack is updated, and only then; the CDK CLI leaves out a
stack whose template is the deployed one. So a database, a cache or a key that was replaced leaves those that read its
address with the old one, and an output that is dropped while a deployed stack reads it fails that stack's next update:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ops.aws.clients import Clients
from ops.aws.refusals import told_by_aws
from ops.deployed import stacks
from ops.deployed.routes import Template
from platform_constructs.common.stack_inputs import INPUTS
from settings import Environment

# The resources and values of these are those of the last template, all of them:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_SETTLED = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_COMPLETE"}
)

Output = tuple[str, str]
"""The name of a stack and of one of its outputs."""


@dataclass(frozen=True)
class Deployed:
    """A stack as CloudFormation describes it: `inputs` is the digest that it was last deployed with.

    It is `settled` where its last update came to its end: one that was taken back counts as the last change, but left
    the values of before.
    """

    changed: datetime
    settled: bool
    outputs: Mapping[str, str]
    inputs: str


@dataclass(frozen=True)
class Reader:
    """A stack that reads others: `digest` is of what it would read now; `current` is that it was updated after them."""

    construct_id: str
    name: str
    digest: str
    recorded: str
    current: bool


@dataclass(frozen=True)
class LetGo:
    """A deployed stack that reads outputs which the new templates drop, in its new template no more or, `stuck`, still."""

    construct_id: str
    name: str
    outputs: Sequence[Output]
    stuck: Sequence[Output]
    """Outputs that its new template reads and that are not there yet, so that it cannot go first."""


def templates(assembly: Path) -> dict[str, tuple[str, Template]]:
    """Stack name to construct id and template, of all stacks of a synthesized assembly."""
    artifacts = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    return {
        artifact["properties"]["stackName"]: (
            construct_id,
            json.loads((assembly / artifact["properties"]["templateFile"]).read_text(encoding="utf-8")),
        )
        for construct_id, artifact in artifacts.items()
        if artifact.get("type") == "aws:cloudformation:stack"
    }


def read(value: Any) -> Iterator[Output]:
    """Every output of another stack that a template reads."""
    if isinstance(value, Mapping):
        asked = value.get("Fn::GetStackOutput")
        if isinstance(asked, Mapping):
            yield str(asked["StackName"]), str(asked["OutputName"])
        for each in value.values():
            yield from read(each)
    elif isinstance(value, list):
        for each in value:
            yield from read(each)


def readers(clients: Clients, assembly: Path) -> dict[str, Reader]:
    """Each deployed stack that reads others, by name, measured against what these say now."""
    wanted = templates(assembly)
    deployed = {name: stack for name in wanted if (stack := _describe(clients, name)) is not None}
    found: dict[str, Reader] = {}
    for name, (construct_id, template) in wanted.items():
        outputs = sorted(set(read(template)))
        sources = {source for source, _ in outputs}
        if name not in deployed or not outputs or not sources <= deployed.keys():
            continue
        values = [[source, output, deployed[source].outputs.get(output)] for source, output in outputs]
        found[name] = Reader(
            construct_id=construct_id,
            name=name,
            digest=hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16],
            recorded=deployed[name].inputs,
            current=deployed[name].settled
            and all(deployed[source].changed <= deployed[name].changed for source in sources),
        )
    return found


def stale(before: Mapping[str, Reader], now: Mapping[str, Reader]) -> list[Reader]:
    """Those that hold, or may hold, what others no longer say, in the order of their deployment.

    One that was updated after all that it reads is not among them, nor one that read the same before and was current,
    nor one whose last deployment recorded what it would read now.
    """
    found = []
    for name, reader in now.items():
        earlier = before.get(name)
        kept = earlier is not None and earlier.current and earlier.digest == reader.digest
        if not (reader.current or kept or reader.recorded == reader.digest):
            found.append(reader)
    return found


def dropped(clients: Clients, assembly: Path) -> list[LetGo]:
    """Deployed stacks that read outputs which are about to be dropped."""
    wanted = templates(assembly)
    cloudformation = clients.client("cloudformation")
    found = []
    for name, (construct_id, template) in wanted.items():
        if stacks.status(cloudformation, name) in stacks.NOTHING_DEPLOYED:
            continue
        held = set(read(stacks.template(cloudformation, name)))
        gone = sorted(
            (source, output)
            for source, output in held
            if source in wanted and output not in wanted[source][1].get("Outputs", {})
        )
        if gone:
            absent = [
                (source, output)
                for source, output in sorted(set(read(template)))
                if output not in getattr(_describe(clients, source), "outputs", {})
            ]
            found.append(LetGo(construct_id=construct_id, name=name, outputs=gone, stuck=absent))
    return found


def check(clients: Clients, environment: Environment, template: Path) -> tuple[list[LetGo], list[Reader]]:
    """What `dropped` finds of the templates beside that of Compute, and what is `stale` before they are deployed."""
    with told_by_aws(environment.name):
        return dropped(clients, template.parent), stale({}, readers(clients, template.parent))


def behind(environment: str, reader: Reader) -> str:
    """One line about a stack that was not updated since what it reads was."""
    return (
        f"{environment}: {reader.name} was last deployed, to the end, before what it reads and may hold old addresses: "
        "make deploy reads them anew"
    )


def advice(environment: str, reader: LetGo) -> str:
    """One line for who deploys without `make deploy`, which does by itself what the line says."""
    if reader.stuck:
        return refusal(environment, reader)
    names = ", ".join(f"{output} of {source}" for source, output in reader.outputs)
    return (
        f"{environment}: {reader.name} reads {names}, which would be dropped: deploy it first, "
        f"cdk deploy --exclusively {reader.construct_id} -c env={environment} (make deploy does)"
    )


def refusal(environment: str, reader: LetGo) -> str:
    """One line: what would be dropped under a stack that reads it and cannot let go of it first."""
    names = ", ".join(f"{output} of {source}" for source, output in reader.outputs)
    return (
        f"{environment}: {reader.name} reads {names}, which would be dropped, and cannot go first, as it is to read "
        f"{reader.stuck[0][1]} of {reader.stuck[0][0]}, which is not there yet: make the two changes one after the other"
    )


def _describe(clients: Clients, name: str) -> Deployed | None:
    try:
        (stack,) = clients.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":
            return None
        raise
    if stack["StackStatus"] in stacks.NOTHING_DEPLOYED:
        return None
    return Deployed(
        changed=stack.get("LastUpdatedTime") or stack["CreationTime"],
        settled=stack["StackStatus"] in _SETTLED,
        outputs={each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
        inputs=next(
            (
                each["ParameterValue"]
                for each in stack.get("Parameters", [])
                if each["ParameterKey"] == INPUTS
            ),
            "",
        ),
    )
