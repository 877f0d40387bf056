from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

import settings
from ops.aws.endpoint import Endpoint
from ops.service import validate
from tests.ops.account import Account, refuse
from tests.ops.conftest import Run
from tests.ops.platform import CLUSTER, NOW, Platform, ecs_name, group

DASHBOARD = {
    "widgets": [
        {"type": "text", "properties": {"markdown": "## customer"}},
        {
            "type": "metric",
            "properties": {
                "metrics": [
                    ["AWS/ECS", "CPUUtilization", "ServiceName", "x", "ClusterName", "y", {"label": "CPU"}],
                    [{"expression": "a + b", "label": "both"}],
                    ["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", "db"],
                    # Of what nobody did yet.
                    ["AWS/Events", "TriggeredRules", "RuleName", "release"],
                    ["AWS/WAFV2", "BlockedRequests", "WebACL", "suppliers-dev", "Rule", "ALL"],
                    ["Directory", "Requests", "Environment", "dev", "Service", "customer"],
                ]
            },
        },
    ]
}


class Site:
    """What the application answers, and which tasks logged it."""

    def __init__(self) -> None:
        self.statuses = {"/": 200, "/suppliers": 200, "/api/suppliers": 200, "/admin/suppliers": 403}
        self.headers: dict[str, str] = {}
        self.tasks = 2
        self.traces: list[str] = []

    def client(self, endpoint: Endpoint, timeout: float = 5.0) -> httpx.Client:
        def answer(request: httpx.Request) -> httpx.Response:
            trace = request.headers.get("x-amzn-trace-id", "")
            if trace:
                self.traces.append(trace)
            return httpx.Response(self.statuses[request.url.path], headers=self.headers)

        return httpx.Client(base_url=endpoint.url, transport=httpx.MockTransport(answer))

    def events(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "events": [
                {
                    "message": f'{{"trace": "{trace}"}}',
                    "logStreamName": f"customer/customer/{number % self.tasks}",
                }
                for number, trace in enumerate(self.traces)
            ]
        }


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site()
    monkeypatch.setattr(Endpoint, "client", lambda self: made.client(self))
    monkeypatch.setattr(validate, "_LOG_SECONDS", 0)
    monkeypatch.setattr(validate, "_POLL_SECONDS", 0)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: [(0, 0, 0, "", ("192.0.2.1", 443))])
    return made


def account(platform: Platform, site: Site, **operations: Any) -> Account:
    made = platform.account(
        logs__FilterLogEvents=site.events,
        cloudwatch__GetDashboard=lambda asked: {"DashboardBody": json.dumps(DASHBOARD)},
        cloudwatch__GetMetricData=lambda asked: {
            "MetricDataResults": [
                {
                    "Id": query["Id"],
                    "Values": [1.0]
                    if query["MetricStat"]["Metric"]["Namespace"] in ("AWS/ECS", "AWS/RDS")
                    else [],
                }
                for query in asked["MetricDataQueries"]
            ]
        },
        rds__DescribeEvents=lambda asked: {
            "Events": [
                {
                    "Date": datetime(2026, 11, 19, tzinfo=UTC),
                    "Message": "Multi-AZ instance failover completed",
                }
            ]
        },
        **operations,
    )
    resources = [f"service/{CLUSTER}/{ecs_name(service)}" for service in platform.services]
    common = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount", "CreationTime": NOW}
    made.operations.update(
        {
            "application-autoscaling:DescribeScalableTargets": lambda asked: {
                "ScalableTargets": [
                    {
                        **common,
                        "ResourceId": resource,
                        "MinCapacity": 2,
                        "MaxCapacity": 4,
                        "RoleARN": "arn:role",
                    }
                    for resource in resources
                ]
            },
            "application-autoscaling:DescribeScalingPolicies": lambda asked: {
                "ScalingPolicies": [
                    {
                        **common,
                        "ResourceId": resource,
                        "PolicyARN": "arn:x",
                        "PolicyName": "x",
                        "PolicyType": kind,
                    }
                    for resource in resources
                    for kind in ("TargetTrackingScaling", "StepScaling")
                ]
            },
        }
    )
    return made


