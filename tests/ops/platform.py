"""The platform as AWS describes it when all is well, for a test to change one thing of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.ops.account import ACCOUNT, REGION, Account, Handler, refusal

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CLUSTER = "suppliers-dev-compute-Cluster"
ECS = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
ELB = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
LISTENERS = {
    "Production": f"{ELB}:listener/app/suppliers-dev/50dc6c495c0c9188/aaaaaaaaaaaaaaaa",
    "Test": f"{ELB}:listener/app/suppliers-dev/50dc6c495c0c9188/bbbbbbbbbbbbbbbb",
}
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


def pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def group(service: str, side: str) -> str:
    return f"{ELB}:targetgroup/{service}-{side}/73e2d6bc24d8a067"


def ecs_name(service: str) -> str:
    return f"suppliers-dev-{service}-Service"


def task_definition(service: str, revision: int) -> str:
    return f"{ECS}:task-definition/suppliers-dev-{service}:{revision}"


@dataclass
class Platform:
    """What AWS answers with: change a value, and that is how it is."""

    services: Sequence[str] = ("customer", "employee")
    controller: str = "CODE_DEPLOY"
    statuses: dict[str, str] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    live: dict[str, dict[str, int]] = field(default_factory=dict)
    health: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    database: dict[str, Any] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    # By task definition, the version that a pipeline pushed; the label is then what the revision before had.
    pushed: dict[str, str] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)
    page_size: int = 100

    def __post_init__(self) -> None:
        for number, service in enumerate(self.services):
            self.records[service] = self.record(service)
            self.live[service] = {"blue": 1}
            self.health[group(service, "blue")] = [
                self.target(f"10.0.{number}.{at}", ZONES[at % 3]) for at in range(2)
            ]
            self.health[group(service, "green")] = []
            self.tasks += [self.task(service, f"{number:08x}{at:024x}", ZONES[at % 3]) for at in range(2)]
            self.versions[task_definition(service, 7)] = f"{service}-seven"
            self.versions[task_definition(service, 6)] = f"{service}-six"
        self.database = {
            "DBInstanceIdentifier": "suppliers-dev-data-database",
            "DBInstanceStatus": "available",
            "DBInstanceClass": "db.t4g.small",
            "Engine": "mysql",
            "EngineVersion": "8.4.9",
            "MultiAZ": True,
            "AvailabilityZone": "us-east-1a",
            "SecondaryAvailabilityZone": "us-east-1b",
        }
        self.alarms = [
            {"AlarmName": f"suppliers-dev-observability-{service}-{kind}", "StateValue": "OK"}
            for service in self.services
            for kind in ("ServerErrors", "UnhealthyTasks", "NoHealthyTask", "SlowAnswers", "CpuHigh")
        ]
        # Nobody is there, so scaling would take tasks away if there were any more to take.
        self.alarms += [
            {
                "AlarmName": f"suppliers-dev-{service}-ServiceTaskCountTargetStepsLowerAlarm-1A2B3C4D",
                "StateValue": "ALARM",
                "AlarmActions": [f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:1:resource/ecs/x"],
            }
            for service in self.services
        ]

    def record(self, service: str) -> dict[str, Any]:
        balancer = {
            "targetGroupArn": group(service, "blue"),
            "containerName": service,
            "containerPort": 8080,
        }
        found: dict[str, Any] = {
            "serviceArn": f"{ECS}:service/{CLUSTER}/{ecs_name(service)}",
            "serviceName": ecs_name(service),
            "clusterArn": f"{ECS}:cluster/{CLUSTER}",
            "status": "ACTIVE",
            "desiredCount": 2,
            "runningCount": 2,
            "pendingCount": 0,
            "taskDefinition": task_definition(service, 7),
            "deploymentController": {"type": self.controller},
            "loadBalancers": [balancer],
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "subnets": ["subnet-1"],
                    "securityGroups": ["sg-1"],
                    "assignPublicIp": "DISABLED",
                }
            },
        }
        if self.controller == "CODE_DEPLOY":
            found["taskSets"] = [
                {
                    "id": f"ecs-svc/{service}7",
                    "status": "PRIMARY",
                    "externalId": f"d-{service.upper()}7",
                    "taskDefinition": task_definition(service, 7),
                    "createdAt": NOW,
                    "loadBalancers": [balancer],
                }
            ]
        else:
            found["deployments"] = [
                {
                    "id": f"ecs-svc/{service}7",
                    "status": "PRIMARY",
                    "taskDefinition": task_definition(service, 7),
                    "createdAt": NOW,
                    "rolloutState": "COMPLETED",
                }
            ]
        return found

    @staticmethod
    def target(address: str, zone: str, state: str = "healthy") -> dict[str, Any]:
        return {
            "Target": {"Id": address, "Port": 8080, "AvailabilityZone": zone},
            "TargetHealth": {"State": state},
        }

    @staticmethod
    def task(service: str, identifier: str, zone: str, revision: int = 7) -> dict[str, Any]:
        return {
            "taskArn": f"{ECS}:task/{CLUSTER}/{identifier}",
            "clusterArn": f"{ECS}:cluster/{CLUSTER}",
            "taskDefinitionArn": task_definition(service, revision),
            "group": f"service:{ecs_name(service)}",
            "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING",
            "healthStatus": "UNKNOWN",
            "availabilityZone": zone,
            "createdAt": NOW,
            "startedAt": NOW,
            "enableExecuteCommand": False,
            "containers": [{"name": service, "lastStatus": "RUNNING", "runtimeId": f"{identifier}-1"}],
            "attachments": [
                {
                    "type": "ElasticNetworkInterface",
                    "details": [{"name": "privateIPv4Address", "value": "10.0.1.17"}],
                }
            ],
        }

    def outputs(self, part: str) -> dict[str, str]:
        match part:
            case "data":
                return {"DatabaseIdentifier": self.database["DBInstanceIdentifier"]}
            case "observability":
                url = "https://us-east-1.console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/suppliers-dev"
                return {"DashboardUrl": url}
            case "compute":
                return {
                    "ApplicationUrl": "http://suppliers-dev.example.com/",
                    "ClusterName": CLUSTER,
                    **{f"{name}ListenerArn": arn for name, arn in LISTENERS.items()},
                }
            case part if part in self.services:
                return {
                    "ServiceName": ecs_name(part),
                    "BlueTargetGroupArn": group(part, "blue"),
                    "GreenTargetGroupArn": group(part, "green"),
                    "LogGroupName": f"/suppliers-dev/{part}",
                }
            case part if part.startswith("delivery-"):
                name = f"suppliers-dev-{part.removeprefix('delivery-')}"
                return {"PipelineUrl": f"https://us-east-1.console.aws.amazon.com/{name}/view"}
            case _:
                return {}

    def account(self, *, latency: float = 0.0, **operations: Handler) -> Account:
        """The account; `operations` are named with two underscores in place of the colon."""
        given = {name.replace("__", ":").replace("_", "-"): handler for name, handler in operations.items()}
        return Account(
            latency=latency,
            operations={
                "sts:GetCallerIdentity": lambda asked: {
                    "Account": ACCOUNT,
                    "UserId": "A",
                    "Arn": f"arn:aws:iam::{ACCOUNT}:user/x",
                },
                "cloudformation:DescribeStacks": self._stack,
                "ecs:DescribeServices": self._services,
                "ecs:DescribeTaskDefinition": self._definition,
                "ecs:ListTasks": self._list_tasks,
                "ecs:DescribeTasks": self._describe_tasks,
                "elbv2:DescribeRules": self._rules,
                "elbv2:DescribeTargetHealth": lambda asked: {
                    "TargetHealthDescriptions": deepcopy(self.health[asked["TargetGroupArn"]])
                },
                "rds:DescribeDBInstances": lambda asked: {"DBInstances": [self.database]},
                "cloudwatch:DescribeAlarms": self._alarms,
                **given,
            },
        )

    def _stack(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        name = asked["StackName"]
        part = name.removeprefix("suppliers-dev-")
        status = self.statuses.get(part, "UPDATE_COMPLETE")
        if status == "NOT_DEPLOYED":
            raise refusal("ValidationError", f"Stack with id {name} does not exist")
        outputs = {} if status.startswith(("ROLLBACK", "REVIEW", "CREATE_IN")) else self.outputs(part)
        return {
            "Stacks": [
                {
                    "StackName": name,
                    "StackStatus": status,
                    "CreationTime": NOW,
                    "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
                }
            ]
        }

    def _services(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert len(asked["services"]) <= 10
        by_name = {record["serviceName"]: record for record in self.records.values()}
        return {"services": [deepcopy(by_name[name]) for name in asked["services"] if name in by_name]}

    def _definition(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        arn = asked["taskDefinition"]
        if not arn.startswith("arn:"):
            arn = f"{ECS}:task-definition/{arn}:3"
        family, _, revision = arn.rpartition("/")[2].partition(":")
        service = family.removeprefix("suppliers-dev-").partition("-")[0]
        tag = self.pushed.get(arn)
        return {
            "taskDefinition": {
                "taskDefinitionArn": arn,
                "family": family,
                "revision": int(revision),
                "status": "INACTIVE" if arn in self.inactive else "ACTIVE",
                "containerDefinitions": [
                    {
                        "name": service,
                        "image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/"
                        + (f"suppliers-dev/{service}:{tag}" if tag else "cdk-container-assets:abc"),
                        "dockerLabels": {"version": self.versions.get(arn, f"{service}-{revision}")},
                        "logConfiguration": {
                            "logDriver": "awslogs",
                            "options": {
                                "awslogs-group": f"/suppliers-dev/{service}",
                                "awslogs-stream-prefix": service,
                            },
                        },
                    }
                ],
            }
        }

    def _list_tasks(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        wanted = asked.get("serviceName")
        arns = [
            task["taskArn"]
            for task in self.tasks
            if task["desiredStatus"] == asked.get("desiredStatus", "RUNNING")
            and wanted in (None, task["group"].removeprefix("service:"))
        ]
        return _page("taskArns", arns, asked, "nextToken", self.page_size)

    def _describe_tasks(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        assert 1 <= len(asked["tasks"]) <= 100
        return {"tasks": [deepcopy(task) for task in self.tasks if task["taskArn"] in asked["tasks"]]}

    def _rules(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        rules = [
            {
                "RuleArn": f"{asked['ListenerArn'].replace(':listener/', ':listener-rule/')}/{number:016x}",
                "Priority": str(200 - 10 * number),
                "Conditions": [
                    {
                        "Field": "path-pattern",
                        "Values": [f"/{'admin' if service == 'employee' else service}*"],
                    },
                    *(
                        [{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/16"]}}]
                        if service == "employee"
                        else []
                    ),
                ],
                "Actions": [
                    {
                        "Type": "forward",
                        "ForwardConfig": {
                            "TargetGroups": [
                                {"TargetGroupArn": group(service, side), "Weight": weight}
                                for side, weight in self.live[service].items()
                            ]
                        },
                    }
                ],
                "IsDefault": False,
            }
            for number, service in enumerate(self.services)
        ]
        rules.append(
            {
                "RuleArn": f"{asked['ListenerArn'].replace(':listener/', ':listener-rule/')}/default",
                "Priority": "default",
                "Conditions": [],
                "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
                "IsDefault": True,
            }
        )
        return {"Rules": rules}

    def _alarms(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if "AlarmNames" in asked:
            named = [alarm for alarm in self.alarms if alarm["AlarmName"] in asked["AlarmNames"]]
            return {"MetricAlarms": [each for each in named if each["StateValue"] == asked["StateValue"]]}
        found = [alarm for alarm in self.alarms if alarm["AlarmName"].startswith(asked["AlarmNamePrefix"])]
        return _page("MetricAlarms", found, asked, "NextToken", asked.get("MaxRecords", 50))


def _page(key: str, found: list[Any], asked: Mapping[str, Any], token: str, size: int) -> Mapping[str, Any]:
    start = int(asked.get(token) or 0)
    page: dict[str, Any] = {key: found[start : start + size]}
    if start + size < len(found):
        page[token] = str(start + size)
    return page
