"""What somebody needs who was woken up: `waf` and `pipeline`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

import settings
from ops.errors import OpsError
from ops.service import waf
from tests.ops.account import Account, refuse
from tests.ops.conftest import Run
from tests.ops.platform import NOW, Platform

ROWS = [
    {
        "terminatingRuleId": "Common",
        "within": "SizeRestrictions_BODY",
        "httpRequest.uri": "/admin/supplier-add",
        "httpRequest.country": "DE",
        "httpRequest.clientIp": "198.51.100.7",
        "requests": "1200",
    },
    {
        "terminatingRuleId": "RateLimit",
        "httpRequest.uri": "/suppliers",
        "httpRequest.country": "US",
        "httpRequest.clientIp": "198.51.100.8",
        "requests": "40",
    },
]


@pytest.fixture
def behind_a_web_acl(monkeypatch: pytest.MonkeyPatch) -> None:
    load = settings.load
    monkeypatch.setattr(
        settings, "load_known", lambda name: (load(name).model_copy(update={"waf": settings.Waf()}), ())
    )
    monkeypatch.setattr(waf, "_POLL_SECONDS", 0)


def logging(*answers: Mapping[str, Any]) -> Account:
    """An account whose query of the log answers one thing after the other, the last one again and again."""
    given = list(answers)
    return Platform().account(
        logs__StartQuery=lambda asked: {"queryId": "query"},
        logs__GetQueryResults=lambda asked: given.pop(0) if len(given) > 1 else given[0],
    )


def complete(rows: list[dict[str, str]]) -> Mapping[str, Any]:
    fields = [[{"field": key, "value": value} for key, value in row.items()] for row in rows]
    return {"status": "Complete", "results": fields}


@pytest.mark.usefixtures("behind_a_web_acl")
def test_what_the_web_acl_blocked_is_told_by_the_name_that_makes_it_count(run: Run) -> None:
    account = logging({"status": "Running", "results": []}, complete(ROWS))
    found = json.loads(run(account, "waf", "--since", "10m", "--json").stdout)
    assert [(each["requests"], each["rule"], each["path"]) for each in found] == [
        (1200, "Common/SizeRestrictions_BODY", "/admin/supplier-add"),
        (40, "RateLimit", "/suppliers"),
    ]
    # As it is shown, it can be set.
    settings.Waf(count_rules=tuple(each["rule"] for each in found))
    (asked,) = account.requests("logs:StartQuery")
    assert asked["logGroupName"] == "aws-waf-logs-suppliers-dev"
    assert 600 <= asked["endTime"] - asked["startTime"] <= 600 + 120
    assert 'filter action = "BLOCK"' in asked["queryString"]
    assert "limit 20" in asked["queryString"]
    assert "Common/SizeRestrictions_BODY" in run(logging(complete(ROWS)), "waf").stdout


@pytest.mark.usefixtures("behind_a_web_acl")
def test_nothing_blocked_and_a_query_that_fails_are_one_line(run: Run) -> None:
    assert run(logging(complete([])), "waf").stdout == "dev: nothing was blocked in the last 1h\n"
    with pytest.raises(OpsError, match="ended as Failed; repeat it"):
        run(logging({"status": "Failed", "results": []}), "waf")


def test_without_a_web_acl_there_is_nothing_to_ask(run: Run) -> None:
    with pytest.raises(OpsError, match=r"^dev: has no web ACL: environments/dev\.toml has no \[waf\]"):
        run(Platform().account(), "waf")


def action(stage: str, name: str, status: str, provider: str, **result: Any) -> dict[str, Any]:
    return {
        "stageName": stage,
        "actionName": name,
        "status": status,
        "startTime": NOW,
        "input": {
            "actionTypeId": {"category": "Build", "owner": "AWS", "provider": provider, "version": "1"}
        },
        "output": {"executionResult": result},
    }


BUILD = "suppliers-dev-customer-Image:0b1c2d3e"


def delivering(**operations: Any) -> Account:
    return Platform().account(
        **{
            "codepipeline__ListPipelineExecutions": lambda asked: {
                "pipelineExecutionSummaries": [
                    {
                        "pipelineExecutionId": "12345678-1",
                        "status": "Failed",
                        "startTime": NOW,
                        "trigger": {"triggerType": "CloudWatchEvent"},
                        "sourceRevisions": [
                            {
                                "actionName": "Commit",
                                "revisionId": "0123456789abcdef",
                                "revisionSummary": "Show roasters\n",
                            }
                        ],
                    },
                    {"pipelineExecutionId": "87654321-1", "status": "Succeeded"},
                ]
            },
            "codepipeline__ListActionExecutions": lambda asked: {
                "actionExecutionDetails": [
                    action(
                        "Build",
                        "Image",
                        "Failed",
                        "CodeBuild",
                        externalExecutionId=BUILD,
                        externalExecutionSummary="Build terminated with state: FAILED",
                        errorDetails={"code": "JobFailed", "message": "Phase BUILD: exit status 1"},
                    ),
                    action("Source", "Commit", "Succeeded", "CodeCommit"),
                ]
                if asked["filter"]["pipelineExecutionId"] == "12345678-1"
                else []
            },
            "codebuild__BatchGetBuilds": lambda asked: {
                "builds": [{"id": BUILD, "logs": {"groupName": "/builds/image", "streamName": "0b1c2d3e"}}]
            },
            "logs__GetLogEvents": lambda asked: {
                "events": [
                    {"message": "customer: the scan found 1 of HIGH\n"},
                    {"message": "CVE-2026-1 [openssl] in 3.0\n"},
                ]
            },
            **operations,
        }
    )


def test_a_failed_pipeline_shows_the_action_and_the_end_of_its_log(run: Run) -> None:
    account = delivering()
    shown = run(account, "pipeline", "customer", "--lines", "7").stdout
    assert "suppliers-dev-customer, execution 12345678-1, by CloudWatchEvent" in shown
    assert "0123456789ab Show roasters" in shown
    assert shown.index("Commit") < shown.index("Build terminated with state: FAILED")
    assert "Phase BUILD: exit status 1" in " ".join(shown.split())
    assert shown.endswith("customer: the scan found 1 of HIGH\nCVE-2026-1 [openssl] in 3.0\n")
    assert account.requests("codebuild:BatchGetBuilds") == [{"ids": [BUILD]}]
    (asked,) = account.requests("logs:GetLogEvents")
    assert (asked["limit"], asked["startFromHead"]) == (7, False)
    found = json.loads(run(delivering(), "pipeline", "customer", "--json").stdout)
    assert [each["status"] for each in found["actions"]] == ["Succeeded", "Failed"]


def test_another_execution_is_named_by_the_beginning_of_its_id(run: Run) -> None:
    found = json.loads(run(delivering(), "pipeline", "customer", "--execution", "8765", "--json").stdout)
    assert (found["id"], found["status"], found["actions"]) == ("87654321-1", "Succeeded", [])
    with pytest.raises(OpsError, match=r"^dev: suppliers-dev-customer has no execution nope$"):
        run(delivering(), "pipeline", "customer", "--execution", "nope")


def test_a_log_that_is_gone_is_said_to_be(run: Run) -> None:
    account = delivering(logs__GetLogEvents=refuse("ResourceNotFoundException", "no such stream"))
    assert "its log 0b1c2d3e is not kept any more" in run(account, "pipeline", "customer").stdout


def test_without_pipelines_and_without_the_service_it_is_one_line(run: Run) -> None:
    with pytest.raises(OpsError, match="nope"):
        run(delivering(), "pipeline", "nope")
