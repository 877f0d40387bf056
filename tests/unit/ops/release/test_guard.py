"""Swap safety, over what AWS answers before and after releases by every controller."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from rich.console import Console
from typer.testing import CliRunner

import settings
from ops.command_line import app
from ops.deployed import deployment as deployed
from ops.deployed.routes import CREATE_ONLY, RULE, Blueprint, references, traffic_of
from ops.deployment import deploy, leftovers, readiness
from ops.errors import OpsError
from ops.release import following, guard, priorities
from ops.synthesis import cdk
from tests.conftest import Made, Synthesize, Template, synthesize
from tests.ops.account import Account, refusal
from tests.unit.ops.recorded import ACCOUNT, Recorded

PRODUCTION, TEST = "CustomerProductionRulesForward1A092E66", "CustomerTestRulesForward39B24273"
ADMINISTRATION = "EmployeeProductionRulesForward1A092E66"
BLUE, GREEN = "CustomerTargetGroupsBlueD2617C19", "CustomerTargetGroupsGreenED682B83"
SERVICE = "CustomerService"
SWAPPED = {PRODUCTION: {GREEN: 1}, TEST: {GREEN: 1}}
SWAPPED_NATIVELY = {PRODUCTION: {BLUE: 0, GREEN: 100}, TEST: {BLUE: 0, GREEN: 100}}
DEPLOYMENT = "d-A1B2C3D4E"
NATIVE_DEPLOYMENT = (
    f"arn:aws:ecs:us-east-1:{ACCOUNT}:service-deployment/cluster/service/ejGvqq2ilnbKT9qj0vLJe"
)

OIDC = settings.Oidc(
    issuer="https://login.example.com",
    authorization_endpoint="https://login.example.com/authorize",
    token_endpoint="https://login.example.com/token",
    user_info_endpoint="https://login.example.com/userinfo",
    client_id="directory",
    client_secret_name="login/directory",
)

Change = Callable[[dict[str, Any]], None]


def fixed(made: Made, weights: Mapping[str, Any]) -> Template:
    """Compute and the services as one, with rules that say where they lead rather than ask where they do."""
    template = deepcopy(dict(made.platform))
    for rule in (each["Properties"] for each in template["Resources"].values() if each["Type"] == RULE):
        for action in (each for each in rule["Actions"] if each["Type"] == "forward"):
            groups = action["ForwardConfig"]["TargetGroups"]
            if "TargetGroupArn" in weights:
                del action["ForwardConfig"]
                action["TargetGroupArn"] = groups[0]["TargetGroupArn"]
                continue
            for group, weight in zip(groups, weights.values(), strict=True):
                group["Weight"] = weight
    for logical_id, each in [*template["Resources"].items()]:
        if each["Type"] == "Custom::LiveTraffic":
            del template["Resources"][logical_id]
    return template


@pytest.fixture(scope="module")
def codedeploy(templates: Synthesize) -> Template:
    return fixed(templates("dev"), {"TargetGroupArn": BLUE})


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Template:
    release = settings.Release(controller="ecs", strategy="canary", bake_minutes=5)
    environment = settings.load("dev").model_copy(update={"release": release})
    return fixed(synthesize(environment, tmp_path_factory.mktemp("native")), {"Blue": 100, "Green": 0})


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Template:
    release = settings.Release(controller="rolling")
    environment = settings.load("dev").model_copy(update={"release": release})
    return synthesize(environment, tmp_path_factory.mktemp("rolling")).platform


@pytest.fixture(scope="module")
def signing_in(tmp_path_factory: pytest.TempPathFactory) -> Template:
    dev = settings.load("dev")
    environment = dev.model_copy(
        update={
            "release": settings.Release(controller="rolling"),
            "tls": settings.Tls(domain="suppliers.example.com", hosted_zone_id="Z0123456789EXAMPLE"),
            "access": dev.access.model_copy(update={"oidc": OIDC}),
        }
    )
    return synthesize(environment, tmp_path_factory.mktemp("signing-in")).platform


def changed(template: Template, *changes: Change) -> Template:
    """A template after changes of its resources."""
    document = deepcopy(dict(template))
    for change in changes:
        change(document["Resources"])
    return document


def new_paths(resources: dict[str, Any]) -> None:
    for rule in (PRODUCTION, TEST):
        resources[rule]["Properties"]["Conditions"][0]["PathPatternConfig"]["Values"] = ["/suppliers", "/*"]


def without_service(resources: dict[str, Any]) -> None:
    for logical_id in [each for each in resources if each.startswith("Customer")]:
        del resources[logical_id]


def compared(clients: Recorded, template: Template) -> guard.Plan:
    """The plan from the recorded answers, through the same calls as on AWS."""
    deployed = guard.read(clients, clients.stack)
    assert deployed is not None
    return guard.plan(deployed, template)


def of(plan: guard.Plan, rule: str) -> guard.Finding:
    (finding,) = (each for each in plan.findings if each.rule == rule)
    return finding


def refused(plan: guard.Plan) -> list[str]:
    return [finding.rule for finding in plan.refused]


# Rules that sign users in.


def without_sign_in(resources: dict[str, Any]) -> None:
    actions = resources[ADMINISTRATION]["Properties"]["Actions"]
    resources[ADMINISTRATION]["Properties"]["Actions"] = [
        each for each in actions if each["Type"] == "forward"
    ]


def test_a_rule_that_signs_in_leads_where_its_forward_leads(signing_in: Template) -> None:
    plan = compared(Recorded(template=signing_in), signing_in)
    finding = of(plan, ADMINISTRATION)
    assert (finding.live, finding.template, finding.change) == ("blue", "blue", "not changed")


def test_adding_and_removing_a_sign_in_moves_no_traffic(signing_in: Template) -> None:
    without = changed(signing_in, without_sign_in)
    for before, after in ((signing_in, without), (without, signing_in)):
        plan = compared(Recorded(template=before), after)
        assert refused(plan) == []
        assert of(plan, ADMINISTRATION).change == "Actions changed by deploying"


def test_a_sign_in_that_is_gone_from_the_live_rule_is_told(signing_in: Template) -> None:
    plan = compared(Recorded(template=signing_in, signed_out=[ADMINISTRATION]), signing_in)
    assert of(plan, ADMINISTRATION).change == (
        "not changed, but it lets through who has not signed in: somebody removed that from the live rule"
    )
    others = [each for each in plan.findings if each.rule != ADMINISTRATION]
    assert {each.change for each in others} == {"not changed"}


# Never swapped.


@pytest.mark.parametrize("controller", ["codedeploy", "native", "rolling"])
def test_before_any_release_every_change_of_a_rule_is_safe(
    controller: str, request: pytest.FixtureRequest
) -> None:
    template = request.getfixturevalue(controller)
    plan = compared(Recorded(template=template), changed(template, new_paths))
    assert refused(plan) == []
    finding = of(plan, PRODUCTION)
    assert (finding.service, finding.listener, finding.priority) == ("customer", "production", 200)
    assert (finding.live, finding.change) == ("blue", "Conditions changed by deploying")
    assert finding.template == "blue"


def test_every_rule_that_forwards_is_compared_on_both_listeners(codedeploy: Template) -> None:
    plan = compared(Recorded(template=codedeploy), codedeploy)
    assert [(each.listener, each.priority, each.service) for each in plan.findings] == [
        ("production", 100, "employee"),
        ("production", 200, "customer"),
        ("test", 100, "employee"),
        ("test", 200, "customer"),
    ]
    assert {each.change for each in plan.findings} == {"not changed"}


def test_switching_to_weights_before_any_release_moves_nothing(
    codedeploy: Template, native: Template
) -> None:
    plan = compared(Recorded(template=codedeploy), native)
    assert of(plan, PRODUCTION).change == "Actions changed by deploying"
    assert refused(plan) == []


@pytest.mark.parametrize(("before", "after"), [("codedeploy", "native"), ("rolling", "codedeploy")])
def test_a_service_that_exists_cannot_change_to_or_from_codedeploy(
    before: str, after: str, request: pytest.FixtureRequest
) -> None:
    old, new = request.getfixturevalue(before), request.getfixturevalue(after)
    plan = compared(Recorded(template=old), new)
    assert len(plan.switches) == 2
    assert "cannot change its release controller" in plan.switches[0]
    assert "Remedy: set release.controller back, or bring the service anew" in plan.switches[0]
    assert json.loads(guard.as_json([plan]))["refused"] is True
    with pytest.raises(OpsError, match="deploying would fail half way, so nothing was deployed"):
        guard.refuse(plan)


# Numbers of rules.


def renumbered(template: Template, **firsts: int) -> Template:
    """A template whose services have these priorities."""

    def change(resources: dict[str, Any]) -> None:
        for logical_id, resource in resources.items():
            for name, first in firsts.items():
                if resource["Type"] == RULE and logical_id.startswith(name.capitalize()):
                    was = {"customer": 200, "employee": 100}[name]
                    resource["Properties"]["Priority"] += first - was

    return changed(template, change)


def renamed(template: Template) -> Template:
    """The administration's folder under another name, which makes all its resources anew."""
    text = json.dumps(template).replace("Employee", "Staff").replace('"employee"', '"staff"')
    return dict(json.loads(text))


