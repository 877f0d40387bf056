"""Refusing a deployment that would lose what the platform keeps.

A changed setting can make CloudFormation replace a database rather than change it, and a renamed construct
makes it remove one: the data goes, or stays behind in a snapshot that nothing reads. What is released is
compared with what is about to be: against the templates that are deployed, and in the tests against a
record of them that a person changes on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from ops.aws.clients import Clients
from ops.aws.refusals import told_by_aws
from ops.deployed import stacks
from ops.deployed.routes import Template, references
from ops.errors import OpsError
from settings import ROOT, Environment

RELEASED = ROOT / "tests" / "compliance" / "stateful"

# What the linter's list of stateful types leaves out: sources, images, and the network that the rest lives in.
_STATEFUL_TOO = frozenset(
    {"AWS::CodeCommit::Repository", "AWS::EC2::Subnet", "AWS::EC2::VPC", "AWS::ECR::Repository"}
)
# On the linter's list, but the cache keeps nothing: lists are read again from the database, sessions begin anew.
_KEEPS_NOTHING = frozenset({"AWS::ElastiCache::ReplicationGroup"})
# Changed in place, though the schema says of them that they may replace the instance:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
_IN_PLACE = {
    "AWS::RDS::DBInstance": frozenset(
        {
            "AutoMinorVersionUpgrade",
            "BackupRetentionPeriod",
            "DBParameterGroupName",
            "MultiAZ",
            "PreferredMaintenanceWindow",
        }
    )
}
# What else loses data: a lowered number, a changed protection, a password made anew that its user does not have.
_LOWERED = {
    ("AWS::RDS::DBCluster", "BackupRetentionPeriod"): "days of backups would be deleted",
    ("AWS::RDS::DBInstance", "BackupRetentionPeriod"): "days of backups would be deleted",
    ("AWS::Logs::LogGroup", "RetentionInDays"): "days of logs would be deleted",
}
_TURNED = {
    ("AWS::RDS::DBCluster", "DeletionProtection"): (True, "could be deleted"),
    ("AWS::RDS::DBInstance", "DeletionProtection"): (True, "could be deleted"),
    ("AWS::RDS::DBInstance", "DeleteAutomatedBackups"): (False, "would take its backups along when deleted"),
}
_MADE_ANEW = {("AWS::SecretsManager::Secret", "GenerateSecretString"): "would be given a new password"}
_POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")
_ATTRIBUTES = frozenset({"Type", *_POLICIES})

Stacks = Mapping[str, Template]


@dataclass(frozen=True)
class Loss:
    """One resource that keeps data, and what deploying would do to it; `old` and `new` are the property's values."""

    resource: str
    resource_type: str
    what: str
    property: str | None = None
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        text = f"{self.resource} ({self.resource_type}) {self.what}"
        if self.property is None:
            return text
        return f"{text}: {self.property} is {_shown(self.old)}, would be {_shown(self.new)}"


def losses(before: Stacks, after: Stacks, *, accepted: Sequence[str] = ()) -> list[Loss]:
    """What deploying `after` over `before` would lose, but for the resources that a pattern in `accepted` names.

    Both hold templates, or records of them, by stack; a stack that is in one of them only is not compared.
    """
    return [
        loss
        for stack in sorted(before.keys() & after.keys())
        for loss in _losses_of(stack, _resources(before[stack]), _resources(after[stack]))
        if not any(fnmatchcase(loss.resource, pattern) for pattern in accepted)
    ]


def record(templates: Stacks) -> dict[str, Any]:
    """Of templates, what `losses` needs to know later: what keeps data, with the properties that replace it."""
    return {
        stack: {"Resources": dict(_recorded(_resources(templates[stack])))} for stack in sorted(templates)
    }


def released(environment: str, folder: Path = RELEASED) -> dict[str, Any]:
    """The record of an environment's last release."""
    file = folder / f"{environment}.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise OpsError(f"{file}: is no record of a release ({error}): take it back from git") from None


