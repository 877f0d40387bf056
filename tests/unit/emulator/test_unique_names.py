from __future__ import annotations

from typing import Any

import pytest

from emulator.bridges.cloudformation.unique_names import NAMES, TakenNames
from tests.options import OPTIONS, templates
from tests.transitions import naming

GROUP = "AWS::Logs::LogGroup"


def handler(fails: bool = False) -> dict[str, Any]:
    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        if fails:
            raise RuntimeError("no room")
        return properties.get("LogGroupName", f"{stack}-{logical_id}"), {}

    return {"create": create, "delete": lambda identifier, properties: None}


def test_a_second_resource_of_a_name_is_refused_until_the_first_is_gone() -> None:
    found = TakenNames().refusing(GROUP, handler())
    named = {"LogGroupName": "/directory"}
    found["create"]("Log", named, "dev")
    with pytest.raises(ValueError, match="'/directory' already exists"):
        found["create"]("Log", named, "prod")
    found["delete"]("/directory", named)
    found["create"]("Log", named, "prod")


def test_names_are_taken_type_by_type_and_others_are_made_up() -> None:
    names = TakenNames()
    names.refusing(GROUP, handler())["create"]("Log", {"LogGroupName": "directory"}, "dev")
    names.refusing("AWS::IAM::Role", handler())["create"]("Role", {"RoleName": "directory"}, "dev")
    for _ in range(2):
        names.refusing(GROUP, handler())["create"]("Log", {}, "dev")


def test_what_could_not_be_made_takes_no_name() -> None:
    names = TakenNames()
    with pytest.raises(RuntimeError):
        names.refusing(GROUP, handler(fails=True))["create"]("Log", {"LogGroupName": "/x"}, "dev")
    names.refusing(GROUP, handler())["create"]("Log", {"LogGroupName": "/x"}, "dev")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_name_of_the_templates_is_known(option: str) -> None:
    """As CloudFormation's schemas name what identifies a resource."""
    for template in templates(option).values():
        for resource in template["Resources"].values():
            kind = resource["Type"]
            given = {
                each for each in naming(kind) if isinstance(resource.get("Properties", {}).get(each), str)
            }
            assert not given or NAMES.get(kind) in given or kind in NOT_UNIQUE, (kind, given)


# Several may have one name, or it is that of something else.
NOT_UNIQUE = {
    "AWS::Logs::QueryDefinition",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::ResourcePolicy",
    "AWS::RDS::DBProxyTargetGroup",
    "AWS::Route53::RecordSet",
}
