"""What deploying one set of templates over another would make CloudFormation do, and what of that AWS refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from ops.deployed.routes import RULE, references, traffic_of
from ops.deployment import inputs
from ops.release import stateful
from tests.synthesis import Made

_QUESTION = "Custom::LiveTraffic"


@dataclass(frozen=True)
class Transition:
    """The templates of an environment before and after a setting was changed, by construct id."""

    environment: str
    before: Made
    after: Made

    def lost(self) -> list[str]:
        """Resources that keep data and would be replaced, removed or weakened: the guard asks for each."""
        old, new = (
            {_part(stack): each for stack, each in stacks.items()} for stacks in (self.before, self.after)
        )
        return sorted({loss.resource for loss in stateful.losses(old, new)})

    def stuck(self) -> list[str]:
        """Outputs that a stack reads, that are dropped, and that it cannot let go of first."""
        prefix = f"suppliers-{self.environment}-"
        old, new = (
            {f"{prefix}{_part(stack)}": each for stack, each in stacks.items()}
            for stacks in (self.before, self.after)
        )
        found = []
        for name, template in new.items():
            gone = [
                output
                for source, output in inputs.read(old.get(name, {}))
                if source in new and output not in new[source].get("Outputs", {})
            ]
            absent = [
                output
                for source, output in inputs.read(template)
                if output not in old.get(source, {}).get("Outputs", {})
            ]
            if gone and absent:
                found.append(f"{name}: {gone[0]}, {absent[0]}")
        return found

    def unasked(self) -> list[str]:
        """Rules that would be written while nobody asks where their requests go at that moment."""
        found = []
        for part in self.before.keys() & self.after.keys():
            old, new = self.before[part]["Resources"], self.after[part]["Resources"]
            for logical_id, rule in new.items():
                if rule["Type"] != RULE or rule == old.get(logical_id):
                    continue
                asked = [each for each in references(rule) if new.get(each, {}).get("Type") == _QUESTION]
                forwards = traffic_of(rule["Properties"]["Actions"]) is not None
                if forwards and not any(new[each] != old.get(each) for each in asked):
                    found.append(f"{part}: {logical_id}")
        return found

    def taken_names(self) -> list[str]:
        """Names that a new resource would take while the one it follows still has it: AWS answers "already exists".

        CloudFormation makes what is new before it removes what is old:
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
        """
        found = []
        for part in self.before.keys() & self.after.keys():
            old, new = self.before[part], self.after[part]
            anew = stateful.replaced(old, new)
            held = {
                (kind, name): logical_id
                for logical_id, each in old["Resources"].items()
                for kind, name in _names(each)
            }
            for logical_id, each in new["Resources"].items():
                for kind, name in _names(each):
                    holder = held.get((kind, name))
                    if holder is not None and (holder != logical_id or logical_id in anew):
                        found.append(f"{part}: {logical_id} ({kind}): {name}")
        return sorted(found)


def _names(resource: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The fixed names that a resource has and no other of its type may have."""
    kind = str(resource["Type"])
    properties = resource.get("Properties", {})
    assert isinstance(properties, Mapping)
    for name in naming(kind):
        value = properties.get(name)
        if isinstance(value, str):
            yield kind, value


def naming(kind: str) -> list[str]:
    """The properties that may be the name by which a resource of a type is known, and no other is."""
    if kind.startswith("Custom::"):
        return []
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    identifiers = [schema.get("primaryIdentifier", []), *schema.get("additionalIdentifiers", [])]
    whole = {each[0].rpartition("/")[2] for each in identifiers if len(each) == 1}
    return sorted(whole | {"Name", f"{kind.rpartition('::')[2]}Name"} & set(schema["properties"]))


def _part(stack: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", stack).lower()
