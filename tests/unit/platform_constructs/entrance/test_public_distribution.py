"""CloudFront in front: what it keeps, what it tells apart, who gets past it, and that nobody gets around it."""

from __future__ import annotations

from typing import Any

import pytest

import settings
from ops.deployed.routes import reference, references
from platform_constructs.entrance.viewer_network import ADMIN, HEADER, function_code
from settings.facts import quotas
from settings.facts.cloudfront import CLOUDFRONT_PREFIX_LISTS
from tests import cdn
from tests.conftest import ENVIRONMENTS, Synthesize, Template
from tests.resources import of_type, only

DISTRIBUTION, ORIGIN, FUNCTION = (
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::VpcOrigin",
    "AWS::CloudFront::Function",
)
LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
INGRESS, GROUP = "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroup"
# Of AWS, the same in every account:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
CACHING_DISABLED, ALL_VIEWER = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "216adef6-5c7f-47e4-b989-5492eafa07d3"


@pytest.fixture(params=("domain", "plain", "signing in"))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def compute(case: str) -> Template:
    return cdn.templates(case).platform


def config(compute: Template) -> Any:
    return only(of_type(compute, DISTRIBUTION))["DistributionConfig"]


def behaviors(compute: Template) -> list[Any]:
    found = config(compute)
    return [found["DefaultCacheBehavior"], *found["CacheBehaviors"]]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_only_an_environment_with_the_section_has_a_distribution(templates: Synthesize, name: str) -> None:
    assert settings.load(name).cdn is None
    assert not of_type(templates(name).platform, DISTRIBUTION)


def test_every_request_is_by_https_and_passes_the_function(compute: Template) -> None:
    (function,) = of_type(compute, FUNCTION)
    for behavior in behaviors(compute):
        assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
        (association,) = behavior["FunctionAssociations"]
        assert association["EventType"] == "viewer-request"
        assert reference(association["FunctionARN"]) == function


def test_the_function_is_published_and_knows_the_networks_of_the_settings(
    case: str, compute: Template
) -> None:
    function = only(of_type(compute, FUNCTION))
    assert function["FunctionCode"] == function_code(cdn.of(case).admin_cidrs)
    assert function["AutoPublish"] is True
    assert function["FunctionConfig"]["Runtime"] == "cloudfront-js-2.0"


def test_what_is_restricted_is_never_kept_and_gets_all_that_was_sent(case: str, compute: Template) -> None:
    restricted = {
        pattern
        for service in cdn.of(case).services
        if service.access == "admin"
        for pattern in service.path_patterns
    }
    found = config(compute)["CacheBehaviors"]
    callback = {"/oauth2/idpresponse"} if case == "signing in" else set()
    assert {each["PathPattern"] for each in found} == restricted | callback
    for each in found:
        assert each["CachePolicyId"] == CACHING_DISABLED
        assert each["OriginRequestPolicyId"] == ALL_VIEWER
        assert {"GET", "HEAD", "POST", "PUT", "DELETE"} <= set(each["AllowedMethods"])


def test_public_pages_are_kept_as_their_service_says_and_told_apart_by_all_that_they_depend_on(
    case: str, compute: Template
) -> None:
    (policy_id,) = of_type(compute, "AWS::CloudFront::CachePolicy")
    assert reference(config(compute)["DefaultCacheBehavior"]["CachePolicyId"]) == policy_id
    policy = of_type(compute, "AWS::CloudFront::CachePolicy")[policy_id]["CachePolicyConfig"]
    # Anything above 0 would keep what a service says must not be kept.
    assert (policy["MinTTL"], policy["DefaultTTL"]) == (0, 0)
    section = cdn.of(case).cdn
    assert section is not None
    assert policy["MaxTTL"] == section.list_seconds
    key = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["HeadersConfig"]["Headers"] == ["Accept-Language", "Host", HEADER]
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "all"}
    assert key["EnableAcceptEncodingGzip"] is key["EnableAcceptEncodingBrotli"] is True


def test_no_cookie_gets_to_a_public_service_or_from_it(compute: Template) -> None:
    policy = only(of_type(compute, "AWS::CloudFront::CachePolicy"))["CachePolicyConfig"]
    key = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["CookiesConfig"] == {"CookieBehavior": "none"}
    forwarded = only(of_type(compute, "AWS::CloudFront::OriginRequestPolicy"))["OriginRequestPolicyConfig"]
    assert forwarded["CookiesConfig"] == {"CookieBehavior": "none"}


def test_no_error_is_kept(compute: Template) -> None:
    found = {each["ErrorCode"]: each for each in config(compute)["CustomErrorResponses"]}
    assert {403, 404, 500, 502, 503, 504} <= set(found)
    for each in found.values():
        assert each["ErrorCachingMinTTL"] == 0
        assert "ResponsePagePath" not in each


