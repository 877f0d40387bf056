"""An account of AWS that answers as recorded.

The clients are boto3's own with botocore's stubber, which checks requests and answers against the published
models: a parameter or a field that AWS does not know fails the test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.stub import Stubber

from ops.aws.clients import Clients
from ops.deployed.routes import LISTENER, RULE, SERVICE, TARGET_GROUP, Blueprint, Template

ACCOUNT = "111122223333"
_ELB = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}"
_CODEDEPLOY_UNDER_WAY = ["Created", "Queued", "InProgress", "Baking", "Ready"]
_ECS_UNDER_WAY = ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"]

Weights = Mapping[str, int]
# One session, so that the models of the services are read once.
_SESSION = boto3.Session()


def physical_id(logical_id: str, resource_type: str, *, stack: str = "suppliers-dev-compute") -> str:
    """An identifier in the form that AWS gives to a resource of the type."""
    return {
        RULE: f"{_ELB}:listener-rule/app/suppliers-dev/50dc6c495c0c9188/f2f7dc8efc522ab2/{logical_id}",
        LISTENER: f"{_ELB}:listener/app/suppliers-dev/50dc6c495c0c9188/{logical_id}",
        TARGET_GROUP: f"{_ELB}:targetgroup/{logical_id[:24]}/73e2d6bc24d8a067",
        SERVICE: f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/{stack}-Cluster/{logical_id}",
    }.get(resource_type, f"{stack}-{logical_id}")


@dataclass(frozen=True, kw_only=True)
class Recorded(Clients):
    """Clients of an account where `template` is deployed and all is as CloudFormation made it, but for what is named.

    `live` says by logical id of a rule where it leads now: target groups by logical id or ARN, with weights;
    None is a fixed answer. `gone` names the rules and listeners that somebody deleted, `signed_out` the rules whose
    sign-in somebody removed, `codedeploy` and `ecs` the deployments under way, by logical id of the service, `elsewhere` the numbers that rules of
    other stacks have at the same listeners. Without a `status` there is no stack.
    """

    region: str = "us-east-1"
    template: Template
    live: Mapping[str, Weights | None] = field(default_factory=dict)
    gone: Sequence[str] = ()
    signed_out: Sequence[str] = ()
    codedeploy: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ecs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    elsewhere: Sequence[int] = ()
    status: str | None = "UPDATE_COMPLETE"
    stack: str = "suppliers-dev-compute"
    account: str = ACCOUNT
    bootstraps: bool = False
    _made: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._made:
            client = _SESSION.client(
                service,
                region_name=self.region,
                aws_access_key_id="recorded",
                aws_secret_access_key="recorded",
            )
            stubber = Stubber(client)
            {
                "sts": self._sts,
                "cloudformation": self._cloudformation,
                "elbv2": self._elbv2,
                "codedeploy": self._codedeploy,
                "ecs": self._ecs,
            }[service](stubber)
            stubber.activate()
            self._made[service] = client
        return self._made[service]

    @property
    def _blueprint(self) -> Blueprint:
        return Blueprint(self.template)

    def arn(self, logical_id: str) -> str:
        """The identifier of a resource, or the argument where there is no such resource."""
        resource = self.template["Resources"].get(logical_id)
        if resource is None:
            return logical_id
        if resource["Type"] == RULE:
            listener = self.listener_arn(self._blueprint.routes[logical_id].listener)
            return f"{listener.replace(':listener/', ':listener-rule/')}/{logical_id}"
        return physical_id(logical_id, resource["Type"], stack=self.stack)

    def listener_arn(self, listener: str) -> str:
        """The identifier of a listener, of this stack or, by what names it in the template, of another one."""
        if listener in self.template["Resources"]:
            return physical_id(listener, LISTENER)
        return physical_id(hashlib.sha256(listener.encode()).hexdigest()[:16], LISTENER)

    def _sts(self, stubber: Stubber) -> None:
        identity = {
            "Account": self.account,
            "UserId": "AIDA",
            "Arn": f"arn:aws:iam::{self.account}:user/engineer",
        }
        for _ in range(2):
            stubber.add_response("get_caller_identity", identity)

    def _cloudformation(self, stubber: Stubber) -> None:
        created = datetime(2026, 11, 2, tzinfo=UTC)
        if self.bootstraps:
            toolkit = {"StackName": "CDKToolkit", "StackStatus": "CREATE_COMPLETE", "CreationTime": created}
            stubber.add_response("describe_stacks", {"Stacks": [toolkit]}, {"StackName": "CDKToolkit"})
        asked = {"StackName": self.stack}
        if self.status is None:
            message = f"Stack with id {self.stack} does not exist"
            for _ in range(2):
                stubber.add_client_error(
                    "describe_stacks", "ValidationError", message, 400, expected_params=asked
                )
            return
        found = {"StackName": self.stack, "StackStatus": self.status, "CreationTime": created}
        stubber.add_response("describe_stacks", {"Stacks": [found]}, asked)
        stubber.add_response(
            "get_template",
            {"TemplateBody": json.dumps(self.template), "StagesAvailable": ["Original", "Processed"]},
            {**asked, "TemplateStage": "Original"},
        )
        summaries = [
            {
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": self.arn(logical_id),
                "ResourceType": resource["Type"],
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": created,
            }
            for logical_id, resource in self.template["Resources"].items()
        ]
        half = len(summaries) // 2
        stubber.add_response(
            "list_stack_resources", {"StackResourceSummaries": summaries[:half], "NextToken": "more"}, asked
        )
        stubber.add_response(
            "list_stack_resources",
            {"StackResourceSummaries": summaries[half:]},
            {**asked, "NextToken": "more"},
        )
        # Asked again for what the stack keeps.
        stubber.add_response("describe_stacks", {"Stacks": [found]}, asked)
        stubber.add_response("get_template", {"TemplateBody": json.dumps(self.template)})

    def _elbv2(self, stubber: Stubber) -> None:
        routes = self._blueprint.routes.values()
        for listener in sorted({route.listener for route in routes}, key=self.listener_arn):
            asked = {"ListenerArn": self.listener_arn(listener)}
            if listener in self.gone:
                stubber.add_client_error("describe_rules", "ListenerNotFound", expected_params=asked)
                continue
            answers = [
                {
                    "RuleArn": self.arn(route.logical_id),
                    "Priority": str(route.priority),
                    "Conditions": route.properties["Conditions"],
                    "Actions": self._actions(route.logical_id, route.traffic),
                    "IsDefault": False,
                }
                for route in routes
                if route.listener == listener
                and route.priority is not None
                and route.logical_id not in self.gone
            ]
            default = next((route.traffic for route in routes if route.logical_id == listener), None)
            answers.append(
                {
                    "RuleArn": f"{self.listener_arn(listener)}/default".replace(
                        ":listener/", ":listener-rule/"
                    ),
                    "Priority": "default",
                    "Conditions": [],
                    "Actions": self._actions(listener, default),
                    "IsDefault": True,
                }
            )
            answers += [
                {
                    "RuleArn": f"{self.listener_arn(listener)}/{number}".replace(
                        ":listener/", ":listener-rule/"
                    ),
                    "Priority": str(number),
                    "Conditions": [],
                    "Actions": self._actions("", None),
                    "IsDefault": False,
                }
                for number in self.elsewhere
            ]
            stubber.add_response("describe_rules", {"Rules": answers[:1], "NextMarker": "more"}, asked)
            stubber.add_response("describe_rules", {"Rules": answers[1:]}, {**asked, "Marker": "more"})

    def _actions(self, rule: str, made: Weights | None) -> list[dict[str, Any]]:
        weights = self.live.get(rule, made)
        route = self._blueprint.routes.get(rule)
        if weights and rule not in self.live and route is not None and route.follows_live:
            # Asked when the rule was made: all to blue.
            weights = {each: 1 for each in weights if self._blueprint.groups[each].side == "blue"}
        if weights is None:
            answer = {"MessageBody": "Forbidden", "StatusCode": "403", "ContentType": "text/plain"}
            return [{"Type": "fixed-response", "Order": 1, "FixedResponseConfig": answer}]
        groups = [{"TargetGroupArn": self.arn(group), "Weight": weight} for group, weight in weights.items()]
        action = {
            "Type": "forward",
            "Order": 1,
            "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}},
        }
        # With one target group the load balancer answers in the short form too.
        short = {**action, "TargetGroupArn": groups[0]["TargetGroupArn"]} if len(groups) == 1 else action
        if not self._blueprint.routes[rule].signed_in or rule in self.signed_out:
            return [short]
        # As AWS answers: in any order, and without the secret.
        sign_in = {
            "Type": "authenticate-oidc",
            "Order": 1,
            "AuthenticateOidcConfig": {
                "Issuer": "https://login.example.com",
                "AuthorizationEndpoint": "https://login.example.com/authorize",
                "TokenEndpoint": "https://login.example.com/token",
                "UserInfoEndpoint": "https://login.example.com/userinfo",
                "ClientId": "directory",
            },
        }
        return [{**short, "Order": 2}, sign_in]

    def _codedeploy(self, stubber: Stubber) -> None:
        for service, (application, group) in self._blueprint.deployment_groups.items():
            stubber.add_response(
                "list_deployments",
                {"deployments": list(self.codedeploy.get(service, ()))},
                {
                    "applicationName": self.arn(application),
                    "deploymentGroupName": self.arn(group),
                    "includeOnlyStatuses": _CODEDEPLOY_UNDER_WAY,
                },
            )

    def _ecs(self, stubber: Stubber) -> None:
        for service in self._blueprint.native_services:
            stubber.add_response(
                "list_service_deployments",
                {
                    "serviceDeployments": [
                        {"serviceDeploymentArn": arn, "status": "IN_PROGRESS"}
                        for arn in self.ecs.get(service, ())
                    ]
                },
                {
                    "cluster": f"{self.stack}-Cluster",
                    "service": self.arn(service),
                    "status": _ECS_UNDER_WAY,
                },
            )


@dataclass(frozen=True, kw_only=True)
class Stacks(Clients):
    """Clients of an account whose CloudFormation holds `templates` by stack name, and keeps `policies`."""

    region: str = "us-east-1"
    templates: dict[str, Template]
    statuses: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    history: list[tuple[str, Any]] = field(default_factory=list)

    def client(self, service: str) -> Any:
        client = _SESSION.client(
            service,
            region_name=self.region,
            aws_access_key_id="recorded",
            aws_secret_access_key="recorded",
        )
        client.meta.events.register(f"before-call.{service}", self._answer)
        return client

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """What the stack is made of, each with its logical id as the physical one."""
        return [
            {"LogicalResourceId": each, "PhysicalResourceId": each, "ResourceType": resource["Type"]}
            for each, resource in self.templates[stack]["Resources"].items()
        ]

    def _answer(self, params: Mapping[str, Any], **_: Any) -> tuple[Any, Mapping[str, Any]]:
        asked = params["body"]
        stack = asked.get("StackName")
        if stack is None and asked["Action"] == "DescribeStacks":
            every = [
                {"StackName": each, "StackStatus": self.statuses.get(each, "UPDATE_COMPLETE")}
                for each in self.templates
            ]
            return HTTPResponse(200), {"Stacks": every}
        if stack not in self.templates:
            message = f"Stack with id {stack} does not exist"
            return HTTPResponse(400), {"Error": {"Code": "ValidationError", "Message": message}}
        match asked["Action"]:
            case "DescribeStacks":
                status = self.statuses.get(stack, "UPDATE_COMPLETE")
                return HTTPResponse(200), {"Stacks": [{"StackName": stack, "StackStatus": status}]}
            case "GetTemplate":
                return HTTPResponse(200), {"TemplateBody": json.dumps(self.templates[stack])}
            case "ListStackResources":
                return HTTPResponse(200), {"StackResourceSummaries": self.resources(stack)}
            case "DeleteStack":
                del self.templates[stack]
                return HTTPResponse(200), {}
            case "SetStackPolicy":
                self.policies[stack] = json.loads(asked["StackPolicyBody"])
                self.history.append((stack, self.policies[stack]))
                return HTTPResponse(200), {}
        raise AssertionError(asked)


@dataclass(frozen=True)
class HTTPResponse:
    """The little of an answer that a client looks at beside its content."""

    status_code: int
