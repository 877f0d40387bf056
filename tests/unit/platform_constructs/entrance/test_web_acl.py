from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import settings
from ops.deployed.routes import reference
from tests.conftest import ENVIRONMENTS, Synthesize, synthesize
from tests.resources import of_type, only

ACL, ASSOCIATION = "AWS::WAFv2::WebACL", "AWS::WAFv2::WebACLAssociation"
LOGGING, LOG_GROUP = "AWS::WAFv2::LoggingConfiguration", "AWS::Logs::LogGroup"


@pytest.fixture
def resources(templates: Synthesize) -> Any:
    return templates("prod").platform


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_only_an_environment_with_the_section_has_a_web_acl(templates: Synthesize, name: str) -> None:
    acls = of_type(templates(name).platform, ACL)
    assert len(acls) == (1 if settings.load(name).waf else 0)


def test_production_is_behind_a_web_acl(resources: Any) -> None:
    association = only(of_type(resources, ASSOCIATION))
    balancer = next(iter(of_type(resources, "AWS::ElasticLoadBalancingV2::LoadBalancer")))
    assert reference(association["ResourceArn"]) == balancer
    assert reference(association["WebACLArn"]) == next(iter(of_type(resources, ACL)))


def test_the_managed_rules_block_and_are_not_softened(resources: Any) -> None:
    rules = sorted(only(of_type(resources, ACL))["Rules"], key=lambda rule: rule["Priority"])
    managed = [each for each in rules if "ManagedRuleGroupStatement" in each["Statement"]]
    statements = [each["Statement"]["ManagedRuleGroupStatement"] for each in managed]
    assert [each["Name"] for each in statements] == [
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesSQLiRuleSet",
    ]
    for rule, statement in zip(managed, statements, strict=True):
        assert rule["OverrideAction"] == {"None": {}}
        assert set(statement) == {"Name", "VendorName"}, "no rule is left out and no request is excepted"


def test_what_the_settings_name_is_only_counted(project: Path, tmp_path: Path) -> None:
    file = project / "environments/prod.toml"
    named = '["RateLimit", "SqlInjection", "Common/SizeRestrictions_BODY", "Common/GenericRFI_BODY"]'
    file.write_text(file.read_text().replace("[waf]", f"[waf]\ncount_rules = {named}"))
    template = synthesize(settings.load("prod", project), tmp_path / "out").platform
    rules = {rule["Name"]: rule for rule in only(of_type(template, ACL))["Rules"]}
    assert rules["RateLimit"]["Action"] == {"Count": {}}
    assert rules["SqlInjection"]["OverrideAction"] == {"Count": {}}
    common = rules["Common"]
    assert common["OverrideAction"] == {"None": {}}
    assert common["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"] == [
        {"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}},
        {"Name": "GenericRFI_BODY", "ActionToUse": {"Count": {}}},
    ]
    assert rules["KnownBadInputs"]["OverrideAction"] == {"None": {}}
    assert "RuleActionOverrides" not in json.dumps(rules["KnownBadInputs"])


def test_a_source_that_asks_too_often_is_refused_by_the_number_of_the_settings(resources: Any) -> None:
    (rule,) = (
        each for each in only(of_type(resources, ACL))["Rules"] if "RateBasedStatement" in each["Statement"]
    )
    environment = settings.load("prod")
    assert environment.waf is not None
    assert rule["Statement"]["RateBasedStatement"] == {
        "AggregateKeyType": "IP",
        "EvaluationWindowSec": 300,
        "Limit": environment.waf.rate_limit,
    }
    assert rule["Action"] == {"Block": {"CustomResponse": {"ResponseCode": 429}}}


def test_decisions_are_logged_for_a_year_encrypted_and_without_cookies_and_credentials(
    resources: Any,
) -> None:
    logging = only(of_type(resources, LOGGING))
    assert {each["SingleHeader"]["Name"] for each in logging["RedactedFields"]} == {"cookie", "authorization"}
    (destination,) = logging["LogDestinationConfigs"]
    group_id = next(each for each in of_type(resources, LOG_GROUP) if each.startswith("WebAcl"))
    assert destination["Fn::Join"][1][-1] == {"Ref": group_id}
    group = of_type(resources, LOG_GROUP)[group_id]
    assert group["LogGroupName"] == "aws-waf-logs-suppliers-prod"
    assert group["RetentionInDays"] >= 365
    assert group["KmsKeyId"]


def test_every_rule_is_counted_and_no_request_is_kept_as_a_sample(resources: Any) -> None:
    acl = only(of_type(resources, ACL))
    names = set()
    for visible in (acl, *acl["Rules"]):
        config = visible["VisibilityConfig"]
        assert config["CloudWatchMetricsEnabled"] is True
        assert config["SampledRequestsEnabled"] is False, "a sample holds the cookies that the log leaves out"
        names.add(config["MetricName"])
    assert len(names) == 6