def test_the_load_balancer_is_internal_and_only_cloudfront_is_admitted_to_production(
    case: str, compute: Template
) -> None:
    balancer = only(of_type(compute, LOAD_BALANCER))
    assert balancer["Scheme"] == "internal"
    assert all("ApplicationSubnet" in str(each) for each in balancer["Subnets"])
    production, test = (443, 8443) if cdn.of(case).tls else (80, 8080)
    groups = {reference(each) for each in balancer["SecurityGroups"]}
    rules = [
        rule
        for logical_id, group in of_type(compute, GROUP).items()
        if logical_id in groups
        for rule in group.get("SecurityGroupIngress", ())
    ]
    rules += [
        rule for rule in of_type(compute, INGRESS).values() if set(references(rule["GroupId"])) & groups
    ]
    by_port: dict[int, list[Any]] = {}
    for rule in rules:
        assert rule["FromPort"] == rule["ToPort"]
        by_port.setdefault(rule["FromPort"], []).append(rule)
    assert set(by_port) == {production, test}
    (admitted,) = by_port[production]
    assert admitted["SourcePrefixListId"] == CLOUDFRONT_PREFIX_LISTS["us-east-1"]
    for rule in by_port[test]:
        assert rule.get("CidrIp") == "10.0.0.0/16" or "ReleaseCheck" in str(rule["SourceSecurityGroupId"])


def test_cloudfront_reaches_the_production_listener_and_no_other(case: str, compute: Template) -> None:
    origin_id, origin = next(iter(of_type(compute, ORIGIN).items()))
    endpoint = origin["VpcOriginEndpointConfig"]
    assert reference(endpoint["Arn"]) == next(iter(of_type(compute, LOAD_BALANCER)))
    secure = cdn.of(case).tls is not None
    assert endpoint["OriginProtocolPolicy"] == ("https-only" if secure else "http-only")
    # The defaults, 80 and 443: no test listener is at either.
    assert not {"HTTPPort", "HTTPSPort"} & set(endpoint)
    (used,) = config(compute)["Origins"]
    assert origin_id in set(references(used["VpcOriginConfig"]["VpcOriginId"]))
    # The certificate of the load balancer is for the domain.
    assert (used["DomainName"] == "suppliers.example.com") is secure


def test_restricted_rules_of_production_need_the_header_and_keep_within_five_values(
    compute: Template,
) -> None:
    rules = of_type(compute, "AWS::ElasticLoadBalancingV2::ListenerRule")
    needing = [rule for rule in rules.values() if "http-header" in str(rule["Conditions"])]
    assert needing
    for rule in rules.values():
        fields = {each["Field"]: each for each in rule["Conditions"]}
        values = [
            value
            for each in rule["Conditions"]
            for part in each.values()
            if isinstance(part, dict)
            for value in part["Values"]
        ]
        assert len(values) <= quotas.CONDITION_VALUES_PER_RULE
        on_production = "Production" in reference(rule["ListenerArn"])
        assert not (on_production and "source-ip" in fields), (
            "CloudFront's address says nothing of the viewer"
        )
        if "http-header" in fields:
            assert on_production
            assert fields["http-header"]["HttpHeaderConfig"] == {"HttpHeaderName": HEADER, "Values": [ADMIN]}


def test_viewers_get_the_domain_s_certificate_or_cloudfront_s_own(case: str, compute: Template) -> None:
    found = config(compute)
    records = of_type(compute, "AWS::Route53::RecordSet")
    if cdn.of(case).tls is None:
        assert "ViewerCertificate" not in found
        assert "Aliases" not in found
        assert not records
        return
    (certificate,) = of_type(compute, "AWS::CertificateManager::Certificate")
    viewer = found["ViewerCertificate"]
    assert reference(viewer["AcmCertificateArn"]) == certificate
    assert viewer["MinimumProtocolVersion"] == "TLSv1.2_2025"
    assert found["Aliases"] == ["suppliers.example.com"]
    record = only(records)
    assert reference(record["AliasTarget"]["DNSName"]) == next(iter(of_type(compute, DISTRIBUTION)))


def test_networks_are_of_ipv4_so_viewers_come_by_it(compute: Template) -> None:
    assert config(compute)["IPV6Enabled"] is False


def test_the_headers_of_the_pages_are_on_every_answer_once(compute: Template) -> None:
    (policy,) = of_type(compute, "AWS::CloudFront::ResponseHeadersPolicy")
    assert {reference(each["ResponseHeadersPolicyId"]) for each in behaviors(compute)} == {policy}
    headers = only(of_type(compute, "AWS::CloudFront::ResponseHeadersPolicy"))["ResponseHeadersPolicyConfig"]
    security = headers["SecurityHeadersConfig"]
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] == 31536000
    assert security["FrameOptions"]["FrameOption"] == "DENY"
    assert {each["Override"] for each in security.values()} == {True}


