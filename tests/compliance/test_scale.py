"""As many services as a load balancer has target groups for keep every limit of AWS; what does not fit is one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns

import checks
import settings
from ops.deployed.routes import reference
from platform_constructs.common.managed_policies import MANAGED_POLICIES_PER_ROLE, MANAGED_POLICY_CHARACTERS
from platform_constructs.observability.customers_affected import ALARMS_PER_RULE, RULE_CHARACTERS
from platform_constructs.observability.operations_dashboard import ALARMS_PER_WIDGET
from settings import limits
from settings.facts import quotas
from tests.compliance.conftest import checked
from tests.conftest import Made, copy_settings
from tests.many_services import add_services
from tests.resources import of_type, only
from tests.synthesis import built


@dataclass(frozen=True, kw_only=True)
class Variant:
    """An environment, so many services, changes of its file, and what is added to it."""

    name: str
    count: int
    public: bool
    changes: Mapping[str, str]
    added: str = ""
    # Else the packs of rules look at it too, which find in many services what they find in two.
    templates_only: bool = False


VARIANTS: Mapping[str, Variant] = {
    # As many as there are target groups for, of the kind that needs the fewest rules.
    "everything": Variant(
        name="prod",
        count=49,
        public=True,
        changes={
            "db.t4g.medium": "db.r7g.4xlarge",
            'controller = "codedeploy"': 'controller = "ecs"',
            "nat_gateways = 3": "nat_gateways = 3\ninterface_endpoints = true",
        },
        added="\n[access]\nexec = true\n[canary]\n",
        templates_only=True,
    ),
    # Of every kind, with pipelines.
    "pipelines": Variant(name="dev", count=25, public=False, changes={"db.t4g.small": "db.r7g.2xlarge"}),
}

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
PATTERN_CHARACTERS = 2048
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
LOG_GROUPS_PER_QUERY = 50
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
WIDGETS_PER_DASHBOARD, METRICS_PER_DASHBOARD = 500, 2500


@dataclass(frozen=True)
class Scaled:
    """An environment of many services, and the templates of a synth, as files."""

    environment: settings.Environment
    count: int
    templates: Made
    sizes: Mapping[str, int]


def environment_of(root: Path, variant: str, count: int) -> str:
    """Settings' files with so many services below `root`; the environment's name."""
    made = VARIANTS[variant]
    copy_settings(root)
    add_services(root, count, public=made.public)
    file = root / f"environments/{made.name}.toml"
    text = file.read_text()
    for old, new in made.changes.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text + made.added)
    return made.name


@pytest.fixture(scope="module", params=VARIANTS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scaled:
    root, out = tmp_path_factory.mktemp("many"), tmp_path_factory.mktemp("out")
    variant = VARIANTS[request.param]
    environment = settings.load(environment_of(root, request.param, variant.count), root)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stacks.service.ROOT", root)
        if variant.templates_only:
            built(environment, out, validated=False).synth()
        else:
            checked(environment, out)
    files = {file.name.partition(".")[0]: file for file in out.glob("*.template.json")}
    return Scaled(
        environment,
        variant.count,
        Made({stack: json.loads(file.read_text()) for stack, file in files.items()}),
        {stack: file.stat().st_size for stack, file in files.items()},
    )


def test_every_template_is_below_the_limits_of_cloudformation_with_room(made: Scaled) -> None:
    assert len(made.environment.services) == made.count
    for stack, template in made.templates.items():
        assert len(template["Resources"]) < 0.95 * quotas.RESOURCES_PER_STACK, stack
        assert len(template.get("Outputs", {})) < 0.95 * quotas.OUTPUTS_PER_STACK, stack
        assert made.sizes[stack] < 0.85 * quotas.TEMPLATE_BYTES, stack


def test_the_counts_of_the_settings_are_those_of_the_templates(made: Scaled) -> None:
    environment, services = made.environment, made.environment.services
    rules = of_type(made.templates.platform, "AWS::ElasticLoadBalancingV2::ListenerRule")
    assert sum(limits.rules(environment, each) for each in services) == len(rules)
    assert len(rules) <= quotas.RULES_PER_LOAD_BALANCER


def test_a_task_that_prepares_users_keeps_the_limit_of_task_definitions(made: Scaled) -> None:
    (needed,) = (
        each.needed(made.environment, made.environment.services)
        for each in limits.LIMITS
        if each.allowed == quotas.TASK_DEFINITION_BYTES
    )
    definitions = of_type(made.templates.platform, "AWS::ECS::TaskDefinition").values()
    assert max(len(json.dumps(each)) for each in definitions) < needed < quotas.TASK_DEFINITION_BYTES


def test_security_groups_keep_their_limits(made: Scaled) -> None:
    whole = made.templates.whole
    sides: Counter[tuple[str, str]] = Counter()
    for kind in ("Ingress", "Egress"):
        for rule in of_type(whole, f"AWS::EC2::SecurityGroup{kind}").values():
            sides[kind, reference(rule["GroupId"])] += 1
        for logical_id, group in of_type(whole, "AWS::EC2::SecurityGroup").items():
            sides[kind, logical_id] += len(group.get(f"SecurityGroup{kind}", []))
    assert made.count <= max(sides.values()) <= quotas.RULES_PER_SECURITY_GROUP
    (needed,) = (
        each.needed(made.environment, made.environment.services)
        for each in limits.LIMITS
        if each.allowed == quotas.RULES_PER_SECURITY_GROUP
    )
    assert max(sides.values()) <= needed
    for service in of_type(whole, "AWS::ECS::Service").values():
        assert len(service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]) == 1


def test_the_alarm_to_get_up_for_hears_of_every_alarm_of_what_customers_see(made: Scaled) -> None:
    template = made.templates["Observability"]
    composites = {
        each["AlarmName"]: each["AlarmRule"]
        for each in of_type(template, "AWS::CloudWatch::CompositeAlarm").values()
    }
    parts = -(-7 * made.count // ALARMS_PER_RULE)
    assert len(composites) == parts + 1
    heard: list[str] = []
    for rule in composites.values():
        terms = re.findall(r'ALARM\("([^"]+)"\)', rule)
        assert len(terms) <= ALARMS_PER_RULE
        assert len(rule) <= RULE_CHARACTERS
        heard += terms
    whole = f"suppliers-{made.environment.name}-observability-customers-affected"
    told = [f"{whole}-part{number + 1}" for number in range(parts)]
    assert {*told} <= set(heard)
    assert re.findall(r'ALARM\("([^"]+)"\)', composites[whole]) == told
    # Three of a release and four of a service; each once.
    assert max(Counter(heard).values()) == 1
    for service in made.environment.services:
        stack = f"suppliers-{made.environment.name}-{service.name}"
        ours = [each for each in heard if re.match(rf"{stack}-(release|alarms)-", each)]
        assert len(ours) == 7, service.name
    actions = {
        each["AlarmName"]: each.get("AlarmActions", [])
        for each in of_type(template, "AWS::CloudWatch::CompositeAlarm").values()
    }
    assert [name for name, told in actions.items() if told] == [whole]


def test_the_dashboard_shows_every_alarm_and_keeps_its_limits(made: Scaled) -> None:
    template = made.templates["Observability"]
    body = "".join(
        part if isinstance(part, str) else "x"
        for part in only(of_type(template, "AWS::CloudWatch::Dashboard"))["DashboardBody"]["Fn::Join"][1]
    )
    widgets = json.loads(body)["widgets"]
    assert len(widgets) <= WIDGETS_PER_DASHBOARD
    assert sum(len(each["properties"].get("metrics", [])) for each in widgets) <= METRICS_PER_DASHBOARD
    shown = [each["properties"]["alarms"] for each in widgets if each["type"] == "alarm"]
    assert all(len(each) <= ALARMS_PER_WIDGET for each in shown)
    assert sum(map(len, shown)) >= 10 * made.count


def test_queries_and_events_keep_their_limits(made: Scaled) -> None:
    template = made.templates["Observability"]
    for query in of_type(template, "AWS::Logs::QueryDefinition").values():
        assert made.count <= len(query["LogGroupNames"]) <= LOG_GROUPS_PER_QUERY
    for rule in of_type(template, "AWS::Events::Rule").values():
        pattern = json.dumps(rule["EventPattern"])
        names = re.findall(r'\{"Fn::GetStackOutput": \{.*?\}\}', pattern)
        plain = len(re.sub(r'\{"Fn::GetStackOutput": \{.*?\}\}', '"', pattern))
        # No name that CloudFormation makes is longer than 100 characters here.
        assert plain + 100 * len(names) <= PATTERN_CHARACTERS


def test_policies_keep_the_limits_of_iam(made: Scaled) -> None:
    for stack, template in made.templates.items():
        by_role: dict[str, list[int]] = {}
        for policy in of_type(template, "AWS::IAM::ManagedPolicy").values():
            (role,) = policy["Roles"]
            by_role.setdefault(json.dumps(role), []).append(length(policy["PolicyDocument"]))
        for role, lengths in by_role.items():
            assert len(lengths) <= MANAGED_POLICIES_PER_ROLE, (stack, role)
            assert max(lengths) <= MANAGED_POLICY_CHARACTERS, (stack, role, lengths)


def test_what_grows_does_so_by_the_service_and_not_by_its_square(made: Scaled) -> None:
    """Two kinds of services once were named by all others: in what prepares the database, and in what waits."""
    template = made.templates.platform
    for definition in of_type(template, "AWS::ECS::TaskDefinition").values():
        assert len(json.dumps(definition)) < 8_000
    for logical_id, resource in template["Resources"].items():
        depends = resource.get("DependsOn", [])
        # A release comes after all else of its stack, whose size does not grow.
        if resource["Type"] != "Custom::CodeDeployRelease":
            assert len([depends] if isinstance(depends, str) else depends) < 15, logical_id


def test_every_user_is_made_by_a_preparation_that_its_service_waits_for(made: Scaled) -> None:
    compute = made.environment.compute
    users = [each for each in compute.services if each.database != "none"]
    migrating = [each for each in compute.services if each.migrations]
    for user in users:
        assert any(user in compute.prepared_users(owner) for owner in migrating), user.name
    for owner in migrating:
        assert owner in compute.prepared_users(owner)
        assert len(compute.prepared_users(owner)) <= 2


def length(document: Any) -> int:
    """Characters of a document with every name as long as CloudFormation makes them."""
    if isinstance(document, dict) and len(document) == 1:
        ((function, argument),) = document.items()
        match function:
            case "Ref":
                return 12 if argument.startswith("AWS::") else 100
            case "Fn::GetAtt" | "Fn::GetStackOutput":
                return 160
            case "Fn::Join":
                return sum(map(length, argument[1]))
    if isinstance(document, dict):
        return 2 + sum(len(key) + 4 + length(value) for key, value in document.items())
    if isinstance(document, list):
        return 2 + sum(1 + length(each) for each in document)
    return len(json.dumps(document))


@pytest.fixture
def sixty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Environment:
    """An environment of more services than any limit allows, which no limit has refused."""
    with monkeypatch.context() as patch:
        patch.setattr(limits, "LIMITS", ())
        patch.setattr(limits, "CONNECTIONS_PER_TASK", 0)
        return settings.load(environment_of(tmp_path, "pipelines", 60), tmp_path)


def with_services(environment: settings.Environment, count: int) -> settings.Environment:
    services = list(environment.services[:count])
    if count and environment.services[0].check_paths:
        # Longer paths, more tasks and more tables than anybody has, so that their limits are met here too.
        scaling = environment.services[0].scaling.model_copy(update={"max_tasks": 20})
        tables = ("suppliers", *(f"table_{number:02d}_{'x' * 50}" for number in range(40)))
        longer = [
            {
                "release_check_paths": (f"/{each.name}" * 9,),
                "scaling": scaling,
                "tables": () if each.database == "none" else tables,
            }
            for each in services
        ]
        services = [each.model_copy(update=change) for each, change in zip(services, longer, strict=True)]
    return environment.model_copy(update={"services": tuple(services)})


@pytest.mark.parametrize("limit", limits.LIMITS, ids=[each.what for each in limits.LIMITS])
def test_one_service_more_than_a_limit_allows_is_one_line_with_all_that_counts(
    sixty: settings.Environment, limit: limits.Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIMITS", (limit,))
    monkeypatch.setattr(limits, "CONNECTIONS_PER_TASK", 0)
    fit = next(count for count in range(60) if [*limits.exceeded(with_services(sixty, count + 1))])
    assert 10 <= fit < 60
    assert not [*limits.exceeded(with_services(sixty, fit))]
    beyond = with_services(sixty, fit + 1)
    assert [*limits.exceeded(beyond)] == [
        f"services: {fit + 1} services need {limit.needed(beyond, beyond.services)} {limit.what}, {limit.owner} "
        f"{limit.allowed}; {fit} of them fit: split the others off to an environment of their own (docs/scale.md)"
    ]
    assert limit.needed(beyond, beyond.services) > limit.allowed


def test_of_several_limits_the_tightest_is_told(sixty: settings.Environment) -> None:
    (line, *_) = limits.exceeded(sixty)
    fits = [problem[0] for limit in limits.LIMITS if (problem := limit.problem(sixty))]
    assert len(fits) >= 3
    assert f"; {min(fits)} of them fit" in line


@pytest.mark.parametrize(("tasks", "refused"), [(8, False), (9, True)])
def test_more_tasks_than_the_database_takes_connections_of_are_refused(
    project: Path, tasks: int, refused: bool
) -> None:
    """The schedule's maximum counts, as the tasks of employee (4) do: (128 - 8) / (5 x 2) = 12 fit."""
    with (project / "services/customer/service.toml").open("a") as file:
        file.write(
            f'[[scaling.schedules]]\nname = "sale"\ncron = "0 9 24 11 ? 2026"\nmin_tasks = 4\nmax_tasks = {tasks}\n'
        )
    if not refused:
        assert limits.connections(settings.load("dev", project)) == 128
        return
    with pytest.raises(settings.SettingsError) as error:
        settings.load("dev", project)
    assert str(error.value) == (
        "environments/dev.toml: database: 13 tasks with 5 connections each, twice in a release, and 8 for upkeep need "
        "138 connections, 'db.t4g.small' is set to 128; choose a larger instance_class, set proxy = true, lower max_tasks of services, or "
        "split them over several environments (docs/scale.md)"
    )


