"""New versions of a service, good and bad, released by CodeDeploy under load, with real containers."""

from __future__ import annotations

import io
import json
import subprocess
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import settings
from tests.e2e import roles, story
from tests.e2e.checkout import Checkout
from tests.e2e.load import REQUESTS_PER_SECOND, Load
from tests.e2e.story import Story

pytestmark = pytest.mark.timeout(900)

HOOK = "test-new-tasks"
# What the hook function does: https://docs.aws.amazon.com/codedeploy/latest/userguide/tutorial-ecs-deployment-with-hooks.html
LOOKING = (
    roles.WRITE_LOGS,
    roles.allow("codedeploy:GetDeployment", "ecs:DescribeServices", "ecs:DescribeTaskDefinition"),
)
ANSWERING = roles.allow("codedeploy:PutLifecycleEventHookExecutionStatus")
SECONDS = 120.0


@dataclass(frozen=True)
class Site:
    """The deployed environment, with the deployment group of customer."""

    checkout: Checkout
    outputs: Mapping[str, str]
    application: str
    group: Mapping[str, Any]
    check: str

    def client(self, service: str) -> Any:
        return self.checkout.aws().client(service)

    def load(self) -> Load:
        return Load(self.checkout.port, "suppliers-release.alb.localhost")

    def service(self) -> dict[str, Any]:
        (found,) = self.client("ecs").describe_services(
            cluster=self.outputs["ClusterName"], services=[self.outputs["ServiceName"]]
        )["services"]
        return dict(found)

    def definition(self) -> dict[str, Any]:
        """The task definition that serves."""
        (primary,) = (item for item in self.service()["taskSets"] if item["status"] == "PRIMARY")
        found = self.client("ecs").describe_task_definition(taskDefinition=primary["taskDefinition"])
        return dict(found["taskDefinition"])

    def version(self) -> str:
        """The version that serves."""
        return str(self.definition()["containerDefinitions"][0]["dockerLabels"]["version"])

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        ecs, cluster = self.client("ecs"), self.outputs["ClusterName"]
        arns = ecs.list_tasks(cluster=cluster, serviceName=self.outputs["ServiceName"], desiredStatus=status)[
            "taskArns"
        ]
        return list(ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"]) if arns else []

    def live_groups(self) -> set[str]:
        """Target groups of the pair to which the production listener sends requests."""
        pair = {self.outputs["BlueTargetGroupArn"], self.outputs["GreenTargetGroupArn"]}
        rules = self.client("elbv2").describe_rules(ListenerArn=self.outputs["ProductionListenerArn"])[
            "Rules"
        ]
        found = set()
        for action in (action for rule in rules for action in rule["Actions"] if action["Type"] == "forward"):
            weighted = action.get("ForwardConfig", {}).get("TargetGroups", [])
            found |= {item["TargetGroupArn"] for item in weighted if item["Weight"]}
            found |= {action.get("TargetGroupArn")}
        return found & pair

    def release(self, version: str, dockerfile: str, files: Mapping[str, str], folder: Path) -> str:
        """Start the release of an image made from the one that serves; the deployment's id."""
        definition = self.definition()
        (container,) = definition["containerDefinitions"]
        # Under the name of the account's registry, so that the emulator removes it with the others.
        image = f"{container['image'].partition('/')[0]}/customer:{version}"
        roles.allow_pull(self.client("iam"), definition["executionRoleArn"], image)
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "Dockerfile").write_text(f"FROM {container['image']}\n{dockerfile}\n")
        build = ["docker", "build", "-q", "-t", image, str(folder)]
        subprocess.run(build, check=True, timeout=120, capture_output=True)
        # The image has the version of the one it was made from inside; a variable takes precedence.
        variables = [item for item in container["environment"] if item["name"] != "VERSION"]
        container |= {
            "image": image,
            "dockerLabels": {"version": version},
            "environment": [*variables, {"name": "VERSION", "value": version}],
        }
        kept = ("family", "taskRoleArn", "executionRoleArn", "networkMode", "requiresCompatibilities")
        registered = self.client("ecs").register_task_definition(
            **{name: definition[name] for name in (*kept, "cpu", "memory", "runtimePlatform")},
            containerDefinitions=[container],
        )
        properties = {
            "TaskDefinition": registered["taskDefinition"]["taskDefinitionArn"],
            "LoadBalancerInfo": {"ContainerName": "customer", "ContainerPort": 8080},
        }
        # The platform's own function watches the new tasks start.
        hooks = [{"BeforeInstall": self.check}, {"AfterAllowTestTraffic": HOOK}]
        target = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
        content = {"version": 0.0, "Resources": [target], "Hooks": hooks}
        answer = self.client("codedeploy").create_deployment(
            applicationName=self.application,
            deploymentGroupName=self.group["deploymentGroupName"],
            revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(content)}},
        )
        return str(answer["deploymentId"])

    def alarm(self) -> str:
        """An alarm of the group that can be set, by its name."""
        name = str(self.group["alarmConfiguration"]["alarms"][0]["name"])
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="test",
            MetricName="errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        return name

    def deployment(self, identifier: str) -> dict[str, Any]:
        found = self.client("codedeploy").get_deployment(deploymentId=identifier)
        return dict(found["deploymentInfo"])

    def events(self, identifier: str) -> dict[str, str]:
        """The lifecycle events of a deployment with their states."""
        codedeploy = self.client("codedeploy")
        (target,) = codedeploy.list_deployment_targets(deploymentId=identifier)["targetIds"]
        found = codedeploy.get_deployment_target(deploymentId=identifier, targetId=target)
        events = found["deploymentTarget"]["ecsTarget"]["lifecycleEvents"]
        return {event["lifecycleEventName"]: event["status"] for event in events}

    def end(self, identifier: str) -> tuple[dict[str, Any], set[str]]:
        """The deployment once it has ended, its rollback included, and the groups that were live until then."""
        live: set[str] = set()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            live |= self.live_groups()
            info = self.deployment(identifier)
            if "completeTime" in info:
                rollback = info.get("rollbackInfo", {}).get("rollbackDeploymentId")
                if not rollback or "completeTime" in self.deployment(rollback):
                    return info, live
            time.sleep(0.2)
        raise AssertionError(f"{identifier} has not ended: {self.events(identifier)}")


