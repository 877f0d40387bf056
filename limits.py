"""What an environment may grow to: AWS's limits, what the services need of each, and the one line that says so.

Each figure of AWS has its page beside it. What a stack needs is counted from the settings, so that it is told when they
are loaded; tests compare the counts with the templates. docs/scale.md works out what comes beyond.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import App

    from settings import Environment, Service

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
# Endpoints, functions, one-off tasks.
_OTHER_ADDRESSES = 30
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
TASK_DEFINITION_BYTES = 64 * 1024
# Of the task that prepares a database, all but the users; and of a user, all but its name and tables.
_OTHER_DEFINITION_BYTES = 8 * 1024
_USER_BYTES = 250
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html, in each direction; raised when asked.
RULES_PER_SECURITY_GROUP = 60
# Of the database's and the endpoints' groups, rules that are no service's: rotations, preparations, the check of releases.
_OTHER_GROUP_RULES = 4

# What a task's pool holds at most (services/shared/directory/settings.py); in a release, old and new tasks run.
CONNECTIONS_PER_TASK = 5
SIDES_OF_A_RELEASE = 2
# Preparing the database, rotating passwords, and people.
CONNECTIONS_KEPT = 8


@dataclass(frozen=True, kw_only=True)
class Limit:
    """So much is allowed of something, of which the services of an environment need some each."""

    what: str
    allowed: int
    owner: str
    needed: Callable[[Environment, Sequence[Service]], int]

    def problem(self, environment: Environment) -> tuple[int, str] | None:
        """How many services fit, and the line that says so; None if all do."""
        services = environment.services
        needed = self.needed(environment, services)
        if needed <= self.allowed:
            return None
        fit = max(
            (count for count in range(len(services)) if self._fits(environment, services[:count])), default=0
        )
        return fit, (
            f"services: {len(services)} services need {needed} {self.what}, {self.owner} {self.allowed}; "
            f"{fit} of them fit: split the others off to an environment of their own (docs/scale.md)"
        )

    def _fits(self, environment: Environment, services: Sequence[Service]) -> bool:
        return self.needed(environment, services) <= self.allowed


def rules(environment: Environment, service: Service) -> int:
    """The rules of a service on both listeners, those that forbid included."""
    if service.access == "public":
        return 2
    room = CONDITION_VALUES_PER_RULE - len(service.path_patterns)
    return sum(1 - (-len(cidrs) // room) for cidrs in (environment.admin_cidrs, environment.test_admin_cidrs))


def _tasks(services: Sequence[Service]) -> int:
    return SIDES_OF_A_RELEASE * sum(each.scaling.most_tasks for each in services)


def _preparation_bytes(environment: Environment, services: Sequence[Service]) -> int:
    compute = environment.model_copy(update={"services": tuple(services)}).compute
    users = (compute.prepared_users(each) for each in services if each.migrations)
    return _OTHER_DEFINITION_BYTES + max(
        (
            sum(_USER_BYTES + len(json.dumps([user.name, *user.tables])) for user in prepared)
            for prepared in users
        ),
        default=0,
    )


LIMITS: tuple[Limit, ...] = (
    Limit(
        what="target groups",
        allowed=TARGET_GROUPS_PER_LOAD_BALANCER,
        owner="a load balancer holds",
        needed=lambda _, services: 2 * len(services),
    ),
    Limit(
        what="listener rules",
        allowed=RULES_PER_LOAD_BALANCER,
        owner="a load balancer holds",
        needed=lambda environment, services: sum(rules(environment, each) for each in services),
    ),
    Limit(
        what="targets for all the tasks of a release",
        allowed=TARGETS_PER_LOAD_BALANCER,
        owner="a load balancer holds",
        needed=lambda _, services: _tasks(services),
    ),
    Limit(
        what="addresses in each zone for all the tasks of a release",
        allowed=ADDRESSES_PER_SUBNET,
        owner="an application subnet has",
        needed=lambda environment, services: (
            _OTHER_ADDRESSES - (-_tasks(services) // len(environment.availability_zones))
        ),
    ),
    Limit(
        what="rules that let them in to what they share",
        allowed=RULES_PER_SECURITY_GROUP,
        owner="a security group has",
        needed=lambda _, services: _OTHER_GROUP_RULES + len(services),
    ),
    Limit(
        what="bytes for the task that prepares their users in the database, their tables named",
        allowed=TASK_DEFINITION_BYTES,
        owner="a task definition holds",
        needed=_preparation_bytes,
    ),
)


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


def connections(environment: Environment) -> int:
    """Connections to the database while every service is released at once with all tasks it may have."""
    tasks = sum(each.scaling.most_tasks for each in environment.services if each.database != "none")
    return CONNECTIONS_KEPT + tasks * CONNECTIONS_PER_TASK * SIDES_OF_A_RELEASE


def exceeded(environment: Environment) -> Iterator[str]:
    """A line for the limit that the fewest services fit in, and one for the database, where they are exceeded."""
    problems = [problem for limit in LIMITS if (problem := limit.problem(environment))]
    if problems:
        yield min(problems)[1]
    database = environment.database
    needed = connections(environment)
    # A proxy lends the database's connections to whoever has a transaction.
    if needed > database.connection_limit and not database.proxy:
        tasks = (needed - CONNECTIONS_KEPT) // (CONNECTIONS_PER_TASK * SIDES_OF_A_RELEASE)
        yield (
            f"database: {tasks} tasks with {CONNECTIONS_PER_TASK} connections each, twice in a release, and "
            f"{CONNECTIONS_KEPT} for upkeep need {needed} connections, {database.instance_class!r} is set to "
            f"{database.connection_limit}; choose a larger instance_class, set proxy = true, lower max_tasks of services, or split them "
            "over several environments (docs/scale.md)"
        )


def synth(app: App) -> None:
    """`app.synth()`, but a template that is too large for CloudFormation ends the program with a line."""
    failure: RuntimeError | None = None
    try:
        app.synth()
    except RuntimeError as error:
        failure = error
    problems = [*_refused(str(failure)), *too_large(Path(app.outdir))]
    if problems:
        sys.exit("\n".join(problems))
    if failure is not None:
        raise failure


def too_large(assembly: Path) -> Iterator[str]:
    """A line for each limit of CloudFormation that a template of an assembly exceeds."""
    for file in sorted(assembly.glob("*.template.json")):
        stack, content = file.name.partition(".")[0], file.read_bytes()
        template = json.loads(content)
        for what, count, allowed in (
            ("resources", len(template.get("Resources", {})), RESOURCES_PER_STACK),
            ("outputs", len(template.get("Outputs", {})), OUTPUTS_PER_STACK),
            ("bytes", len(content), TEMPLATE_BYTES),
        ):
            if count > allowed:
                yield _too_large(stack, what, count, allowed)


def _refused(message: str) -> Iterator[str]:
    """CDK writes no template with more resources."""
    found = re.search(r"Number of resources in stack '(\w+)': (\d+) is greater", message)
    if found:
        yield _too_large(found[1], "resources", int(found[2]), RESOURCES_PER_STACK)


def _too_large(stack: str, what: str, count: int, allowed: int) -> str:
    return (
        f"{stack}: the template has {count} {what}, CloudFormation allows {allowed}; split the services over several "
        "environments (docs/scale.md)"
    )