def results(run: Run, made: Account, *options: str) -> tuple[int, dict[str, Mapping[str, str]]]:
    done = run(made, "validate", "--json", *options)
    return done.exit_code, {line["check"]: line for line in json.loads(done.stdout)}


def test_a_platform_that_is_well_passes_every_line_with_evidence(run: Run, site: Site) -> None:
    status, found = results(run, account(Platform(), site))
    assert [check for check, line in found.items() if line["state"] != "passed"] == [
        "a snapshot of the last day is kept"
    ]
    assert found["a snapshot of the last day is kept"]["evidence"].startswith("no [backup]")
    assert status == 0
    assert len(found) == 14
    assert all(line["evidence"] for line in found.values())
    # Nobody uses it: scaling's own alarms are on, and what counts events has no data.
    assert found["no alarm fires"]["evidence"] == "10 alarms"
    assert "none of AWS/Events, AWS/WAFV2, Directory" in found["the dashboard shows data"]["evidence"]
    spread = found["the load balancer answers and spreads the requests"]
    assert spread["evidence"] == "24 x 200; answered by 2 of 2 tasks of customer"


def _zones(platform: Platform) -> None:
    for task in platform.tasks:
        task["availabilityZone"] = "us-east-1a"


def _targets(platform: Platform) -> None:
    platform.health[group("customer", "blue")][0]["TargetHealth"]["State"] = "unhealthy"


def _no_targets(platform: Platform) -> None:
    platform.health[group("customer", "blue")] = []


def _no_traffic(platform: Platform) -> None:
    platform.live["employee"] = {"blue": 0, "green": 0}


def _counts(platform: Platform) -> None:
    platform.records["customer"]["runningCount"] = 1


def _standby(platform: Platform) -> None:
    platform.database |= {"MultiAZ": False}
    platform.database.pop("SecondaryAvailabilityZone")


def _same_zone(platform: Platform) -> None:
    platform.database["SecondaryAvailabilityZone"] = "us-east-1a"


def _alarm(platform: Platform) -> None:
    platform.alarms[0]["StateValue"] = "ALARM"


def _stack(platform: Platform) -> None:
    platform.statuses["network"] = "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    ("spoil", "check", "evidence"),
    [
        (_stack, "the stacks are complete", "its last update failed and was rolled back"),
        (_counts, "each service runs all its tasks, two at least", "customer: 1 of 2"),
        (_zones, "each service runs in two zones or more", "customer: 2 in us-east-1a"),
        (_targets, "all targets are healthy", "customer: 1 healthy, 1 unhealthy"),
        (_no_targets, "all targets are healthy", "customer: none"),
        (_no_traffic, "all targets are healthy", "employee: none"),
        (_standby, "the database has a standby in another zone", "MultiAZ false, us-east-1a, standby none"),
        (_same_zone, "the database has a standby in another zone", "us-east-1a, standby us-east-1a"),
        (_alarm, "no alarm fires", "suppliers-dev-observability-customer-ServerErrors"),
    ],
)
def test_what_is_wrong_with_the_platform_fails_its_line(
    run: Run, site: Site, spoil: Callable[[Platform], None], check: str, evidence: str
) -> None:
    platform = Platform()
    spoil(platform)
    status, found = results(run, account(platform, site))
    assert status == 3
    assert [name for name, line in found.items() if line["state"] == "failed"] == [check]
    assert evidence in found[check]["evidence"]


def test_an_application_that_fails_or_answers_from_one_task_only_fails(run: Run, site: Site) -> None:
    check = "the load balancer answers and spreads the requests"
    site.tasks = 1
    status, found = results(run, account(Platform(), site))
    assert (status, found[check]["state"]) == (3, "failed")
    assert "answered by 1 of 2 tasks" in found[check]["evidence"]
    site.statuses["/"] = 503
    _, found = results(run, account(Platform(), site))
    assert "24 x 503" in found[check]["evidence"]