@pytest.fixture(scope="module")
def site(checkout: Checkout) -> Site:
    # The installation of the emulator is tested elsewhere.
    installed = settings.ROOT / ".local/venv-emulator"
    if installed.exists():
        (checkout.folder / ".local").mkdir()
        (checkout.folder / ".local/venv-emulator").symlink_to(installed)
    (checkout.folder / "environments/release.toml").write_text(
        story.environment("codedeploy", 'strategy = "all-at-once"\nbake_minutes = 3')
    )
    checkout.make("deploy", "ENV=release")
    written = checkout.outputs()
    outputs = {**written["suppliers-release-compute"], **written["suppliers-release-customer"]}
    codedeploy = checkout.aws().client("codedeploy")
    for application in codedeploy.list_applications()["applications"]:
        (name,) = codedeploy.list_deployment_groups(applicationName=application)["deploymentGroups"]
        group = codedeploy.get_deployment_group(applicationName=application, deploymentGroupName=name)[
            "deploymentGroupInfo"
        ]
        if group["ecsServices"][0]["serviceName"] == outputs["ServiceName"]:
            break
    else:
        raise AssertionError("customer has no deployment group")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        file.write(Path(__file__).with_name("hook_function.py"), "hook_function.py")
    checkout.aws().client("lambda").create_function(
        FunctionName=HOOK,
        Runtime="python3.13",
        Role=roles.make_role(
            checkout.aws().client("iam"),
            HOOK,
            roles.trust(Service="lambda.amazonaws.com"),
            *LOOKING,
            ANSWERING,
        ),
        Handler="hook_function.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=60,
        Environment={
            "Variables": {
                "URL": f"http://127.0.0.1:{checkout.port}",
                "HOST": "suppliers-release--8080.alb.localhost",
                "CLUSTER": outputs["ClusterName"],
                "SERVICE": outputs["ServiceName"],
            }
        },
    )
    functions = checkout.aws().client("lambda").get_paginator("list_functions").paginate()
    check = next(
        each["FunctionArn"]
        for page in functions
        for each in page["Functions"]
        if "-release-" in each["FunctionName"] and "ReleaseCheck" in each["FunctionName"]
    )
    return Site(checkout, outputs, application, group, check)


