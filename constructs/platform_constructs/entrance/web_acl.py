from collections.abc import Sequence

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from platform_constructs.entrance.web_acl_rules import MANAGED_GROUPS, RATE_LIMIT

# What signs somebody in is nobody's to read in a log.
_REDACTED_HEADERS = ("cookie", "authorization")
_WINDOW_SECONDS = 300
_COUNT = wafv2.CfnWebACL.RuleActionProperty(count={})


class WebAcl(Construct):
    """Blocks what AWS's managed rules know as attacks, and sources that ask too often, in front of a load balancer.

    Without a load balancer it is one for a distribution of CloudFront, which names it by its `arn`; such a one has to be
    in us-east-1.

    `rate_limit` counts the requests of one source in five minutes; more are answered 429, attacks 403. What is named in
    `count_rules` is only counted and logged: "RateLimit", a managed group ("Common"), or a rule of one
    ("Common/SizeRestrictions_BODY"). Every
    decision is logged for a year, without cookies and credentials; samples of requests, which would hold them,
    are not kept.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        load_balancer: elbv2.IApplicationLoadBalancer | None,
        rate_limit: int,
        count_rules: Sequence[str],
        logs_key: kms.IKey,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        acl = wafv2.CfnWebACL(
            self,
            "Acl",
            name=name,
            scope="REGIONAL" if load_balancer else "CLOUDFRONT",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visibility(name),
            rules=[
                _rate_limit(rate_limit, counts=RATE_LIMIT in count_rules),
                *(
                    _managed_group(metric, group, priority, count_rules)
                    for priority, (metric, group) in enumerate(MANAGED_GROUPS.items(), start=1)
                ),
            ],
        )
        self.arn = acl.attr_arn
        if load_balancer is not None:
            wafv2.CfnWebACLAssociation(
                self,
                "Association",
                resource_arn=load_balancer.load_balancer_arn,
                web_acl_arn=acl.attr_arn,
            )
        log_group = logs.LogGroup(
            self,
            "LogGroup",
            # The prefix is what AWS WAF asks for:
            # https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
            log_group_name=f"aws-waf-logs-{name}",
            encryption_key=logs_key,
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=removal_policy,
        )
        wafv2.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=acl.attr_arn,
            # The group's own ARN ends in :*, which AWS WAF refuses.
            log_destination_configs=[
                Stack.of(self).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=log_group.log_group_name,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            redacted_fields=[
                wafv2.CfnLoggingConfiguration.FieldToMatchProperty(single_header={"Name": header})
                for header in _REDACTED_HEADERS
            ],
        )


def _rate_limit(requests: int, *, counts: bool) -> wafv2.CfnWebACL.RuleProperty:
    block = wafv2.CfnWebACL.BlockActionProperty(
        custom_response=wafv2.CfnWebACL.CustomResponseProperty(response_code=429)
    )
    return wafv2.CfnWebACL.RuleProperty(
        name=RATE_LIMIT,
        priority=0,
        statement=wafv2.CfnWebACL.StatementProperty(
            rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                aggregate_key_type="IP", limit=requests, evaluation_window_sec=_WINDOW_SECONDS
            )
        ),
        action=_COUNT if counts else wafv2.CfnWebACL.RuleActionProperty(block=block),
        visibility_config=_visibility(RATE_LIMIT),
    )


def _managed_group(
    metric: str, group: str, priority: int, count_rules: Sequence[str]
) -> wafv2.CfnWebACL.RuleProperty:
    counted = [rule.removeprefix(f"{metric}/") for rule in count_rules if rule.startswith(f"{metric}/")]
    return wafv2.CfnWebACL.RuleProperty(
        name=metric,
        priority=priority,
        statement=wafv2.CfnWebACL.StatementProperty(
            managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS",
                name=group,
                rule_action_overrides=[
                    wafv2.CfnWebACL.RuleActionOverrideProperty(name=rule, action_to_use=_COUNT)
                    for rule in counted
                ]
                or None,
            )
        ),
        # None is the group's own actions, which block.
        override_action=wafv2.CfnWebACL.OverrideActionProperty(count={})
        if metric in count_rules
        else wafv2.CfnWebACL.OverrideActionProperty(none={}),
        visibility_config=_visibility(metric),
    )


def _visibility(metric: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        metric_name=metric, cloud_watch_metrics_enabled=True, sampled_requests_enabled=False
    )
