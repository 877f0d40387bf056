"""To which properties CloudFormation takes a resource back when an update of its stack fails: pure logic.

Resources that the update changed are updated once more, with the template, the parameters and the properties from
before, those that others read first. What a property reads of a resource that was itself taken back is resolved
anew, as a custom resource answers to the update that takes it back too.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes-update.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")

Record = Mapping[str, Any]


@dataclass
class Rollback:
    """The rollback of one update.

    `definitions` are the resources of the template from before, in the order of their dependencies, and `properties`
    the ones that each had, by logical id. `resolve` gives the value of a definition's property as of now.
    """

    definitions: Mapping[str, Record]
    properties: dict[str, Record]
    resolve: Callable[[str, Any], Any]
    _taken_back: set[str] = field(default_factory=set)

    def order(self, changed: Sequence[str]) -> list[str]:
        """The changed resources as they are gone through: those from before by their dependencies, then new ones."""
        known = [name for name in self.definitions if name in changed]
        return known + [name for name in changed if name not in self.definitions]

    def take_back(self, name: str) -> None:
        """Note that a resource was taken back: what others read of it counts anew."""
        self._taken_back.add(name)

    def wanted(self, name: str) -> dict[str, Any]:
        """The properties that a resource is to have again."""
        wanted = dict(self.properties.get(name) or {})
        for key, value in (self.definitions[name].get("Properties") or {}).items():
            if key in wanted and self._taken_back.intersection(references(value)):
                wanted[key] = self.resolve(name, value)
        return wanted


def references(value: Any) -> Iterator[str]:
    """The names that Ref, Fn::GetAtt and Fn::Sub read in a property of a template, parameters among them."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
        return
    if not isinstance(value, Mapping):
        return
    for function, argument in value.items():
        if function == "Ref":
            yield str(argument)
        elif function == "Fn::GetAtt":
            yield str(argument[0] if isinstance(argument, list) else argument).partition(".")[0]
        elif function == "Fn::Sub":
            text, variables = argument if isinstance(argument, list) else (argument, {})
            names = (found.partition(".")[0] for found in _VARIABLE.findall(str(text)))
            yield from (name for name in names if name not in variables)
            yield from references(list(variables.values()))
        else:
            yield from references(argument)
