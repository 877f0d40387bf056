"""Where CloudFormation and CodeDeploy meet at a service, on a small template: failed updates, refusals, rollbacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

import settings
from emulator import lifecycle
from emulator.instance import Instance
from emulator.releases import MINUTE_VARIABLE
from ops.aws.clients import Clients
from tests.e2e import roles
from tests.e2e.checkout import free_port

T = TypeVar("T")

STACK = "updates"
SECONDS = 60.0
# Long enough for a request while a rollback goes on.
MINUTE = "3"
ALARM = "server-errors"
HOOKS = ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic")
FUNCTION = Path(__file__).with_name("updates_function.py")
# What the function does.
RIGHTS = (
    roles.WRITE_LOGS,
    roles.allow("codedeploy:PutLifecycleEventHookExecutionStatus"),
    roles.allow(
        "cloudformation:DescribeStacks",
        resource=f"arn:aws:cloudformation:us-east-1:000000000000:stack/{STACK}/*",
    ),
    roles.allow(
        "ssm:GetParameter", "ssm:PutParameter", resource="arn:aws:ssm:us-east-1:000000000000:parameter/*"
    ),
)


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def att(name: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def resource(kind: str, properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties, **more}


def function(name: str, verdict: str) -> dict[str, Any]:
    code = FUNCTION.read_text()
    return resource(
        "AWS::Lambda::Function",
        {
            "FunctionName": name,
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": att("FunctionRole", "Arn"),
            "Timeout": 60,
            "Code": {"ZipFile": code},
            "Environment": {"Variables": {"NAME": name, "VERDICT": verdict}},
        },
    )


def listener(port: int) -> dict[str, Any]:
    refusal = {
        "Type": "fixed-response",
        "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"},
    }
    return resource(
        "AWS::ElasticLoadBalancingV2::Listener",
        {
            "LoadBalancerArn": ref("LoadBalancer"),
            "Port": port,
            "Protocol": "HTTP",
            "DefaultActions": [refusal],
        },
    )


def rule(listener_: str) -> dict[str, Any]:
    """Its path is the parameter's, its weights are the custom resource's answer."""
    weighted = [{"TargetGroupArn": ref(each), "Weight": att("Traffic", each)} for each in ("Blue", "Green")]
    return resource(
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        {
            "ListenerArn": ref(listener_),
            "Priority": 1,
            "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": [ref("Path")]}}],
            "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}}],
        },
    )


def target_group() -> dict[str, Any]:
    return resource(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        {
            "VpcId": ref("Vpc"),
            "Port": 8080,
            "Protocol": "HTTP",
            "TargetType": "ip",
            "HealthCheckPath": "/",
            "HealthCheckIntervalSeconds": 5,
            "HealthyThresholdCount": 2,
        },
    )


def custom(kind: str, **properties: Any) -> dict[str, Any]:
    return resource(f"Custom::{kind}", {"ServiceToken": att("Function", "Arn"), **properties})


def subnet(number: int) -> dict[str, Any]:
    zone = "ab"[number]
    return resource(
        "AWS::EC2::Subnet",
        {"VpcId": ref("Vpc"), "CidrBlock": f"10.0.{number}.0/24", "AvailabilityZone": f"us-east-1{zone}"},
    )


def template() -> dict[str, Any]:
    container = {
        "Name": "web",
        "Image": "python:3.13-slim-trixie",
        "Command": ["python", "-m", "http.server", "8080"],
        "PortMappings": [{"ContainerPort": 8080}],
        "Essential": True,
        # It does not hear SIGTERM.
        "StopTimeout": 2,
    }
    task = {
        "Family": "web",
        "NetworkMode": "awsvpc",
        "RequiresCompatibilities": ["FARGATE"],
        "Cpu": "256",
        "Memory": "512",
        "ContainerDefinitions": [container],
    }
    service = {
        "ServiceName": "web",
        "Cluster": ref("Cluster"),
        "TaskDefinition": "web",
        "DesiredCount": 1,
        "LaunchType": "FARGATE",
        "DeploymentController": {"Type": "CODE_DEPLOY"},
        "LoadBalancers": [{"ContainerName": "web", "ContainerPort": 8080, "TargetGroupArn": ref("Blue")}],
        "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": [ref("SubnetA"), ref("SubnetB")]}},
    }
    group = {
        "ApplicationName": ref("Application"),
        "DeploymentGroupName": "web",
        "ServiceRoleArn": att("ReleaseRole", "Arn"),
        "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": ALARM}]},
        "AutoRollbackConfiguration": {
            "Enabled": True,
            "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
        },
        "DeploymentStyle": {"DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL"},
        "ECSServices": [{"ClusterName": ref("Cluster"), "ServiceName": "web"}],
        "LoadBalancerInfo": {
            "TargetGroupPairInfoList": [
                {
                    "TargetGroups": [
                        {"Name": att("Blue", "TargetGroupName")},
                        {"Name": att("Green", "TargetGroupName")},
                    ],
                    "ProdTrafficRoute": {"ListenerArns": [ref("Production")]},
                    "TestTrafficRoute": {"ListenerArns": [ref("Test")]},
                }
            ]
        },
    }
    return {
        "Parameters": {
            "Path": {"Type": "String"},
            "Fails": {"Type": "String"},
            "GracePeriod": {"Type": "Number", "Default": 0},
        },
        "Conditions": {"Updated": {"Fn::Equals": [ref("Fails"), "true"]}},
        "Resources": {
            "FunctionRole": resource(
                "AWS::IAM::Role",
                {
                    "AssumeRolePolicyDocument": roles.trust(Service="lambda.amazonaws.com"),
                    "Policies": [{"PolicyName": roles.POLICY, "PolicyDocument": roles.document(*RIGHTS)}],
                },
            ),
            "ReleaseRole": resource(
                "AWS::IAM::Role",
                {
                    "AssumeRolePolicyDocument": roles.trust(Service="codedeploy.amazonaws.com"),
                    "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"],
                },
            ),
            "Function": function("judge", "Succeeded"),
            "Refusing": function("refuse", "Failed"),
            "Vpc": resource("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/16"}),
            "SubnetA": subnet(0),
            "SubnetB": subnet(1),
            "LoadBalancer": resource(
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
                {"Name": "updates", "Type": "application", "Subnets": [ref("SubnetA"), ref("SubnetB")]},
            ),
            "Production": listener(80),
            "Test": listener(8080),
            "Blue": target_group(),
            "Green": target_group(),
            "Traffic": custom("LiveTraffic", Path=ref("Path")),
            "Rule": rule("Production"),
            "TestRule": rule("Test"),
            "New": {
                **custom("New"),
                "Condition": "Updated",
                "DependsOn": "Rule",
            },
            # The last one: it fails when everything else was updated.
            "ZLast": {**custom("Last", Fails=ref("Fails")), "DependsOn": ["Rule", "TestRule", "Service"]},
            "Cluster": resource("AWS::ECS::Cluster", {"ClusterName": "updates"}),
            "Task": resource("AWS::ECS::TaskDefinition", task),
            "Service": {
                **resource(
                    "AWS::ECS::Service", {**service, "HealthCheckGracePeriodSeconds": ref("GracePeriod")}
                ),
                "DependsOn": ["Task", "Rule", "TestRule"],
            },
            "Application": resource(
                "AWS::CodeDeploy::Application", {"ApplicationName": "updates", "ComputePlatform": "ECS"}
            ),
            "DeploymentGroup": {
                **resource("AWS::CodeDeploy::DeploymentGroup", group),
                "DependsOn": "Service",
            },
        },
    }


@dataclass(frozen=True)
class Site:
    """A stack with a service that CodeDeploy releases."""

    clients: Clients

    def client(self, service: str) -> Any:
        return self.clients.client(service)

    def parameters(self, **values: str) -> list[dict[str, str]]:
        return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]

    def update(self, document: Mapping[str, Any], **values: str) -> str:
        """Update the stack; its status at the end."""
        cloudformation = self.client("cloudformation")
        cloudformation.update_stack(
            StackName=STACK, TemplateBody=json.dumps(document), Parameters=self.parameters(**values)
        )
        return eventually(lambda: None if self.status().endswith("_IN_PROGRESS") else self.status())

    def status(self) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return str(stack["StackStatus"])

    def blue(self, percent: int) -> None:
        """Say where the requests go, and forget the calls until now."""
        for name, value in (("/blue", str(percent)), ("/calls", "[]")):
            self.client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)

    def calls(self) -> list[dict[str, str]]:
        """What the function noted since."""
        value = self.client("ssm").get_parameter(Name="/calls")["Parameter"]["Value"]
        return list(json.loads(value))

    def rule(self) -> tuple[str, list[int]]:
        """The path of the production rule and the weights of blue and green."""
        (listener_,) = (each for each in self.listeners() if each["Port"] == 80)
        rules = self.client("elbv2").describe_rules(ListenerArn=listener_["ListenerArn"])["Rules"]
        (found,) = (each for each in rules if each["Priority"] == "1")
        (condition,) = found["Conditions"]
        groups = found["Actions"][0]["ForwardConfig"]["TargetGroups"]
        values = condition.get("Values") or condition["PathPatternConfig"]["Values"]
        return values[0], [each["Weight"] for each in groups]

    def listeners(self) -> list[dict[str, Any]]:
        elbv2 = self.client("elbv2")
        (balancer,) = elbv2.describe_load_balancers(Names=["updates"])["LoadBalancers"]
        return list(elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"])

    def service(self) -> dict[str, Any]:
        (found,) = self.client("ecs").describe_services(cluster="updates", services=["web"])["services"]
        return dict(found)

    def release(self, hooks: Mapping[str, str] | None = None, **options: Any) -> str:
        properties = {
            "TaskDefinition": self.service()["taskDefinition"],
            "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 8080},
        }
        target = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
        content = {
            "version": 0.0,
            "Resources": [target],
            "Hooks": [{name: each} for name, each in (hooks or {}).items()],
        }
        answer = self.client("codedeploy").create_deployment(
            applicationName="updates",
            deploymentGroupName="web",
            revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(content)}},
            **options,
        )
        return str(answer["deploymentId"])

    def deployment(self, identifier: str) -> dict[str, Any]:
        found = self.client("codedeploy").get_deployment(deploymentId=identifier)
        return dict(found["deploymentInfo"])

    def end(self, identifier: str) -> dict[str, Any]:
        """A deployment once it has ended, be its rollback under way."""
        return eventually(lambda: info if "completeTime" in (info := self.deployment(identifier)) else None)

    def events(self, identifier: str) -> dict[str, str]:
        codedeploy = self.client("codedeploy")
        (target,) = codedeploy.list_deployment_targets(deploymentId=identifier)["targetIds"]
        found = codedeploy.get_deployment_target(deploymentId=identifier, targetId=target)
        return {
            each["lifecycleEventName"]: each["status"]
            for each in found["deploymentTarget"]["ecsTarget"]["lifecycleEvents"]
        }

    def alarm(self, state: str) -> None:
        cloudwatch = self.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName=ALARM,
            Namespace="test",
            MetricName="errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="the test says so")


def eventually(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come about in time")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    instance = Instance(port=free_port(int(os.environ.get("EMULATOR_PORT") or 4666)))
    # As users start it: what it starts outlives the process that does.
    subprocess.run(
        [sys.executable, "-m", "emulator", "up", "--port", str(instance.port)],
        cwd=settings.ROOT,
        env={**os.environ, MINUTE_VARIABLE: MINUTE},
        check=True,
        timeout=300,
    )
    try:
        variables = {
            "AWS_ENDPOINT_URL": instance.url,
            "AWS_ACCESS_KEY_ID": instance.account,
            "AWS_SECRET_ACCESS_KEY": "emulator",
        }
        made = Site(Clients(instance.region, variables))
        made.blue(100)
        made.client("cloudformation").create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(template()),
            Parameters=made.parameters(Path="/a", Fails="false"),
        )
        status = eventually(lambda: None if made.status().endswith("_IN_PROGRESS") else made.status())
        assert status == "CREATE_COMPLETE", instance.log.read_text()[-3000:]
        yield made
    finally:
        lifecycle.down(instance)


def test_an_update_that_fails_asks_its_custom_resources_again_and_writes_what_they_answer(site: Site) -> None:
    assert site.rule() == ("/a", [100, 0])
    site.blue(60)
    assert site.update(template(), Path="/b", Fails="true") == "UPDATE_ROLLBACK_COMPLETE"
    assert [tuple(call.values()) for call in site.calls()] == [
        ("Traffic", "Update", "/b", "/a", "UPDATE_IN_PROGRESS"),
        ("New", "Create", "", "", "UPDATE_IN_PROGRESS"),
        ("ZLast", "Update", "", "", "UPDATE_IN_PROGRESS"),
        ("Traffic", "Update", "/a", "/b", "UPDATE_ROLLBACK_IN_PROGRESS"),
        ("ZLast", "Update", "", "", "UPDATE_ROLLBACK_IN_PROGRESS"),
        ("New", "Delete", "", "", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
    ]
    # The path from before, and where the requests went by then: not the 60 of the update, nor the 100 of before.
    assert site.rule() == ("/a", [10, 90])


def test_what_was_rolled_back_is_what_the_next_update_starts_from(site: Site) -> None:
    site.blue(100)
    assert site.update(template(), Path="/a", Fails="false", GracePeriod="5") == "UPDATE_COMPLETE"
    # Nothing of the custom resource or the rule was changed: nobody was asked.
    assert site.calls() == []
    assert site.rule() == ("/a", [10, 90])
    assert site.update(template(), Path="/c", Fails="false", GracePeriod="5") == "UPDATE_COMPLETE"
    assert [(call["Path"], call["OldPath"]) for call in site.calls()] == [("/c", "/a")]
    assert site.rule() == ("/c", [100, 0])


def test_a_service_of_codedeploy_changes_its_tasks_by_deployments_only(site: Site) -> None:
    ecs, before = site.client("ecs"), site.service()
    with pytest.raises(ClientError) as refused:
        ecs.update_service(cluster="updates", service="web", taskDefinition="web", desiredCount=2)
    assert refused.value.response["Error"] == {
        "Code": "InvalidParameterException",
        "Message": "Unable to update task definition on services with a CODE_DEPLOY deployment controller. "
        "Use AWS CodeDeploy to trigger a new deployment.",
    }
    assert site.service()["desiredCount"] == before["desiredCount"] == 1
    ecs.update_service(cluster="updates", service="web", healthCheckGracePeriodSeconds=7)
    assert site.service()["healthCheckGracePeriodSeconds"] == 7
    # CloudFormation gets the same answer.
    document = template()
    document["Resources"]["Service"]["Properties"]["TaskDefinition"] = ref("Task")
    assert site.update(document, Path="/c", Fails="false", GracePeriod="5") == "UPDATE_ROLLBACK_COMPLETE"
    events = site.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    reasons = [
        each.get("ResourceStatusReason", "") for each in events if each["ResourceStatus"] == "UPDATE_FAILED"
    ]
    assert "Unable to update task definition on services with a CODE_DEPLOY" in reasons[0]


def test_every_hook_is_called_and_the_last_one_still_takes_the_traffic_back(site: Site) -> None:
    before, (_, weights) = site.service()["taskSets"], site.rule()
    site.blue(100)
    hooks = dict.fromkeys(HOOKS, "judge") | {"AfterAllowTraffic": "refuse"}
    identifier = site.release(hooks)
    info = site.end(identifier)
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert [call["Function"] for call in site.calls()] == ["judge"] * 4 + ["refuse"]
    events = site.events(identifier)
    assert {name: events[name] for name in HOOKS} == {
        **dict.fromkeys(HOOKS, "Succeeded"),
        "AfterAllowTraffic": "Failed",
    }
    assert events["AllowTraffic"] == "Succeeded"
    site.end(info["rollbackInfo"]["rollbackDeploymentId"])
    assert [each["id"] for each in site.service()["taskSets"]] == [each["id"] for each in before]
    assert weights == [100, 0]


def test_no_deployment_starts_while_an_alarm_fires_or_a_rollback_goes_on(site: Site) -> None:
    site.alarm("ALARM")
    site.blue(100)
    identifier = site.release(dict.fromkeys(HOOKS, "judge"))
    info = site.end(identifier)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert site.calls() == []
    assert set(site.events(identifier).values()) == {"Skipped"}
    rollback = site.deployment(info["rollbackInfo"]["rollbackDeploymentId"])
    assert (rollback["status"], rollback["creator"]) == ("InProgress", "codeDeployRollback")
    assert rollback["rollbackInfo"]["rollbackTriggeringDeploymentId"] == identifier
    without_alarms = {"enabled": False, "alarms": []}
    with pytest.raises(ClientError) as refused:
        site.release(overrideAlarmConfiguration=without_alarms)
    error = refused.value.response["Error"]
    assert error["Code"] == "DeploymentLimitExceededException"
    assert error["Message"] == (
        f"The Deployment Group 'web' already has an active Deployment '{rollback['deploymentId']}'"
    )
    ended = site.end(rollback["deploymentId"])
    assert ended["status"] == "Succeeded"
    assert (ended["completeTime"] - ended["startTime"]).total_seconds() >= float(MINUTE)
    assert site.end(site.release(overrideAlarmConfiguration=without_alarms))["status"] == "Succeeded"