def numbers_told(template: Template, after: Template) -> dict[str, int]:
    """By service, the free number that a refusal names."""
    plan = compared(Recorded(template=template), after)
    found = [
        re.search(r"^(\w+): its rule .* Remedy: set priority = (\d+) for", each) for each in plan.switches
    ]
    assert all(found)
    if found:
        with pytest.raises(OpsError, match="deploying would fail half way, so nothing was deployed"):
            guard.refuse(plan)
    return {each[1]: int(each[2]) for each in found if each}


def test_a_service_that_takes_over_the_number_of_one_that_goes_is_refused(codedeploy: Template) -> None:
    after = renamed(codedeploy)
    told = numbers_told(codedeploy, after)
    assert told == {"staff": 101}
    moved = renamed(renumbered(codedeploy, employee=told["staff"]))
    assert numbers_told(codedeploy, moved) == {}


def test_services_that_swap_their_numbers_are_refused_and_told_two_that_work(codedeploy: Template) -> None:
    told = numbers_told(codedeploy, renumbered(codedeploy, customer=100, employee=200))
    assert told == {"customer": 101, "employee": 201}
    assert numbers_told(codedeploy, renumbered(codedeploy, **told)) == {}


def test_a_number_that_only_a_refusal_of_requests_holds_is_taken_too(codedeploy: Template) -> None:
    """The administration's last number, 149, answers 403."""
    told = numbers_told(codedeploy, renumbered(codedeploy, customer=149, employee=300))
    assert told == {"customer": 150}


def test_free_numbers_may_be_taken_and_kept(codedeploy: Template) -> None:
    assert numbers_told(codedeploy, codedeploy) == {}
    assert numbers_told(codedeploy, renumbered(codedeploy, customer=201, employee=101)) == {}


def test_the_number_of_a_rule_that_was_never_made_is_free(codedeploy: Template) -> None:
    before, after = Blueprint(codedeploy), Blueprint(renamed(codedeploy))
    made = {each for each in before.resources if not each.startswith("Employee")}
    assert list(priorities.taken(before, after, made)) == []


def test_on_a_listener_that_is_made_anew_every_number_is_free(codedeploy: Template) -> None:
    def anew(resources: dict[str, Any]) -> None:
        for resource in resources.values():
            if resource["Type"] == "AWS::ElasticLoadBalancingV2::LoadBalancer":
                resource["Properties"]["Name"] = "another"

    after = Blueprint(changed(renamed(codedeploy), anew))
    before = Blueprint(codedeploy)
    assert list(priorities.taken(before, after, before.resources)) == []


@pytest.mark.parametrize(("before", "after"), [("codedeploy", "codedeploy"), ("rolling", "native")])
def test_other_changes_of_the_controller_are_not_in_the_way(
    before: str, after: str, request: pytest.FixtureRequest
) -> None:
    plan = compared(Recorded(template=request.getfixturevalue(before)), request.getfixturevalue(after))
    assert plan.switches == ()


@pytest.mark.parametrize(
    ("before", "after"), [("internet-facing", "internal"), ("internal", "internet-facing")]
)
def test_a_load_balancer_that_exists_is_not_moved_behind_cloudfront_or_back(
    codedeploy: Template, before: str, after: str
) -> None:
    def facing(scheme: str) -> Template:
        template = copy.deepcopy(codedeploy)
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::ElasticLoadBalancingV2::LoadBalancer":
                resource["Properties"]["Scheme"] = scheme
        return template

    plan = compared(Recorded(template=facing(before)), facing(after))
    (switch,) = plan.switches
    assert f"a load balancer that exists cannot change from {before} to {after}" in switch
    assert "Remedy: leave [cdn] as it was; or destroy the environment and deploy it anew" in switch
    with pytest.raises(OpsError, match="deploying would fail half way, so nothing was deployed"):
        guard.refuse(plan)
    assert compared(Recorded(template=facing(after)), facing(after)).switches == ()


