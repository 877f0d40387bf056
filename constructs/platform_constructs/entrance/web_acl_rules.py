"""The rules of the web ACL by the names that they, their metrics and the log have; of AWS's own, a group each."""

RATE_LIMIT = "RateLimit"
# In the order in which requests meet them, behind the rate limit: 1125 of the 1500 capacity units that a web ACL
# has. https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-list.html
MANAGED_GROUPS = {
    "IpReputation": "AWSManagedRulesAmazonIpReputationList",
    "KnownBadInputs": "AWSManagedRulesKnownBadInputsRuleSet",
    "Common": "AWSManagedRulesCommonRuleSet",
    "SqlInjection": "AWSManagedRulesSQLiRuleSet",
}