def test_a_proxy_lends_connections_so_that_more_tasks_may_have_some(project: Path) -> None:
    manifest, dev = project / "services/customer/service.toml", project / "environments/dev.toml"
    manifest.write_text(manifest.read_text().replace("max_tasks = 4", "max_tasks = 20"))
    dev.write_text(dev.read_text().replace("[database]\n", "[database]\nproxy = true\n"))
    environment = settings.load("dev", project)
    assert limits.connections(environment) > environment.database.connection_limit


def test_a_task_holds_as_many_connections_as_its_pool() -> None:
    sys.path.insert(0, str(settings.ROOT / "services/shared"))
    try:
        from directory.settings import Settings
    finally:
        sys.path.pop(0)
    assert Settings(service="any").pool_size == limits.CONNECTIONS_PER_TASK


def test_every_environment_that_is_here_fits_its_database_with_all_services_switched_on(
    project: Path,
) -> None:
    for manifest in (project / "services").glob("*/service.toml"):
        manifest.write_text(manifest.read_text().replace("enabled = false", "enabled = true"))
    for name in settings.environment_names(project):
        environment = settings.load(name, project)
        assert len(environment.services) >= 3
        assert limits.connections(environment) <= environment.database.connection_limit


def test_the_command_ends_with_that_line_and_status_1(tmp_path: Path) -> None:
    environment_of(tmp_path, "pipelines", 60)
    # Python looks for modules beside the file that a link leads to.
    for file in settings.ROOT.glob("*.py"):
        shutil.copy(file, tmp_path)
    (tmp_path / "settings").symlink_to(settings.ROOT / "settings")
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=tmp_path,
        env={
            "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, settings.ROOT, settings.ROOT / "constructs")))
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    line = next(each for each in done.stderr.splitlines() if "services: " in each)
    assert re.fullmatch(
        r"environments/dev.toml: services: 60 services need \d+ [^,]+, .* [1-4]\d of them fit: split the others off .*",
        line,
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("resources", "outputs", "length", "problem"),
    [
        (501, 0, 0, "501 resources, CloudFormation allows 500"),
        (1, 201, 0, "201 outputs, CloudFormation allows 200"),
        (300, 0, 4000, r"\d{7} bytes, CloudFormation allows 1000000"),
    ],
    ids=["resources", "outputs", "bytes"],
)
def test_a_template_that_is_too_large_all_the_same_ends_with_a_line(
    tmp_path: Path, resources: int, outputs: int, length: int, problem: str
) -> None:
    app = cdk.App(outdir=str(tmp_path), builtin_cloud_formation_validation=False)
    stack = cdk.Stack(app, "Compute")
    for number in range(resources):
        sns.CfnTopic(stack, f"Topic{number}").add_metadata("padding", "x" * length)
    for number in range(outputs):
        cdk.CfnOutput(stack, f"Output{number}", value="x")
    with pytest.raises(SystemExit) as ended:
        checks.synth(app)
    assert re.fullmatch(
        rf"Compute: the template has {problem}; split the services over several environments \(docs/scale.md\)",
        str(ended.value.code),
    )


class Broken:
    """An app whose synth fails for a reason of its own."""

    def __init__(self, folder: Path) -> None:
        self.outdir = str(folder)

    def synth(self) -> None:
        raise RuntimeError("something else")


def test_another_error_of_a_synth_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="something else"):
        checks.synth(cast(cdk.App, Broken(tmp_path)))