# Swapped.


@pytest.mark.parametrize(
    ("controller", "live"),
    [("codedeploy", SWAPPED), ("native", SWAPPED_NATIVELY)],
    ids=["codedeploy", "native"],
)
def test_after_a_release_a_deployment_that_leaves_the_rules_alone_is_safe(
    controller: str, live: Any, request: pytest.FixtureRequest
) -> None:
    template = request.getfixturevalue(controller)
    plan = compared(Recorded(template=template, live=live), template)
    assert refused(plan) == []
    finding = of(plan, PRODUCTION)
    assert (finding.live, finding.template) == ("green", "blue")
    assert finding.change == "not changed, so the traffic stays where it was moved"


@pytest.mark.parametrize(
    ("controller", "live"),
    [("codedeploy", SWAPPED), ("native", SWAPPED_NATIVELY)],
    ids=["codedeploy", "native"],
)
def test_after_a_release_a_change_of_paths_is_refused_with_rule_sides_and_remedy(
    controller: str, live: Any, request: pytest.FixtureRequest
) -> None:
    template = request.getfixturevalue(controller)
    plan = compared(Recorded(template=template, live=live), changed(template, new_paths))
    assert refused(plan) == [PRODUCTION, TEST]
    assert str(plan.refused[0]) == (
        f"customer, production listener, rule 200 ({PRODUCTION}): live green, template blue, "
        "Conditions changed by deploying: a release has moved the traffic, and deploying would undo that. "
        "Remedy: release customer once more without this change, which makes blue live again, then repeat"
    )


def test_a_change_of_a_manifest_is_found_as_it_is_synthesized(
    templates: Synthesize, project: Path, tmp_path: Path
) -> None:
    manifest = project / "services/customer/service.toml"
    manifest.write_text(manifest.read_text().replace('["/*"]', '["/suppliers", "/*"]'))
    after = synthesize(settings.load("dev", project), tmp_path / "out").platform
    plan = compared(Recorded(template=templates("dev").platform, live=SWAPPED), after)
    assert {of(plan, rule).change for rule in (PRODUCTION, TEST)} == {"Conditions changed by deploying"}
    # They hold what is live when they are written.
    assert refused(plan) == []


def test_a_swap_of_one_service_does_not_hold_up_another(codedeploy: Template) -> None:
    def only_employee(resources: dict[str, Any]) -> None:
        resources[ADMINISTRATION]["Properties"]["Priority"] = 90

    plan = compared(Recorded(template=codedeploy, live=SWAPPED), changed(codedeploy, only_employee))
    assert refused(plan) == []
    assert of(plan, ADMINISTRATION).change == "Priority changed by deploying"


def test_after_a_second_release_blue_is_live_again_and_paths_may_change(codedeploy: Template) -> None:
    live = {PRODUCTION: {BLUE: 1, GREEN: 0}, TEST: {BLUE: 1}}
    assert refused(compared(Recorded(template=codedeploy, live=live), changed(codedeploy, new_paths))) == []


def test_a_template_that_says_what_is_live_is_safe(codedeploy: Template) -> None:
    def says_green(resources: dict[str, Any]) -> None:
        for rule in (PRODUCTION, TEST):
            resources[rule]["Properties"]["Actions"][0]["TargetGroupArn"] = {"Ref": GREEN}

    plan = compared(Recorded(template=codedeploy, live=SWAPPED), changed(codedeploy, new_paths, says_green))
    assert refused(plan) == []
    assert refused(compared(Recorded(template=codedeploy), changed(codedeploy, says_green))) == [
        PRODUCTION,
        TEST,
    ]


def test_switching_to_weights_after_a_release_is_refused(codedeploy: Template, native: Template) -> None:
    assert refused(compared(Recorded(template=codedeploy, live=SWAPPED), native)) == [PRODUCTION, TEST]


def test_a_tag_of_a_swapped_rule_is_a_change_like_any_other(codedeploy: Template) -> None:
    def tagged(resources: dict[str, Any]) -> None:
        resources[PRODUCTION]["Properties"]["Tags"].append({"Key": "team", "Value": "web"})

    plan = compared(Recorded(template=codedeploy, live=SWAPPED), changed(codedeploy, tagged))
    assert refused(plan) == [PRODUCTION]


# Replaced, removed, made.


def test_a_swapped_rule_under_another_logical_id_is_refused(codedeploy: Template) -> None:
    def renamed(resources: dict[str, Any]) -> None:
        resources["Renamed"] = resources.pop(PRODUCTION)

    plan = compared(Recorded(template=codedeploy, live=SWAPPED), changed(codedeploy, renamed))
    assert refused(plan) == [PRODUCTION, "Renamed"]
    assert of(plan, PRODUCTION).change == "removed by deploying"
    assert (of(plan, "Renamed").live, of(plan, "Renamed").template) == ("green", "blue")


def test_a_new_load_balancer_replaces_the_rules_of_all_listeners(codedeploy: Template) -> None:
    def renamed(resources: dict[str, Any]) -> None:
        (balancer,) = (
            each for each in resources.values() if each["Type"] == "AWS::ElasticLoadBalancingV2::LoadBalancer"
        )
        balancer["Properties"]["Name"] = "another"

    after = changed(codedeploy, renamed)
    plan = compared(Recorded(template=codedeploy, live=SWAPPED), after)
    assert {each.change for each in plan.findings} == {"replaced by deploying"}
    assert refused(plan) == [PRODUCTION, TEST]
    assert refused(compared(Recorded(template=codedeploy), after)) == []


def test_a_target_group_that_is_made_anew_has_no_tasks_and_is_refused(codedeploy: Template) -> None:
    def other_port(resources: dict[str, Any]) -> None:
        resources[BLUE]["Properties"]["Port"] = 9090

    for live in ({}, SWAPPED):
        plan = compared(Recorded(template=codedeploy, live=live), changed(codedeploy, other_port))
        assert refused(plan) == [PRODUCTION, TEST]
        assert plan.refused[0].template == "blue (made anew)"
        assert plan.refused[0].problem == "the traffic would go to a target group without tasks"


def test_removing_a_swapped_rule_while_its_service_stays_is_refused(codedeploy: Template) -> None:
    def removed(resources: dict[str, Any]) -> None:
        del resources[PRODUCTION]

    after = changed(codedeploy, removed)
    assert refused(compared(Recorded(template=codedeploy, live=SWAPPED), after)) == [PRODUCTION]
    assert refused(compared(Recorded(template=codedeploy), after)) == []


