from typing import cast

from aws_cdk import ConstructSelector, Mixins
from aws_cdk import aws_logs as logs
from constructs import IConstruct


def keep_logs(scope: IConstruct, *, days: int) -> None:
    """Make every log group below `scope` keep its lines for `days`, one of the numbers CloudWatch Logs offers.

    Call it once everything is built. It asks for the log groups alone: an aspect in Python is called for every construct.
    """
    groups = ConstructSelector.resources_of_type(logs.CfnLogGroup.CFN_RESOURCE_TYPE_NAME)
    for group in Mixins.of(scope, groups).selected_constructs:
        cast(logs.CfnLogGroup, group).retention_in_days = days
