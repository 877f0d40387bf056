from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

import settings
from customer.app import create_app
from directory.settings import Settings
from settings.facts import quotas
from tests.conftest import ENVIRONMENTS, Synthesize, built, synthesize
from tests.resources import by_path, of_type, only

CONTROLLERS = {"local": "ECS", "dev": "CODE_DEPLOY", "prod": "CODE_DEPLOY"}


def container_of(task_definition: Mapping[str, Any]) -> Any:
    (container,) = task_definition["ContainerDefinitions"]
    return container


def with_controller(project: Path, controller: str, strategy: str = "canary") -> settings.Environment:
    file = project / "environments/dev.toml"
    text = file.read_text().replace('controller = "codedeploy"', f'controller = "{controller}"')
    file.write_text(text.replace('strategy = "all-at-once"', f'strategy = "{strategy}"'))
    return settings.load("dev", project)


def shifting_minutes(configuration: Mapping[str, Any]) -> float:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ecs-service-linearconfiguration.html"""
    linear = configuration.get("LinearConfiguration", {"StepPercent": 100, "StepBakeTimeInMinutes": 0})
    canary = configuration.get("CanaryConfiguration", {"CanaryBakeTimeInMinutes": 0})
    steps = -(-100 // linear["StepPercent"]) - 1
    return float(steps * linear["StepBakeTimeInMinutes"] + canary["CanaryBakeTimeInMinutes"])


def rules_by_priority(template: Mapping[str, Any], listener: str) -> dict[int, Any]:
    return {
        rule["Properties"]["Priority"]: rule["Properties"]
        for rule in by_path(template, f"/{listener}Rules/").values()
        if rule["Type"] == "AWS::ElasticLoadBalancingV2::ListenerRule"
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_containers_run_as_nobody_on_a_read_only_disk_without_capabilities(
    templates: Synthesize, name: str
) -> None:
    definitions = of_type(templates(name).platform, "AWS::ECS::TaskDefinition")
    services = settings.load(name).services
    assert len(definitions) == len(services) + sum(service.migrations for service in services)
    for definition in definitions.values():
        container = container_of(definition)
        assert container["User"] == "10001:10001"
        assert container["ReadonlyRootFilesystem"] is True
        assert container["Privileged"] is False
        assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert container["StopTimeout"] == 30
        assert definition["NetworkMode"] == "awsvpc"


def test_every_task_is_told_whose_telephone_numbers_are_national(project: Path, tmp_path: Path) -> None:
    file = project / "environments/dev.toml"
    file.write_text('phone_region = "DE"\n' + file.read_text())
    definitions = of_type(
        synthesize(settings.load("dev", project), tmp_path / "out").platform, "AWS::ECS::TaskDefinition"
    )
    assert definitions
    for definition in definitions.values():
        assert {"Name": "PHONE_REGION", "Value": "DE"} in container_of(definition)["Environment"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_secret_is_in_an_environment_variable(templates: Synthesize, name: str) -> None:
    for definition in of_type(templates(name).platform, "AWS::ECS::TaskDefinition").values():
        for variable in container_of(definition)["Environment"]:
            assert "PASSWORD" not in variable["Name"].upper()
            assert "resolve:secretsmanager" not in str(variable["Value"])


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_service_is_released_by_the_controller_of_the_environment(
    templates: Synthesize, name: str
) -> None:
    template = templates(name).platform
    services = of_type(template, "AWS::ECS::Service")
    assert len(services) == len(settings.load(name).services)
    for service in services.values():
        assert service["DeploymentController"] == {"Type": CONTROLLERS[name]}
    groups = of_type(template, "AWS::CodeDeploy::DeploymentGroup")
    assert len(groups) == (len(services) if CONTROLLERS[name] == "CODE_DEPLOY" else 0)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_service_has_a_count_that_an_update_would_reset(templates: Synthesize, name: str) -> None:
    for service in of_type(templates(name).platform, "AWS::ECS::Service").values():
        assert "DesiredCount" not in service


def test_a_codedeploy_service_names_its_family_without_revision(templates: Synthesize) -> None:
    families = {
        service["TaskDefinition"]
        for service in of_type(templates("dev").platform, "AWS::ECS::Service").values()
    }
    assert families == {"suppliers-dev-customer", "suppliers-dev-employee"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_service_starts_with_its_minimum(templates: Synthesize, name: str) -> None:
    lifted = of_type(templates(name).platform, "Custom::MinimumTasks").values()
    assert [each["Minimum"] for each in lifted] == [2] * len(settings.load(name).services)


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("listener", ["Production", "Test"])
def test_rules_of_both_listeners_lead_to_the_groups_of_each_service_as_they_do_at_the_moment(
    templates: Synthesize, name: str, listener: str
) -> None:
    template = templates(name).platform
    rules = rules_by_priority(template, listener)
    asked = of_type(template, "Custom::LiveTraffic")
    services = settings.load(name).services
    closed = {service.priority + 49 for service in services if service.access == "admin"}
    assert set(rules) == {service.priority for service in services} | closed
    for service in services:
        (action,) = rules[service.priority]["Actions"]
        assert action["Type"] == "forward"
        if settings.load(name).release.controller == "rolling":
            assert action["TargetGroupArn"]["Ref"].startswith(f"{service.stack_id}TargetGroupsBlue")
            continue
        blue, green = action["ForwardConfig"]["TargetGroups"]
        for group, side in ((blue, "Blue"), (green, "Green")):
            assert group["TargetGroupArn"]["Ref"].startswith(f"{service.stack_id}TargetGroups{side}")
            answer, attribute = group["Weight"]["Fn::GetAtt"]
            assert attribute == side
            question = asked[answer]
            assert question[f"{side}TargetGroupArn"] == group["TargetGroupArn"]
            assert question["ListenerArn"] == rules[service.priority]["ListenerArn"]
            # Whatever else of the rule changes, it is asked again.
            assert question["Rules"]["Priority"] == service.priority
            assert question["Rules"]["Paths"] == [*service.path_patterns]


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("listener", ["Production", "Test"])
def test_the_administration_is_reached_from_named_networks_only(
    templates: Synthesize, name: str, listener: str
) -> None:
    rules = rules_by_priority(templates(name).platform, listener)
    conditions = {condition["Field"]: condition for condition in rules[100]["Conditions"]}
    environment = settings.load(name)
    # The check of new tasks reaches the test listener from inside.
    named = {"Production": environment.admin_cidrs, "Test": environment.test_admin_cidrs}[listener]
    assert conditions["source-ip"]["SourceIpConfig"]["Values"] == list(named)
    assert conditions["path-pattern"]["PathPatternConfig"]["Values"] == ["/admin", "/admin/*"]
    (forbidden,) = rules[149]["Actions"]
    assert forbidden["FixedResponseConfig"]["StatusCode"] == "403"
    assert [condition["Field"] for condition in rules[149]["Conditions"]] == ["path-pattern"]


def test_many_networks_are_spread_over_rules_of_five_values(project: Path, tmp_path: Path) -> None:
    cidrs = [f"203.0.113.{number}/32" for number in range(7)]
    with (project / "environments/dev.toml").open("a") as file:
        file.write(f"[access]\nadmin_cidrs = {cidrs}\n")
    template = synthesize(settings.load("dev", project), tmp_path / "out").platform
    rules = rules_by_priority(template, "Production")
    assert set(rules) == {100, 101, 102, 149, 200}
    reached: list[str] = []
    for priority in (100, 101, 102):
        values = [
            value
            for condition in rules[priority]["Conditions"]
            for kind in ("SourceIpConfig", "PathPatternConfig")
            for value in condition.get(kind, {}).get("Values", [])
        ]
        assert len(values) <= quotas.CONDITION_VALUES_PER_RULE
        reached += [value for value in values if not value.startswith("/")]
    assert reached == cidrs
    assert rules[149]["Actions"][0]["FixedResponseConfig"]["StatusCode"] == "403"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_test_listener_is_closed_to_the_world(templates: Synthesize, name: str) -> None:
    template = templates(name).platform
    (group,) = (
        resource["Properties"]
        for resource in by_path(template, "/Entrance/SecurityGroup").values()
        if resource["Type"] == "AWS::EC2::SecurityGroup"
    )
    open_to_all = {
        rule["FromPort"] for rule in group["SecurityGroupIngress"] if rule["CidrIp"] == "0.0.0.0/0"
    }
    test_port = {8443} if settings.load(name).tls else {8080}
    assert open_to_all == ({80, 443} if settings.load(name).tls else {80})
    assert test_port <= {rule["FromPort"] for rule in group["SecurityGroupIngress"]} - open_to_all


def test_with_a_domain_everything_is_https_and_port_80_redirects(templates: Synthesize) -> None:
    template = templates("prod").platform
    listeners = {
        each["Port"]: each for each in of_type(template, "AWS::ElasticLoadBalancingV2::Listener").values()
    }
    assert set(listeners) == {80, 443, 8443}
    (redirect,) = listeners[80]["DefaultActions"]
    assert redirect["RedirectConfig"]["Protocol"] == "HTTPS"
    for port in (443, 8443):
        assert listeners[port]["Protocol"] == "HTTPS"
        assert listeners[port]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
        assert listeners[port]["Certificates"]
    assert only(of_type(template, "AWS::CertificateManager::Certificate"))["ValidationMethod"] == "DNS"
    assert only(of_type(template, "AWS::Route53::RecordSet"))["Name"] == "suppliers.example.com."


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_load_balancer_is_hardened(templates: Synthesize, name: str) -> None:
    balancer = only(of_type(templates(name).platform, "AWS::ElasticLoadBalancingV2::LoadBalancer"))
    attributes = {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes["routing.http.desync_mitigation_mode"] == "strictest"
    assert attributes["access_logs.s3.enabled"] == "true"
    assert attributes["deletion_protection.enabled"] == str(settings.load(name).protected).lower()


async def headers_of_a_page() -> httpx.Headers:
    """What a service answers with by HTTPS."""
    customer = create_app(Settings(service="customer", database_url="sqlite:///nowhere.db"))
    transport = httpx.ASGITransport(app=customer)
    async with httpx.AsyncClient(transport=transport, base_url="https://suppliers.example.com") as client:
        return (await client.get("/health")).headers


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_answer_of_the_load_balancer_carries_the_headers_of_the_pages(
    templates: Synthesize, name: str
) -> None:
    listeners = of_type(templates(name).platform, "AWS::ElasticLoadBalancingV2::Listener").values()
    pages = asyncio.run(headers_of_a_page())
    for listener in listeners:
        attributes = {each["Key"]: each["Value"] for each in listener["ListenerAttributes"]}
        assert attributes.pop("routing.http.response.server.enabled") == "false"
        headers = {
            key.removeprefix("routing.http.response.").removesuffix(".header_value").replace("_", "-"): value
            for key, value in attributes.items()
        }
        expected = {"x-content-type-options", "x-frame-options"}
        if listener["Protocol"] == "HTTPS":
            expected.add("strict-transport-security")
        assert headers == {header: pages[header] for header in expected}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_outputs_say_whether_requests_are_protected_on_their_way(
    templates: Synthesize, name: str
) -> None:
    said = templates(name).platform["Outputs"]["Transport"]["Value"]
    assert said.startswith("HTTPS only" if settings.load(name).tls else "plain HTTP: everybody on the way")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_scaling_follows_the_manifest_and_only_one_policy_shrinks(templates: Synthesize, name: str) -> None:
    template = templates(name).platform
    for target in of_type(template, "AWS::ApplicationAutoScaling::ScalableTarget").values():
        assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 4)
    tracking: list[Any] = []
    steps: list[Any] = []
    for policy in of_type(template, "AWS::ApplicationAutoScaling::ScalingPolicy").values():
        (tracking if policy["PolicyType"] == "TargetTrackingScaling" else steps).append(policy)
    for policy in tracking:
        configuration = policy["TargetTrackingScalingPolicyConfiguration"]
        assert configuration["TargetValue"] == 50
        assert configuration["DisableScaleIn"] is True
    changes = sorted(
        adjustment["ScalingAdjustment"]
        for policy in steps
        for adjustment in policy["StepScalingPolicyConfiguration"]["StepAdjustments"]
    )
    services = len(settings.load(name).services)
    assert changes == [-1] * services + [1] * services
    assert {policy["StepScalingPolicyConfiguration"]["Cooldown"] for policy in steps} == {300}
    alarms = [
        each
        for each in of_type(template, "AWS::CloudWatch::Alarm").values()
        # The others' actions are the topic of the people.
        if each.get("Threshold") in (30, 70) and "Ref" in each["AlarmActions"][0]
    ]
    assert len(alarms) == 2 * services
    for alarm in alarms:
        (period,) = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
        assert alarm["EvaluationPeriods"] * period == 120
        assert alarm["DatapointsToAlarm"] == 2


def test_requests_a_task_are_those_of_both_target_groups(project: Path, tmp_path: Path) -> None:
    with (project / "services/customer/service.toml").open("a") as file:
        file.write("target_requests_per_target = 600\ntarget_memory_percent = 80\n")
    template = synthesize(settings.load("dev", project), tmp_path / "out").platform
    tracked = {
        policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]: policy[
            "TargetTrackingScalingPolicyConfiguration"
        ]
        for logical_id, policy in of_type(template, "AWS::ApplicationAutoScaling::ScalingPolicy").items()
        if logical_id.startswith("Customer") and policy["PolicyType"] == "TargetTrackingScaling"
    }
    assert set(tracked) == {50, 80, 600}
    assert all(configuration["DisableScaleIn"] for configuration in tracked.values())
    queries = tracked[600]["CustomizedMetricSpecification"]["Metrics"]
    groups = {
        dimension["Value"]["Fn::GetAtt"][0]
        for query in queries
        for dimension in query.get("MetricStat", {}).get("Metric", {}).get("Dimensions", ())
        if dimension["Name"] == "TargetGroup"
    }
    assert groups == {
        logical_id
        for logical_id in of_type(template, "AWS::ElasticLoadBalancingV2::TargetGroup")
        if logical_id.startswith("Customer")
    }
    assert [query["Expression"] for query in queries if query["ReturnData"]] == [
        "SUM([perTask_blue, perTask_green])"
    ]
    # Removing looks at every target: 30 % is where one task less of three reaches it.
    expressions = [
        query["Expression"]
        for logical_id, alarm in of_type(template, "AWS::CloudWatch::Alarm").items()
        if logical_id.startswith("Customer")
        and "Ref" in alarm["AlarmActions"][0]
        and alarm["Threshold"] == 30
        for query in alarm["Metrics"]
        if query["ReturnData"]
    ]
    assert [("memory * 0.5625" in each, "requests * 0.075" in each) for each in expressions] == [(True, True)]


def test_a_schedule_changes_the_bounds_at_its_start_and_back_at_its_end(
    project: Path, tmp_path: Path
) -> None:
    with (project / "services/customer/service.toml").open("a") as file:
        file.write(
            '[[scaling.schedules]]\nname = "night"\nweekdays = ["fri", "sun"]\nhours = "22:30-06:00"\n'
            'time_zone = "Europe/Berlin"\nmin_tasks = 1\nmax_tasks = 2\n'
            '[[scaling.schedules]]\nname = "sale"\ncron = "0 9 24 11 ? 2026"\nmin_tasks = 4\nmax_tasks = 8\n'
        )
    template = synthesize(settings.load("dev", project), tmp_path / "out").platform
    (actions,) = (
        target["ScheduledActions"]
        for target in of_type(template, "AWS::ApplicationAutoScaling::ScalableTarget").values()
        if "ScheduledActions" in target
    )
    assert [
        (
            each["ScheduledActionName"],
            each["Schedule"],
            each["Timezone"],
            each["ScalableTargetAction"]["MinCapacity"],
            each["ScalableTargetAction"]["MaxCapacity"],
        )
        for each in actions
    ] == [
        ("night-start", "cron(30 22 ? * FRI,SUN *)", "Europe/Berlin", 1, 2),
        ("night-end", "cron(0 6 ? * SAT,MON *)", "Europe/Berlin", 2, 4),
        ("sale", "cron(0 9 24 11 ? 2026)", "UTC", 4, 8),
    ]


def test_the_minimum_runs_on_demand_and_a_share_of_the_rest_on_spot(project: Path, tmp_path: Path) -> None:
    manifest = project / "services/customer/service.toml"
    manifest.write_text("spot_percent = 60\n" + manifest.read_text())
    template = synthesize(with_controller(project, "ecs"), tmp_path / "out").platform
    services = of_type(template, "AWS::ECS::Service")
    strategies = {
        each["LoadBalancers"][0]["ContainerName"]: each.get("CapacityProviderStrategy")
        for each in services.values()
    }
    assert strategies == {
        "customer": [
            {"CapacityProvider": "FARGATE", "Base": 2, "Weight": 40},
            {"CapacityProvider": "FARGATE_SPOT", "Weight": 60},
        ],
        "employee": None,
    }
    associations = of_type(template, "AWS::ECS::ClusterCapacityProviderAssociations")
    assert [each["CapacityProviders"] for each in associations.values()] == [["FARGATE", "FARGATE_SPOT"]]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_tasks_are_kept_spread_over_the_zones_where_the_controller_lets_us_say_so(
    templates: Synthesize, name: str
) -> None:
    expected = None if CONTROLLERS[name] == "CODE_DEPLOY" else "ENABLED"
    for service in of_type(templates(name).platform, "AWS::ECS::Service").values():
        assert service.get("AvailabilityZoneRebalancing") == expected


@pytest.mark.parametrize("controller", ["codedeploy", "ecs"])
def test_new_tasks_are_checked_from_inside_before_traffic_moves(
    project: Path, tmp_path: Path, controller: str
) -> None:
    template = synthesize(with_controller(project, controller), tmp_path / "out").platform
    (function,) = (
        resource["Properties"]
        for resource in by_path(template, "/ReleaseCheck/Function").values()
        if resource["Type"] == "AWS::Lambda::Function"
    )
    assert function["VpcConfig"]["SubnetIds"]
    assert function["Timeout"] == 900, "it watches the new tasks for ten minutes"
    labels = {
        each["Family"]: each["ContainerDefinitions"][0]["DockerLabels"].get("release-check-paths")
        for each in of_type(template, "AWS::ECS::TaskDefinition").values()
    }
    assert labels == {
        "suppliers-dev-customer": '["/", "/suppliers", "/api/suppliers"]',
        "suppliers-dev-employee": '["/admin/suppliers", "/admin/api/suppliers"]',
        "suppliers-dev-employee-prepare": None,
    }
    if controller == "ecs":
        for service in of_type(template, "AWS::ECS::Service").values():
            (hook,) = service["DeploymentConfiguration"]["LifecycleHooks"]
            assert hook["LifecycleStages"] == ["POST_TEST_TRAFFIC_SHIFT"]
    else:
        for release in of_type(template, "Custom::CodeDeployRelease").values():
            assert release["CheckFunction"]["Fn::GetAtt"][0].startswith("ReleaseCheckFunction")


@pytest.mark.parametrize(
    ("strategy", "expected"), [("all-at-once", "BLUE_GREEN"), ("canary", "CANARY"), ("linear", "LINEAR")]
)
def test_native_releases_shift_weights_between_the_pair(
    project: Path, tmp_path: Path, strategy: str, expected: str
) -> None:
    template = synthesize(with_controller(project, "ecs", strategy), tmp_path / "out").platform
    for service in of_type(template, "AWS::ECS::Service").values():
        configuration = service["DeploymentConfiguration"]
        assert configuration["Strategy"] == expected
        assert configuration["BakeTimeInMinutes"] == 5
        assert shifting_minutes(configuration) <= 10, "settings.AWAITED_BAKE_MINUTES leaves no more"
        assert configuration["Alarms"]["Enable"] is True
        (balancer,) = service["LoadBalancers"]
        assert balancer["AdvancedConfiguration"]["ProductionListenerRule"]
        assert balancer["AdvancedConfiguration"]["TestListenerRule"]
    for listener in ("Production", "Test"):
        (action,) = rules_by_priority(template, listener)[200]["Actions"]
        weights = [group["Weight"]["Fn::GetAtt"][1] for group in action["ForwardConfig"]["TargetGroups"]]
        assert weights == ["Blue", "Green"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_database_is_prepared_before_a_service_that_uses_it_changes(
    templates: Synthesize, name: str
) -> None:
    made, environment = templates(name), settings.load(name)
    for service in environment.services:
        template = made[service.stack_id]
        preparations = of_type(template, "Custom::OneOffTask")
        assert len(preparations) == service.migrations
        assert {*preparations} <= {*template["Resources"]["Service"]["DependsOn"]}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_service_whose_user_another_makes_is_deployed_after_it(name: str, tmp_path: Path) -> None:
    environment = settings.load(name)
    stacks = {each.id: each for each in built(environment, tmp_path).synth().stacks}
    for owner in (each for each in environment.services if each.migrations):
        for user in environment.compute.prepared_users(owner):
            before = {each.id for each in stacks[user.stack_id].dependencies}
            assert (owner.stack_id in before) == (not user.migrations)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_service_reads_its_own_credentials_only(templates: Synthesize, name: str) -> None:
    template = templates(name).platform
    for service in ("Customer", "Employee"):
        policies = [
            resource["Properties"]["PolicyDocument"]["Statement"]
            for resource in by_path(template, f"{service}/Default/TaskRole/DefaultPolicy").values()
        ]
        (statements,) = policies
        secrets = [
            each["Resource"] for each in statements if "secretsmanager:GetSecretValue" in each["Action"]
        ]
        assert len(secrets) == 1
        assert f"Database{service}User" in str(secrets)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_whoever_reads_credentials_may_decrypt_them_and_nothing_else(
    templates: Synthesize, name: str
) -> None:
    template = templates(name).platform
    readers = 0
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in of_type(template, kind).values():
            statements = policy["PolicyDocument"]["Statement"]
            if not any("secretsmanager:GetSecretValue" in each["Action"] for each in statements):
                continue
            (decrypting,) = (each for each in statements if "kms:" in str(each["Action"]))
            assert decrypting["Action"] == "kms:Decrypt"
            assert decrypting["Condition"] == {
                "StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
            }
            assert "Key" in str(decrypting["Resource"]["Fn::GetStackOutput"]["OutputName"])
            readers += 1
    services = settings.load(name).services
    preparing = sum(service.migrations for service in services)
    assert readers == len(services) + preparing, "services, and the roles of their preparations"


def test_a_folder_below_services_becomes_a_whole_microservice(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "services/roasters"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "service.toml").write_text('path_patterns = ["/roasters/*"]\npriority = 150\n')
    monkeypatch.setattr("stacks.service.ROOT", project)
    found = synthesize(settings.load("dev", project), tmp_path / "out")
    ours = [each["Type"] for each in by_path(found.platform, "Roasters/").values()]
    assert ours.count("AWS::ElasticLoadBalancingV2::TargetGroup") == 2
    assert ours.count("AWS::ElasticLoadBalancingV2::ListenerRule") == 2
    for expected in ("AWS::ECS::Service", "AWS::ECS::TaskDefinition", "AWS::CodeDeploy::DeploymentGroup"):
        assert ours.count(expected) == 1
    assert len(by_path(found["Roasters"], "Roasters/Alarms/")) == 8
    assert "## roasters" in str(of_type(found["Observability"], "AWS::CloudWatch::Dashboard"))


def test_a_shell_inside_the_tasks_is_off_unless_an_environment_asks_for_it(
    templates: Synthesize, project: Path, tmp_path: Path
) -> None:
    for name in ENVIRONMENTS:
        compute = templates(name).platform
        for service in of_type(compute, "AWS::ECS::Service").values():
            assert "EnableExecuteCommand" not in service
        assert "ssmmessages" not in json.dumps(compute)
    file = project / "environments/dev.toml"
    file.write_text(file.read_text() + "\n[access]\nexec = true\n")
    compute = synthesize(settings.load("dev", project), tmp_path / "out").platform
    for service in of_type(compute, "AWS::ECS::Service").values():
        assert service["EnableExecuteCommand"] is True
    mounted = {
        definition["Family"]: [
            each["ContainerPath"] for each in container_of(definition).get("MountPoints", [])
        ]
        for definition in of_type(compute, "AWS::ECS::TaskDefinition").values()
    }
    # One-off tasks are no services: nobody looks into them.
    assert mounted == {
        "suppliers-dev-customer": ["/var/lib/amazon", "/var/log/amazon"],
        "suppliers-dev-employee": ["/var/lib/amazon", "/var/log/amazon"],
        "suppliers-dev-employee-prepare": [],
    }