def test_removing_a_whole_service_is_a_decision_and_no_accident(codedeploy: Template) -> None:
    after = changed(codedeploy, without_service)
    assert refused(compared(Recorded(template=codedeploy, live=SWAPPED), after)) == []
    under_way = Recorded(template=codedeploy, live=SWAPPED, codedeploy={SERVICE: [DEPLOYMENT]})
    assert refused(compared(under_way, after)) == [PRODUCTION, TEST]


def test_a_new_service_is_safe(codedeploy: Template) -> None:
    before = changed(codedeploy, without_service)
    plan = compared(Recorded(template=before), codedeploy)
    assert refused(plan) == []
    assert (of(plan, PRODUCTION).live, of(plan, PRODUCTION).change) == ("nothing", "made by deploying")


def test_a_new_rule_of_a_swapped_service_must_lead_to_its_live_side(codedeploy: Template) -> None:
    def another(resources: dict[str, Any]) -> None:
        resources["Another"] = deepcopy(resources[PRODUCTION])
        resources["Another"]["Properties"]["Priority"] = 199

    after = changed(codedeploy, another)
    assert refused(compared(Recorded(template=codedeploy, live=SWAPPED), after)) == ["Another"]
    assert refused(compared(Recorded(template=codedeploy), after)) == []
    # Between the two shifts of a release the listeners differ: the rule's own one counts.
    tested = Recorded(template=codedeploy, live={TEST: {GREEN: 1}})
    assert refused(compared(tested, after)) == []


def test_a_new_rule_may_lead_to_green_only_while_green_is_live(codedeploy: Template) -> None:
    def another(resources: dict[str, Any]) -> None:
        resources["Another"] = deepcopy(resources[PRODUCTION])
        resources["Another"]["Properties"]["Priority"] = 199
        resources["Another"]["Properties"]["Actions"][0]["TargetGroupArn"] = {"Ref": GREEN}

    after = changed(codedeploy, another)
    assert refused(compared(Recorded(template=codedeploy, live=SWAPPED), after)) == []
    assert refused(compared(Recorded(template=codedeploy), after)) == ["Another"]


def test_a_rule_that_stops_forwarding_is_refused_only_after_a_swap(codedeploy: Template) -> None:
    def closed(resources: dict[str, Any]) -> None:
        answer = {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "Closed"}
        resources[PRODUCTION]["Properties"]["Actions"] = [
            {"Type": "fixed-response", "FixedResponseConfig": answer}
        ]

    after = changed(codedeploy, closed)
    assert refused(compared(Recorded(template=codedeploy, live=SWAPPED), after)) == [PRODUCTION]
    assert refused(compared(Recorded(template=codedeploy), after)) == []


# In the middle of a release.


@pytest.mark.parametrize(
    ("controller", "under_way", "said"),
    [
        ("codedeploy", {"codedeploy": {SERVICE: [DEPLOYMENT]}}, f"CodeDeploy deployment {DEPLOYMENT}"),
        ("native", {"ecs": {SERVICE: [NATIVE_DEPLOYMENT]}}, "ECS deployment ejGvqq2ilnbKT9qj0vLJe"),
    ],
    ids=["codedeploy", "native"],
)
@pytest.mark.parametrize(
    "live", [{}, {PRODUCTION: {BLUE: 90, GREEN: 10}}], ids=["before shifting", "shifting"]
)
def test_while_a_release_is_under_way_no_rule_of_its_service_may_change(
    controller: str, under_way: Any, said: str, live: Any, request: pytest.FixtureRequest
) -> None:
    template = request.getfixturevalue(controller)
    clients = Recorded(template=template, live=live, **under_way)
    plan = compared(clients, changed(template, new_paths))
    assert refused(plan) == [PRODUCTION, TEST]
    assert plan.refused[0].problem == f"{said} is moving the traffic of customer"
    assert "stop" in str(plan.refused[0].remedy)
    untouched = compared(Recorded(template=template, live=live, **under_way), template)
    assert refused(untouched) == []
    assert of(untouched, PRODUCTION).change == f"not changed, while {said} is moving it"


def test_weights_between_the_sides_are_refused_though_no_deployment_is_known(native: Template) -> None:
    live = {PRODUCTION: {BLUE: 90, GREEN: 10}}
    plan = compared(Recorded(template=native, live=live), changed(native, new_paths))
    assert refused(plan) == [PRODUCTION]
    assert plan.refused[0].live == "blue 90 %, green 10 %"
    assert plan.refused[0].problem == "a release has left the traffic between the two sides"


@pytest.mark.parametrize(
    ("controller", "under_way", "said", "stop"),
    [
        ("codedeploy", {"codedeploy": {SERVICE: [DEPLOYMENT]}}, f"CodeDeploy deployment {DEPLOYMENT}", "aws deploy stop-"),
        ("native", {"ecs": {SERVICE: [NATIVE_DEPLOYMENT]}}, "ECS deployment ejGvqq2ilnbKT9qj0vLJe", "aws ecs stop-service-"),
        ("rolling", {"ecs": {SERVICE: [NATIVE_DEPLOYMENT]}}, "ECS deployment ejGvqq2ilnbKT9qj0vLJe", "aws ecs stop-service-"),
    ],
    ids=["codedeploy", "native", "rolling"],
)  # fmt: skip
def test_while_a_release_is_under_way_its_stack_is_not_changed_but_for_alarms_and_dashboards(
    controller: str, under_way: Any, said: str, stop: str, request: pytest.FixtureRequest
) -> None:
    template = request.getfixturevalue(controller)

    def larger(resources: dict[str, Any]) -> None:
        for resource in resources.values():
            if resource["Type"] == "AWS::ECS::TaskDefinition":
                resource["Properties"]["Cpu"] = "4096"

    plan = compared(Recorded(template=template, **under_way), changed(template, larger))
    assert refused(plan) == []
    (line,) = plan.held_up
    assert line.startswith(
        f"customer: {said} is under way, and deploying suppliers-dev-compute would change "
    )
    assert f"(`{stop}" in line
    assert "`suppliers release watch customer`" in line
    with pytest.raises(OpsError, match="deploying would disturb a release, so nothing was deployed"):
        guard.refuse(plan)
    assert json.loads(guard.as_json([plan]))["refused"] is True
    assert f"refused: {line}" in guard.report(plan)

    def more_alarms(resources: dict[str, Any]) -> None:
        resources["Another"] = {"Type": "AWS::CloudWatch::Alarm", "Properties": {}}
        resources["Board"] = {"Type": "AWS::CloudWatch::Dashboard", "Properties": {}}

    for harmless in (template, changed(template, more_alarms)):
        assert compared(Recorded(template=template, **under_way), harmless).held_up == ()
    assert compared(Recorded(template=template), changed(template, larger)).held_up == ()


