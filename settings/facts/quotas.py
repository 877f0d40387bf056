"""How much AWS allows of something, each figure with AWS's page."""

from __future__ import annotations

# Per template: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
RESOURCES_PER_STACK = 500
OUTPUTS_PER_STACK = 200
TEMPLATE_BYTES = 1_000_000
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
TARGET_GROUPS_PER_LOAD_BALANCER = 100
# Without the default rules, over all listeners (same page).
RULES_PER_LOAD_BALANCER = 100
CONDITION_VALUES_PER_RULE = 5
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
CONDITION_WILDCARDS_PER_RULE = 5
# Over all target groups; raised when asked, as are the rules.
TARGETS_PER_LOAD_BALANCER = 1000
# Of a subnet's 256, AWS keeps 5; each task has one:
# https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
ADDRESSES_PER_SUBNET = 251
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
TASK_DEFINITION_BYTES = 64 * 1024
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html, in each direction; raised when asked.
RULES_PER_SECURITY_GROUP = 60
