from aws_cdk import App, Aspects, Tags

from platform_constructs.log_retention import LogRetention
from platform_constructs.managed_policies import manage_policies


def apply_conventions(app: App, *, environment: str, log_retention_days: int) -> None:
    """Make hold for every resource of an app: its tags, how long logs are kept, that policies have names.

    Call it when all stacks are there. The tag `environment` is also what the budget counts by.
    """
    Tags.of(app).add("application", "suppliers")
    Tags.of(app).add("environment", environment)
    Aspects.of(app).add(LogRetention(log_retention_days))
    manage_policies(app)