def test_a_resource_that_goes_or_comes_is_a_change_too(codedeploy: Template) -> None:
    def without_log_group(resources: dict[str, Any]) -> None:
        del resources["CustomerLogGroup"], resources["EmployeeLogGroup"]

    before = changed(codedeploy, lambda resources: resources.update(CustomerLogGroup={"Type": "AWS::Logs::LogGroup"}, EmployeeLogGroup={"Type": "AWS::Logs::LogGroup"}))  # fmt: skip
    after = changed(before, without_log_group)
    for one, other in ((before, after), (after, before)):
        plan = compared(Recorded(template=one, codedeploy={SERVICE: [DEPLOYMENT]}), other)
        assert "would change CustomerLogGroup, EmployeeLogGroup." in plan.held_up[0]


# Weights that are what is live.


def following_live(template: Template) -> Template:
    """The customer's rules as they are written where CloudFormation asks what is live before it writes them."""

    def change(resources: dict[str, Any]) -> None:
        for rule in (PRODUCTION, TEST):
            name = f"{rule}Traffic"
            resources[name] = {"Type": "Custom::LiveTraffic", "Properties": {"Rules": rule}}
            groups = [
                {"TargetGroupArn": {"Ref": group}, "Weight": {"Fn::GetAtt": [name, side]}}
                for group, side in ((BLUE, "Blue"), (GREEN, "Green"))
            ]
            action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
            resources[rule]["Properties"]["Actions"] = [action]

    return changed(template, change)


@pytest.fixture(scope="module")
def swap_safe(codedeploy: Template) -> Template:
    return following_live(codedeploy)


@pytest.mark.parametrize(
    ("live", "side"),
    [
        ({}, "blue"),
        (SWAPPED, "green"),
        (SWAPPED_NATIVELY, "green"),
        ({PRODUCTION: {BLUE: 90, GREEN: 10}}, "blue 90 %, green 10 %"),
    ],
    ids=["blue", "green", "green by weights", "between"],
)
def test_a_rule_that_follows_what_is_live_may_be_changed_at_any_time(
    swap_safe: Template, live: Any, side: str
) -> None:
    live = {PRODUCTION: {BLUE: 100, GREEN: 0}, TEST: {BLUE: 100, GREEN: 0}, **live}
    plan = compared(Recorded(template=swap_safe, live=live), changed(swap_safe, new_paths))
    assert refused(plan) == []
    finding = of(plan, PRODUCTION)
    assert (finding.live, finding.template) == (side, "what is live")
    assert finding.change == "Conditions changed by deploying"
    untouched = compared(Recorded(template=swap_safe, live=live), swap_safe)
    assert of(untouched, PRODUCTION).change == "not changed"


def test_a_rule_begins_to_follow_what_is_live_whichever_side_that_is(
    codedeploy: Template, swap_safe: Template
) -> None:
    for live in ({}, SWAPPED):
        plan = compared(Recorded(template=codedeploy, live=live), swap_safe)
        assert refused(plan) == []
        assert of(plan, PRODUCTION).change == "Actions changed by deploying"
    # And not back, with green live.
    assert refused(compared(Recorded(template=swap_safe, live=SWAPPED), codedeploy)) == [PRODUCTION, TEST]


def test_a_rule_that_follows_what_is_live_may_change_its_name_or_be_a_new_one(swap_safe: Template) -> None:
    def renamed(resources: dict[str, Any]) -> None:
        resources["Renamed"] = resources.pop(PRODUCTION)

    plan = compared(Recorded(template=swap_safe, live=SWAPPED), changed(swap_safe, renamed))
    assert refused(plan) == []
    assert (of(plan, "Renamed").live, of(plan, "Renamed").template) == ("green", "what is live")


def test_target_groups_that_are_made_anew_are_refused_all_the_same(swap_safe: Template) -> None:
    def other_port(resources: dict[str, Any]) -> None:
        for group in (BLUE, GREEN):
            resources[group]["Properties"]["Port"] = 9090

    for live, side in (({}, "blue"), (SWAPPED, "green")):
        live = {PRODUCTION: {BLUE: 1}, TEST: {BLUE: 1}, **live}
        plan = compared(Recorded(template=swap_safe, live=live), changed(swap_safe, other_port))
        assert refused(plan) == [PRODUCTION, TEST]
        assert plan.refused[0].template == f"{side} (made anew)"
        assert plan.refused[0].problem == "the traffic would go to a target group without tasks"


def test_what_somebody_did_by_hand_to_a_rule_that_follows_what_is_live_is_refused(
    swap_safe: Template,
) -> None:
    after = changed(swap_safe, new_paths)
    gone = compared(Recorded(template=swap_safe, live=SWAPPED, gone=[PRODUCTION]), after)
    assert refused(gone) == [PRODUCTION]
    assert str(gone.refused[0].problem).startswith("the rule is not there any more")
    other = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:targetgroup/other/6d0ecf831eec9f09"
    for moved in (None, {other: 1}):
        plan = compared(Recorded(template=swap_safe, live={**SWAPPED, PRODUCTION: moved}), after)
        assert refused(plan) == [PRODUCTION]
        assert str(plan.refused[0].problem).startswith("somebody changed the rule by hand")


def test_while_a_release_moves_them_rules_that_follow_what_is_live_are_left_alone(
    swap_safe: Template,
) -> None:
    clients = Recorded(template=swap_safe, live=SWAPPED, codedeploy={SERVICE: [DEPLOYMENT]})
    plan = compared(clients, changed(swap_safe, new_paths))
    assert refused(plan) == [PRODUCTION, TEST]
    assert len(plan.held_up) == 1


# The stack of a service.

OF_COMPUTE = {"StackName": "suppliers-dev-compute"}
STACK = "suppliers-dev-customer"


def own_stack(template: Template) -> Template:
    """The customer service in a stack of its own, whose rules are at the listeners of Compute."""
    document = following_live(template)
    resources = {
        name: each
        for name, each in document["Resources"].items()
        if name.startswith("Customer") and each["Type"] != "AWS::CloudWatch::Alarm"
    }
    for rule, listener in ((PRODUCTION, "Production"), (TEST, "Test")):
        output = f"PublishOutputRefEntranceLoadBalancer{listener}0CAEDFC7AAAAAAAA"
        resources[rule]["Properties"]["ListenerArn"] = {
            "Fn::GetStackOutput": {**OF_COMPUTE, "OutputName": output}
        }
    for name, each in resources.items():
        if each["Type"] == RULE and name not in (PRODUCTION, TEST):
            resources[name]["Properties"]["ListenerArn"] = resources[PRODUCTION]["Properties"]["ListenerArn"]
    outputs = {
        f"{side}TargetGroupArn": {"Value": {"Ref": group}}
        for side, group in (("Blue", BLUE), ("Green", GREEN))
    }
    return {"Resources": resources, "Outputs": outputs}


