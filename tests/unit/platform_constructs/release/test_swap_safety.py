"""What must not change by itself, because a deployment that changes it moves traffic or tasks.

A release moves the listener rules behind the template's back. A rule that a deployment writes holds what it held, as its
weights are the answer to a question that is asked again then; a rule that is made anew under another id does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import settings
from ops.deployed.routes import LISTENER, RULE, SERVICE, TARGET_GROUP, references
from tests.conftest import ENVIRONMENTS, Made, Synthesize, Template, synthesize
from tests.resources import of_type

CONTROLLERS = ("codedeploy", "ecs", "rolling")
LISTENERS = {
    "Production": "EntranceLoadBalancerProduction0CAEDFC7",
    "Test": "EntranceLoadBalancerTestBAB8764D",
}
BLUE, GREEN = "TargetGroupsBlueD2617C19", "TargetGroupsGreenED682B83"
SERVICES = ("Customer", "Employee")

# By stack, logical ids with their hashes, which tests name nowhere else: to CloudFormation a rule with another id is
# another rule. It would make the new one beside the old one, whose priority is taken. So an id here changes only
# together with a plan for what is deployed. Whether the rule forwards, or refuses the request.
RULES: Mapping[str, Mapping[str, tuple[str, int, bool]]] = {
    "Customer": {
        "ProductionRulesForward1A092E66": ("Production", 200, True),
        "TestRulesForward39B24273": ("Test", 200, True),
    },
    "Employee": {
        "ProductionRulesForward1A092E66": ("Production", 100, True),
        "ProductionRulesForbid463394F0": ("Production", 149, False),
        "TestRulesForward39B24273": ("Test", 100, True),
        "TestRulesForbidE207C686": ("Test", 149, False),
    },
}
PATHS = {"Customer": ["/*"], "Employee": ["/admin", "/admin/*"]}
FORBIDDEN = {"StatusCode": "403", "ContentType": "text/plain", "MessageBody": "Forbidden"}


def with_controller(environment: settings.Environment, controller: str) -> settings.Environment:
    release = environment.release.model_copy(update={"controller": controller})
    return environment.model_copy(update={"release": release})


@pytest.fixture(scope="module", params=CONTROLLERS)
def released(
    request: pytest.FixtureRequest, templates: Synthesize, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Made]:
    """A controller and the templates of dev with it."""
    if settings.load("dev").release.controller == request.param:
        return request.param, templates("dev")
    environment = with_controller(settings.load("dev"), request.param)
    return request.param, synthesize(environment, tmp_path_factory.mktemp(request.param))


def actions(template: Template, rule: str, *, moved: bool) -> list[dict[str, Any]]:
    """What a rule that forwards does."""
    if not moved:
        return [{"Type": "forward", "TargetGroupArn": {"Ref": BLUE}}]
    question = next(each for each in of_type(template, "Custom::LiveTraffic") if each[:4] == rule[:4])
    weights = [
        {"TargetGroupArn": {"Ref": group}, "Weight": {"Fn::GetAtt": [question, side]}}
        for group, side in ((BLUE, "Blue"), (GREEN, "Green"))
    ]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]


def assert_pinned(made: Made, *, moved: bool) -> None:
    for stack in SERVICES:
        template = made[stack]
        rules = of_type(template, RULE)
        assert set(rules) == set(RULES[stack])
        for logical_id, (listener, priority, forwards) in RULES[stack].items():
            rule = rules[logical_id]
            assert listener in str(rule["ListenerArn"]["Fn::GetStackOutput"]["OutputName"])
            assert rule["Priority"] == priority
            assert rule["Actions"] == (
                actions(template, logical_id, moved=moved)
                if forwards
                else [{"Type": "fixed-response", "FixedResponseConfig": FORBIDDEN}]
            )
            (paths,) = (each for each in rule["Conditions"] if each["Field"] == "path-pattern")
            assert paths["PathPatternConfig"]["Values"] == PATHS[stack]
        assert set(of_type(template, TARGET_GROUP)) == {BLUE, GREEN}
    assert {*LISTENERS.values()} <= set(of_type(made["Compute"], LISTENER))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_rules_keep_their_logical_ids_priorities_and_actions(templates: Synthesize, name: str) -> None:
    assert_pinned(templates(name), moved=settings.load(name).release.controller != "rolling")


def test_every_controller_has_the_same_rules_and_only_the_form_of_the_forward_differs(
    released: tuple[str, Made],
) -> None:
    controller, made = released
    assert_pinned(made, moved=controller != "rolling")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_service_pins_its_number_of_tasks(templates: Synthesize, name: str) -> None:
    for service in of_type(templates(name).platform, SERVICE).values():
        assert "DesiredCount" not in service


def test_a_codedeploy_service_refers_to_no_revision_of_its_tasks(released: tuple[str, Made]) -> None:
    controller, made = released
    template = made.platform
    definitions = set(of_type(template, "AWS::ECS::TaskDefinition"))
    for service in of_type(template, SERVICE).values():
        assert "DesiredCount" not in service
        referred = set(references(service)) & definitions
        if controller == "codedeploy":
            # CloudFormation cannot move such a service to another revision, not even to the one it has.
            assert referred == set()
            assert service["TaskDefinition"] in {
                "suppliers-dev-customer",
                "suppliers-dev-employee",
            }
        else:
            assert len(referred) == 1


def test_new_code_changes_no_rule_no_target_group_no_listener_and_no_service(
    released: tuple[str, Made], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, before = released
    for service in ("customer", "employee"):
        dockerfile = project / "services" / service / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text() + "# changed\n")
    (project / "services/shared").mkdir()
    monkeypatch.setattr("stacks.service.ROOT", project)
    environment = with_controller(settings.load("dev", project), controller)
    after = synthesize(environment, tmp_path / "out")
    for stack in SERVICES:
        changed = {
            before[stack]["Resources"][logical_id]["Type"]
            for logical_id, resource in after[stack]["Resources"].items()
            if resource != before[stack]["Resources"][logical_id]
        }
        # What a pipeline has released is asked for, and CloudFormation's own parameter says it.
        own = {"Custom::LiveImage"} if controller == "codedeploy" else {"AWS::ECS::TaskDefinition"}
        assert changed == own
    assert after["Compute"] == before["Compute"]