def test_behind_cloudfront_requests_pass_its_cache_and_are_found_by_the_load_balancer_s_ids(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    load = settings.load

    def with_edge(name: str) -> tuple[settings.Environment, Sequence[str]]:
        return load(name).model_copy(update={"cdn": settings.Cdn()}), ()

    def client(endpoint: Endpoint, timeout: float = 5.0) -> httpx.Client:
        def answer(request: httpx.Request) -> httpx.Response:
            # What was asked for before is answered at the edge, and ids of viewers are not passed on.
            if str(request.url) not in asked:
                asked.append(str(request.url))
                site.traces.append(f"Root=1-{len(asked):08x}-abcdef")
            return httpx.Response(site.statuses[request.url.path])

        return httpx.Client(base_url=endpoint.url, transport=httpx.MockTransport(answer))

    monkeypatch.setattr(settings, "load_known", with_edge)
    monkeypatch.setattr(Endpoint, "client", client)
    _, found = results(run, account(Platform(), site))
    line = found["the load balancer answers and spreads the requests"]
    assert (line["state"], line["evidence"]) == (
        "passed",
        "24 x 200; answered by 2 of 2 tasks of customer",
    )
    assert len([each for each in asked if "validate=" in each]) == 24


def test_lists_of_before_fail_though_they_are_answered(run: Run, site: Site) -> None:
    line = "what is shown is read from the database"
    assert results(run, account(Platform(), site))[1][line]["state"] == "passed"
    site.headers["Cache-Status"] = "directory; hit; ttl=-45"
    found = results(run, account(Platform(), site))[1][line]
    assert found["state"] == "failed"
    evidence = found["evidence"]
    assert "/suppliers shows what was read 45 s ago, as the database is away" in evidence


def test_an_open_administration_fails(run: Run, site: Site) -> None:
    site.statuses["/admin/suppliers"] = 200
    status, found = results(run, account(Platform(), site))
    assert status == 3
    assert found["the administration is closed from outside"]["state"] == "failed"


def test_a_rule_that_leads_everybody_to_the_administration_fails(run: Run, site: Site) -> None:
    made = account(Platform(), site)
    original = made.operations["elbv2:DescribeRules"]

    def opened(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = original(asked)
        for rule in answer["Rules"]:
            for condition in rule["Conditions"]:
                if condition["Field"] == "source-ip":
                    condition["SourceIpConfig"]["Values"] = ["0.0.0.0/0"]
        return answer

    made.operations["elbv2:DescribeRules"] = opened
    _, found = results(run, made)
    assert found["the administration is closed from outside"]["evidence"] == "rule 190 leads everybody to it"


def test_behind_cloudfront_rules_that_need_the_edge_s_word_are_closed(run: Run, site: Site) -> None:
    made = account(Platform(), site)
    original = made.operations["elbv2:DescribeRules"]

    def said_by(value: str) -> Any:
        def answer(asked: Mapping[str, Any]) -> Mapping[str, Any]:
            found = original(asked)
            for rule in found["Rules"]:
                for condition in rule["Conditions"]:
                    if condition["Field"] == "source-ip":
                        condition.clear()
                        config = {"HttpHeaderName": "x-viewer-network", "Values": [value]}
                        condition.update({"Field": "http-header", "HttpHeaderConfig": config})
            return found

        return answer

    made.operations["elbv2:DescribeRules"] = said_by("admin")
    _, found = results(run, made)
    assert found["the administration is closed from outside"]["state"] == "passed"
    made.operations["elbv2:DescribeRules"] = said_by("public")
    _, found = results(run, made)
    assert found["the administration is closed from outside"]["evidence"] == "rule 190 leads everybody to it"


def test_a_name_that_does_not_resolve_fails(run: Run, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    _, found = results(run, account(Platform(), site))
    line = found["the application answers under its DNS name"]
    assert (line["state"], line["evidence"]) == (
        "failed",
        "suppliers-dev.example.com does not resolve: Name or service not known",
    )


def test_a_silent_dashboard_fails_with_the_namespace_without_data(run: Run, site: Site) -> None:
    made = account(Platform(), site)
    made.operations["cloudwatch:GetMetricData"] = lambda asked: {
        "MetricDataResults": [
            {
                "Id": query["Id"],
                "Values": [1.0] if query["MetricStat"]["Metric"]["Namespace"] == "AWS/ECS" else [],
            }
            for query in asked["MetricDataQueries"]
        ]
    }
    _, found = results(run, made)
    assert (
        "1 of 5 metrics have data of the last 3 hours, none of AWS/Events, AWS/RDS, AWS/WAFV2, Directory"
        in found["the dashboard shows data"]["evidence"]
    )
    assert found["the dashboard shows data"]["state"] == "failed"


def test_scaling_without_policies_or_with_narrower_bounds_fails(run: Run, site: Site) -> None:
    check = "scaling policies are attached, with the right bounds"
    made = account(Platform(), site)
    made.operations["application-autoscaling:DescribeScalingPolicies"] = lambda asked: {"ScalingPolicies": []}
    _, found = results(run, made)
    assert found[check]["evidence"] == "customer: no policy; employee: no policy"
    made = account(Platform(), site)
    original = made.operations["application-autoscaling:DescribeScalableTargets"]
    made.operations["application-autoscaling:DescribeScalableTargets"] = lambda asked: {
        "ScalableTargets": [{**target, "MaxCapacity": 2} for target in original(asked)["ScalableTargets"]]
    }
    _, found = results(run, made)
    assert "customer: 2 to 2, not 2 to 4" in found[check]["evidence"]


@pytest.mark.parametrize(
    ("completed", "created", "state", "evidence"),
    [
        (True, 40, "passed", "suppliers-dev-data-database: "),
        (False, 40, "failed", "none completed in 33 hours"),
        (False, 2, "not tried", "is younger than its first one"),
    ],
)
def test_a_snapshot_that_never_came_fails(
    run: Run,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    completed: bool,
    created: int,
    state: str,
    evidence: str,
) -> None:
    load, now = settings.load, datetime.now(UTC)
    monkeypatch.setattr(
        settings, "load_known", lambda name: (load(name).model_copy(update={"backup": settings.Backup()}), ())
    )
    made = account(Platform(), site)
    original = made.operations["cloudformation:DescribeStacks"]

    def stacks(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        (found,) = original(asked)["Stacks"]
        return {"Stacks": [{**found, "CreationTime": now - timedelta(hours=created)}]}

    # Another database of the account has one in any case.
    arns = [
        "arn:aws:rds:us-east-1:1:db:another",
        *["arn:aws:rds:us-east-1:1:db:suppliers-dev-data-database"] * completed,
    ]
    made.operations["cloudformation:DescribeStacks"] = stacks
    made.operations["backup:ListBackupJobs"] = lambda asked: {
        "BackupJobs": [{"ResourceArn": arn, "CreationDate": now, "State": "COMPLETED"} for arn in arns]
    }
    status, found = results(run, made)
    line = found["a snapshot of the last day is kept"]
    assert (line["state"], status) == (state, 3 if state == "failed" else 0)
    assert evidence in line["evidence"]
    (asked,) = made.requests("backup:ListBackupJobs")
    assert asked["ByState"] == "COMPLETED"


def test_a_failover_is_asked_for_by_an_option(run: Run, site: Site) -> None:
    made = account(Platform(), site)
    made.operations["rds:DescribeEvents"] = lambda asked: {"Events": []}
    status, found = results(run, made)
    assert (status, found["a failover of the database was tried"]["state"]) == (0, "not tried")
    status, found = results(run, made, "--failover")
    assert (status, found["a failover of the database was tried"]["state"]) == (3, "failed")


def test_a_check_that_aws_refuses_fails_alone(run: Run, site: Site) -> None:
    made = account(Platform(), site)
    made.operations["rds:DescribeDBInstances"] = refuse("AccessDenied", "no")
    status, found = results(run, made)
    failed = [line for line in found.values() if line["state"] == "failed"]
    assert status == 3
    assert len(failed) == 1
    assert "may not do" in failed[0]["evidence"]


def test_the_table_for_people_ends_with_the_sums(run: Run, site: Site) -> None:
    assert run(account(Platform(), site), "validate").stdout.endswith("13 passed, 1 not tried\n")