@pytest.fixture(scope="module")
def of_service(codedeploy: Template) -> Template:
    return own_stack(codedeploy)


def test_the_rules_of_a_services_stack_are_compared_at_the_listeners_of_compute(of_service: Template) -> None:
    plan = compared(Recorded(template=of_service, stack=STACK, live=SWAPPED), changed(of_service, new_paths))
    assert plan.stack == STACK
    assert [(each.service, each.listener, each.priority, each.live) for each in plan.findings] == [
        ("customer", "production", 200, "green"),
        ("customer", "test", 200, "green"),
    ]
    assert not plan.is_refused
    under_way = Recorded(template=of_service, stack=STACK, live=SWAPPED, codedeploy={SERVICE: [DEPLOYMENT]})
    plan = compared(under_way, changed(of_service, new_paths))
    assert plan.held_up[0].startswith("customer: CodeDeploy deployment")
    gone = Recorded(template=of_service, stack=STACK, gone=[PRODUCTION])
    assert refused(compared(gone, changed(of_service, new_paths))) == [PRODUCTION]


def test_a_number_that_a_rule_of_another_stack_has_is_refused_with_a_free_one(of_service: Template) -> None:
    plan = compared(
        Recorded(template=of_service, stack=STACK, elsewhere=[149, 150, 151]),
        renumbered(of_service, customer=150),
    )
    (line,) = plan.switches
    assert line.startswith(
        f"customer: its rule 150 ({PRODUCTION}) would be made while the rule 150 of another stack"
    )
    assert "set priority = 152 for customer" in line
    assert compared(Recorded(template=of_service, stack=STACK, elsewhere=[150]), of_service).switches == ()


