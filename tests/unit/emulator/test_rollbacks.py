from typing import Any

import pytest

from emulator.rollbacks import Rollback, references

# A rule that sends requests to where a custom resource says that they go, and a topic that reads nothing of it.
DEFINITIONS: dict[str, Any] = {
    "Topic": {"Properties": {"DisplayName": "a"}},
    "Traffic": {"Properties": {"Priority": "1"}},
    "Rule": {"Properties": {"Priority": "1", "Weight": {"Fn::GetAtt": ["Traffic", "Blue"]}}},
    "Note": {"Properties": {"Text": {"Fn::Sub": "${Rule.Weight} of ${Topic}"}}},
}


def rollback(attributes: dict[str, Any]) -> Rollback:
    def resolve(name: str, value: Any) -> Any:
        assert name in DEFINITIONS
        return attributes[next(references(value))]

    return Rollback(
        DEFINITIONS,
        {
            "Topic": {"DisplayName": "a"},
            "Traffic": {"Priority": "1"},
            "Rule": {"Priority": "1", "Weight": "100"},
            "Note": {"Text": "100 of a"},
        },
        resolve,
    )


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Traffic", []),
        ({"Ref": "Traffic"}, ["Traffic"]),
        ({"Fn::GetAtt": ["Traffic", "Blue"]}, ["Traffic"]),
        ({"Fn::GetAtt": "Traffic.Blue"}, ["Traffic"]),
        ({"Fn::Sub": "${Traffic.Blue}-${Rule}-${!Kept}"}, ["Traffic", "Rule"]),
        ({"Fn::Sub": ["${Own}-${Rule}", {"Own": {"Ref": "Topic"}}]}, ["Rule", "Topic"]),
        ([{"Fn::If": ["Condition", {"Ref": "A"}, {"Fn::Join": ["", [{"Ref": "B"}]]}]}], ["A", "B"]),
        ({"TargetGroups": [{"Weight": {"Fn::GetAtt": ["Traffic", "Blue"]}}]}, ["Traffic"]),
    ],
)
def test_what_a_property_reads_is_found_in_every_spelling(value: Any, read: list[str]) -> None:
    assert list(references(value)) == read


def test_resources_go_back_in_the_order_in_which_they_read_each_other_and_new_ones_come_last() -> None:
    made = rollback({})
    assert made.order(["New", "Rule", "Newer", "Traffic"]) == ["Traffic", "Rule", "New", "Newer"]


def test_what_is_read_of_a_resource_that_went_back_is_resolved_anew() -> None:
    made = rollback({"Traffic": "0"})
    assert made.wanted("Rule") == {"Priority": "1", "Weight": "100"}
    made.take_back("Traffic")
    assert made.wanted("Rule") == {"Priority": "1", "Weight": "0"}


def test_what_reads_only_resources_that_stayed_keeps_its_properties() -> None:
    # Nothing can be resolved: it must not be tried.
    made = rollback({})
    made.take_back("Traffic")
    assert made.wanted("Note") == {"Text": "100 of a"}
    assert made.wanted("Traffic") == {"Priority": "1"}


def test_a_property_that_had_no_value_gets_none() -> None:
    made = rollback({"Traffic": "0"})
    made.properties["Rule"] = {"Priority": "1"}
    made.take_back("Traffic")
    assert made.wanted("Rule") == {"Priority": "1"}
