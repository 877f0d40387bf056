"""What an environment may grow to: what the services need of each of AWS's limits, and the one line that says so.

What a stack needs is counted from the settings, so that it is told when they are loaded; tests compare the counts with
the templates. docs/scale.md works out what comes beyond.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from settings.environment import Environment
from settings.facts.quotas import (
    ADDRESSES_PER_SUBNET,
    CONDITION_VALUES_PER_RULE,
    RULES_PER_LOAD_BALANCER,
    RULES_PER_SECURITY_GROUP,
    TARGET_GROUPS_PER_LOAD_BALANCER,
    TARGETS_PER_LOAD_BALANCER,
    TASK_DEFINITION_BYTES,
)
from settings.service import Service

# Endpoints, functions, one-off tasks.
_OTHER_ADDRESSES = 30
# Of the task that prepares a database, all but the users; and of a user, all but its name and tables.
_OTHER_DEFINITION_BYTES = 8 * 1024
_USER_BYTES = 250
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