def test_a_service_that_is_new_is_asked_about_its_numbers_too(of_service: Template, tmp_path: Path) -> None:
    folder = assembly(tmp_path / "out", Customer=(STACK, of_service))
    now = datetime(2026, 11, 2, tzinfo=UTC)
    listener = (
        f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:listener/app/suppliers-dev/50dc6c495c0c9188/"
    )

    def stack(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if asked["StackName"] == STACK:
            raise refusal("ValidationError", f"Stack with id {STACK} does not exist")
        outputs = [
            {
                "OutputKey": f"PublishOutputRefEntranceLoadBalancer{name}0CAEDFC7AAAAAAAA",
                "OutputValue": listener + name,
            }
            for name in ("Production", "Test")
        ]
        found = {
            **OF_COMPUTE,
            "StackStatus": "CREATE_COMPLETE",
            "CreationTime": now,
            "Outputs": outputs,
        }
        return {"Stacks": [found]}

    numbers = ["200"]
    account = Account(
        operations={
            "sts:GetCallerIdentity": lambda asked: {"Account": ACCOUNT},
            "cloudformation:DescribeStacks": stack,
            "elbv2:DescribeRules": lambda asked: {
                "Rules": [
                    {
                        "RuleArn": f"{asked['ListenerArn'].replace(':listener/', ':listener-rule/')}/x",
                        "Priority": number,
                        "Actions": [],
                        "IsDefault": False,
                    }
                    for number in numbers
                ]
            },
        }
    )
    found = guard.check(account, settings.load("dev"), folder / "Customer.template.json")
    assert "set priority = 201 for customer" in found.switches[0]
    assert list(guard.report(found)) == [f"refused: {found.switches[0]}"]
    numbers[:] = ["300"]
    assert not guard.check(account, settings.load("dev"), folder / "Customer.template.json").is_refused


def assembly(folder: Path, **stacks: tuple[str, Template]) -> Path:
    folder.mkdir(exist_ok=True)
    artifacts = {}
    for name, (stack, template) in stacks.items():
        (folder / f"{name}.template.json").write_text(json.dumps(template))
        properties = {"templateFile": f"{name}.template.json", "stackName": stack}
        artifacts[name] = {"type": "aws:cloudformation:stack", "properties": properties}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return folder


def test_every_stack_with_services_or_rules_is_compared(of_service: Template, tmp_path: Path) -> None:
    entrance = {
        "Resources": {
            "Listener": {
                "Type": "AWS::ElasticLoadBalancingV2::Listener",
                "Properties": {"DefaultActions": []},
            }
        }
    }
    folder = assembly(
        tmp_path / "out",
        Data=("suppliers-dev-data", {"Resources": {"Key": {"Type": "AWS::KMS::Key"}}}),
        Compute=("suppliers-dev-compute", entrance),
        Customer=(STACK, of_service),
    )  # fmt: skip
    assert [each.name for each in guard.templates(folder, "dev")] == [
        "Compute.template.json",
        "Customer.template.json",
    ]
    found = guard.check(
        Recorded(template=of_service, stack=STACK), settings.load("dev"), folder / "Customer.template.json"
    )
    assert (found.stack, found.deployed, found.is_refused) == (STACK, True, False)
    with pytest.raises(OpsError, match=f"is of {STACK}, not of environment prod"):
        guard.load(folder / "Customer.template.json", "prod")


def test_refusals_of_several_stacks_are_told_together(codedeploy: Template, of_service: Template) -> None:
    moved = compared(Recorded(template=codedeploy, live=SWAPPED), changed(codedeploy, new_paths))
    held = compared(
        Recorded(template=of_service, stack=STACK, codedeploy={SERVICE: [DEPLOYMENT]}),
        changed(of_service, new_paths),
    )
    safe = guard.Plan("suppliers-dev-employee", deployed=False)
    guard.refuse(safe, safe)
    with pytest.raises(OpsError) as raised:
        guard.refuse(safe, moved, held)
    lines = str(raised.value).splitlines()
    assert lines[-2:] == [
        "suppliers-dev-compute: deploying would move traffic, so nothing was deployed",
        f"{STACK}: deploying would move traffic, so nothing was deployed",
    ]
    assert not any("employee" in line for line in lines)


# Missing, or changed by hand.


def test_a_rule_that_is_gone_is_told_and_refused_when_it_is_to_change(codedeploy: Template) -> None:
    plan = compared(Recorded(template=codedeploy, gone=[PRODUCTION]), codedeploy)
    assert refused(plan) == []
    assert (of(plan, PRODUCTION).live, of(plan, TEST).live) == ("missing", "blue")
    assert "is not there any more" in of(plan, PRODUCTION).change
    plan = compared(Recorded(template=codedeploy, gone=[PRODUCTION]), changed(codedeploy, new_paths))
    assert refused(plan) == [PRODUCTION]


def test_removing_a_rule_that_is_gone_moves_nothing(codedeploy: Template) -> None:
    def removed(resources: dict[str, Any]) -> None:
        del resources[PRODUCTION]

    clients = Recorded(template=codedeploy, gone=[PRODUCTION])
    assert refused(compared(clients, changed(codedeploy, removed))) == []


def test_a_listener_that_is_gone_takes_its_rules_with_it(codedeploy: Template) -> None:
    listener = "EntranceLoadBalancerProduction0CAEDFC7"
    plan = compared(Recorded(template=codedeploy, gone=[listener]), codedeploy)
    assert {each.live for each in plan.findings if each.listener == "production"} == {"missing"}


@pytest.mark.parametrize(
    ("live", "said"),
    [
        (None, "nothing"),
        (
            {f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:targetgroup/other/6d0ecf831eec9f09": 1},
            "target group other",
        ),
    ],
    ids=["fixed answer", "another target group"],
)
def test_what_somebody_did_by_hand_is_not_taken_back_unasked(
    codedeploy: Template, live: Any, said: str
) -> None:
    plan = compared(Recorded(template=codedeploy, live={PRODUCTION: live}), changed(codedeploy, new_paths))
    assert refused(plan) == [PRODUCTION]
    assert plan.refused[0].live == said
    assert str(plan.refused[0].problem).startswith("somebody changed the rule by hand")


# Weights, and default actions.


@pytest.mark.parametrize(
    ("actions", "traffic"),
    [
        ([{"Type": "forward", "TargetGroupArn": {"Ref": "Blue"}}], {"Blue": 1}),
        ([{"Type": "forward", "TargetGroupArn": "arn:blue"}], {"arn:blue": 1}),
        ([("Blue", 100), ("Green", 0)], {"Blue": 1}),
        ([("Blue", 0), ("Green", 1)], {"Green": 1}),
        ([("Blue", 90), ("Green", 10)], {"Blue": 9, "Green": 1}),
        ([("Green", 50), ("Blue", 50)], {"Blue": 1, "Green": 1}),
        ([("Blue", None)], {"Blue": 1}),
        ([("Blue", 0), ("Green", 0)], {}),
        ([{"Type": "fixed-response"}], None),
        ([{"Type": "authenticate-oidc"}, {"Type": "forward", "TargetGroupArn": "arn:blue"}], {"arn:blue": 1}),
    ],
)
def test_forwards_with_the_same_effect_are_the_same(
    actions: Sequence[Any], traffic: Mapping[str, int] | None
) -> None:
    if isinstance(actions[0], tuple):
        groups = [
            {"TargetGroupArn": {"Ref": group}, **({} if weight is None else {"Weight": weight})}
            for group, weight in actions
        ]
        actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
    assert traffic_of(actions) == traffic


def test_a_default_action_that_forwards_is_a_rule_too(codedeploy: Template) -> None:
    listener = "EntranceLoadBalancerProduction0CAEDFC7"

    def forwards(resources: dict[str, Any]) -> None:
        action = {"Type": "forward", "TargetGroupArn": {"Ref": BLUE}}
        resources[listener]["Properties"]["DefaultActions"] = [action]

    def secured(resources: dict[str, Any]) -> None:
        resources[listener]["Properties"]["Protocol"] = "HTTPS"

    before = changed(codedeploy, forwards)
    clients = Recorded(template=before, live={**SWAPPED, listener: {GREEN: 1}})
    plan = compared(clients, changed(before, secured))
    assert refused(plan) == [listener]
    assert plan.refused[0].live == "green"
    assert "production listener, the default rule" in str(plan.refused[0])


def test_what_replaces_a_resource_is_what_its_published_schema_says() -> None:
    for resource_type, names in CREATE_ONLY.items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
        assert {f"/properties/{name}" for name in names} == set(schema["createOnlyProperties"])


def test_every_type_that_a_rule_depends_on_is_known(codedeploy: Template) -> None:
    resources = Blueprint(codedeploy).resources
    reached = [*Blueprint(codedeploy).routes]
    for logical_id in reached:
        properties = resources[logical_id]["Properties"]
        names = CREATE_ONLY[resources[logical_id]["Type"]] | {"Actions"}
        reached += [
            each
            for name in names
            for each in references(properties.get(name))
            if each in resources and each not in reached
        ]
    assert {resources[each]["Type"] for each in reached} == set(CREATE_ONLY)


# The stack.


@pytest.mark.parametrize("status", [None, "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_where_nothing_is_deployed_yet_everything_is_safe(codedeploy: Template, status: str | None) -> None:
    assert guard.read(Recorded(template=codedeploy, status=status), "suppliers-dev-compute") is None
    plan = guard.Plan("suppliers-dev-compute", deployed=False)
    guard.refuse(plan)
    assert list(guard.report(plan)) == [
        "suppliers-dev-compute: nothing is deployed yet, so no traffic can be moved"
    ]


def test_a_stack_that_is_being_changed_is_waited_for(codedeploy: Template) -> None:
    with pytest.raises(OpsError, match=r"is being changed \(UPDATE_IN_PROGRESS\): wait for its end"):
        guard.read(Recorded(template=codedeploy, status="UPDATE_IN_PROGRESS"), "suppliers-dev-compute")


def test_after_an_update_that_ended_half_way_every_rule_counts_as_changed(codedeploy: Template) -> None:
    status = "UPDATE_ROLLBACK_FAILED"
    plan = compared(Recorded(template=codedeploy, live=SWAPPED, status=status), codedeploy)
    assert refused(plan) == [PRODUCTION, TEST]
    assert refused(compared(Recorded(template=codedeploy, status=status), codedeploy)) == []


def test_findings_cannot_be_changed(codedeploy: Template) -> None:
    plan = compared(Recorded(template=codedeploy), codedeploy)
    with pytest.raises(FrozenInstanceError):
        plan.findings[0].problem = "none"  # type: ignore[misc]


# Files, reports, and the deployment.


def written(folder: Path, template: Template, stack: str = "suppliers-dev-compute") -> Path:
    folder.mkdir(exist_ok=True)
    # None of a stack, as far as what stacks read of each other is concerned.
    artifact = {"properties": {"templateFile": "Compute.template.json", "stackName": stack}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {"Compute": artifact}}))
    (folder / "Compute.template.json").write_text(json.dumps(template))
    return folder / "Compute.template.json"


def test_the_report_for_programs_holds_what_people_read(codedeploy: Template, tmp_path: Path) -> None:
    file = written(tmp_path, changed(codedeploy, new_paths))
    clients = Recorded(template=codedeploy, live=SWAPPED)
    document = json.loads(guard.as_json([guard.check(clients, settings.load("dev"), file)]))
    assert document["refused"] is True
    (compared_stack,) = document["stacks"]
    assert (compared_stack["stack"], compared_stack["deployed"], compared_stack["refused"]) == (
        "suppliers-dev-compute",
        True,
        True,
    )
    finding = next(each for each in compared_stack["findings"] if each["rule"] == PRODUCTION)
    assert (finding["live"], finding["template"], finding["priority"]) == ("green", "blue", 200)
    assert finding["remedy"].startswith("release customer once more")


def test_the_report_for_people_says_of_each_rule_whether_it_is_safe(codedeploy: Template) -> None:
    plan = compared(Recorded(template=codedeploy, live=SWAPPED), changed(codedeploy, new_paths))
    assert [line.partition(":")[0] for line in guard.report(plan)] == ["safe", "refused", "safe", "refused"]
    plan = compared(Recorded(template=codedeploy), codedeploy)
    assert list(guard.report(plan))[-1] == "suppliers-dev-compute: deploying moves no traffic"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing: run `make synth ENV=dev`"),
        ("{", "is no template of a synth"),
        ("[]", "is no template: "),
        ("{}", "is no template: "),
    ],
)
def test_a_template_that_cannot_be_used_is_one_line(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "Compute.template.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(OpsError, match=said) as raised:
        guard.load(file, "dev")
    assert "\n" not in str(raised.value)


def test_templates_of_another_environment_are_not_compared(codedeploy: Template, tmp_path: Path) -> None:
    file = written(tmp_path, codedeploy, stack="suppliers-prod-compute")
    with pytest.raises(OpsError, match="is of suppliers-prod-compute, not of environment dev"):
        guard.load(file, "dev")


def test_another_account_is_not_asked(codedeploy: Template, tmp_path: Path) -> None:
    environment = settings.load("dev").model_copy(update={"account": "999999999999"})
    with pytest.raises(OpsError, match="account is 999999999999, the credentials are of 111122223333"):
        guard.check(Recorded(template=codedeploy), environment, written(tmp_path, codedeploy))


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Sequence[str]]:
    """The CDK commands that were run; none runs."""
    ran: list[Sequence[str]] = []
    monkeypatch.setattr(cdk, "run", lambda arguments, **named: ran.append(arguments))
    monkeypatch.setattr(guard, "TEMPLATE", tmp_path / "cdk.out" / "Compute.template.json")
    monkeypatch.setattr(deploy, "ASSEMBLY", tmp_path / "cdk.out")
    return ran