def test_what_runs_survives_whoever_changes_it(site: Site, tmp_path: Path) -> None:
    # The whole of it: make stories.
    story.tell(Story(site.checkout, "release", "codedeploy"), tmp_path, whole=False)


def test_a_new_version_takes_over_without_a_failed_request(site: Site, tmp_path: Path) -> None:
    old, tasks, live = site.version(), site.tasks(), site.live_groups()
    assert len(tasks) == 2
    files = {"__init__.py": '"""The new version."""\n'}
    with site.load() as load:
        time.sleep(1)
        identifier = site.release("new", "COPY __init__.py customer/__init__.py", files, tmp_path)
        info, _ = site.end(identifier)
        time.sleep(1)
    assert info["status"] == "Succeeded", info
    assert load.failures == []
    # A busy machine sends fewer; with far fewer nothing would be shown.
    assert load.rate > 0.1 * REQUESTS_PER_SECOND
    assert load.versions == [[old, "new"]] * len(load.clients), "all at once, once for each client"
    assert site.version() == "new"
    assert not site.live_groups() & live
    stopped = {task["taskArn"]: task for task in site.tasks("STOPPED")}
    for task in tasks:
        # A container that SIGKILL ends has status 137.
        assert [item["exitCode"] for item in stopped[task["taskArn"]]["containers"]] == [0]
    assert len(site.tasks()) == 2
    assert site.events(identifier)["AfterAllowTestTraffic"] == "Succeeded"


def test_an_image_that_does_not_start_gets_no_request(site: Site, tmp_path: Path) -> None:
    """CodeDeploy would wait for an hour; the check that watches the new tasks start ends it."""
    words = "the settings are missing"
    with site.load() as load:
        identifier = site.release(
            "stillborn", f"""CMD ["python", "-c", "raise SystemExit('{words}')"]""", {}, tmp_path
        )
        info, live = site.end(identifier)
    unharmed(site, load, live)
    assert info["status"] == "Stopped"
    assert info["errorInformation"]["code"] == "MANUAL_STOP"
    stopped = [
        task for task in site.tasks("STOPPED") if [item.get("exitCode") for item in task["containers"]] == [1]
    ]
    assert len(stopped) >= 3
    assert site.events(identifier)["AllowTestTraffic"] == "Skipped"


def test_an_image_whose_list_fails_is_found_by_the_hook_before_traffic_moves(
    site: Site, tmp_path: Path
) -> None:
    with site.load() as load:
        identifier = site.release(
            "without-list", "COPY main.py customer/__main__.py", {"main.py": story.WITHOUT_LIST}, tmp_path
        )
        info, live = site.end(identifier)
    unharmed(site, load, live)
    assert info["status"] == "Failed"
    assert info["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE"
    assert "AfterAllowTestTraffic" in info["errorInformation"]["message"]
    events = site.events(identifier)
    assert (events["AfterAllowTestTraffic"], events["AllowTraffic"]) == ("Failed", "Skipped")


def test_an_alarm_after_the_change_sends_the_users_back(site: Site, tmp_path: Path) -> None:
    old, live = site.version(), site.live_groups()
    alarm, cloudwatch = site.alarm(), site.client("cloudwatch")
    with site.load() as load:
        identifier = site.release("alarming", "", {}, tmp_path)
        while site.live_groups() == live:
            assert "completeTime" not in site.deployment(identifier)
            time.sleep(0.1)
        time.sleep(1)
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="the test says so")
        info, _ = site.end(identifier)
        time.sleep(1)
    cloudwatch.delete_alarms(AlarmNames=[alarm])
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert alarm in info["errorInformation"]["message"]
    assert load.failures == []
    assert load.versions == [[old, "alarming", old]] * len(load.clients)
    assert site.live_groups() == live
    assert (site.version(), len(site.tasks())) == (old, 2)


