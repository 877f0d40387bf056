"""Checks of an AWS account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from ops.aws.clients import Clients, each
from ops.aws.refusals import explain, says
from ops.deployed import stacks
from ops.deployed.deployment import stack_names
from ops.deployment import names, service_roles, stuck
from ops.doctor import quotas
from ops.doctor.findings import Check, Finding, State, missing, ok, unchecked, warning
from ops.synthesis.templates import Templates
from platform_constructs.entrance.web_acl_rules import MANAGED_GROUPS
from settings import Environment

# What the templates ask for: their rule CheckBootstrapVersion.
BOOTSTRAP_VERSION = 6
_BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"

# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html#rds-proxy.limitations
_ZONES_WITHOUT_PROXY = frozenset({"use1-az3", "usw1-az2"})


@dataclass(frozen=True)
class Account:
    """The account that the credentials are of, seen from an environment."""

    environment: Environment
    clients: Clients
    templates: Callable[[], Templates]

    def checks(self) -> dict[str, Check]:
        """All checks that need credentials, by name."""
        checks: dict[str, Check] = {
            "region": self.region,
            "bootstrap": self.bootstrap,
            "stacks": self.stacks,
            "settings": self.settings,
            "email subscriptions": self.subscriptions,
            "names": self.names,
            "service-linked roles": self.service_roles,
            "quotas": self.quotas,
        }
        if self.environment.database.proxy:
            checks["zones of the proxy"] = self.proxy_zones
        if self.environment.waf is not None and self.environment.waf.count_rules:
            checks["rules of the web ACL"] = self.counted_rules
        if self.environment.tls is not None:
            checks["hosted zone"] = self.hosted_zone
        delivery = self.environment.delivery
        if delivery is not None and delivery.connection_arn is not None:
            checks["connection"] = self.connection
        if delivery is not None and delivery.source == "codecommit" and not delivery.create_repository:
            checks["source repository"] = self.source
        return checks

    def credentials(self) -> Finding:
        """Whether there are credentials, and of the account that the environment belongs to."""
        name, wanted = "credentials", self.environment.account
        try:
            found = str(self.clients.client("sts").get_caller_identity()["Account"])
        except (BotoCoreError, ClientError) as error:
            reason = explain(error, self.environment.name).partition(": ")[2]
            return missing(
                name, reason.partition(" Sign in")[0].rstrip("."), "aws sso login, or AWS_PROFILE=..."
            )
        if wanted not in (None, found):
            return missing(
                name,
                f"of account {found}, environments/{self.environment.name}.toml says {wanted}",
                "AWS_PROFILE=...; `aws configure list-profiles` lists what there is",
            )
        return ok(name, f"account {found}")

    def region(self) -> Finding:
        """Whether the configured zones exist for this account, and so its region is enabled."""
        answer = self.clients.client("ec2").describe_availability_zones()["AvailabilityZones"]
        known = {zone["ZoneName"] for zone in answer if zone.get("State", "available") == "available"}
        absent = [zone for zone in self.environment.availability_zones if zone not in known]
        if absent:
            return missing(
                "region",
                f"{', '.join(absent)} not available in this account",
                f"environments/{self.environment.name}.toml: availability_zones from {', '.join(sorted(known))}",
            )
        return ok("region", f"{self.environment.region}, {len(self.environment.availability_zones)} zones")

    def proxy_zones(self) -> Finding:
        """Whether a proxy of the database can be in each of the zones, which accounts name each in its own way."""
        zones = self.environment.availability_zones
        answer = self.clients.client("ec2").describe_availability_zones()["AvailabilityZones"]
        without = [
            f"{zone['ZoneName']} ({zone['ZoneId']})"
            for zone in answer
            if zone["ZoneName"] in zones and zone.get("ZoneId") in _ZONES_WITHOUT_PROXY
        ]
        if without:
            return missing(
                "zones of the proxy",
                f"{', '.join(without)} cannot have a proxy of the database",
                f"environments/{self.environment.name}.toml: another zone in availability_zones",
            )
        return ok("zones of the proxy", f"{len(zones)} zones can have one")

    def bootstrap(self) -> Finding:
        """Whether the CDK's own stack is there, and new enough."""
        remedy = f"npx cdk bootstrap -c env={self.environment.name}"
        try:
            answer = self.clients.client("ssm").get_parameter(Name=_BOOTSTRAP)
        except ClientError as error:
            if not says(error, "ParameterNotFound"):
                raise
            return warning("bootstrap", "not done yet; `make deploy` does it", remedy)
        version = int(answer["Parameter"]["Value"])
        if version < BOOTSTRAP_VERSION:
            return missing("bootstrap", f"version {version}, {BOOTSTRAP_VERSION} is needed", remedy)
        return ok("bootstrap", f"version {version}")

    def stacks(self) -> Finding:
        """Whether a stack is stuck half-way."""
        for one in stuck.find(self.clients, self.environment):
            state = missing if one.blocks else warning
            return state("stacks", f"{one.stack} is {one.status}", one.remedy)
        found = stuck.of_environment(self.clients, self.environment)
        busy = [
            f"{stack} is {status}"
            for stack, status in sorted(found.items())
            if status.endswith("_IN_PROGRESS")
        ]
        if busy:
            return warning("stacks", "; ".join(busy), "wait for its end")
        return ok("stacks", f"{len(found)} deployed" if found else "not deployed yet")

    def settings(self) -> Finding:
        """Whether nothing of an example is left in them."""
        name = self.environment.name
        if self.environment.examples:
            return missing(
                "settings",
                f"{'; '.join(self.environment.examples)}: nobody's",
                f"environments/{name}.toml: put your own in their place",
            )
        return ok("settings", f"environments/{name}.toml holds no example")

    def names(self) -> Finding:
        """Whether what is left over in the account has a name that a stack is to give."""
        found = names.taken(self.clients, self.environment, self.templates())
        if not found:
            return ok("names", "all free that are to be given")
        first = found[0]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return missing(
            "names",
            f"{first.name} exists already, of {first.stack} or of something else{more}",
            names.remedy(first, self.environment),
        )

    def subscriptions(self) -> Finding:
        """Whether everybody who shall be told has confirmed the address, and somebody shall be."""
        check, env = "email subscriptions", self.environment
        if not env.alarms.emails:
            return warning(
                check,
                "alarms.emails is empty: nobody is told",
                f"environments/{env.name}.toml: alarms.emails",
            )
        pages = self.clients.client("sns").get_paginator("list_subscriptions").paginate()
        found = {
            each["Endpoint"]: each["SubscriptionArn"]
            for page in pages
            for each in page["Subscriptions"]
            if each["Protocol"] == "email" and f":suppliers-{env.name}-" in each["TopicArn"]
        }
        if not found and f"suppliers-{env.name}-network" not in stuck.of_environment(
            self.clients, self.environment
        ):
            return ok(check, "not deployed yet; each address then gets a message with a link")
        # "PendingConfirmation" or "Deleted" in place of an ARN, where nobody followed the link, or one out of it:
        # https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptions.html
        deaf = sorted(each for each in env.alarms.emails if not found.get(each, "").startswith("arn:"))
        if not deaf:
            return ok(check, f"all {len(env.alarms.emails)} confirmed")
        finding = missing if env.protected and len(deaf) == len(env.alarms.emails) else warning
        return finding(
            check,
            f"{', '.join(deaf)} not confirmed: nobody is told there",
            "follow the link in the message 'AWS Notification - Subscription Confirmation'; another one: aws sns subscribe "
            "--topic-arn (output AlarmTopicArn) --protocol email --notification-endpoint (address)",
        )

    def service_roles(self) -> Finding:
        """Whether the roles are there with which services of AWS act on their own."""
        needed = service_roles.needed(self.templates())
        absent = service_roles.absent(self.clients, needed)
        if not absent:
            return ok("service-linked roles", f"all {len(needed)} there")
        return warning(
            "service-linked roles",
            f"{', '.join(role.name for role in absent)} not there; `make deploy` makes them, if it may",
            "; ".join(role.command for role in absent),
        )

    def counted_rules(self) -> Finding:
        """Whether the rules that shall only count exist: AWS WAF takes any name, and does nothing with a wrong one.

        https://docs.aws.amazon.com/waf/latest/developerguide/web-acl-rule-group-override-options.html
        """
        waf = self.environment.waf
        assert waf is not None  # noqa: S101 - asked for with a web ACL only
        scope = "CLOUDFRONT" if self.environment.cdn else "REGIONAL"
        unknown = []
        for named in waf.count_rules:
            group, slash, rule = named.partition("/")
            if slash:
                answer = self.clients.client("wafv2").describe_managed_rule_group(
                    VendorName="AWS", Name=MANAGED_GROUPS[group], Scope=scope
                )
                if rule not in {each["Name"] for each in answer.get("Rules", [])}:
                    unknown.append(named)
        if unknown:
            return missing(
                "rules of the web ACL",
                f"{', '.join(unknown)}: AWS has no such rule, and would not say so",
                f"environments/{self.environment.name}.toml: waf.count_rules, as `suppliers waf` names them",
            )
        return ok("rules of the web ACL", f"{len(waf.count_rules)} only count")

    def hosted_zone(self) -> Finding:
        """Whether the hosted zone exists, is public and holds the domain."""
        tls = self.environment.tls
        assert tls is not None  # noqa: S101 - asked for with a domain only
        where = f"environments/{self.environment.name}.toml: tls.hosted_zone_id"
        lookup = f"aws route53 list-hosted-zones-by-name --dns-name {tls.domain}"
        try:
            zone = self.clients.client("route53").get_hosted_zone(Id=tls.hosted_zone_id)["HostedZone"]
        except ClientError as error:
            if not says(error, "NoSuchHostedZone", "InvalidInput"):
                raise
            return missing("hosted zone", f"{where}: there is no zone {tls.hosted_zone_id}", lookup)
        name = zone["Name"].rstrip(".")
        if tls.domain != name and not tls.domain.endswith(f".{name}"):
            return missing("hosted zone", f"{where}: is of {name}, which does not hold {tls.domain}", lookup)
        if zone.get("Config", {}).get("PrivateZone"):
            return missing("hosted zone", f"{where}: is private, certificates need a public one", lookup)
        return ok("hosted zone", f"{name} holds {tls.domain}")

    def connection(self) -> Finding:
        """Whether the connection to GitHub has been accepted."""
        delivery = self.environment.delivery
        assert delivery is not None  # noqa: S101 - asked for with a connection only
        arn = delivery.connection_arn
        answer = self.clients.client("codeconnections").get_connection(ConnectionArn=arn)["Connection"]
        status = answer["ConnectionStatus"]
        if status != "AVAILABLE":
            return missing(
                "connection",
                f"{answer.get('ConnectionName', arn)} is {status}",
                "update it in the console: Developer Tools, Connections",
            )
        return ok("connection", str(answer.get("ConnectionName", arn)))

    def source(self) -> Finding:
        """Whether the CodeCommit repository is there that the environment uses and does not create."""
        delivery = self.environment.delivery
        assert delivery is not None  # noqa: S101 - asked for with pipelines only
        try:
            self.clients.client("codecommit").get_repository(repositoryName=delivery.repository)
        except ClientError as error:
            if not says(error, "RepositoryDoesNotExistException"):
                raise
            return missing(
                "source repository",
                f"there is no {delivery.repository} in this account",
                f"environments/{self.environment.name}.toml: delivery.create_repository = true, or aws codecommit "
                f"create-repository --repository-name {delivery.repository}",
            )
        return ok("source repository", delivery.repository)

    def quotas(self) -> Finding:
        """Whether what the environment still has to make fits beside what there is; the first quota that it does not."""
        templates = self.templates()
        deployed = stuck.of_environment(self.clients, self.environment)
        more = {
            stack: templates[stack]
            for stack, name in stack_names(self.environment).items()
            if stack in templates and deployed.get(name, "DELETE_COMPLETE") in stacks.NOTHING_DEPLOYED
        }
        everywhere = quotas.everywhere(self.clients)
        found = each(
            lambda quota: quota.finding(self.clients, everywhere, self.environment, more, templates),
            quotas.QUOTAS,
        )
        found.append(quotas.log_policies(self.clients, self.environment, more))
        exceeded = [finding for finding in found if finding.state is State.MISSING]
        if not exceeded:
            return ok("quotas", f"{len(found)} leave room")
        return missing(
            "quotas",
            "; ".join(f"{finding.name} {finding.detail}" for finding in exceeded),
            "; ".join(filter(None, (finding.remedy for finding in exceeded))),
        )


def without_credentials(account: Account) -> list[Finding]:
    """What cannot be checked because nobody is signed in, a line each."""
    return [unchecked(name, "needs credentials") for name in account.checks()]