class _Deployed(Exception):
    """The stacks were deployed; what follows is no matter of this test."""


def deploying(monkeypatch: pytest.MonkeyPatch, clients: Recorded) -> None:
    def reached(*arguments: Any, **named: Any) -> None:
        raise _Deployed

    monkeypatch.setattr(deploy, "clients", lambda environment, *, rehearse: clients)
    monkeypatch.setattr(leftovers, "stacks_left", lambda *_: [])
    # What an account must have besides: tests/unit/ops/test_readiness.py.
    monkeypatch.setattr(readiness, "ensure", lambda *_: None)
    monkeypatch.setattr(readiness, "rollback", lambda *_: [])
    # What it follows after: tests/ops/test_following.py.
    monkeypatch.setattr(following, "started_within", lambda *_: nullcontext())
    monkeypatch.setattr(deployed, "read", reached)
    deploy.deploy(settings.load("dev"), rehearse=False, console=Console(file=StringIO()))


def test_a_deployment_synthesizes_then_compares_then_deploys(
    codedeploy: Template, commands: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written(tmp_path / "cdk.out", codedeploy)
    clients = Recorded(template=codedeploy, live=SWAPPED, bootstraps=True)
    with pytest.raises(_Deployed):
        deploying(monkeypatch, clients)
    synth, deployment = commands
    assert list(synth) == ["synth", "-q", "-c", "env=dev", "-o", str(tmp_path / "cdk.out")]
    # What was compared, and nothing that was synthesized after it.
    assert list(deployment) == [
        *("deploy", "--app", str(tmp_path / "cdk.out"), "--require-approval", "never"),
        *("--all", "--concurrency", "4"),
    ]


def test_a_refused_deployment_deploys_nothing(
    codedeploy: Template, commands: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written(tmp_path / "cdk.out", changed(codedeploy, new_paths))
    clients = Recorded(template=codedeploy, live=SWAPPED, bootstraps=True)
    with pytest.raises(OpsError) as raised:
        deploying(monkeypatch, clients)
    assert [each[0] for each in commands] == ["synth"]
    lines = str(raised.value).splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == ["refused", "refused"]
    assert lines[-1].endswith("so nothing was deployed")


@pytest.mark.parametrize(
    ("live", "status", "exit_status", "said"),
    [
        ({}, "UPDATE_COMPLETE", 0, "deploying moves no traffic"),
        ({}, None, 0, "nothing is deployed yet"),
        (SWAPPED, "UPDATE_COMPLETE", 1, f"refused: customer, production listener, rule 200 ({PRODUCTION})"),
    ],
    ids=["never swapped", "nothing deployed", "swapped"],
)
def test_the_exit_status_says_whether_to_deploy(
    codedeploy: Template,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    live: Any,
    status: str | None,
    exit_status: int,
    said: str,
) -> None:
    file = written(tmp_path, changed(codedeploy, new_paths))
    monkeypatch.setattr(leftovers, "stacks_left", lambda *_: [])
    for form in ([], ["--json"]):
        clients = Recorded(template=codedeploy, live=live, status=status)
        monkeypatch.setattr(deploy, "clients", lambda environment, rehearse=False, found=clients: found)
        done = CliRunner().invoke(app, ["guard", "--env", "dev", "--template", str(file), *form])
        assert done.exit_code == exit_status
        if form:
            assert json.loads(done.stdout)["refused"] is bool(exit_status)
        else:
            assert said in done.stdout


def test_an_environment_with_the_examples_that_were_shipped_is_not_deployed() -> None:
    with pytest.raises(
        OpsError, match=r"^environments/prod\.toml: alarms\.emails: operators@example\.com; tls\."
    ):
        deploy.deploy(settings.load("prod"), rehearse=False, console=Console(file=StringIO()))
