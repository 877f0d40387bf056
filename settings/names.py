"""The names that things get on AWS: whether it takes them, and whether two things would have one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

from settings.environment import Environment
from settings.service import Service


@dataclass(frozen=True, kw_only=True)
class Name:
    """The form that AWS demands of a name, of which `form` says how it is made of the environment's and a service's.

    `page` is where AWS says so; `made` says which services, or which environments, have one.
    """

    what: str
    form: str
    pattern: str
    longest: int
    page: str
    made: Callable[[Environment, Service], bool] = lambda environment, service: True

    def of(self, environment: Environment) -> Iterator[str]:
        """The names in an environment, each once."""
        yield from dict.fromkeys(
            self.form.format(environment=environment.name, service=service.name)
            for service in environment.services
            if self.made(environment, service)
        )

    def problems(self, environment: Environment) -> Iterator[str]:
        """A line for each name that AWS would refuse."""
        for name in self.of(environment):
            if len(name) > self.longest:
                yield (
                    f"name: {self.what} would be called {name!r}, which is {len(name)} characters long, {self.longest} are "
                    f"allowed ({self.page}); give the environment's file{self._or_folder()} a shorter name"
                )
            elif not re.fullmatch(self.pattern, name, re.ASCII):
                yield (
                    f"name: {self.what} would be called {name!r}, allowed is {self.pattern} ({self.page}); rename the "
                    f"environment's file{self._or_folder()}"
                )

    def _or_folder(self) -> str:
        return " or the service's folder" if "{service}" in self.form else ""


_AWS = "https://docs.aws.amazon.com"
# Stacks, load balancers, repositories, caches: what all of them allow.
_ENVIRONMENT_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
NAMES: tuple[Name, ...] = (
    Name(
        what="the stack",
        form="suppliers-{environment}-observability",
        pattern=r"[A-Za-z][A-Za-z0-9-]*",
        longest=128,
        page=f"{_AWS}/AWSCloudFormation/latest/APIReference/API_CreateStack.html",
    ),
    Name(
        what="the load balancer",
        form="suppliers-{environment}",
        pattern=r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?",
        longest=32,
        page=f"{_AWS}/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html",
    ),
    Name(
        what="the stack of the service",
        form="suppliers-{environment}-{service}",
        pattern=r"[A-Za-z][A-Za-z0-9-]*",
        longest=128,
        page=f"{_AWS}/AWSCloudFormation/latest/APIReference/API_CreateStack.html",
    ),
    Name(
        what="the stack of the pipeline",
        form="suppliers-{environment}-delivery-{service}",
        pattern=r"[A-Za-z][A-Za-z0-9-]*",
        longest=128,
        page=f"{_AWS}/AWSCloudFormation/latest/APIReference/API_CreateStack.html",
        made=lambda environment, service: environment.delivery is not None,
    ),
    Name(
        what="the family of tasks",
        form="suppliers-{environment}-{service}-prepare",
        pattern=r"[A-Za-z0-9_-]+",
        longest=255,
        page=f"{_AWS}/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html",
    ),
    Name(
        what="the log group",
        form="/suppliers-{environment}/{service}",
        pattern=r"[.\-_/#A-Za-z0-9]+",
        longest=512,
        page=f"{_AWS}/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html",
    ),
    Name(
        what="the application of CodeDeploy",
        form="suppliers-{environment}.{service}",
        pattern=r"[A-Za-z0-9._+=,@-]+",
        longest=100,
        page=f"{_AWS}/codedeploy/latest/APIReference/API_CreateApplication.html",
        made=lambda environment, service: environment.release.controller == "codedeploy",
    ),
    Name(
        what="the function that rotates a password",
        form="suppliers-{environment}-data-{service}-rotation",
        pattern=r"[A-Za-z0-9_-]+",
        longest=64,
        page=f"{_AWS}/lambda/latest/api/API_CreateFunction.html",
        made=lambda environment, service: service.database != "none",
    ),
    Name(
        what="the function that rotates the administrator's password",
        form="suppliers-{environment}-data-administrator-rotation",
        pattern=r"[A-Za-z0-9_-]+",
        longest=64,
        page=f"{_AWS}/lambda/latest/api/API_CreateFunction.html",
    ),
    Name(
        what="the database cluster",
        form="suppliers-{environment}-data",
        pattern=r"[A-Za-z](-?[A-Za-z0-9])*",
        # Of 63; a Multi-AZ cluster adds to it the names of its instances.
        longest=52,
        page=f"{_AWS}/AmazonRDS/latest/UserGuide/create-multi-az-db-cluster.html",
        made=lambda environment, service: environment.database.cluster,
    ),
    Name(
        what="the proxy of the database",
        form="suppliers-{environment}",
        pattern=r"[A-Za-z](-?[A-Za-z0-9])*",
        longest=63,
        page=f"{_AWS}/AmazonRDS/latest/APIReference/API_CreateDBProxy.html",
        made=lambda environment, service: environment.database.proxy,
    ),
    Name(
        what="the backup vault",
        form="suppliers-{environment}",
        pattern=r"[A-Za-z0-9_-]{2,}",
        longest=50,
        page=f"{_AWS}/aws-backup/latest/devguide/API_CreateBackupVault.html",
        made=lambda environment, service: environment.backup is not None,
    ),
    Name(
        what="the group of the cache's users",
        form="suppliers-{environment}",
        pattern=r"[a-z][a-z0-9-]*",
        longest=255,
        page=f"{_AWS}/AWSCloudFormation/latest/TemplateReference/aws-resource-elasticache-usergroup.html",
        made=lambda environment, service: environment.cache is not None,
    ),
    Name(
        what="the user of the cache",
        form="suppliers-{environment}-{service}",
        pattern=r"[a-z][a-z0-9-]*",
        longest=255,
        page=f"{_AWS}/AWSCloudFormation/latest/TemplateReference/aws-resource-elasticache-user.html",
        made=lambda environment, service: environment.cache is not None and service.database != "none",
    ),
    Name(
        what="the canary",
        form="suppliers-{environment}",
        pattern=r"[0-9a-z_-]+",
        longest=255,
        page=f"{_AWS}/AmazonSynthetics/latest/APIReference/API_CreateCanary.html",
        made=lambda environment, service: environment.canary is not None,
    ),
    Name(
        what="the function of CloudFront",
        form="suppliers-{environment}-viewer-request",
        pattern=r"[A-Za-z0-9_-]+",
        longest=64,
        page=f"{_AWS}/cloudfront/latest/APIReference/API_CreateFunction.html",
        made=lambda environment, service: environment.cdn is not None,
    ),
    Name(
        what="the web ACL",
        form="suppliers-{environment}",
        pattern=r"[A-Za-z0-9_-]+",
        longest=128,
        page=f"{_AWS}/waf/latest/APIReference/API_CreateWebACL.html",
        made=lambda environment, service: environment.waf is not None,
    ),
    Name(
        what="the repository of images",
        form="suppliers-{environment}/{service}",
        pattern=r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
        longest=256,
        page=f"{_AWS}/AmazonECR/latest/APIReference/API_CreateRepository.html",
        made=lambda environment, service: environment.delivery is not None,
    ),
    Name(
        what="the pipeline",
        form="suppliers-{environment}-{service}",
        pattern=r"[A-Za-z0-9.@_-]+",
        longest=100,
        page=f"{_AWS}/codepipeline/latest/APIReference/API_PipelineDeclaration.html",
        made=lambda environment, service: environment.delivery is not None,
    ),
    Name(
        what="the notification rule",
        form="suppliers-{environment}-{service}-pipeline",
        pattern=r"[A-Za-z0-9_ -]+",
        longest=64,
        page=f"{_AWS}/codestar-notifications/latest/APIReference/API_CreateNotificationRule.html",
        made=lambda environment, service: environment.delivery is not None,
    ),
)
# What every environment has, each a stack of its own; a test finds them.
SHARED_STACKS = frozenset({"compute", "data", "delivery", "network", "observability"})
# Users of the database that are no service's, and what rotates the administrator's password.
_OTHER_USERS = frozenset({"administrator", "directory-admin", "migrator"})
# Its pipeline's stack is called after the stack of what pipelines share, and the task that prepares its database after it.
_RESERVED_PREFIX, _RESERVED_SUFFIX = "delivery-", "-prepare"


def unnameable(environment: Environment) -> Iterator[str]:
    """A line for each name that AWS would refuse; where the environment's own form is the fault, that one line."""
    if re.fullmatch(_ENVIRONMENT_NAME, environment.name, re.ASCII):
        for name in NAMES:
            yield from name.problems(environment)
        return
    (page,) = {each.page for each in NAMES if each.what == "the repository of images"}
    yield (
        f"name: names of stacks, repositories and more are made of {environment.name!r}, and AWS allows in all of them only "
        f"lower-case letters, digits and single hyphens, first a letter, last no hyphen ({page}); rename the file"
    )