def test_the_web_acl_stands_before_cloudfront(case: str, compute: Template) -> None:
    acls = of_type(compute, "AWS::WAFv2::WebACL")
    assert not of_type(compute, "AWS::WAFv2::WebACLAssociation")
    if cdn.of(case).waf is None:
        assert not acls
        assert "WebACLId" not in config(compute)
        return
    assert only(acls)["Scope"] == "CLOUDFRONT"
    assert reference(config(compute)["WebACLId"]) in acls


def test_access_is_logged_for_a_year_without_cookies(compute: Template) -> None:
    logging = config(compute)["Logging"]
    assert logging["IncludeCookies"] is False
    bucket = of_type(compute, "AWS::S3::Bucket")[reference(logging["Bucket"])]
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 365
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}


def test_the_services_are_told_what_they_cannot_see(compute: Template) -> None:
    serving = [
        each
        for each in of_type(compute, "AWS::ECS::TaskDefinition").values()
        if "prepare" not in each["Family"]
    ]
    assert len(serving) == 2
    for task in serving:
        variables = {each["Name"]: each["Value"] for each in task["ContainerDefinitions"][0]["Environment"]}
        assert variables["PUBLIC_SCHEME"] == "https"
        assert variables["SHARED_CACHE_SECONDS"] == "10"


def test_the_address_of_the_application_is_cloudfront_s(case: str, compute: Template) -> None:
    url = compute["Outputs"]["ApplicationUrl"]["Value"]
    if cdn.of(case).tls is None:
        assert reference(url["Fn::Join"][1][1]) == next(iter(of_type(compute, DISTRIBUTION)))
    else:
        assert url == "https://suppliers.example.com/"
    assert "CloudFront redirects" in compute["Outputs"]["Transport"]["Value"]


def test_names_that_are_the_account_s_are_the_environment_s_own(case: str, compute: Template) -> None:
    own = f"suppliers-{cdn.of(case).name}"
    kinds = ("CachePolicy", "OriginRequestPolicy", "ResponseHeadersPolicy")
    names = [
        only(of_type(compute, FUNCTION))["Name"],
        *(only(of_type(compute, f"AWS::CloudFront::{kind}"))[f"{kind}Config"]["Name"] for kind in kinds),
    ]
    assert all(name.startswith(f"{own}-") for name in names), names


def test_as_much_is_counted_for_it_as_it_takes(compute: Template) -> None:
    of_cdn = [logical_id for logical_id in compute["Resources"] if logical_id.startswith("Edge")]
    admitting = [logical_id for logical_id in compute["Resources"] if "FromCloudFront" in logical_id]
    assert len(of_cdn) + len(admitting) <= 20


def test_errors_at_the_edge_are_part_of_what_customers_see() -> None:
    resources = cdn.templates("domain")["Observability"]
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    (alarm,) = (each for each in alarms.values() if each["AlarmName"].endswith("-edge-errors"))
    metric = alarm["Metrics"][0]["MetricStat"]["Metric"]
    dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
    # Without the region CloudWatch finds nothing.
    assert dimensions.keys() == {"DistributionId", "Region"}
    assert dimensions["Region"] == "Global"
    assert (metric["Namespace"], metric["MetricName"]) == ("AWS/CloudFront", "5xxErrorRate")
    assert alarm["Threshold"] == 5
    composite = only(of_type(resources, "AWS::CloudWatch::CompositeAlarm"))
    assert f'ALARM("{alarm["AlarmName"]}")' in str(composite["AlarmRule"])
    assert "AWS/CloudFront" in str(only(of_type(resources, "AWS::CloudWatch::Dashboard")))


def test_where_cloudwatch_cannot_see_the_edge_nothing_asks_for_it() -> None:
    elsewhere = cdn.environment("dev", region="eu-west-3")
    assert elsewhere.observability.edge_is_measured is False
    assert cdn.environment("dev").observability.edge_is_measured is True
    assert settings.load("dev").observability.edge_is_measured is False


def test_requests_that_the_web_acl_of_cloudfront_blocks_are_counted_without_a_region() -> None:
    alarms = of_type(cdn.templates("domain")["Observability"], "AWS::CloudWatch::Alarm")
    (alarm,) = (each for each in alarms.values() if "waf-blocking" in each["AlarmName"])
    metric = alarm["Metrics"][0]["MetricStat"]["Metric"]
    assert {each["Name"] for each in metric["Dimensions"]} == {"WebACL", "Rule"}


def test_the_canary_comes_as_everybody_and_from_inside_as_an_administrator() -> None:
    resources = cdn.templates("domain")["Observability"]
    variables = only(of_type(resources, "AWS::Synthetics::Canary"))["RunConfig"]["EnvironmentVariables"]
    assert variables["EDGE"] == "suppliers.example.com"
    assert variables["HEADERS"] == f'{{"{HEADER}": "{ADMIN}"}}'
    admitted = only(of_type(resources, INGRESS))
    assert admitted["FromPort"] == admitted["ToPort"] == 443
    assert "CanarySecurityGroup" in str(admitted["SourceSecurityGroupId"])