def release(
    environment: str, templates: Stacks, *, accepted: Sequence[str] = (), folder: Path = RELEASED
) -> bool:
    """Record what is about to be released, and say whether that changed the record.

    Raises `OpsError` where it loses something that is not `accepted`.
    """
    before, after = released(environment, folder), record(templates)
    lost = losses(before, after, accepted=accepted)
    if lost:
        raise OpsError(
            "\n".join(
                [
                    *map(str, lost),
                    f"{environment}: would lose data, so nothing was recorded. On purpose: "
                    f"`python -m ops release-record --env {environment} {_options(lost)}`",
                ]
            )
        )
    if after == before:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{environment}.json").write_text(
        json.dumps(after, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    return True


def synthesized(environment: Environment, template: Path) -> Stacks:
    """The templates that a synth wrote beside the Compute `template`, by the last part of their stacks' names."""
    prefix = f"suppliers-{environment.name}-"
    try:
        artifacts = json.loads(template.with_name("manifest.json").read_text(encoding="utf-8"))["artifacts"]
        files = {
            artifact["properties"]["stackName"]: artifact["properties"]["templateFile"]
            for artifact in artifacts.values()
            if "stackName" in artifact.get("properties", {})
        }
        found = {
            stack.removeprefix(prefix): json.loads(template.with_name(file).read_text(encoding="utf-8"))
            for stack, file in files.items()
            if stack.startswith(prefix)
        }
    except FileNotFoundError:
        return {"compute": json.loads(template.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError):
        raise OpsError(
            f"{template.parent}: is no output of a synth: run `make synth ENV={environment.name}`"
        ) from None
    if not found:
        raise OpsError(
            f"{template.parent}: is a synth of another environment: run `make synth ENV={environment.name}`"
        )
    return found


def check(
    clients: Clients, environment: Environment, template: Path, *, accepted: Sequence[str] = ()
) -> list[Loss]:
    """What deploying the templates beside `template` would lose of what is deployed in an environment."""
    after = synthesized(environment, template)
    cloudformation = clients.client("cloudformation")
    before: dict[str, Template] = {}
    with told_by_aws(environment.name):
        for part in after:
            stack = f"suppliers-{environment.name}-{part}"
            if stacks.status(cloudformation, stack) not in stacks.NOTHING_DEPLOYED:
                before[part] = stacks.template(cloudformation, stack)
    return losses(before, after, accepted=accepted)


def report(lost: Sequence[Loss], environment: Environment) -> Iterator[str]:
    """What would be lost, in lines for people, with the way to do it on purpose."""
    for each in lost:
        yield f"refused: {each}"
    if lost:
        yield (
            f"{environment.name}: deploying would lose data. Set the setting back; or on purpose, with a copy "
            f"at hand (docs/restore.md): `python -m ops deploy --env {environment.name} {_options(lost)}`"
        )
    else:
        yield f"{environment.name}: deploying replaces and removes nothing that keeps data"


def refuse(lost: Sequence[Loss], environment: Environment) -> None:
    """Raise `OpsError` with a line for each loss."""
    if lost:
        raise OpsError("\n".join(report(lost, environment)))


@cache
def stateful_types() -> frozenset[str]:
    """The resource types that keep something: the linter's list but for the cache, and what it leaves out."""
    # Imported here: takes seconds to load, and most commands need none of it.
    from cfnlint.data import AdditionalSpecs
    from cfnlint.helpers import load_resource

    listed = load_resource(AdditionalSpecs, "StatefulResources.json")["ResourceTypes"]
    return _STATEFUL_TOO.union(listed) - _KEEPS_NOTHING


@cache
def replacing(resource_type: str) -> tuple[str, ...]:
    """The properties of a type, as paths with dots, whose change makes or may make CloudFormation replace it."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    # The published schemas are nearly the same everywhere; this region has all types.
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
    pointers = [
        *schema.get("createOnlyProperties", ()),
        *schema.get("conditionalCreateOnlyProperties", ()),
    ]
    paths = {
        # What is inside a list counts as the whole list.
        pointer.removeprefix("/properties/").partition("/*")[0].replace("/", ".")
        for pointer in pointers
    }
    in_place = _IN_PLACE.get(resource_type, frozenset())
    return tuple(
        sorted(path for path in paths - in_place if not any(path.startswith(f"{other}.") for other in paths))
    )


def replaced(before: Template, after: Template) -> frozenset[str]:
    """The logical ids that CloudFormation replaces, or may, when it deploys a template over another one."""
    return _replaced(_resources(before), _resources(after))


def _losses_of(stack: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Loss]:
    changed = _replaced(before, after)
    for logical_id, old in before.items():
        resource_type = old["Type"]
        if resource_type not in stateful_types():
            continue
        name = f"{stack}/{logical_id}"
        new = after.get(logical_id)
        if new is None:
            yield Loss(name, resource_type, "would be removed")
            continue
        if new["Type"] != resource_type:
            yield Loss(name, resource_type, "would be replaced", "Type", resource_type, new["Type"])
            continue
        for path, was, will_be in _differences(old, new, changed):
            yield Loss(name, resource_type, "would be replaced", path, was, will_be)
        yield from _weakened(name, old, new)


def _weakened(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Loss]:
    resource_type = old["Type"]
    for policy in _POLICIES:
        was, will_be = old.get(policy, "Delete"), new.get(policy, "Delete")
        if was != "Delete" and will_be == "Delete":
            yield Loss(name, resource_type, "would no longer be kept", policy, was, will_be)
    before, after = old.get("Properties", {}), new.get("Properties", {})
    for (owner, key), what in _LOWERED.items():
        was, will_be = before.get(key), after.get(key)
        # Logs without a number are kept for ever.
        if owner == resource_type and isinstance(will_be, int) and (was is None or was > will_be):
            yield Loss(name, resource_type, what, key, was, will_be)
    for (owner, key), (safe, what) in _TURNED.items():
        if owner == resource_type and before.get(key) is safe and after.get(key) is not safe:
            yield Loss(name, resource_type, what, key, safe, after.get(key))
    for (owner, key), what in _MADE_ANEW.items():
        if owner == resource_type and before.get(key) != after.get(key):
            yield Loss(name, resource_type, what, key, before.get(key), after.get(key))


def _replaced(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[str]:
    """The logical ids that CloudFormation would replace: by themselves, or for a reference to one of these."""
    found: set[str] = set()
    while True:
        more = {
            logical_id
            for logical_id in before.keys() & after.keys() - found
            if before[logical_id]["Type"] != after[logical_id]["Type"]
            or any(_differences(before[logical_id], after[logical_id], found))
        }
        if not more:
            return frozenset(found)
        found |= more


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], replaced: Iterable[str]
) -> Iterator[tuple[str, Any, Any]]:
    gone = set(replaced)
    for path in replacing(old["Type"]):
        was, will_be = _at(old.get("Properties", {}), path), _at(new.get("Properties", {}), path)
        if was != will_be or not gone.isdisjoint(references(will_be)):
            yield path, was, will_be


def _recorded(resources: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    wanted = sorted(each for each, resource in resources.items() if resource["Type"] in stateful_types())
    seen: set[str] = set()
    while wanted:
        logical_id = wanted.pop()
        if logical_id in seen or logical_id not in resources:
            continue
        seen.add(logical_id)
        resource = resources[logical_id]
        properties = {
            path: value
            for path in _watched(resource["Type"])
            if (value := _at(resource.get("Properties", {}), path)) is not None
        }
        yield (
            logical_id,
            {
                **{key: value for key, value in resource.items() if key in _ATTRIBUTES},
                "Properties": _nested(properties),
            },
        )
        # What a replacing property refers to replaces the resource when it is replaced itself.
        for path in replacing(resource["Type"]):
            wanted += references(_at(resource.get("Properties", {}), path))


def _watched(resource_type: str) -> Iterator[str]:
    yield from replacing(resource_type)
    for owner, key in (*_LOWERED, *_TURNED, *_MADE_ANEW):
        if owner == resource_type:
            yield key


def _nested(properties: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for path, value in properties.items():
        *folders, name = path.split(".")
        current = document
        for folder in folders:
            current = current.setdefault(folder, {})
        current[name] = value
    return document


def _at(properties: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(properties, Mapping):
            return None
        properties = properties.get(part)
    return properties


def _resources(template: Template) -> Mapping[str, Any]:
    return dict(template.get("Resources", {}))


def _options(lost: Iterable[Loss]) -> str:
    return " ".join(f"--lose {name}" for name in dict.fromkeys(each.resource for each in lost))


def _shown(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)