def test_a_hook_that_may_not_answer_ends_the_release(site: Site, tmp_path: Path) -> None:
    iam = site.client("iam")
    roles.write_rights(iam, HOOK, *LOOKING)
    with site.load() as load:
        info, live = site.end(site.release("unanswered", "", {}, tmp_path))
    roles.write_rights(iam, HOOK, *LOOKING, ANSWERING)
    unharmed(site, load, live)
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "HOOK_EXECUTION_FAILURE")
    (log,) = site.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{HOOK}")["logGroups"]
    events = site.client("logs").filter_log_events(logGroupName=log["logGroupName"])["events"]
    words = (
        f"User: arn:aws:sts::000000000000:assumed-role/{HOOK}/{HOOK} is not authorized to perform: "
        "codedeploy:PutLifecycleEventHookExecutionStatus because no identity-based policy allows the "
        "codedeploy:PutLifecycleEventHookExecutionStatus action"
    )
    assert any(words in event["message"] for event in events)


def test_what_the_role_of_codedeploy_does_not_allow_ends_the_release(site: Site, tmp_path: Path) -> None:
    iam, role = site.client("iam"), site.group["serviceRoleArn"].rpartition("/")[2]
    policy = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
    iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    with site.load() as load:
        info, live = site.end(site.release("unallowed", "", {}, tmp_path))
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    unharmed(site, load, live)
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "IAM_ROLE_PERMISSIONS")
    words = "does not give you permission to perform operations in the following AWS service: "
    assert words in info["errorInformation"]["message"]


def test_the_drill_of_a_rollback_harms_nobody(site: Site) -> None:
    version, live = site.version(), site.live_groups()
    options = ("--before", "1", "--after", "1", "--rate", "10", "--timeout", "30", "--hold", "0")
    done = site.checkout.ops("drill", "rollback", "customer", "--env", "release", *options, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] == {}
    assert "100 % " in found["facts"]["share of the traffic when stopped"]
    assert site.deployment(found["facts"]["release"])["status"] == "Stopped"
    assert (site.version(), site.live_groups(), len(site.tasks())) == (version, live, 2)


def test_an_alarm_that_fires_blocks_every_release_but_the_way_back(site: Site, tmp_path: Path) -> None:
    live, alarm, cloudwatch = site.version(), site.alarm(), site.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="the test says so")
    info, _ = site.end(site.release("blocked", "", {}, tmp_path))
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert site.version() == live
    with site.load() as load:
        done = site.checkout.ops("rollback", "customer", "--env", "release", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        (identifier,) = site.client("codedeploy").list_deployments(
            applicationName=site.application,
            deploymentGroupName=site.group["deploymentGroupName"],
            includeOnlyStatuses=["Created", "Queued", "InProgress", "Baking", "Ready"],
        )["deployments"]
        info, _ = site.end(identifier)
    cloudwatch.delete_alarms(AlarmNames=[alarm])
    assert info["status"] == "Succeeded", info
    assert site.version() != live
    assert load.failures == []


def unharmed(site: Site, load: Load, live: set[str]) -> None:
    """No request failed or saw another version, and the production listener never sent one elsewhere."""
    assert load.failures == []
    assert load.versions == [[site.version()]] * len(load.clients)
    assert live == site.live_groups()
    assert len(live) == 1
    assert len(site.tasks()) == 2
