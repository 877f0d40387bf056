"""What must not change by itself, because a deployment that changes it undoes a release.

A release moves the listener rules behind the template's back, and CloudFormation leaves them alone only as long as
their properties stay the same (https://github.com/aws/aws-cdk/issues/36649). Changing a pinned value here means:
the deployment after a release is refused by `python -m ops guard` until the service is released once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

import settings
from ops.routes import LISTENER, RULE, SERVICE, TARGET_GROUP, references
from tests.conftest import ENVIRONMENTS, Synthesize, Template, synthesize
from tests.resources import of_type

CONTROLLERS = ("codedeploy", "ecs", "rolling")
PRODUCTION, TEST = "EntranceLoadBalancerProduction0CAEDFC7", "EntranceLoadBalancerTestBAB8764D"
CUSTOMER = ("CustomerTargetGroupsBlueBE62147B", "CustomerTargetGroupsGreen5A1BCB5D")
EMPLOYEE = ("EmployeeTargetGroupsBlue0A6B1135", "EmployeeTargetGroupsGreen09723A0B")

# Logical ids with their hashes, which tests name nowhere else: to CloudFormation a rule with another id is
# another rule. It would make the new one as the template says and remove the one that a release has moved.
# So an id here changes only together with a plan for what is deployed. A pair of target groups: forwards to
# the first of them; None: refuses the request.
RULES: Mapping[str, tuple[str, int, tuple[str, str] | None]] = {
    "CustomerProductionRulesForwardADF42C37": (PRODUCTION, 200, CUSTOMER),
    "CustomerTestRulesForwardA1814C9E": (TEST, 200, CUSTOMER),
    "EmployeeProductionRulesForwardD1C0B081": (PRODUCTION, 100, EMPLOYEE),
    "EmployeeProductionRulesForbidAAD693B1": (PRODUCTION, 149, None),
    "EmployeeTestRulesForward2D7560EB": (TEST, 100, EMPLOYEE),
    "EmployeeTestRulesForbidFB957C1C": (TEST, 149, None),
}
PATHS = {CUSTOMER: ["/*"], EMPLOYEE: ["/admin", "/admin/*"], None: ["/admin", "/admin/*"]}
FORBIDDEN = {"StatusCode": "403", "ContentType": "text/plain", "MessageBody": "Forbidden"}


def with_controller(environment: settings.Environment, controller: str) -> settings.Environment:
    release = environment.release.model_copy(update={"controller": controller})
    return environment.model_copy(update={"release": release})


@pytest.fixture(scope="module", params=CONTROLLERS)
def released(
    request: pytest.FixtureRequest, templates: Synthesize, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Template]:
    """A controller and the Compute template of dev with it."""
    if settings.load("dev").release.controller == request.param:
        return request.param, templates("dev").platform
    environment = with_controller(settings.load("dev"), request.param)
    return request.param, synthesize(environment, tmp_path_factory.mktemp(request.param)).platform


def actions(pair: tuple[str, str] | None, *, weighted: bool) -> list[dict[str, Any]]:
    if pair is None:
        return [{"Type": "fixed-response", "FixedResponseConfig": FORBIDDEN}]
    if not weighted:
        return [{"Type": "forward", "TargetGroupArn": {"Ref": pair[0]}}]
    weights = [
        {"TargetGroupArn": {"Ref": group}, "Weight": weight}
        for group, weight in zip(pair, (100, 0), strict=True)
    ]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]


def pinned(logical_ids: Iterable[str]) -> set[str]:
    """Without those of services that are in some environments only."""
    return {each for each in logical_ids if not each.startswith("Students")}


def assert_pinned(template: Template, *, weighted: bool) -> None:
    rules = of_type(template, RULE)
    assert pinned(rules) == set(RULES)
    for logical_id, (listener, priority, pair) in RULES.items():
        rule = rules[logical_id]
        assert rule["ListenerArn"] == {"Ref": listener}
        assert rule["Priority"] == priority
        assert rule["Actions"] == actions(pair, weighted=weighted)
        (paths,) = (each for each in rule["Conditions"] if each["Field"] == "path-pattern")
        assert paths["PathPatternConfig"]["Values"] == PATHS[pair]
    assert pinned(of_type(template, TARGET_GROUP)) == {*CUSTOMER, *EMPLOYEE}
    assert {PRODUCTION, TEST} <= set(of_type(template, LISTENER))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_rules_keep_their_logical_ids_priorities_and_actions(templates: Synthesize, name: str) -> None:
    weighted = settings.load(name).release.controller == "ecs"
    assert_pinned(templates(name).platform, weighted=weighted)


def test_every_controller_has_the_same_rules_and_only_the_form_of_the_forward_differs(
    released: tuple[str, Template],
) -> None:
    controller, template = released
    assert_pinned(template, weighted=controller == "ecs")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_service_pins_its_number_of_tasks(templates: Synthesize, name: str) -> None:
    for service in of_type(templates(name).platform, SERVICE).values():
        assert "DesiredCount" not in service


def test_a_codedeploy_service_refers_to_no_revision_of_its_tasks(released: tuple[str, Template]) -> None:
    controller, template = released
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
    released: tuple[str, Template], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, before = released
    for service in ("customer", "employee"):
        dockerfile = project / "services" / service / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text() + "# changed\n")
    (project / "services/shared").mkdir()
    monkeypatch.setattr("stacks.service.ROOT", project)
    environment = with_controller(settings.load("dev", project), controller)
    after = synthesize(environment, tmp_path / "out").platform
    images = [
        {
            definition["ContainerDefinitions"][0]["Name"]: json.dumps(definition["ContainerDefinitions"])
            for definition in of_type(template, "AWS::ECS::TaskDefinition").values()
        }
        for template in (before, after)
    ]
    assert all(images[0][service] != images[1][service] for service in ("customer", "employee"))
    for kind in (RULE, TARGET_GROUP, LISTENER, SERVICE):
        assert of_type(after, kind) == of_type(before, kind)
