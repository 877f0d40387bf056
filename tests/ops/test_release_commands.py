"""`releases`, `release watch`, `release again`, `rollback` and `approve`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import settings
from delivery import stack_release
from ops.errors import OpsError
from ops.release import following
from tests.ops.account import ACCOUNT, Account, noting
from tests.ops.conftest import Run
from tests.ops.platform import ECS, NOW, Platform, ecs_name, task_definition

TEMPLATE = {
    "Resources": {
        "CustomerService": {"Type": "AWS::ECS::Service", "Properties": {}},
        "Application": {"Type": "AWS::CodeDeploy::Application", "Properties": {}},
        "Group": {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {
                "ApplicationName": {"Ref": "Application"},
                "ECSServices": [{"ServiceName": {"Fn::GetAtt": ["CustomerService", "Name"]}}],
            },
        },
        "Check": {"Type": "AWS::Lambda::Function", "Properties": {}},
        "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {}},
        "Release": {
            "Type": "Custom::CodeDeployRelease",
            "Properties": {
                "Application": {"Ref": "Application"},
                "DeploymentGroup": {"Ref": "Group"},
                "CheckFunction": {"Fn::GetAtt": ["Check", "Arn"]},
                "TaskDefinition": {"Ref": "Task"},
            },
        },
    }
}
IDS = {
    "CustomerService": f"{ECS}:service/cluster/{ecs_name('customer')}",
    "Application": "the-application",
    "Group": "the-group",
    "Check": "the-check",
    "Task": task_definition("customer", 8),
    "Release": "Release",
}


class CodeDeploy:
    """Deployments of the customer service, the newest last."""

    def __init__(self) -> None:
        self.deployments: dict[str, dict[str, Any]] = {}
        self.events = [{"lifecycleEventName": "Install", "status": "Succeeded"}]
        self.stopped: list[Mapping[str, Any]] = []
        self.created: list[Mapping[str, Any]] = []

    def add(self, identifier: str, revision: int | None, status: str = "Succeeded", **more: Any) -> None:
        specification = {
            "Resources": [{"TargetService": {"Properties": {"TaskDefinition": task_definition("customer", revision or 0)}}}]
        }  # fmt: skip
        content = {"content": json.dumps(specification)} if revision else {"sha256": "0" * 64}
        self.deployments[identifier] = {
            "deploymentId": identifier,
            "applicationName": "the-application",
            "deploymentGroupName": "the-group",
            "status": status,
            "createTime": NOW + timedelta(hours=len(self.deployments)),
            "completeTime": NOW + timedelta(hours=len(self.deployments), minutes=7),
            "creator": "user",
            "description": "started by CloudFormation",
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": content},
            **more,
        }

    def account(self, platform: Platform) -> Account:
        return platform.account(
            cloudformation__GetTemplate=lambda asked: {"TemplateBody": json.dumps(TEMPLATE)},
            cloudformation__ListStackResources=self._resources,
            codedeploy__ListDeployments=lambda asked: {"deployments": sorted(self.deployments)},
            codedeploy__BatchGetDeployments=self._batch,
            codedeploy__GetDeployment=lambda asked: {
                "deploymentInfo": self.deployments[asked["deploymentId"]]
            },
            codedeploy__ListDeploymentTargets=lambda asked: {"targetIds": ["cluster:service"]},
            codedeploy__BatchGetDeploymentTargets=lambda asked: {
                "deploymentTargets": [
                    {
                        "deploymentTargetType": "ECSTarget",
                        "ecsTarget": {
                            "lifecycleEvents": list(self.events),
                            "taskSetsInfo": [{"taskSetLabel": "Green", "desiredCount": 2, "runningCount": 1}],
                        },
                    }
                ]
            },
            codedeploy__GetDeploymentGroup=lambda asked: {"deploymentGroupInfo": {}},
            codedeploy__StopDeployment=noting(self.stopped, {"status": "Pending"}),
            codedeploy__CreateDeployment=noting(self.created, {"deploymentId": "d-BACK"}),
            ecs__ListTaskDefinitions=self._revisions,
        )

    def _batch(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert len(asked["deploymentIds"]) <= 25
        return {"deploymentsInfo": [self.deployments[each] for each in asked["deploymentIds"]]}

    @staticmethod
    def _revisions(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        found = [
            task_definition("customer-prepare", 9),
            *(task_definition("customer", at) for at in (9, 7, 6, 5)),
        ]
        return {"taskDefinitionArns": found if asked["status"] == "ACTIVE" else []}

    @staticmethod
    def _resources(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": value,
                    "ResourceType": "AWS::X::Y",
                    "ResourceStatus": "CREATE_COMPLETE",
                    "LastUpdatedTimestamp": NOW,
                }
                for name, value in IDS.items()
            ]
        }


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_POLL_SECONDS", 0)
    monkeypatch.setattr(stack_release, "_POLL_SECONDS", 0)


@pytest.fixture
def codedeploy() -> CodeDeploy:
    """Version six was released, then a bad one, then seven, which is live."""
    made = CodeDeploy()
    made.add("d-1", 6)
    made.add(
        "d-2", 8, "Failed", errorInformation={"code": "HEALTH_CONSTRAINTS", "message": "no healthy task"}
    )
    made.add("d-3", 7)
    return made


def test_releases_are_told_with_version_state_and_reason_the_newest_first(
    run: Run, codedeploy: CodeDeploy
) -> None:
    account = codedeploy.account(Platform())
    found = json.loads(run(account, "releases", "customer", "--json").stdout)
    assert [(each["id"], each["version"], each["status"]) for each in found] == [
        ("d-3", "customer-seven", "Succeeded"),
        ("d-2", "customer-8", "Failed"),
        ("d-1", "customer-six", "Succeeded"),
    ]
    shown = run(account, "releases", "customer").stdout
    assert "HEALTH_CONSTRAINTS no healthy task" in shown
    assert "7:00" in shown


def test_a_hundred_releases_take_four_requests(run: Run) -> None:
    codedeploy = CodeDeploy()
    for number in range(100):
        codedeploy.add(f"d-{number:03}", 7)
    account = codedeploy.account(Platform())
    found = json.loads(run(account, "releases", "customer", "--last", "3", "--json").stdout)
    assert [each["id"] for each in found] == ["d-099", "d-098", "d-097"]
    assert account.calls["codedeploy:BatchGetDeployments"] == 4
    assert account.calls["ecs:DescribeTaskDefinition"] == 1


def test_rollback_releases_the_version_that_was_live_before_not_the_one_that_failed(
    run: Run, codedeploy: CodeDeploy
) -> None:
    run(codedeploy.account(Platform()), "rollback", "customer")
    (asked,) = codedeploy.created
    assert (asked["applicationName"], asked["deploymentGroupName"]) == ("the-application", "the-group")
    specification = json.loads(asked["revision"]["appSpecContent"]["content"])
    properties = specification["Resources"][0]["TargetService"]["Properties"]
    assert properties["TaskDefinition"] == task_definition("customer", 6)
    assert properties["LoadBalancerInfo"] == {"ContainerName": "customer", "ContainerPort": 8080}
    assert specification["Hooks"] == [{"BeforeInstall": "the-check"}, {"AfterAllowTestTraffic": "the-check"}]
    # An alarm in ALARM would stop it at once, and is the reason for it.
    assert asked["overrideAlarmConfiguration"] == {"enabled": False}


def test_rollback_with_dry_run_says_what_it_would_do_and_does_nothing(
    run: Run, codedeploy: CodeDeploy
) -> None:
    shown = run(codedeploy.account(Platform()), "rollback", "customer", "--dry-run").stdout
    assert shown == (
        "would release customer customer-six (suppliers-dev-customer:6, live from 2026-11-20 12:07 UTC, in "
        "place of customer-seven) by CodeDeploy, whatever its alarms say\n"
    )
    assert codedeploy.created == []


@pytest.mark.parametrize("status", ["InProgress", "Baking", "Ready", "Created"])
def test_rollback_stops_a_release_that_is_under_way_or_bakes(
    run: Run, codedeploy: CodeDeploy, status: str
) -> None:
    codedeploy.add("d-4", 8, status)
    run(codedeploy.account(Platform()), "rollback", "customer")
    assert codedeploy.stopped == [{"deploymentId": "d-4", "autoRollbackEnabled": True}]
    assert codedeploy.created == []


def test_rollback_registers_a_deregistered_version_anew(run: Run, codedeploy: CodeDeploy) -> None:
    platform = Platform(inactive={task_definition("customer", 6)})
    registered: list[Mapping[str, Any]] = []
    account = codedeploy.account(platform)
    account.operations["ecs:RegisterTaskDefinition"] = noting(
        registered, {"taskDefinition": {"taskDefinitionArn": task_definition("customer", 10)}}
    )
    shown = run(account, "rollback", "customer").stdout
    assert "as a new revision since it is deregistered" in shown
    assert registered[0]["containerDefinitions"][0]["dockerLabels"] == {"version": "customer-six"}
    assert "status" not in registered[0]
    content = codedeploy.created[0]["revision"]["appSpecContent"]["content"]
    assert task_definition("customer", 10) in content


def test_rollback_falls_back_to_a_revision_before_and_says_so(run: Run) -> None:
    codedeploy = CodeDeploy()
    codedeploy.add("d-1", None)
    shown = run(codedeploy.account(Platform()), "rollback", "customer", "--dry-run").stdout
    assert "suppliers-dev-customer:6, the revision before; no release is told of it" in shown


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_rollback_goes_back_to_the_first_version_past_one_that_failed(run: Run, status: str) -> None:
    codedeploy = CodeDeploy()
    codedeploy.add("d-1", 6, status)
    codedeploy.add("d-2", 7)
    shown = run(codedeploy.account(Platform()), "rollback", "customer", "--dry-run").stdout
    assert "suppliers-dev-customer:5, the revision before" in shown


def test_there_is_no_way_back_from_the_first_version(run: Run) -> None:
    codedeploy = CodeDeploy()
    platform = Platform(versions={})
    for revision in (5, 6):
        platform.versions[task_definition("customer", revision)] = "customer-seven"
    with pytest.raises(
        OpsError, match="has run no version before customer-seven: there is nothing to go back to"
    ):
        run(codedeploy.account(platform), "rollback", "customer")


def test_a_second_rollback_does_not_offer_the_version_that_the_first_one_left(run: Run) -> None:
    """Seven, six, and back to seven, which is live: before it was five, of which no release is told."""
    codedeploy = CodeDeploy()
    for identifier, revision in (("d-1", 7), ("d-2", 6), ("d-3", 7)):
        codedeploy.add(identifier, revision)
    shown = run(codedeploy.account(Platform()), "rollback", "customer", "--dry-run").stdout
    assert "suppliers-dev-customer:5, the revision before" in shown
    shown = run(
        codedeploy.account(Platform()), "rollback", "customer", "--to", "customer-s", "--dry-run"
    ).stdout
    assert "would release customer customer-six (suppliers-dev-customer:6" in shown


def test_a_version_that_was_never_released_is_refused_with_those_that_were(
    run: Run, codedeploy: CodeDeploy
) -> None:
    with pytest.raises(
        OpsError, match=r"no version that begins with 'nine' and is not live; released were .*customer-six"
    ):
        run(codedeploy.account(Platform()), "rollback", "customer", "--to", "nine")
    codedeploy.add("d-4", 8, "InProgress")
    with pytest.raises(OpsError, match=r"release d-4 of customer is under way .*without --to ends it"):
        run(codedeploy.account(Platform()), "rollback", "customer", "--to", "customer-six")


def test_a_rollback_in_a_protected_environment_is_asked_about(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    protected = settings.load("dev").model_copy(update={"protected": True})
    monkeypatch.setattr(settings, "load_known", lambda name: (protected, ()))
    codedeploy = CodeDeploy()
    codedeploy.add("d-4", 8, "InProgress")
    with pytest.raises(OpsError, match=r"is protected, and nobody is there to ask: stop release d-4.*--yes"):
        run(codedeploy.account(Platform()), "rollback", "customer")
    assert codedeploy.stopped == []
    run(codedeploy.account(Platform()), "rollback", "customer", "--yes")
    assert len(codedeploy.stopped) == 1


class ServiceStack:
    """The stack of the customer service, whose next update ends as `end` says."""

    def __init__(self, end: str = "UPDATE_COMPLETE", reason: str = "") -> None:
        self.end, self.reason = end, reason
        self.updates: list[Mapping[str, Any]] = []
        self.status = "UPDATE_COMPLETE"

    def operations(self) -> dict[str, Any]:
        return {
            "cloudformation:DescribeStacks": self._describe,
            "cloudformation:DescribeStackEvents": self._events,
            "cloudformation:UpdateStack": noting(self.updates, {"StackId": "arn:stack"}),
        }

    def _describe(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        names = ("Image", "Version", "BootstrapVersion")
        found = {
            "StackName": asked["StackName"],
            "StackStatus": self.end if self.updates else self.status,
            "CreationTime": NOW,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Parameters": [{"ParameterKey": name, "ParameterValue": "x"} for name in names],
        }
        return {"Stacks": [found]}

    def _events(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        status = "UPDATE_FAILED" if self.reason else "UPDATE_COMPLETE"
        event = {
            "StackId": "arn:stack",
            "EventId": f"{len(self.updates)}",
            "StackName": asked["StackName"],
            "LogicalResourceId": "CustomerService",
            "ResourceStatus": status,
            "ResourceStatusReason": self.reason,
            "Timestamp": NOW,
        }
        return {"StackEvents": [event] if self.updates else []}


def ecs_account(
    platform: Platform, statuses: Mapping[int, str], stack: ServiceStack | None = None
) -> Account:
    """Releases of the customer service by ECS: by revision, how they ended."""

    def brief(revision: int, status: str) -> dict[str, Any]:
        at = NOW + timedelta(hours=revision)
        return {
            "serviceDeploymentArn": f"{ECS}:service-deployment/cluster/service/{revision}",
            "targetServiceRevisionArn": f"{ECS}:service-revision/cluster/service/{revision}",
            "status": status,
            "createdAt": at,
            "startedAt": at,
        }

    account = platform.account(
        ecs__ListServiceDeployments=lambda asked: {
            "serviceDeployments": [brief(*each) for each in sorted(statuses.items(), reverse=True)]
        },
        ecs__DescribeServiceRevisions=lambda asked: {
            "serviceRevisions": [
                {
                    "serviceRevisionArn": arn,
                    "taskDefinition": task_definition("customer", int(arn.rpartition("/")[2])),
                }
                for arn in asked["serviceRevisionArns"]
            ]
        },
        ecs__UpdateService=lambda asked: {},
        ecs__StopServiceDeployment=lambda asked: {"serviceDeploymentArn": asked["serviceDeploymentArn"]},
        ecs__ListTaskDefinitions=lambda asked: {"taskDefinitionArns": []},
    )
    if stack is not None:
        describe = account.operations["cloudformation:DescribeStacks"]
        operations = stack.operations()
        of_stack = operations.pop("cloudformation:DescribeStacks")
        account.operations.update(operations)
        account.operations["cloudformation:DescribeStacks"] = lambda asked: (
            {"Stacks": [{**describe(asked)["Stacks"][0], **of_stack(asked)["Stacks"][0]}]}
            if asked["StackName"] == "suppliers-dev-customer"
            else describe(asked)
        )
    return account


def test_rollback_of_a_service_that_ecs_releases_updates_its_stack_and_waits(run: Run) -> None:
    stack = ServiceStack()
    platform = Platform(controller="ECS", pushed={task_definition("customer", 6): "customer-six"})
    statuses = {6: "SUCCESSFUL", 8: "ROLLBACK_SUCCESSFUL", 7: "SUCCESSFUL"}
    account = ecs_account(platform, statuses, stack)
    shown = run(account, "rollback", "customer").stdout
    (asked,) = stack.updates
    assert asked["StackName"] == "suppliers-dev-customer"
    assert asked["UsePreviousTemplate"] is True
    image = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/suppliers-dev/customer:customer-six"
    assert asked["Parameters"] == [
        {"ParameterKey": "Image", "ParameterValue": image},
        {"ParameterKey": "Version", "ParameterValue": "customer-six"},
        {"ParameterKey": "BootstrapVersion", "UsePreviousValue": True},
    ]
    assert account.requests("ecs:UpdateService") == []
    assert "done: release customer customer-six" in shown


def test_rollback_by_a_stack_ends_with_the_stacks_reason(run: Run) -> None:
    stack = ServiceStack("UPDATE_ROLLBACK_COMPLETE", "tasks failed to start")
    account = ecs_account(Platform(controller="ECS"), {6: "SUCCESSFUL", 7: "SUCCESSFUL"}, stack)
    with pytest.raises(
        OpsError, match="UPDATE_ROLLBACK_COMPLETE: CustomerService: UPDATE_FAILED: tasks failed"
    ):
        run(account, "rollback", "customer")


@pytest.mark.parametrize("command", [("rollback",), ("release", "again")])
@pytest.mark.parametrize("controller", ["ECS", "CODE_DEPLOY"])
def test_nothing_is_released_while_the_stack_of_the_service_changes(
    run: Run, codedeploy: CodeDeploy, controller: str, command: tuple[str, ...]
) -> None:
    platform = Platform(controller=controller, statuses={"customer": "UPDATE_IN_PROGRESS"})
    account = (
        codedeploy.account(platform)
        if controller == "CODE_DEPLOY"
        else ecs_account(platform, {6: "SUCCESSFUL", 7: "SUCCESSFUL"})
    )
    with pytest.raises(OpsError, match=r"suppliers-dev-customer is being changed \(UPDATE_IN_PROGRESS\)"):
        run(account, *command, "customer")
    assert codedeploy.created == []
    assert account.requests("ecs:UpdateService") == []


def test_a_release_of_ecs_by_a_pipeline_is_told_by_the_tag_of_its_image(run: Run) -> None:
    """ECS copies the revision before with another image, so that the label stays behind."""
    platform = Platform(controller="ECS")
    serving = task_definition("customer", 8)
    platform.versions[serving] = "customer-seven"
    platform.pushed[serving] = "customer-eight"
    platform.records["customer"]["taskDefinition"] = serving
    platform.records["customer"]["deployments"][0]["taskDefinition"] = serving
    platform.tasks[0]["taskDefinitionArn"] = serving
    stack = ServiceStack()
    account = ecs_account(platform, {7: "SUCCESSFUL", 8: "SUCCESSFUL"}, stack)
    (shown, _) = json.loads(run(account, "status", "--json").stdout)["services"]
    assert shown["version"] == "customer-eight"
    past = json.loads(run(account, "releases", "customer", "--json").stdout)
    assert [release["version"] for release in past] == ["customer-eight", "customer-seven"]
    versions = {task["version"] for task in json.loads(run(account, "tasks", "customer", "--json").stdout)}
    assert versions == {"customer-eight", "customer-seven"}
    assert "customer-eight" in run(account, "rollback", "customer", "--dry-run").stdout
    run(account, "rollback", "customer")
    (asked,) = stack.updates
    assert {"ParameterKey": "Version", "ParameterValue": "customer-seven"} in asked["Parameters"]


def test_rollback_stops_a_release_of_ecs_that_is_under_way(run: Run) -> None:
    account = ecs_account(Platform(controller="ECS"), {6: "SUCCESSFUL", 7: "IN_PROGRESS"})
    run(account, "rollback", "customer")
    (asked,) = account.requests("ecs:StopServiceDeployment")
    assert asked == {
        "serviceDeploymentArn": f"{ECS}:service-deployment/cluster/service/7",
        "stopType": "ROLLBACK",
    }


def test_releasing_again_releases_what_is_live_and_heeds_the_alarms(run: Run, codedeploy: CodeDeploy) -> None:
    shown = run(codedeploy.account(Platform()), "release", "again", "customer", "--dry-run").stdout
    assert shown == (
        "would release customer customer-seven (suppliers-dev-customer:7, which is live) by CodeDeploy\n"
    )
    assert codedeploy.created == []
    run(codedeploy.account(Platform()), "release", "again", "customer")
    (asked,) = codedeploy.created
    assert task_definition("customer", 7) in asked["revision"]["appSpecContent"]["content"]
    assert "overrideAlarmConfiguration" not in asked


def test_releasing_again_copies_a_deregistered_revision(run: Run, codedeploy: CodeDeploy) -> None:
    account = codedeploy.account(Platform(inactive={task_definition("customer", 7)}))
    registered: list[Mapping[str, Any]] = []
    account.operations["ecs:RegisterTaskDefinition"] = noting(
        registered, {"taskDefinition": {"taskDefinitionArn": task_definition("customer", 10)}}
    )
    run(account, "release", "again", "customer")
    assert registered[0]["containerDefinitions"][0]["dockerLabels"] == {"version": "customer-seven"}
    assert task_definition("customer", 10) in codedeploy.created[0]["revision"]["appSpecContent"]["content"]


def test_what_the_stack_holds_can_be_released_once_more(run: Run, codedeploy: CodeDeploy) -> None:
    run(codedeploy.account(Platform()), "release", "again", "customer", "--stack")
    assert task_definition("customer", 8) in codedeploy.created[0]["revision"]["appSpecContent"]["content"]
    account = ecs_account(Platform(controller="ECS"), {7: "SUCCESSFUL"})
    with pytest.raises(OpsError, match="customer runs what its stack holds"):
        run(account, "release", "again", "customer", "--stack")


def test_releasing_again_is_refused_while_a_release_is_under_way(run: Run, codedeploy: CodeDeploy) -> None:
    codedeploy.add("d-4", 8, "Baking")
    with pytest.raises(OpsError, match=r"release d-4 of customer is under way \(Baking\): wait for its end"):
        run(codedeploy.account(Platform()), "release", "again", "customer")


def test_ecs_releases_again_with_new_tasks_of_the_same_revision(run: Run) -> None:
    account = ecs_account(Platform(controller="ECS"), {7: "SUCCESSFUL"})
    run(account, "release", "again", "customer")
    (asked,) = account.requests("ecs:UpdateService")
    assert (asked["service"], asked["forceNewDeployment"]) == (ecs_name("customer"), True)
    assert "taskDefinition" not in asked


def test_releasing_again_in_a_protected_environment_is_asked_about(
    run: Run, codedeploy: CodeDeploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    protected = settings.load("dev").model_copy(update={"protected": True})
    monkeypatch.setattr(settings, "load_known", lambda name: (protected, ()))
    with pytest.raises(OpsError, match="is protected, and nobody is there to ask: release customer"):
        run(codedeploy.account(Platform()), "release", "again", "customer")
    run(codedeploy.account(Platform()), "release", "again", "customer", "--yes")
    assert len(codedeploy.created) == 1


def test_watching_follows_a_release_to_its_end_and_shows_the_rules_before_and_after(
    run: Run, codedeploy: CodeDeploy
) -> None:
    platform = Platform()
    codedeploy.add("d-4", 8, "InProgress")
    account = codedeploy.account(platform)
    looks = iter(({"blue": 9, "green": 1}, {"green": 1}))

    def get(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        share = next(looks)
        platform.live["customer"] = dict(share)
        if "blue" not in share:
            codedeploy.deployments["d-4"]["status"] = "Succeeded"
            codedeploy.events.append({"lifecycleEventName": "AllowTraffic", "status": "Succeeded"})
        return {"deploymentInfo": codedeploy.deployments["d-4"]}

    account.operations["codedeploy:GetDeployment"] = get
    done = run(account, "release", "watch", "customer")
    assert done.exit_code == 0
    assert "AllowTraffic: Succeeded" in done.stdout
    assert "customer blue" in done.stdout
    assert "customer green" in done.stdout


def test_watching_a_release_that_fails_ends_with_status_3(run: Run, codedeploy: CodeDeploy) -> None:
    codedeploy.add("d-4", 8, "InProgress")
    account = codedeploy.account(Platform())

    def get(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        error = {"code": "ALARM_ACTIVE", "message": "an alarm fired"}
        codedeploy.deployments["d-4"] |= {"status": "Stopped", "errorInformation": error}
        return {"deploymentInfo": codedeploy.deployments["d-4"]}

    account.operations["codedeploy:GetDeployment"] = get
    done = run(account, "release", "watch", "customer")
    assert done.exit_code == 3
    assert "ALARM_ACTIVE an alarm fired" in done.stdout


def test_without_a_release_under_way_there_is_nothing_to_watch(run: Run, codedeploy: CodeDeploy) -> None:
    with pytest.raises(OpsError, match="no release of customer is under way"):
        run(codedeploy.account(Platform()), "release", "watch", "customer")


@pytest.mark.parametrize(("status", "exit_status"), [("Succeeded", 0), ("Failed", 3)])
def test_who_watches_late_is_told_how_the_last_release_ended(
    run: Run, codedeploy: CodeDeploy, status: str, exit_status: int
) -> None:
    minute = timedelta(minutes=1)
    now = datetime.now(UTC)
    codedeploy.add("d-4", 7, status, createTime=now - 3 * minute, completeTime=now - minute)
    result = run(codedeploy.account(Platform()), "release", "watch", "customer")
    assert f"customer: release d-4 of customer-seven {status}" in result.stdout
    assert result.exit_code == exit_status


def pipeline_account(status: str = "InProgress") -> Account:
    approval = {"status": status, **({"token": "t-1"} if status == "InProgress" else {})}
    return Platform().account(
        codepipeline__GetPipelineState=lambda asked: {
            "pipelineName": asked["name"],
            "stageStates": [
                {"stageName": "Source", "actionStates": [], "latestExecution": {"pipelineExecutionId": "e-1", "status": "Succeeded"}},
                {
                    "stageName": "Approval",
                    "latestExecution": {"pipelineExecutionId": "12345678-1", "status": status},
                    "actionStates": [{"actionName": "Approve", "latestExecution": approval}],
                },
            ],
        },
        codepipeline__GetPipelineExecution=lambda asked: {
            "pipelineExecution": {
                "artifactRevisions": [
                    {"name": "Sources", "revisionId": "0123456789abcdef", "revisionSummary": "Show roasters\n"}
                ]
            }
        },
        codepipeline__ListActionExecutions=lambda asked: {
            "actionExecutionDetails": [
                {"actionName": "Approve", "input": {"resolvedConfiguration": {"CustomData": "customer: its files changed"}}}
            ]
        },
        codepipeline__PutApprovalResult=lambda asked: {"approvedAt": NOW},
    )  # fmt: skip


def test_approving_shows_what_is_approved_first(run: Run) -> None:
    account = pipeline_account()
    shown = run(account, "approve", "customer", "--comment", "checked on dev").stdout
    assert "Sources 0123456789ab: Show roasters" in shown
    assert "customer: its files changed" in shown
    assert account.requests("codepipeline:PutApprovalResult") == [
        {
            "pipelineName": "suppliers-dev-customer",
            "stageName": "Approval",
            "actionName": "Approve",
            "result": {"summary": "checked on dev", "status": "Approved"},
            "token": "t-1",
        }
    ]


def test_rejecting_and_dry_run(run: Run) -> None:
    account = pipeline_account()
    shown = run(account, "approve", "customer", "--dry-run").stdout
    assert "would approve execution 12345678 of suppliers-dev-customer" in shown
    assert account.requests("codepipeline:PutApprovalResult") == []
    run(account, "approve", "customer", "--reject")
    assert account.requests("codepipeline:PutApprovalResult")[0]["result"]["status"] == "Rejected"


def test_a_pipeline_that_waits_for_nothing_says_where_it_is(run: Run) -> None:
    with pytest.raises(OpsError, match="waits for no approval: Source Succeeded, Approval Succeeded"):
        run(pipeline_account("Succeeded"), "approve", "customer")
