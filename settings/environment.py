"""Everything one environment is made of, and the parts of it that stacks read."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.access import Access, Oidc
from settings.alarms import Alarms
from settings.backup import Backup
from settings.cache import Cache
from settings.canary import Canary
from settings.cdn import Cdn
from settings.database import Database
from settings.delivery import Delivery
from settings.facts.cloudfront import CLOUDFRONT_PREFIX_LISTS, CLOUDFRONT_REGION
from settings.facts.phone_regions import PHONE_REGIONS
from settings.facts.quotas import CONDITION_VALUES_PER_RULE
from settings.logs import Logs
from settings.network import Network
from settings.release import Controller, Release
from settings.service import Service
from settings.tls import Tls
from settings.values import Section
from settings.waf import Waf


def _phone_region(value: str) -> str:
    if value not in PHONE_REGIONS.split():
        raise ValueError(
            f"{value!r} is no country that numbers belong to; two capital letters of ISO 3166-1, such as US or DE"
        )
    return value


# A restricted service keeps this many priorities: rules for its networks, and the last one for the 403.
RULES_PER_SERVICE = 50
RUNBOOK = "docs/runbook.md"
# Domains that are nobody's (RFC 2606), and the hosted zone of AWS's own examples.
_EXAMPLE = re.compile(r"(^|[@.])example\.(com|net|org)$|\.(example|invalid|test)$|EXAMPLE$")


class Compute(Section):
    """What the Compute stack is made of."""

    environment: str
    phone_region: str
    services: tuple[Service, ...]
    release: Release
    tls: Tls | None
    oidc: Oidc | None
    cdn: Cdn | None
    cloudfront_prefix_list: str
    waf: Waf | None
    admin_cidrs: tuple[str, ...]
    test_admin_cidrs: tuple[str, ...]
    test_traffic_cidrs: tuple[str, ...]
    sample_data: bool
    exec: bool
    response_seconds: float

    def prepared_users(self, owner: Service) -> tuple[Service, ...]:
        """The services whose users the migrating service `owner` makes, with their rights.

        Its own and those that share a table with it. Who names no tables, or only tables that no migrating
        service names, is everybody's: the lists of n services then grow with n each.
        """

        def shares(user: Service, migrating: Service) -> bool:
            return not user.tables or not migrating.tables or bool({*user.tables} & {*migrating.tables})

        migrating = [service for service in self.services if service.migrations]
        return tuple(
            user
            for user in self.services
            if user.database != "none"
            and (user == owner or shares(user, owner) or not any(shares(user, each) for each in migrating))
        )


class Observability(Section):
    """What the Observability stack is made of."""

    environment: str
    controller: Controller
    alarms: Alarms
    canary: Canary | None
    waf: Waf | None
    edge_is_measured: bool


class Environment(Section):
    """Everything one environment is made of."""

    name: str
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]{1,16}){1,3}-[0-9]$")
    account: str | None = Field(default=None, pattern=r"^[0-9]{12}$")
    availability_zones: tuple[str, ...] = Field(min_length=2, max_length=6, strict=False)
    phone_region: Annotated[str, AfterValidator(_phone_region)] = "US"
    """The country whose telephone numbers are typed and shown without its code."""
    emulator: bool = False
    protected: bool = False
    network: Network = Network()
    database: Database = Database()
    backup: Backup | None = None
    cache: Cache | None = None
    access: Access = Access()
    tls: Tls | None = None
    cdn: Cdn | None = None
    waf: Waf | None = None
    release: Release = Release()
    delivery: Delivery | None = None
    alarms: Alarms = Alarms()
    canary: Canary | None = None
    logs: Logs = Logs()
    services: tuple[Service, ...]

    @property
    def database_users(self) -> tuple[str, ...]:
        """The services that connect to the database."""
        return tuple(service.name for service in self.services if service.database != "none")

    @property
    def admin_cidrs(self) -> tuple[str, ...]:
        """Networks that reach the administration."""
        return self.access.admin_cidrs or (self.network.cidr,)

    @property
    def test_admin_cidrs(self) -> tuple[str, ...]:
        """Networks that reach the administration through the test listener: also the check of new tasks."""
        return tuple(dict.fromkeys((*self.admin_cidrs, self.network.cidr)))

    @property
    def test_traffic_cidrs(self) -> tuple[str, ...]:
        """Networks that reach the test listener."""
        return self.access.test_traffic_cidrs or (self.network.cidr,)

    @property
    def runbook_url(self) -> str:
        """Where messages lead: as set, or to the runbook in the repository that the pipelines are fed by."""
        if self.alarms.runbook_url is not None:
            return self.alarms.runbook_url
        if self.delivery is None:
            return RUNBOOK
        repository, branch = self.delivery.repository, self.delivery.branch
        if self.delivery.source == "github":
            return f"https://github.com/{repository}/blob/{branch}/{RUNBOOK}"
        return (
            f"https://{self.region}.console.aws.amazon.com/codesuite/codecommit/repositories/{repository}"
            f"/browse/refs/heads/{branch}/--/{RUNBOOK}?region={self.region}"
        )

    @property
    def examples(self) -> tuple[str, ...]:
        """What of the shipped settings is an example still, which nobody can be deployed or told by: `key: value`."""
        values = [("alarms.emails", email) for email in self.alarms.emails]
        if self.tls is not None:
            values += [("tls.domain", self.tls.domain), ("tls.hosted_zone_id", self.tls.hosted_zone_id)]
        return tuple(f"{key}: {value}" for key, value in values if _EXAMPLE.search(value))

    @property
    def compute(self) -> Compute:
        """The part that the Compute stack reads."""
        return Compute(
            environment=self.name,
            phone_region=self.phone_region,
            services=self.services,
            release=self.release,
            tls=self.tls,
            oidc=self.access.oidc,
            cdn=self.cdn,
            cloudfront_prefix_list=CLOUDFRONT_PREFIX_LISTS.get(self.region, ""),
            waf=self.waf,
            admin_cidrs=self.admin_cidrs,
            test_admin_cidrs=self.test_admin_cidrs,
            test_traffic_cidrs=self.test_traffic_cidrs,
            sample_data=self.database.sample_data,
            exec=self.access.exec,
            response_seconds=self.alarms.response_seconds,
        )

    @property
    def observability(self) -> Observability:
        """The part that the Observability stack reads."""
        return Observability(
            environment=self.name,
            controller=self.release.controller,
            alarms=self.alarms,
            canary=self.canary,
            waf=self.waf,
            edge_is_measured=self.cdn is not None and self.region == CLOUDFRONT_REGION,
        )

    def rule_priorities(self, service: Service) -> range:
        """The listener rule priorities that are a service's own, whether it uses all of them or not."""
        return range(
            service.priority, service.priority + (1 if service.access == "public" else RULES_PER_SERVICE)
        )

    def forward_rules(self, service: Service) -> int:
        """How many rules of a listener lead to a service."""
        if service.access == "public":
            return 1
        return -(-len(self.test_admin_cidrs) // (CONDITION_VALUES_PER_RULE - len(service.path_patterns)))
