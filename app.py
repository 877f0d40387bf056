"""The platform as a CDK app: `cdk synth -c env=dev`; with `-c checks=true` its compliance checks too."""

import sys
from typing import Any

import aws_cdk as cdk

import checks
from platform_constructs.common.conventions import apply_conventions
from settings import Environment, SettingsError, load
from stacks import (
    ComputeStack,
    DataStack,
    DeliveryStack,
    NetworkStack,
    ObservabilityStack,
    PipelineStack,
    ServiceStack,
)


def build(app: cdk.App, env: Environment) -> None:
    """Add the stacks of one environment to `app`."""
    where = cdk.Environment(account=env.account, region=env.region)
    common: dict[str, Any] = {"prefix": f"suppliers-{env.name}", "protected": env.protected, "env": where}
    base: dict[str, Any] = {"zones": env.availability_zones, "network": env.network, "alarms": env.alarms}
    base |= {"runbook_url": env.runbook_url}
    network = NetworkStack(app, "Network", cache=env.cache is not None, **base, **common)
    kept: dict[str, Any] = {"database": env.database, "backup": env.backup, "users": env.database_users}
    data = DataStack(app, "Data", network=network, cache=env.cache, services=env.services, **kept, **common)
    compute = ComputeStack(app, "Compute", network=network, settings=env.compute, **common)
    stacks: dict[str, Any] = {"network": network, "compute": compute, **common}
    shared = {"data": data, "settings": env.compute, "alarms": env.alarms, **stacks}
    services = {each: ServiceStack(app, each.stack_id, service=each, **shared) for each in env.services}
    for service, users in ((each, env.compute.prepared_users(each)) for each in services if each.migrations):
        for user in users:
            # Who migrates as well makes its own user; each after the other would be a circle.
            if not user.migrations:
                services[user].add_stack_dependency(services[service], "its user in the database")
    delivery = env.delivery and DeliveryStack(app, "Delivery", delivery=env.delivery, **common)
    pushed: dict[str, Any] = {"shared": delivery, "release": env.release, **stacks}
    for service in services if delivery else ():
        PipelineStack(app, f"Delivery{service.stack_id}", service=services[service], **pushed)
    seen: dict[str, Any] = {"data": data, "services": [*services.values()], "delivery": delivery, **stacks}
    ObservabilityStack(app, "Observability", settings=env.observability, **seen)
    apply_conventions(app, environment=env.name, log_retention_days=env.logs.retention_days)


if __name__ == "__main__":
    app = cdk.App()
    try:
        build(app, load(app.node.try_get_context("env") or "dev"))
    except SettingsError as error:
        sys.exit(str(error))
    if app.node.try_get_context("checks"):
        checks.attach(app)
    checks.synth(app)
