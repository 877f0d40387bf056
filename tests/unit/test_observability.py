from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import ENVIRONMENTS, Synthesize
from tests.resources import of_type, only


def target_groups_in(text: str) -> tuple[bool, bool]:
    return "TargetGroupsBlue" in text, "TargetGroupsGreen" in text


def alarms_of(templates: Synthesize, name: str) -> list[tuple[str, Any]]:
    return [
        (logical_id, alarm)
        for template in templates(name).values()
        for logical_id, alarm in of_type(template, "AWS::CloudWatch::Alarm").items()
    ]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_alarm_looks_at_one_group_of_a_pair_only(templates: Synthesize, name: str) -> None:
    both = 0
    for logical_id, alarm in alarms_of(templates, name):
        blue, green = target_groups_in(json.dumps(alarm))
        assert blue == green, logical_id
        both += blue
    assert both == 14


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_widget_looks_at_one_group_of_a_pair_only(templates: Synthesize, name: str) -> None:
    body = only(of_type(templates(name)["Observability"], "AWS::CloudWatch::Dashboard"))["DashboardBody"]
    text = json.dumps(body)
    assert text.count("TargetGroupsBlue") == text.count("TargetGroupsGreen") > 0


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_alarm_tells_the_topic_and_says_what_missing_data_means(
    templates: Synthesize, name: str
) -> None:
    (topic,) = of_type(templates(name)["Network"], "AWS::SNS::Topic")
    told = 0
    for template in templates(name).values():
        for logical_id, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
            # Those of step scaling tell the scaling policy only: they fire all day.
            if "TaskCount" in logical_id:
                continue
            assert f"PublishOutputRef{topic}" in json.dumps(alarm["AlarmActions"]), logical_id
            assert alarm["OKActions"] == alarm["AlarmActions"]
            assert alarm["TreatMissingData"]
            assert alarm["AlarmDescription"]
            told += 1
    assert told


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_messages_are_encrypted_and_rds_may_send_them(templates: Synthesize, name: str) -> None:
    template = templates(name)["Network"]
    assert only(of_type(template, "AWS::SNS::Topic"))["KmsMasterKeyId"]
    policy = json.dumps(only(of_type(template, "AWS::SNS::TopicPolicy")))
    subscriptions = of_type(templates(name)["Observability"], "AWS::RDS::EventSubscription").values()
    assert "events.rds.amazonaws.com" in policy
    assert "cloudwatch.amazonaws.com" in policy
    assert any("failover" in each["EventCategories"] for each in subscriptions)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_dashboard_is_named_by_its_environment(templates: Synthesize, name: str) -> None:
    dashboard = only(of_type(templates(name)["Observability"], "AWS::CloudWatch::Dashboard"))
    assert dashboard["DashboardName"] == f"suppliers-{name}"
