from aws_cdk import App, Aspects, RemovalPolicy, Tags
from aws_cdk import aws_codestarnotifications as notifications

from platform_constructs.log_retention import LogRetention
from platform_constructs.managed_policies import manage_policies

# Another tag would replace a rule, and the new one's name, which is fixed, would be taken by the old one:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-codestarnotifications-notificationrule.html
_UNTAGGED = [notifications.CfnNotificationRule.CFN_RESOURCE_TYPE_NAME]


def removal_policy(*, protected: bool) -> RemovalPolicy:
    """What becomes of whatever holds data: a protected environment's is kept, except by a creation that fails.

    What such a creation made is empty, and with a fixed name it would keep the next one from succeeding:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html
    """
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if protected else RemovalPolicy.DESTROY


def apply_conventions(app: App, *, environment: str, log_retention_days: int) -> None:
    """Make hold for every resource of an app: its tags, how long logs are kept, that policies have names.

    Call it when all stacks are there. The tag `environment` is also what the budget counts by.
    """
    for key, value in {"application": "suppliers", "environment": environment}.items():
        Tags.of(app).add(key, value, exclude_resource_types=_UNTAGGED)
    Aspects.of(app).add(LogRetention(log_retention_days))
    manage_policies(app)
