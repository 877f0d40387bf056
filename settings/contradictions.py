"""What each key alone allows, and the settings together do not: one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from settings.environment import Environment
from settings.facts.cloudfront import CLOUDFRONT_BEHAVIORS, CLOUDFRONT_PREFIX_LISTS, CLOUDFRONT_REGION
from settings.facts.quotas import CONDITION_VALUES_PER_RULE
from settings.limits import exceeded
from settings.names import taken, unnameable
from settings.release import AWAITED_BAKE_MINUTES
from settings.service import Service

# AWS's rotation function clones a user under its name and _clone, in 16 characters:
# https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas/blob/master/SecretsManagerRDSMySQLRotationMultiUser/lambda_function.py
_DATABASE_USER_CHARACTERS = 10
_CLUSTER_ZONES = 3


def contradictions(environment: Environment) -> Iterator[str]:
    """A line for each."""
    zones = environment.availability_zones
    foreign = [zone for zone in zones if not re.fullmatch(re.escape(environment.region) + "[a-z]", zone)]
    if foreign:
        yield (
            f"availability_zones: {', '.join(foreign)} are not zones of {environment.region}; "
            f"allowed: {environment.region}a, {environment.region}b, ..."
        )
    if len(set(zones)) < len(zones):
        yield f"availability_zones: each zone once, not {', '.join(zones)}"
    network = environment.network
    if network.nat_gateways > len(zones):
        yield f"network.nat_gateways: at most one a zone ({len(zones)}), not {network.nat_gateways}"
    if network.nat_gateways == 0 and not network.interface_endpoints:
        yield (
            "network.nat_gateways: 0 leaves the tasks no way to the AWS APIs; "
            "set interface_endpoints = true or at least 1"
        )
    if environment.protected and not environment.database.deletion_protection:
        yield (
            "database.deletion_protection: protected = true keeps the data; set deletion_protection = true as well"
        )
    if environment.protected and not environment.alarms.emails:
        yield "alarms.emails: protected = true needs somebody who is told of alarms; name at least one address"
    if environment.protected and not environment.runbook_url.startswith("https://"):
        yield (
            f"alarms.runbook_url: {environment.runbook_url!r} leads nobody to the runbook who reads a message; "
            "protected = true needs an address that begins with https://, or [delivery], whose repository holds it"
        )
    if environment.database.cluster and len(zones) < _CLUSTER_ZONES:
        yield (
            f"database.cluster: its three instances are in {_CLUSTER_ZONES} zones; name at least as many in "
            f"availability_zones, not {len(zones)}"
        )
    if environment.backup is not None and not environment.protected:
        yield (
            "backup: a vault with snapshots in it cannot be deleted, which an environment without protected = true must "
            "be; set protected = true or remove [backup]"
        )
    for user in environment.database_users:
        if len(user) > _DATABASE_USER_CHARACTERS:
            yield (
                f"services.{user}: a service with a database has a name of at most {_DATABASE_USER_CHARACTERS} characters, "
                f"not {len(user)}: the rotation of its password alternates between it and a user called "
                f"{user.replace('-', '_')}_clone; rename the folder"
            )
    if environment.database.proxy and not environment.database_users:
        yield "database.proxy: no service uses the database; remove the key"
    if environment.release.approval and environment.delivery is None:
        yield "release.approval: is asked for by a pipeline; add [delivery] or remove the key"
    if environment.cache is not None and not environment.database_users:
        yield "cache: no service has a database whose lists could be shared; remove [cache]"
    yield from _access_contradictions(environment)
    yield from _cdn_contradictions(environment)
    if environment.canary and network.nat_gateways == 0:
        yield "canary: runs in the VPC and reports to CloudWatch Synthetics; set network.nat_gateways to at least 1"
    yield from _release_contradictions(environment)
    yield from unnameable(environment)
    yield from exceeded(environment)
    yield from _service_contradictions(environment)


def _access_contradictions(environment: Environment) -> Iterator[str]:
    if environment.access.oidc is None:
        return
    if environment.canary is not None:
        yield "canary: cannot sign in where people do; remove [canary] or [access.oidc]"
    if environment.tls is None:
        yield (
            "access.oidc: a load balancer signs users in over HTTPS only; add [tls] with a domain or remove "
            "[access.oidc]"
        )
    if environment.release.controller != "rolling":
        # A rollback by CodeDeploy writes the rule without its sign-in, and blue/green by ECS fails on rules that
        # do more than forward:
        # https://blog.youyo.info/post/2018/12/28/blue-green-deployment-for-ecs-is-not-support-to-alb-listener-rules-added-cognito-authenticate/
        # https://docs.aws.amazon.com/pt_br/AmazonECS/latest/developerguide/alb-resources-for-blue-green.html
        yield (
            f"access.oidc: controller {environment.release.controller!r} rewrites the rules that sign users in and "
            "can lose the sign-in; set release.controller = 'rolling' or remove [access.oidc]"
        )


def _cdn_contradictions(environment: Environment) -> Iterator[str]:
    if environment.cdn is None:
        return
    region = environment.region
    if region not in CLOUDFRONT_PREFIX_LISTS:
        yield (
            f"cdn: CloudFront's address list of {region} is not known, so that nothing could be let in; remove [cdn] or "
            f"choose one of {', '.join(CLOUDFRONT_PREFIX_LISTS)}"
        )
    for section, what in (("tls", "certificate"), ("waf", "web ACL")):
        if getattr(environment, section) is not None and region != CLOUDFRONT_REGION:
            yield (
                f"{section}: the {what} of CloudFront has to be in {CLOUDFRONT_REGION}, not {region}; remove "
                f"[{section}] or [cdn], or set region = '{CLOUDFRONT_REGION}'"
            )
    if environment.access.oidc is not None and environment.network.nat_gateways == 0:
        yield (
            "access.oidc: behind CloudFront the load balancer reaches the provider by NAT gateways; set "
            "network.nat_gateways to at least 1, or remove [access.oidc] or [cdn]"
        )
    patterns = sum(
        len(service.path_patterns) for service in environment.services if service.access == "admin"
    )
    if patterns >= CLOUDFRONT_BEHAVIORS:
        yield (
            f"cdn: the restricted services have {patterns} path patterns, a distribution tells "
            f"{CLOUDFRONT_BEHAVIORS - 1} apart; use fewer or remove [cdn]"
        )


def _release_contradictions(environment: Environment) -> Iterator[str]:
    release = environment.release
    waiting = {"codedeploy": "CloudFormation"}
    if environment.delivery is not None:
        waiting["ecs"] = "a pipeline"
    if release.controller in waiting and release.bake_minutes > AWAITED_BAKE_MINUTES:
        pipelines = " and pipelines" if release.controller == "ecs" else ""
        yield (
            f"release.bake_minutes: with controller {release.controller!r}{pipelines} at most {AWAITED_BAKE_MINUTES}, "
            f"not {release.bake_minutes}: a release must end within the hour that {waiting[release.controller]} waits"
        )
    for service in environment.services:
        # Such a service keeps the capacity it was created with: an update cannot change it
        # (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html).
        if release.controller == "codedeploy" and service.spot_percent:
            yield (
                f"services.{service.name}.spot_percent: with controller 'codedeploy' only 0, not "
                f"{service.spot_percent}: such a service cannot be moved to other capacity; use release.controller "
                "= 'ecs'"
            )
        # Native releases move one rule of each listener.
        if release.controller == "ecs" and environment.forward_rules(service) > 1:
            fit = CONDITION_VALUES_PER_RULE - len(service.path_patterns)
            yield (
                f"access.admin_cidrs: with controller 'ecs' the paths of {service.name} leave room for {fit} "
                f"networks including the VPC's, not {len(environment.test_admin_cidrs)}"
            )


def _unanswered_checks(service: Service) -> Iterator[str]:
    for path in service.release_check_paths:
        if not service.answers(path):
            yield (
                f"services.{service.name}.release_check_paths: {path!r} is none of {', '.join(service.path_patterns)}, so that "
                "the checks of releases and deployments would ask another service; name paths of its own"
            )


def _service_contradictions(environment: Environment) -> Iterator[str]:
    services = environment.services
    names = {service.name for service in services}
    for service in services:
        if taken(service.name, names):
            yield f"services.{service.name}: the name is taken by the platform itself; rename the folder"
        yield from _unanswered_checks(service)
    for number, service in enumerate(services):
        for other in services[number + 1 :]:
            # Constructs are called by it without hyphens: a-1 and a1 by the same.
            if service.stack_id == other.stack_id:
                yield f"services.{other.name}: differs from {service.name} by a hyphen only; rename the folder"
            shared = set(environment.rule_priorities(service)) & set(environment.rule_priorities(other))
            if shared:
                yield (
                    f"services.{other.name}.priority: rule priority {min(shared)} is taken by "
                    f"{service.name}; choose another"
                )
    ordered = sorted(services, key=lambda service: service.priority)
    for number, first in enumerate(ordered):
        for later in ordered[number + 1 :]:
            for pattern in later.path_patterns:
                shadow = next((each for each in first.path_patterns if fnmatchcase(pattern, each)), None)
                if shadow is not None and first.priority != later.priority:
                    yield (
                        f"services.{later.name}.path_patterns: {pattern!r} is never reached, {first.name} "
                        f"takes {shadow!r} at priority {first.priority} before {later.priority}"
                    )
