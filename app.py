"""The platform as a CDK app: `cdk synth -c env=dev`; with `-c checks=true` its compliance checks too."""

import sys
from typing import Any

import aws_cdk as cdk

import checks
from platform_constructs.managed_policies import manage_policies
from settings import Environment, SettingsError, load
from stacks import ComputeStack, DataStack, DeliveryStack, NetworkStack, ObservabilityStack


def build(app: cdk.App, env: Environment) -> None:
    """Add the stacks of one environment to `app`."""
    cdk.Tags.of(app).add("application", "suppliers")
    cdk.Tags.of(app).add("environment", env.name)
    where = cdk.Environment(account=env.account, region=env.region)
    common: dict[str, Any] = {"prefix": f"suppliers-{env.name}", "protected": env.protected, "env": where}
    base: dict[str, Any] = {"zones": env.availability_zones, "network": env.network, "alarms": env.alarms}
    network = NetworkStack(app, "Network", **base, **common)
    kept: dict[str, Any] = {"database": env.database, "backup": env.backup, "users": env.database_users}
    data = DataStack(app, "Data", network=network, **kept, **common)
    compute = ComputeStack(app, "Compute", network=network, data=data, settings=env.compute, **common)
    if env.delivery:
        pipelines: dict[str, Any] = {"delivery": env.delivery, "release": env.release, "alarms": env.alarms}
        DeliveryStack(app, "Delivery", network=network, compute=compute, **pipelines, **common)
    ObservabilityStack(app, "Observability", data=data, compute=compute, topic=network.alarm_topic, **common)
    manage_policies(app)


if __name__ == "__main__":
    app = cdk.App()
    try:
        build(app, load(app.node.try_get_context("env") or "dev"))
    except SettingsError as error:
        sys.exit(str(error))
    if app.node.try_get_context("checks"):
        checks.attach(app)
    app.synth()
