"""Releases followed side by side to their ends, with the reasons of those that did not succeed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import settings
from ops.aws.session import Session
from ops.command_line import app
from ops.errors import OpsError
from ops.release import following
from ops.terminal.progress import Progress
from tests.ops.account import ACCOUNT, REGION, Account, refuse, signed_in
from tests.ops.conftest import Run
from tests.ops.platform import ECS, LISTENERS, NOW, Platform, ecs_name, task_definition

LATER = NOW + timedelta(minutes=1)
ENDED = NOW + timedelta(minutes=7)
CHECK_LOG = "/suppliers-dev-compute/release-check"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_POLL_SECONDS", 0)


class Releases:
    """Deployments by CodeDeploy of several services; each goes through its course, a step at each look."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.deployments: dict[str, dict[str, Any]] = {}
        self.courses: dict[str, Iterator[Mapping[str, Any]]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.lines: dict[str, Sequence[str]] = {}

    def add(self, service: str, identifier: str, *course: Mapping[str, Any], revision: int = 8) -> None:
        target = {"Properties": {"TaskDefinition": task_definition(service, revision)}}
        content = json.dumps({"Resources": [{"TargetService": target}]})
        self.deployments[identifier] = {
            "deploymentId": identifier,
            "applicationName": f"application-{service}",
            "deploymentGroupName": f"group-{service}",
            "status": "InProgress",
            "createTime": NOW,
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
        }
        self.courses[identifier] = iter(course)
        self.events[identifier] = [{"lifecycleEventName": "Install", "status": "Succeeded"}]

    def account(self, **more: Any) -> Account:
        return self.platform.account(
            cloudformation__GetTemplate=self._template,
            cloudformation__ListStackResources=self._resources,
            codedeploy__ListDeployments=lambda asked: {
                "deployments": [
                    each["deploymentId"]
                    for each in self.deployments.values()
                    if each["deploymentGroupName"] == asked["deploymentGroupName"]
                ]
            },
            codedeploy__BatchGetDeployments=lambda asked: {
                "deploymentsInfo": [self.deployments[each] for each in asked["deploymentIds"]]
            },
            codedeploy__GetDeployment=self._get,
            codedeploy__GetDeploymentGroup=lambda asked: {
                "deploymentGroupInfo": {
                    "alarmConfiguration": {
                        "enabled": True,
                        "alarms": [{"name": f"{asked['deploymentGroupName']}-ServerErrors"}],
                    }
                }
            },
            codedeploy__ListDeploymentTargets=lambda asked: {"targetIds": ["cluster:service"]},
            codedeploy__BatchGetDeploymentTargets=lambda asked: {
                "deploymentTargets": [
                    {
                        "deploymentTargetType": "ECSTarget",
                        "ecsTarget": {"lifecycleEvents": list(self.events[asked["deploymentId"]])},
                    }
                ]
            },
            lambda__GetFunctionConfiguration=lambda asked: {"LoggingConfig": {"LogGroup": CHECK_LOG}},
            logs__FilterLogEvents=lambda asked: {
                "events": [{"message": line} for line in self.lines.get(asked["logGroupName"], ())]
            },
            logs__GetLogEvents=lambda asked: {
                "events": [{"message": line} for line in self.lines.get(asked["logStreamName"], ())]
            },
            **more,
        )

    def _get(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        identifier = asked["deploymentId"]
        change = next(self.courses[identifier], {})
        step = change.get("step")
        if step:
            self.events[identifier].append(dict(step))
        for starts in change.get("starts", ()):
            self.add(*starts)
            back = {"rollbackTriggeringDeploymentId": identifier}
            self.deployments[starts[1]]["rollbackInfo"] = back
        info = {key: value for key, value in change.items() if key not in ("step", "starts")}
        self.deployments[identifier] |= info
        return {"deploymentInfo": self.deployments[identifier]}

    @staticmethod
    def _template(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        properties = {
            "Application": {"Ref": "Application"},
            "DeploymentGroup": {"Ref": "Group"},
            "TaskDefinition": {"Ref": "Task"},
            # In Compute, for all services.
            "CheckFunction": {
                "Fn::GetStackOutput": {"StackName": "suppliers-dev-compute", "OutputName": "CheckArn"}
            },
        }
        release = {"Type": "Custom::CodeDeployRelease", "Properties": properties}
        return {"TemplateBody": json.dumps({"Resources": {"Release": release}})}

    @staticmethod
    def _resources(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        service = asked["StackName"].removeprefix("suppliers-dev-")
        ids = {"Application": f"application-{service}", "Group": f"group-{service}"}
        ids |= {"Release": "Release", "Task": task_definition(service, 8)}
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": value,
                    "ResourceType": "AWS::X::Y",
                    "ResourceStatus": "CREATE_COMPLETE",
                    "LastUpdatedTimestamp": NOW,
                }
                for name, value in ids.items()
            ]
        }


class WithCheck(Platform):
    def outputs(self, part: str) -> dict[str, str]:
        found = super().outputs(part)
        check = {"CheckArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:release-check"}
        return {**found, **check} if part == "compute" else found


def failing_hook(name: str) -> dict[str, Any]:
    message = {"errorCode": "ScriptFailed", "message": "The following validation Lambda function failed"}
    return {
        "lifecycleEventName": name,
        "status": "Failed",
        "startTime": LATER,
        "endTime": LATER,
        "diagnostics": message,
    }


FAILED = {
    "status": "Failed",
    "completeTime": ENDED,
    "errorInformation": {"code": "HOOK_EXECUTION_FAILURE", "message": "a hook failed"},
}
SUCCEEDED = {"status": "Succeeded", "completeTime": ENDED}


@pytest.fixture
def releases() -> Releases:
    return Releases(WithCheck())


def stopped(
    service: str, at: int, *, revision: int = 8, reason: str = "Essential container in task exited"
) -> dict[str, Any]:
    task = Platform.task(service, f"{at:032x}", "us-east-1a", revision)
    return {
        **task,
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "createdAt": NOW + timedelta(seconds=at),
        "stoppedReason": reason,
        "containers": [{"name": service, "lastStatus": "STOPPED", "exitCode": 3}],
    }  # fmt: skip


def two_one_bad(releases: Releases) -> Account:
    """Employee succeeds; customer's check fails, and CodeDeploy takes it back by a deployment of its own."""
    releases.add("employee", "d-E", {}, {}, {"step": {"lifecycleEventName": "AllowTraffic", "status": "Succeeded"}, **SUCCEEDED})  # fmt: skip
    back: Any = ("customer", "d-BACK", {}, SUCCEEDED)
    releases.add(
        "customer", "d-C", {"step": failing_hook("AfterAllowTestTraffic")}, {**FAILED, "starts": [back]}
    )
    releases.lines[CHECK_LOG] = [
        "START RequestId: 1",
        json.dumps({"level": "INFO", "message": "the new tasks answer customer-8"}),
        json.dumps({"level": "ERROR", "message": "/ gives 500 from version customer-8, not 200"}),
        json.dumps({"level": "ERROR", "message": "/admin gives 500 from version employee-8, not 200"}),
    ]
    return releases.account()


def test_two_releases_are_followed_side_by_side_and_the_bad_one_is_told(run: Run, releases: Releases) -> None:
    done = run(two_one_bad(releases), "release", "watch")
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    started = [line for line in lines if line.endswith("is under way")]
    assert started == [
        "customer: release d-C of customer-8 is under way",
        "employee: release d-E of employee-8 is under way",
    ]
    # Both go on at once: the good one ends after the bad one has failed.
    assert lines.index("customer: d-C Failed; d-BACK takes it back") < lines.index(
        "employee: AllowTraffic: Succeeded"
    )
    at = lines.index("customer: release d-C of customer-8 Failed")
    assert lines[at + 1 : at + 4] == [
        "  HOOK_EXECUTION_FAILURE a hook failed",
        "  AfterAllowTestTraffic: The following validation Lambda function failed",
        "  release-check: / gives 500 from version customer-8, not 200",
    ]
    assert "customer: the way back, d-BACK from d-C, Succeeded" in lines
    assert "employee: release d-E of employee-8 Succeeded" in lines


def test_a_step_is_printed_once_and_traffic_whenever_it_moves(run: Run, releases: Releases) -> None:
    # The first look is at the rules from before.
    shares = iter(({"blue": 1}, {"blue": 1}, {"blue": 9, "green": 1}, {"blue": 9, "green": 1}, {"blue": 1}))
    releases.add("customer", "d-C", {}, {}, {}, SUCCEEDED)
    account = releases.account()
    rules = account.operations["elbv2:DescribeRules"]

    def moving(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if asked["ListenerArn"] == LISTENERS["Production"]:
            releases.platform.live["customer"] = dict(next(shares, {"blue": 1}))
        return rules(asked)

    account.operations["elbv2:DescribeRules"] = moving
    lines = run(account, "release", "watch", "customer").stdout.splitlines()
    assert lines.count("customer: Install: Succeeded") == 1
    assert [line for line in lines if line.startswith("customer: traffic")] == [
        "customer: traffic: blue",
        "customer: traffic: blue 90 %, green 10 %",
        "customer: traffic: blue",
    ]


def test_tasks_that_stopped_are_counted_by_their_end_with_the_last_lines(
    run: Run, releases: Releases
) -> None:
    releases.add(
        "customer", "d-C", {**FAILED, "errorInformation": {"code": "TIMEOUT", "message": "no steady state"}}
    )
    releases.platform.tasks += [
        stopped("customer", 1),
        stopped("customer", 2),
        stopped("customer", 3, reason="CannotPullContainerError: no such image"),
        stopped("customer", 4, reason="Scaling activity initiated by (deployment ecs-svc/1)"),
        stopped("customer", 5, revision=7),
        stopped("customer", -60),
    ]  # fmt: skip
    releases.lines[f"customer/customer/{3:032x}"] = ["Traceback", "KeyError: 'DB_HOST'"]
    lines = run(releases.account(), "release", "watch", "customer").stdout.splitlines()
    at = lines.index("customer: release d-C of customer-8 Failed")
    assert lines[at + 1 : -1] == [
        "  TIMEOUT no steady state",
        "  2 tasks stopped: Essential container in task exited (exit status 3)",
        "  1 task stopped: CannotPullContainerError: no such image (exit status 3)",
        f"  the last lines of task {3:032x}:",
        "  | Traceback",
        "  | KeyError: 'DB_HOST'",
    ]


def test_what_cannot_be_read_hides_no_other_reason(run: Run, releases: Releases) -> None:
    account = two_one_bad(releases)
    account.operations["lambda:GetFunctionConfiguration"] = refuse(
        "AccessDeniedException", "User: x is not authorized to perform: lambda:GetFunctionConfiguration"
    )
    releases.platform.tasks.append(stopped("customer", 1))
    lines = run(account, "release", "watch").stdout.splitlines()
    assert "  HOOK_EXECUTION_FAILURE a hook failed" in lines
    assert any(line.startswith("  its steps cannot be read: dev: x may not do lambda:Get") for line in lines)
    assert "  1 task stopped: Essential container in task exited (exit status 3)" in lines


def test_a_rollback_that_fails_too_is_told(run: Run, releases: Releases) -> None:
    back: Any = ("customer", "d-BACK", {"status": "Failed", "completeTime": ENDED})
    releases.add("customer", "d-C", {**FAILED, "starts": [back]})
    done = run(releases.account(), "release", "watch")
    assert "customer: the way back, d-BACK from d-C, Failed" in done.stdout
    assert done.exit_code == 3


def test_a_release_that_has_not_started_has_no_steps_yet(run: Run, releases: Releases) -> None:
    releases.add("customer", "d-C", {"status": "Created"}, SUCCEEDED)
    account = releases.account()
    account.operations["codedeploy:ListDeploymentTargets"] = refuse("DeploymentNotStartedException")
    assert run(account, "release", "watch").exit_code == 0


# What a deployment of the stacks starts.


def deploying(account: Account, done: Callable[[], object]) -> str:
    output = StringIO()
    session = Session(settings.load("dev"), account)
    with following.started_within(session, Progress(Console(file=output, width=200))):
        done()
    return output.getvalue()


def test_a_deployment_ends_with_the_bad_release_and_names_no_good_one(releases: Releases) -> None:
    releases.add("customer", "d-OLD", revision=6)
    releases.deployments["d-OLD"] |= {**FAILED, "errorInformation": {"code": "OLD", "message": "long ago"}}
    account = releases.account()
    with pytest.raises(OpsError) as raised:
        deploying(account, partial(two_one_bad, releases))
    text = str(raised.value)
    assert text.splitlines()[0] == "customer: release d-C of customer-8 Failed"
    assert "release-check: / gives 500 from version customer-8" in text
    assert "employee:" not in text
    assert "d-OLD" not in text


def test_a_deployment_whose_releases_succeed_is_done(releases: Releases) -> None:
    account = releases.account()
    shown = deploying(account, lambda: releases.add("customer", "d-C", {}, SUCCEEDED))
    assert "customer: release d-C of customer-8 is under way" in shown


def test_a_release_that_failed_before_anybody_looked_is_told_too(releases: Releases) -> None:
    def done() -> None:
        releases.add("customer", "d-C")
        releases.deployments["d-C"] |= FAILED

    with pytest.raises(OpsError, match="customer: release d-C of customer-8 Failed"):
        deploying(releases.account(), done)


def test_releases_are_followed_though_another_stack_failed(releases: Releases) -> None:
    def done() -> None:
        two_one_bad(releases)
        raise OpsError("suppliers-dev-students: UPDATE_ROLLBACK_COMPLETE")

    with pytest.raises(OpsError) as raised:
        deploying(releases.account(), done)
    lines = str(raised.value).splitlines()
    assert lines[:2] == [
        "suppliers-dev-students: UPDATE_ROLLBACK_COMPLETE",
        "customer: release d-C of customer-8 Failed",
    ]


def test_the_first_deployment_of_all_has_no_releases_from_before() -> None:
    platform = WithCheck(
        statuses=dict.fromkeys(("network", "data", "compute", "observability", "delivery"), "NOT_DEPLOYED")
    )
    releases = Releases(platform)

    def done() -> None:
        platform.statuses.clear()
        releases.add("customer", "d-C", {}, SUCCEEDED)

    assert "customer: release d-C" in deploying(releases.account(), done)

    def failing() -> None:
        platform.statuses |= dict.fromkeys(
            ("network", "data", "compute", "observability", "delivery"), "NOT_DEPLOYED"
        )
        raise OpsError("suppliers-dev-network: CREATE_FAILED")

    with pytest.raises(OpsError) as raised:
        deploying(releases.account(), failing)
    assert str(raised.value) == "suppliers-dev-network: CREATE_FAILED"


# Half-way.


def test_a_watch_of_nothing_tells_where_a_service_stopped_half_way(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = releases.platform
    platform.statuses["customer"] = "UPDATE_ROLLBACK_FAILED"
    platform.alarms.append({"AlarmName": "group-customer-ServerErrors", "StateValue": "ALARM"})
    platform.alarms.append({"AlarmName": "group-employee-ServerErrors", "StateValue": "OK"})
    releases.add("customer", "d-C")
    releases.deployments["d-C"] |= FAILED
    history = [
        ("CustomerAlarm", "UPDATE_FAILED", "Resource update cancelled"),
        ("suppliers-dev-customer", "UPDATE_ROLLBACK_FAILED", "The following resource(s) failed"),
        ("CustomerService", "UPDATE_FAILED", "not authorized"),
        ("CustomerRule", "UPDATE_COMPLETE", ""),
        ("CustomerRule", "UPDATE_FAILED", "was mended since"),
        ("suppliers-dev-customer", "UPDATE_ROLLBACK_IN_PROGRESS", ""),
        ("CustomerPrepare", "UPDATE_FAILED", "why the update failed"),
    ]

    def events(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "StackEvents": [
                {
                    "StackId": "arn:stack",
                    "StackName": asked["StackName"],
                    "EventId": str(number),
                    "LogicalResourceId": name,
                    "ResourceStatus": status,
                    "ResourceStatusReason": reason,
                    "Timestamp": NOW,
                }
                for number, (name, status, reason) in enumerate(history)
            ]
        }

    account = releases.account(cloudformation__DescribeStackEvents=events)
    monkeypatch.setenv("COLUMNS", "200")
    with signed_in(account, monkeypatch):
        done = CliRunner().invoke(app, ["release", "watch", "--env", "dev"])
    assert "no release of any service is under way" in str(done.exception)
    shown = done.stdout.splitlines()
    commands = [line.rpartition(": ")[2] for line in shown]
    assert commands == [
        "`aws cloudformation continue-update-rollback --stack-name suppliers-dev-customer --resources-to-skip "
        "CustomerService`",
        "`suppliers release again customer --stack --env dev`",
        "`suppliers rollback customer --env dev`",
    ]
    assert "group-customer-ServerErrors" in shown[2]


def test_a_deployment_whose_release_was_taken_back_ends_with_the_way_on(releases: Releases) -> None:
    account = releases.account()
    with pytest.raises(OpsError) as raised:
        deploying(account, partial(two_one_bad, releases))
    last = str(raised.value).splitlines()[-1]
    assert last.startswith(
        "customer: release d-C of what suppliers-dev-customer holds (suppliers-dev-customer:8) was taken back, "
        "and suppliers-dev-customer:7 is live"
    )
    assert last.endswith("`suppliers release again customer --stack --env dev`")


# By ECS.


def test_a_release_by_ecs_tells_its_reason_and_that_of_its_hook(run: Run) -> None:
    platform = Platform(controller="ECS")
    arn = f"{ECS}:service-deployment/cluster/service/8"
    statuses = iter(("IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"))
    hook = {
        "hookId": "1",
        "targetType": "AWS_LAMBDA",
        "targetArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:release-check",
        "status": "FAILED",
    }

    def described(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        status = next(statuses, "ROLLBACK_SUCCESSFUL")
        return {
            "serviceDeployments": [
                {
                    "serviceDeploymentArn": arn,
                    "status": status,
                    "statusReason": "lifecycle hook failed",
                    "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
                    "lifecycleHookDetails": [hook],
                }
            ]
        }

    account = platform.account(
        ecs__ListServiceDeployments=lambda asked: {
            "serviceDeployments": [
                {
                    "serviceDeploymentArn": arn,
                    "targetServiceRevisionArn": f"{ECS}:service-revision/cluster/service/8",
                    "status": "IN_PROGRESS",
                    "createdAt": NOW,
                }
            ]
            if asked["service"] == ecs_name("customer")
            else []
        },
        ecs__DescribeServiceRevisions=lambda asked: {
            "serviceRevisions": [
                {"serviceRevisionArn": each, "taskDefinition": task_definition("customer", 8)}
                for each in asked["serviceRevisionArns"]
            ]
        },
        ecs__DescribeServiceDeployments=described,
        lambda__GetFunctionConfiguration=lambda asked: {},
        logs__FilterLogEvents=lambda asked: {
            "events": [{"message": json.dumps({"level": "ERROR", "message": f"/ gives 500 in {asked['logGroupName']}"})}]
        },
    )  # fmt: skip
    done = run(account, "release", "watch")
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert "customer: POST_TEST_TRAFFIC_SHIFT: ROLLBACK_IN_PROGRESS" in lines
    at = lines.index("customer: release 8 of customer-8 ROLLBACK_SUCCESSFUL")
    assert lines[at + 1 : at + 3] == [
        "  lifecycle hook failed",
        "  release-check: / gives 500 in /aws/lambda/release-check",
    ]