def taken(name: str, services: Set[str]) -> bool:
    """Whether something else that the platform makes beside those services has the name."""
    prepares = name.endswith(_RESERVED_SUFFIX) and name.removesuffix(_RESERVED_SUFFIX) in services
    return name in SHARED_STACKS | _OTHER_USERS or name.startswith(_RESERVED_PREFIX) or prepares


def ambiguous(environment: Environment, others: list[str]) -> Iterator[str]:
    """Names such as suppliers-dev-eu-customer may not be of dev's eu-customer and of dev-eu's customer."""
    names = {service.name for service in environment.services}
    pipelines = {f"{_RESERVED_PREFIX}{name}" for name in names} if environment.delivery else set()
    for other in others:
        part = other.removeprefix(f"{environment.name}-")
        if part == other:
            continue
        if pipelines & {f"{part}-{name}" for name in names | SHARED_STACKS}:
            yield (
                f"delivery: stacks of pipelines here have the names of stacks in environment {other}; rename "
                f"environments/{other}.toml"
            )
        for name in sorted(names):
            rest = name.removeprefix(f"{part}-")
            if rest in (names | SHARED_STACKS) - {name} or rest.startswith(_RESERVED_PREFIX):
                yield (
                    f"services.{name}: what is called after it here has the names of "
                    f"{rest} in environment {other}; rename the folder"
                )
