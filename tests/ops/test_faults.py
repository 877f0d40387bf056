"""The failures of drills, against recorded answers that botocore checks, and against moto."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

import settings
from ops.aws.clients import Clients
from ops.aws.session import Session
from ops.deployed.deployment import ABSENT, DeployedService, Deployment, Stack
from ops.drill.failover import failover
from ops.drill.kill import kill_task, kill_zone
from ops.drill.rollback import CodeDeployRelease, EcsRelease, Rollback, rollback, shares
from ops.errors import OpsError
from ops.load.strength import Fleet, Strength, Task

ACCOUNT = "111122223333"
ECS = f"arn:aws:ecs:us-east-1:{ACCOUNT}"
GROUP = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:targetgroup"
LISTENER = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:listener/app/a/1/2"
BLUE, GREEN = f"{GROUP}/blue/1", f"{GROUP}/green/2"
CUSTOMER = DeployedService("customer", "suppliers-dev-Customer", "/suppliers/dev/customer", BLUE, GREEN)


@dataclass(frozen=True)
class Recorded(Clients):
    """Clients that answer as their stubs say, in this order, and refuse what nobody expected."""

    region: str = "us-east-1"
    stubs: dict[str, Stubber] = field(default_factory=dict)

    def expect(self, service: str, method: str, answer: Mapping[str, Any], /, **asked: Any) -> None:
        if service not in self.stubs:
            client = boto3.Session().client(
                service, region_name=self.region, aws_access_key_id="x", aws_secret_access_key="x"
            )
            self.stubs[service] = Stubber(client)
            self.stubs[service].activate()
        self.stubs[service].add_response(method, dict(answer), asked or None)

    def client(self, service: str) -> Any:
        return self.stubs[service].client

    def all_asked(self) -> None:
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


@dataclass
class Tasks:
    """Tasks as a fleet has them; what is stopped stays listed, as it does on AWS for a while."""

    running: Sequence[Task]
    desired: Mapping[str, int] = field(default_factory=lambda: {"customer": 2, "employee": 2})
    stopped: list[str] = field(default_factory=list)

    def tasks(self) -> Sequence[Task]:
        return self.running

    def stop(self, task: Task, reason: str) -> None:
        self.stopped.append(task.id)

    def strengths(self, without: Collection[str] = ()) -> Mapping[str, Strength]:
        return {
            name: Strength(
                wanted, sum(task.service == name and task.arn not in without for task in self.running)
            )
            for name, wanted in self.desired.items()
        }


def task(number: int, service: str = "customer", zone: str = "us-east-1a") -> Task:
    identifier = f"{number:032x}"
    return Task(f"{ECS}:task/dev/{identifier}", service, zone, "RUNNING", f"10.0.0.{number}", f"{number}")


FOUR = (
    task(0xA1),
    task(0xA2, zone="us-east-1b"),
    task(0xB1, "employee"),
    task(0xB2, "employee", "us-east-1b"),
)


def test_the_oldest_task_is_stopped_and_no_other() -> None:
    fleet: Any = Tasks(FOUR)
    drill = kill_task(fleet, "customer", None)
    assert list(drill.steps) == [f"stop task {FOUR[0].id} of customer in us-east-1a"]
    drill.strike()
    assert fleet.stopped == [FOUR[0].id]


def test_a_task_is_chosen_by_how_its_id_begins() -> None:
    chosen = Task(f"{ECS}:task/dev/feed", "customer", "us-east-1b", "RUNNING", "10.0.0.9", "9")
    fleet: Any = Tasks([*FOUR, chosen])
    assert [victim.id for victim in kill_task(fleet, "customer", "fee").victims] == ["feed"]
    with pytest.raises(OpsError, match="2 tasks of customer begin so"):
        kill_task(fleet, "customer", "0")
    with pytest.raises(OpsError, match="customer has no task abc: running: 0000"):
        kill_task(fleet, "customer", "abc")


def test_a_killed_task_does_not_count_until_another_has_taken_its_place() -> None:
    fleet: Any = Tasks(FOUR)
    drill = kill_task(fleet, "customer", None)
    drill.strike()
    assert (drill.look().text, drill.look().recovered) == ("customer 1/2, employee 2/2", False)
    fleet.running = [*FOUR, task(0xA3)]
    assert (drill.look().text, drill.look().recovered) == ("customer 2/2, employee 2/2", True)


def test_a_zone_is_emptied_of_the_tasks_of_every_service() -> None:
    fleet: Any = Tasks([*FOUR, task(0xC1, zone="us-east-1b")])
    drill = kill_zone(fleet, None)
    drill.strike()
    assert sorted(fleet.stopped) == [FOUR[1].id, FOUR[3].id, task(0xC1).id], "the zone with the most tasks"
    assert drill.facts["tasks by zone"] == "us-east-1a 2, us-east-1b 3"
    assert [victim.zone for victim in kill_zone(fleet, "us-east-1a").victims] == ["us-east-1a"] * 2


def test_a_zone_without_tasks_is_refused_with_those_that_have_some() -> None:
    fleet: Any = Tasks(FOUR)
    with pytest.raises(OpsError, match=r"--zone us-east-1f: no task runs there; .*: us-east-1a, us-east-1b"):
        kill_zone(fleet, "us-east-1f")


def described(number: int, *, status: str = "RUNNING") -> dict[str, Any]:
    details = [{"name": "privateIPv4Address", "value": f"10.0.0.{number}"}]
    return {
        "taskArn": f"{ECS}:task/dev/{number}",
        "lastStatus": status,
        "availabilityZone": "us-east-1a",
        "attachments": [{"type": "ElasticNetworkInterface", "details": details}],
        "startedAt": datetime(2026, 11, 2, 10, number, tzinfo=UTC),
    }


def test_only_running_tasks_that_are_healthy_behind_either_group_serve() -> None:
    clients = Recorded()
    service = {
        "serviceName": CUSTOMER.service_name,
        "status": "ACTIVE",
        "desiredCount": 3,
        "runningCount": 3,
        "pendingCount": 1,
    }
    clients.expect("ecs", "describe_services", {"services": [service]})
    tasks = [described(1), described(2), described(3), described(4, status="PENDING"), described(5)]
    arns = [each["taskArn"] for each in tasks]
    clients.expect("ecs", "list_tasks", {"taskArns": arns[:2], "nextToken": "more"})
    clients.expect("ecs", "describe_tasks", {"tasks": tasks[:2]}, cluster="dev", tasks=arns[:2])
    clients.expect("ecs", "list_tasks", {"taskArns": arns[2:]})
    clients.expect("ecs", "describe_tasks", {"tasks": tasks[2:]}, cluster="dev", tasks=arns[2:])
    for group, states in (
        (BLUE, {1: "healthy", 2: "draining", 4: "healthy", 5: "healthy"}),
        (GREEN, {3: "healthy"}),
    ):
        targets = [
            {"Target": {"Id": f"10.0.0.{number}", "Port": 8080}, "TargetHealth": {"State": state}}
            for number, state in states.items()
        ]
        clients.expect(
            "elbv2", "describe_target_health", {"TargetHealthDescriptions": targets}, TargetGroupArn=group
        )
    fleet = Fleet(clients, "dev", [CUSTOMER])
    # 2 is draining, 4 has not started, 5 was killed though it still runs.
    assert fleet.strengths(without=[f"{ECS}:task/dev/5"]) == {"customer": Strength(3, 2)}
    clients.all_asked()


def test_a_service_that_is_gone_is_one_line() -> None:
    clients = Recorded()
    clients.expect("ecs", "describe_services", {"services": []})
    with pytest.raises(OpsError, match="ECS has no active service suppliers-dev-Customer"):
        Fleet(clients, "dev", [CUSTOMER]).counts()


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("rds", region_name="us-east-1")


@pytest.mark.parametrize("multi_az", [True, False])
def test_a_failover_is_forced_only_where_there_is_a_standby(rds: Any, multi_az: bool) -> None:
    rds.create_db_instance(
        DBInstanceIdentifier="suppliers",
        Engine="mysql",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        MultiAZ=multi_az,
    )
    clients = Clients("us-east-1")
    asked: list[dict[str, Any]] = []
    clients.client("rds").meta.events.register(
        "provide-client-params.rds.RebootDBInstance", lambda params, **_: asked.append(dict(params))
    )
    session = Session(settings.load("dev"), clients)
    fleet: Any = Tasks(FOUR)
    drill = failover(session, fleet, "suppliers")
    drill.strike()
    assert asked == [{"DBInstanceIdentifier": "suppliers", "ForceFailover": multi_az}]
    assert ("with failover" in drill.steps[0]) is multi_az
    assert "standby" in drill.meaning
    assert drill.facts["zone before"] == drill._seen().zone


def test_a_failover_is_over_when_the_database_was_away_and_is_back() -> None:
    clients = Recorded()
    instance = {"MultiAZ": True, "AvailabilityZone": "us-east-1a", "DBInstanceStatus": "available"}
    away, back = {"DBInstanceStatus": "rebooting"}, {"AvailabilityZone": "us-east-1b"}
    message = {"SourceIdentifier": "suppliers", "Message": "Multi-AZ instance failover completed"}
    for _ in range(2):
        clients.expect("rds", "describe_db_instances", {"DBInstances": [instance]})
    fleet: Any = Tasks(FOUR)
    drill = failover(Session(settings.load("dev"), clients), fleet, "suppliers")
    clients.expect("rds", "reboot_db_instance", {})
    drill.strike()
    looks = []
    for state, events in (({}, []), (away, []), (back, [message])):
        clients.expect("rds", "describe_db_instances", {"DBInstances": [{**instance, **state}]})
        clients.expect("rds", "describe_events", {"Events": events})
        looks.append(drill.look())
    assert [look.recovered for look in looks] == [False, False, True]
    assert looks[1].text == "database rebooting; customer 2/2, employee 2/2"
    assert drill.facts["zone before"] == "us-east-1a"
    assert drill.facts["zone after"] == "us-east-1b"
    assert drill.facts["events of RDS"] == "Multi-AZ instance failover completed"


def test_a_cluster_fails_over_as_a_cluster_and_is_over_when_it_is_available_again() -> None:
    dev = settings.load("dev")
    database = dev.database.model_copy(update={"cluster": True})
    clients = Recorded()

    def seen(writer: int, status: str) -> None:
        members = [
            {"DBInstanceIdentifier": f"suppliers-instance-{number}", "IsClusterWriter": number == writer}
            for number in (1, 2, 3)
        ]
        cluster = {
            "Status": status,
            "Engine": "mysql",
            "EngineVersion": "8.4.9",
            "DBClusterInstanceClass": "db.m6gd.large",
            "DBClusterMembers": members,
        }
        clients.expect(
            "rds", "describe_db_clusters", {"DBClusters": [cluster]}, DBClusterIdentifier="suppliers"
        )
        for each, zone in zip(members, "abc", strict=True):
            clients.expect(
                "rds",
                "describe_db_instances",
                {"DBInstances": [{"AvailabilityZone": f"us-east-1{zone}"}]},
                DBInstanceIdentifier=each["DBInstanceIdentifier"],
            )

    seen(1, "available")
    fleet: Any = Tasks(FOUR)
    session = Session(dev.model_copy(update={"database": database}), clients)
    drill = failover(session, fleet, "suppliers")
    assert drill.steps == ["fail the database suppliers over to one of its standbys"]
    assert "35 seconds" in drill.meaning
    seen(1, "available")
    clients.expect("rds", "failover_db_cluster", {}, DBClusterIdentifier="suppliers")
    drill.strike()
    looks = []
    completed = {"Message": "Completed failover to DB instance: suppliers-instance-2"}
    for writer, status, events in (
        (1, "available", []),
        (1, "failing-over", []),
        (2, "available", [completed]),
    ):
        seen(writer, status)
        asked = {"SourceIdentifier": "suppliers", "SourceType": "db-cluster", "StartTime": ANY}
        clients.expect("rds", "describe_events", {"Events": events}, **asked)
        looks.append(drill.look())
    assert [look.recovered for look in looks] == [False, False, True]
    assert (drill.facts["zone before"], drill.facts["zone after"]) == ("us-east-1a", "us-east-1b")
    clients.all_asked()


def rule(**weights: int) -> dict[str, Any]:
    groups = [
        {"TargetGroupArn": {"blue": BLUE, "green": GREEN}[side], "Weight": weight}
        for side, weight in weights.items()
    ]
    return {"Priority": "200", "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]}


def routed(clients: Recorded, *rules: Mapping[str, Any]) -> None:
    other = {"Type": "forward", "TargetGroupArn": f"{GROUP}/employee/3"}
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}
    others = [{"Priority": "100", "Actions": [other]}, {"Priority": "default", "Actions": [fixed]}]
    clients.expect("elbv2", "describe_rules", {"Rules": [*rules, *others]}, ListenerArn=LISTENER)


def test_shares_are_those_of_the_services_own_rules() -> None:
    clients = Recorded()
    routed(clients, rule(blue=90, green=10), rule(blue=100, green=0))
    assert shares(clients, LISTENER, CUSTOMER) == {BLUE: 95.0, GREEN: 5.0}


@dataclass
class FakeRelease:
    """A release by nobody; `over` says from which question on it has ended."""

    by: str = "nobody"
    over: int = 10**6
    done: list[str] = field(default_factory=list)
    asked: int = 0

    def start(self) -> str:
        self.done.append("start")
        return "d-1"

    def state(self) -> str:
        return "InProgress"

    def ended(self) -> bool:
        self.asked += 1
        return self.asked > self.over

    def stop(self) -> None:
        self.done.append("stop")

    def taken_back(self) -> bool:
        return "stop" in self.done


def drilled(clients: Recorded, release: FakeRelease) -> Rollback:
    fleet: Any = Tasks(FOUR)
    return Rollback(
        clients,
        fleet,
        CUSTOMER,
        LISTENER,
        BLUE,
        release,
        5.0,
        pause=lambda seconds: release.done.append(f"{seconds:g} s"),
    )


def test_a_release_is_stopped_when_its_tasks_have_served_for_the_time_asked_for() -> None:
    clients, release = Recorded(), FakeRelease()
    routed(clients, rule(blue=100, green=0))
    for _ in range(2):
        routed(clients, rule(blue=90, green=10))
    drill = drilled(clients, release)
    drill.strike()
    assert release.done == ["start", "0.2 s", "5 s", "stop"]
    assert drill.facts["share of the traffic when stopped"] == "90 % blue, 10 % green"
    routed(clients, rule(blue=90, green=10))
    assert not drill.look().recovered
    routed(clients, rule(blue=1))
    assert drill.look().recovered
    clients.all_asked()


def test_a_release_that_ends_by_itself_is_no_drill() -> None:
    clients = Recorded()
    routed(clients, rule(blue=100))
    with pytest.raises(OpsError, match="d-1 ended before it received a request"):
        drilled(clients, FakeRelease(over=0)).strike()
    routed(clients, rule(green=100))
    with pytest.raises(OpsError, match="give less than the bake time as --hold"):
        drilled(clients, FakeRelease(over=0)).strike()


def test_codedeploy_releases_what_serves_and_takes_it_back() -> None:
    clients = Recorded()
    release = CodeDeployRelease(
        clients, "application", "group", f"{ECS}:task-definition/customer:7", "customer", 8080
    )
    content = (
        '{"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": '
        f'{{"TaskDefinition": "{ECS}:task-definition/customer:7", "LoadBalancerInfo": '
        '{"ContainerName": "customer", "ContainerPort": 8080}}}}]}'
    )
    clients.expect(
        "codedeploy",
        "create_deployment",
        {"deploymentId": "d-1"},
        applicationName="application",
        deploymentGroupName="group",
        description="Drill: the version that serves once more, to be taken back",
        revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
    )
    assert release.start() == "d-1"
    clients.expect(
        "codedeploy", "stop_deployment", {"status": "Pending"}, deploymentId="d-1", autoRollbackEnabled=True
    )
    release.stop()
    now = datetime(2026, 11, 2, tzinfo=UTC)
    stopped = {"status": "Stopped", "completeTime": now, "rollbackInfo": {"rollbackDeploymentId": "d-2"}}
    for first, second, back in (
        ({"status": "InProgress"}, None, False),
        (stopped, {"status": "InProgress"}, False),
        (stopped, {"status": "Succeeded", "completeTime": now}, True),
    ):
        clients.expect("codedeploy", "get_deployment", {"deploymentInfo": first}, deploymentId="d-1")
        if second:
            clients.expect("codedeploy", "get_deployment", {"deploymentInfo": second}, deploymentId="d-2")
        assert release.taken_back() is back
    clients.all_asked()


def test_ecs_releases_what_serves_and_takes_it_back() -> None:
    clients = Recorded()
    old, new = (f"{ECS}:service-deployment/dev/customer/{name}" for name in ("old", "new"))
    release = EcsRelease(clients, "dev", "customer")
    clients.expect("ecs", "list_service_deployments", {"serviceDeployments": [{"serviceDeploymentArn": old}]})
    clients.expect("ecs", "update_service", {}, cluster="dev", service="customer", forceNewDeployment=True)
    both = [{"serviceDeploymentArn": new}, {"serviceDeploymentArn": old}]
    clients.expect("ecs", "list_service_deployments", {"serviceDeployments": both})
    assert release.start() == "new"
    clients.expect("ecs", "stop_service_deployment", {}, serviceDeploymentArn=new, stopType="ROLLBACK")
    release.stop()
    for status, back in (("ROLLBACK_IN_PROGRESS", False), ("ROLLBACK_SUCCESSFUL", True)):
        found = {"serviceDeploymentArn": new, "status": status}
        clients.expect("ecs", "describe_service_deployments", {"serviceDeployments": [found]})
        assert release.taken_back() is back
    clients.all_asked()


def test_rolling_releases_have_no_way_back_to_drill() -> None:
    environment = settings.load("local")
    deployment = Deployment(environment, {"compute": Stack("suppliers-local-compute", ABSENT, {})})
    fleet: Any = Tasks(FOUR)
    with pytest.raises(OpsError, match="controller = 'rolling'"):
        rollback(Session(environment, Recorded()), deployment, fleet, CUSTOMER, hold=5)
