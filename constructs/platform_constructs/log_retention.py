import jsii
from aws_cdk import IAspect
from aws_cdk import aws_logs as logs
from constructs import IConstruct


@jsii.implements(IAspect)
class LogRetention:
    """Makes every log group below a scope keep its lines for `days`, one of the numbers CloudWatch Logs offers."""

    def __init__(self, days: int) -> None:
        self._days = days

    def visit(self, node: IConstruct) -> None:
        """Called by CDK for every construct."""
        if isinstance(node, logs.CfnLogGroup):
            node.retention_in_days = self._days
