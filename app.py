"""The platform as a CDK app: `cdk synth -c env=dev`; with `-c checks=true` its compliance checks too."""

import sys
from typing import Any

import aws_cdk as cdk

import checks
from platform_constructs.log_retention import LogRetention
from settings import Environment, SettingsError, load
from stacks import ComputeStack, DataStack, DeliveryStack, NetworkStack, ObservabilityStack


def build(app: cdk.App, env: Environment) -> None:
    """Add the stacks of one environment to `app`."""
    cdk.Tags.of(app).add("application", "suppliers")
    cdk.Tags.of(app).add("environment", env.name)
    cdk.Aspects.of(app).add(LogRetention(env.logs.retention_days))
    common: dict[str, Any] = {"prefix": f"suppliers-{env.name}", "protected": env.protected}
    common["env"] = cdk.Environment(account=env.account, region=env.region)
    zones, alarms = env.availability_zones, env.alarms
    network = NetworkStack(app, "Network", zones=zones, network=env.network, alarms=alarms, **common)
    data = DataStack(app, "Data", vpc=network.vpc, database=env.database, users=env.database_users, **common)
    compute = ComputeStack(app, "Compute", network=network, data=data, settings=env.compute, **common)
    stacks: dict[str, Any] = {"network": network, "compute": compute, **common}
    pipelines = env.delivery
    delivery = pipelines and DeliveryStack(app, "Delivery", delivery=pipelines, release=env.release, **stacks)
    told = {"data": data, "delivery": delivery, "alarms": alarms, "canary": env.canary, **stacks}
    ObservabilityStack(app, "Observability", **told)


if __name__ == "__main__":
    app = cdk.App()
    try:
        build(app, load(app.node.try_get_context("env") or "dev"))
    except SettingsError as error:
        sys.exit(str(error))
    if app.node.try_get_context("checks"):
        checks.attach(app)
    app.synth()
