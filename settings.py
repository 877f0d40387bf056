"""Typed, validated settings: one file an environment, one manifest a service.

Files are parsed strictly (an unknown key is an error) into frozen values. Whatever is wrong
raises `SettingsError`, whose text is one line a problem: file, key, what is wrong, what is allowed.
"""

from __future__ import annotations

import codecs
import ipaddress
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

import limits
from database_classes import FAMILIES, memory_gib, offers_cluster, offers_insights, offers_instance
from platform_constructs.cron_expression import CronExpression
from platform_constructs.web_acl_rules import MANAGED_GROUPS, RATE_LIMIT

ROOT = Path(__file__).parent

# A restricted service keeps this many priorities: rules for its networks, and the last one for the 403.
RULES_PER_SERVICE = 50

# Where CloudFront's certificates, web ACLs and metrics live:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html
CLOUDFRONT_REGION = "us-east-1"
# The managed prefix list com.amazonaws.global.cloudfront.origin-facing of each region, which CloudFormation cannot look
# up by its name. All are regions that VPC origins are offered in:
# https://aws.amazon.com/blogs/networking-and-content-delivery/limit-access-to-your-origins-using-the-aws-managed-prefix-list-for-amazon-cloudfront/
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-vpc-origins.html
CLOUDFRONT_PREFIX_LISTS: Mapping[str, str] = {
    "ap-northeast-1": "pl-58a04531",
    "ap-northeast-2": "pl-22a6434b",
    "ap-south-1": "pl-9aa247f3",
    "ap-southeast-1": "pl-31a34658",
    "ap-southeast-2": "pl-b8a742d1",
    "ca-central-1": "pl-38a64351",
    "eu-central-1": "pl-a3a144ca",
    "eu-north-1": "pl-fab65393",
    "eu-west-1": "pl-4fa04526",
    "eu-west-2": "pl-93a247fa",
    "eu-west-3": "pl-75b1541c",
    "sa-east-1": "pl-5da64334",
    "us-east-1": "pl-3b927c52",
    "us-east-2": "pl-b6a144df",
    "us-west-1": "pl-4ea04527",
    "us-west-2": "pl-82a045eb",
}
# Path patterns that a distribution tells apart, an adjustable quota:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
CLOUDFRONT_BEHAVIORS = 75

# Who waits for a release waits an hour: CloudFormation for the custom resource that starts CodeDeploy, a pipeline for
# its action that releases by ECS (for CodeDeploy it would wait 5 days, CloudFormation for ECS 36 hours). Shifting takes
# at most 10 minutes of it, starting tasks some.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
# https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ecs-service-linearconfiguration.html
AWAITED_BAKE_MINUTES = 40

# AWS's rotation function clones a user under its name and _clone, in 16 characters:
# https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas/blob/master/SecretsManagerRDSMySQLRotationMultiUser/lambda_function.py
_DATABASE_USER_CHARACTERS = 10

# What CloudWatch Logs offers:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180),
    *(365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)

_CLUSTER_ZONES = 3
# The IOPS of a cluster's storage must be told, which gp3 takes from 400 GiB on only; its 12,000 are half of the upper one.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
_CLUSTER_STORAGE_GIB = (400, 24_000)
# The default of RDS for MySQL is DBInstanceClassMemory / 12582880, about 85 a GiB less what the system keeps:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections
# A number below that is one that holds, so that an alarm can be measured against it.
_CONNECTIONS_PER_GIB = 64

# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
FARGATE_MEMORY_MIB: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}


# What every environment has, each a stack of its own; a test finds them.
SHARED_STACKS = frozenset({"compute", "data", "delivery", "network", "observability"})
# Users of the database that are no service's, and what rotates the administrator's password.
_OTHER_USERS = frozenset({"administrator", "directory-admin", "migrator"})
# Its pipeline's stack is called after the stack of what pipelines share, and the task that prepares its database after it.
_RESERVED_PREFIX, _RESERVED_SUFFIX = "delivery-", "-prepare"

# Whose telephone numbers the services know: https://github.com/daviddrysdale/python-phonenumbers
PHONE_REGIONS = (
    "AC AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY "
    "BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ "
    "FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH "
    "MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK "
    "PL PM PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA "
    "TC TD TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"
)

# No file of settings comes near; more is a mistake that would take long to be told.
_FILE_BYTES = 256 * 1024
_PROBLEMS_TOLD = 50
_LINE_CHARACTERS = 600


class SettingsError(Exception):
    """Wrong settings, said in one readable line a problem, whatever the files hold; at most 50 of them."""

    def __init__(self, *problems: str) -> None:
        told = tuple(_line(problem) for problem in problems[:_PROBLEMS_TOLD])
        if len(problems) > _PROBLEMS_TOLD:
            told += (f"and {len(problems) - _PROBLEMS_TOLD} more",)
        super().__init__("\n".join(told))
        self.problems = problems


def _line(problem: str) -> str:
    printable = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in problem
    )
    if len(printable) <= _LINE_CHARACTERS:
        return printable
    half = _LINE_CHARACTERS // 2
    return f"{printable[:half]} ... {printable[-half:]}"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(f"{value!r} is no CIDR; an example is 203.0.113.0/24") from None
    if network.version != 4:
        raise ValueError(f"{value!r} is no IPv4 CIDR; an example is 203.0.113.0/24")
    return value


def _vpc_cidr(value: str) -> str:
    network = ipaddress.ip_network(_cidr(value))
    if not network.is_private or not 16 <= network.prefixlen <= 20:
        raise ValueError(f"{value!r} must be a private network from /16 to /20, such as 10.0.0.0/16")
    return value


def _apart(cidrs: tuple[str, ...]) -> tuple[str, ...]:
    networks = [ipaddress.IPv4Network(each) for each in cidrs]
    for number, network in enumerate(networks):
        for other in networks[number + 1 :]:
            if network.overlaps(other):
                # One of two networks that overlap always holds the other.
                raise ValueError(f"{network} and {other} overlap; leave the larger one alone")
    return cidrs


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    seen = [value.casefold() for value in values]
    twice = next((value for value in values if seen.count(value.casefold()) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is there twice; each once")
    return values


def _path_pattern(value: str) -> str:
    if len(value) > 128 or not re.fullmatch(r"/[A-Za-z0-9_\-.$/~\"'@:+&*?]*", value):
        raise ValueError(
            f"{value!r} is no path pattern; it starts with / and holds at most 128 letters, digits, "
            "wildcards (* and ?) and _-.$/~\"'@:+&"
        )
    return value


def _within_a_rule(patterns: tuple[str, ...]) -> tuple[str, ...]:
    # A service's patterns are one condition of each of its rules.
    wildcards = sum(pattern.count("*") + pattern.count("?") for pattern in patterns)
    if wildcards > limits.CONDITION_WILDCARDS_PER_RULE:
        raise ValueError(
            f"{wildcards} wildcards (* and ?) are more than a rule of a load balancer may have, which is "
            f"{limits.CONDITION_WILDCARDS_PER_RULE}"
        )
    return patterns


def _email(value: str) -> str:
    if len(value) > 254 or not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+", value):
        raise ValueError(f"{value!r} is no email address")
    return value


def _instance_class(value: str) -> str:
    if not re.fullmatch(r"db\.[a-z0-9]+\.[a-z0-9]+", value):
        raise ValueError(f"{value!r} is no database instance class; an example is db.t4g.small")
    if not memory_gib(value):
        raise ValueError(
            f"{value!r} is not offered for MySQL 8.4; allowed: sizes of {', '.join(f'db.{each}' for each in FAMILIES)}, "
            "such as db.t4g.small"
        )
    return value


def _cache_node_type(value: str) -> str:
    if not re.fullmatch(r"cache\.[a-z][a-z0-9]*\.[a-z0-9]+", value):
        raise ValueError(f"{value!r} is no cache node type; an example is cache.t4g.micro")
    if value.split(".")[1].endswith("gd"):
        raise ValueError(
            f"{value!r} keeps data on disks too, which a cache of lists does not need; an example is cache.r7g.large"
        )
    return value


def _retention(value: int) -> int:
    if value not in LOG_RETENTION_DAYS:
        raise ValueError(f"{value} is not offered; allowed: {', '.join(map(str, LOG_RETENTION_DAYS))}")
    return value


def _runbook_url(value: str) -> str:
    # An alarm's description holds 1,024 characters, of which it needs some.
    if not re.fullmatch(r"[!-\"$-~]{1,500}", value):
        raise ValueError(f"{value!r} is no address or path of the runbook without '#' and blanks")
    return value


def _counted_rule(value: str) -> str:
    group, slash, rule = value.partition("/")
    if not (group in MANAGED_GROUPS if slash else group in (RATE_LIMIT, *MANAGED_GROUPS)) or (
        # The characters that AWS WAF names rules with:
        # https://docs.aws.amazon.com/waf/latest/APIReference/API_RuleActionOverride.html
        slash and not re.fullmatch(r"[\w-]{1,128}", rule, re.ASCII)
    ):
        raise ValueError(
            f"{value!r} is no rule of the web ACL; allowed: {', '.join((RATE_LIMIT, *MANAGED_GROUPS))}, "
            "or a rule of one of these groups such as Common/SizeRestrictions_BODY (`suppliers waf` names them)"
        )
    return value


def _domain(value: str) -> str:
    if len(value) > 253 or not re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", value):
        raise ValueError(f"{value!r} is no domain name; an example is suppliers.example.com")
    return value


def _https_url(value: str) -> str:
    if len(value) > 1024 or not re.fullmatch(r"https://[a-z0-9.-]+(:\d{1,5})?(/[\w./~%-]*)?", value):
        raise ValueError(f"{value!r} is no https URL; an example is https://login.example.com/oauth2/token")
    return value


def _branch(value: str) -> str:
    # What git refuses in a name: https://git-scm.com/docs/git-check-ref-format
    if not re.fullmatch(r"(?!.*(\.\.|//|\.lock(/|$)))[A-Za-z0-9_][\w./-]{0,99}(?<![./])", value, re.ASCII):
        raise ValueError(f"{value!r} is no branch name; an example is main")
    return value


def _connection_arn(value: str) -> str:
    service = "(codeconnections|codestar-connections)"
    if not re.fullmatch(
        rf"arn:aws[a-z-]*:{service}:[a-z0-9-]+:[0-9]{{12}}:connection/[0-9a-f-]{{36}}", value
    ):
        raise ValueError(
            f"{value!r} is no ARN of a connection; an example is "
            "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
        )
    return value


def _hours(value: str) -> str:
    time = r"([01]\d|2[0-3]):[0-5]\d"
    if not re.fullmatch(rf"{time}-{time}", value) or value[:5] == value[6:]:
        raise ValueError(f"{value!r} are no hours of a day; an example is 09:00-17:00")
    return value


def _cron(value: str) -> str:
    return str(CronExpression.parse(value))


def _time_zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; examples are UTC and Europe/Berlin") from None


def _phone_region(value: str) -> str:
    if value not in PHONE_REGIONS.split():
        raise ValueError(
            f"{value!r} is no country that numbers belong to; two capital letters of ISO 3166-1, such as US or DE"
        )
    return value


Cidr = Annotated[str, AfterValidator(_cidr)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
Cidrs = Annotated[tuple[Cidr, ...], AfterValidator(_apart)]
Email = Annotated[str, AfterValidator(_email)]
CountedRule = Annotated[str, AfterValidator(_counted_rule)]
CheckPath = Annotated[str, Field(pattern=r"^/[!-~]{0,1023}$")]
Table = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
EachOnce = AfterValidator(_each_once)
PathPattern = Annotated[str, AfterValidator(_path_pattern)]
Architecture = Literal["arm64", "x86_64"]
Controller = Literal["codedeploy", "ecs", "rolling"]
Strategy = Literal["all-at-once", "canary", "linear"]


class Network(_Section):
    """The address range and the ways out of it."""

    cidr: Annotated[str, AfterValidator(_vpc_cidr)] = "10.0.0.0/16"
    nat_gateways: int = Field(default=1, ge=0, le=6)
    interface_endpoints: bool = False
    flow_logs: bool = True


class Database(_Section):
    """The MySQL instance, or cluster; sizes in GiB, times in days."""

    instance_class: Annotated[str, AfterValidator(_instance_class)] = "db.t4g.small"
    multi_az: bool = True
    storage_gib: int = Field(default=20, ge=20, le=65536)
    backup_days: int = Field(default=7, ge=1, le=35)
    deletion_protection: bool = False
    sample_data: bool = False
    max_connections: int | None = Field(default=None, ge=20, le=16_000)
    proxy: bool = False
    """Services connect to an RDS Proxy, which shares the server's connections between them."""
    # Amazon RDS spreads readers over several replicas of MySQL by no address of its own, so one is what they can use.
    read_replicas: int = Field(default=0, ge=0, le=1)
    insights: bool | None = None
    """Database Insights; false leaves them off in an instance that has grown out of a class without them."""
    cluster: bool = False
    """One instance that takes writes and two readable standbys, in three zones, in place of the one instance."""

    @property
    def connection_limit(self) -> int:
        """Connections the server accepts: as set, else 64 for each GiB of memory of its instance class."""
        return self.max_connections or round(_CONNECTIONS_PER_GIB * memory_gib(self.instance_class))

    @property
    def uses_insights(self) -> bool:
        """As set, else wherever AWS offers Database Insights for the instance class."""
        return offers_insights(self.instance_class) if self.insights is None else self.insights

    @model_validator(mode="after")
    def _possible_insights(self) -> Self:
        if self.insights and not offers_insights(self.instance_class):
            raise ValueError(
                f"insights = true is not offered with instance_class {self.instance_class!r}; remove the key or take a "
                "class from medium on"
            )
        return self

    @model_validator(mode="after")
    def _possible_cluster(self) -> Self:
        if not self.cluster:
            if not offers_instance(self.instance_class):
                raise ValueError(
                    f"instance_class {self.instance_class!r} is offered with cluster = true only"
                )
            return self
        if not offers_cluster(self.instance_class):
            families = ", ".join(f"db.{name}" for name, each in FAMILIES.items() if each.cluster)
            raise ValueError(
                f"cluster = true is not offered with instance_class {self.instance_class!r}; allowed: {families}, such as "
                "db.m6gd.large"
            )
        least, most = _CLUSTER_STORAGE_GIB
        if not least <= self.storage_gib <= most:
            raise ValueError(
                f"cluster = true needs storage_gib from {least} to {most}, not {self.storage_gib}: such a cluster must be "
                "told its IOPS, which gp3 lets be told from there on"
            )
        if not self.multi_az:
            raise ValueError("cluster = true has its standbys in other zones; remove multi_az = false")
        if self.proxy:
            raise ValueError(
                "cluster = true is reached by its own addresses; remove proxy or set it to false"
            )
        if self.read_replicas:
            raise ValueError(
                "cluster = true has readers already, its standbys; remove read_replicas or set it to 0"
            )
        return self


class Backup(_Section):
    """Snapshots by AWS Backup, a day each; absent means: only the instance's own backups (`database.backup_days`)."""

    retention_days: int = Field(default=35, ge=7, le=3650)


class Oidc(_Section):
    """The identity provider whose users reach the restricted services, by OpenID Connect."""

    issuer: HttpsUrl
    authorization_endpoint: HttpsUrl
    token_endpoint: HttpsUrl
    user_info_endpoint: HttpsUrl
    client_id: str = Field(pattern=r"^[!-~]{1,512}$")
    client_secret_name: str = Field(pattern=r"^[A-Za-z0-9/_+=.@-]{1,512}$")
    """A secret in Secrets Manager whose whole value is the client secret."""


class Cache(_Section):
    """Valkey on ElastiCache that the tasks share, a primary with replicas; absent means: each task has its own memory."""

    node_type: Annotated[str, AfterValidator(_cache_node_type)] = "cache.t4g.micro"
    replicas: int = Field(default=1, ge=0, le=5)


class Access(_Section):
    """Who may reach what; an empty list means: only from inside the VPC.

    With `exec`, whoever may call ecs:ExecuteCommand gets a shell inside the tasks.
    """

    admin_cidrs: Cidrs = Field(default=(), max_length=20, strict=False)
    test_traffic_cidrs: Cidrs = Field(default=(), max_length=20, strict=False)
    oidc: Oidc | None = None
    exec: bool = False


class Tls(_Section):
    """The domain to serve over HTTPS, with its public hosted zone; absent means HTTP."""

    domain: Annotated[str, AfterValidator(_domain)]
    hosted_zone_id: str = Field(pattern=r"^Z[A-Z0-9]{1,31}$")


class Cdn(_Section):
    """CloudFront in front of the load balancer, which is then internal; absent means: the load balancer is public.

    `list_seconds` is how long public pages may be kept at the edge, `price_class` from where CloudFront answers: '100'
    North America and Europe, '200' also Asia and the Middle East, 'all' everywhere.
    """

    list_seconds: int = Field(default=10, ge=1, le=3600)
    price_class: Literal["100", "200", "all"] = "100"


class Waf(_Section):
    """A web ACL that blocks in front of the load balancer; the limit counts requests a source in 5 minutes.

    `count_rules` let requests pass and only count them: "RateLimit", a managed group, or a rule of one ("Common/...").
    """

    rate_limit: int = Field(default=2000, ge=10, le=2_000_000_000)
    count_rules: Annotated[tuple[CountedRule, ...], EachOnce] = Field(
        default=(), max_length=100, strict=False
    )


class Release(_Section):
    """How a new version takes over the traffic."""

    controller: Controller = "codedeploy"
    strategy: Strategy = "canary"
    bake_minutes: int = Field(default=10, ge=1, le=1440)
    approval: bool = False


class Delivery(_Section):
    """Where a push comes from; an environment without this section has no pipelines."""

    source: Literal["codecommit", "github"] = "codecommit"
    repository: str = "microservices"
    create_repository: bool = True
    branch: Annotated[str, AfterValidator(_branch)] = "main"
    connection_arn: Annotated[str, AfterValidator(_connection_arn)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source == "github":
            if self.connection_arn is None:
                raise ValueError("connection_arn is missing; source = 'github' needs the ARN of a connection")
            if not re.fullmatch(r"[A-Za-z0-9-]{1,39}/[\w.-]{1,100}", self.repository, re.ASCII):
                raise ValueError(
                    f"repository {self.repository!r} is no GitHub repository such as 'owner/name'"
                )
            if "create_repository" in self.model_fields_set:
                raise ValueError("create_repository is for source = 'codecommit'; remove the key")
        else:
            if self.connection_arn is not None:
                raise ValueError("connection_arn is for source = 'github'; remove the key or set the source")
            if not re.fullmatch(r"[\w.-]{1,100}(?<!\.git)", self.repository, re.ASCII):
                raise ValueError(
                    f"repository {self.repository!r} is no CodeCommit name; it has at most 100 letters, digits "
                    "and _.- and does not end in .git"
                )
        return self


class Alarms(_Section):
    """Who is told, of what, and where they read what to do."""

    emails: Annotated[tuple[Email, ...], EachOnce] = Field(default=(), max_length=20, strict=False)
    runbook_url: Annotated[str, AfterValidator(_runbook_url)] | None = None
    monthly_budget_usd: float | None = Field(default=None, gt=0)
    response_seconds: float = Field(default=2, gt=0, le=60)
    server_errors: int = Field(default=10, ge=0)
    server_error_percent: float = Field(default=5, gt=0, le=100)
    database_cpu_percent: float = Field(default=80, gt=0, lt=100)
    database_connections_percent: float = Field(default=80, gt=0, lt=100)
    certificate_days: int = Field(default=30, ge=1, le=60)
    blocked_requests: int = Field(default=1000, ge=1)


class Canary(_Section):
    """A visitor that is a machine: with this section it walks through home, list, add and delete."""

    interval_minutes: int = Field(default=5, ge=1, le=60)


class Logs(_Section):
    """How long all log groups keep their lines."""

    retention_days: Annotated[int, AfterValidator(_retention)] = 365


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEK: tuple[str, ...] = get_args(Weekday)
_MINUTES_PER_DAY = 24 * 60
_MINUTES_PER_WEEK = 7 * _MINUTES_PER_DAY


class Bounds(_Section):
    """Task counts that hold from the minutes on that a cron expression names."""

    name: str
    cron: str
    time_zone: str
    min_tasks: int
    max_tasks: int


class Schedule(_Section):
    """Other task counts by the clock: within hours of weekdays, or from the minutes of a cron expression on."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    weekdays: tuple[Weekday, ...] = Field(default=(), max_length=7, strict=False)
    hours: Annotated[str, AfterValidator(_hours)] | None = None
    cron: Annotated[str, AfterValidator(_cron)] | None = None
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    min_tasks: int = Field(ge=1, le=1000)
    max_tasks: int = Field(ge=1, le=1000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks ({self.min_tasks}) must not be above max_tasks ({self.max_tasks})")
        if (self.cron is None) != bool(self.weekdays and self.hours) or (
            self.cron is not None and (self.weekdays or self.hours)
        ):
            raise ValueError(
                "say either weekdays and hours, such as ['mon', 'fri'] and '09:00-17:00', or cron, "
                "such as '0 9 ? * MON-FRI *'"
            )
        return self

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each window, in minutes since Monday 00:00; the end may lie in the next week."""
        if self.hours is None:
            return ()
        start, end = (int(each[:2]) * 60 + int(each[3:]) for each in self.hours.split("-"))
        length = (end - start) % _MINUTES_PER_DAY
        starts = sorted(_WEEK.index(day) * _MINUTES_PER_DAY + start for day in self.weekdays)
        return tuple((each, each + length) for each in starts)

    def bounds(self, otherwise: Scaling) -> tuple[Bounds, ...]:
        """The moments that change the task counts; a window ends with those that hold otherwise."""

        def moment(name: str, cron: str, counts: Schedule | Scaling) -> Bounds:
            return Bounds(
                name=name,
                cron=cron,
                time_zone=self.time_zone,
                min_tasks=counts.min_tasks,
                max_tasks=counts.max_tasks,
            )

        if self.cron is not None:
            return (moment(self.name, self.cron, self),)
        starts, ends = zip(*self.windows, strict=True)
        return (
            moment(f"{self.name}-start", _weekly(starts), self),
            moment(f"{self.name}-end", _weekly(ends), otherwise),
        )


def _weekly(minutes: tuple[int, ...]) -> str:
    days = ",".join(_WEEK[each % _MINUTES_PER_WEEK // _MINUTES_PER_DAY].upper() for each in minutes)
    hour, minute = divmod(minutes[0] % _MINUTES_PER_DAY, 60)
    return f"{minute} {hour} ? * {days} *"


class Scaling(_Section):
    """Task counts and the levels (CPU and memory in percent of the reservation) that change them."""

    min_tasks: int = Field(default=2, ge=1, le=1000)
    max_tasks: int = Field(default=4, ge=1, le=1000)
    target_cpu_percent: int = Field(default=50, ge=10, le=90)
    step_out_cpu_percent: int = Field(default=70, ge=20, le=95)
    step_in_cpu_percent: int = Field(default=30, ge=5, le=80)
    target_memory_percent: int | None = Field(default=None, ge=10, le=95)
    target_requests_per_target: int | None = Field(default=None, ge=1, le=10_000_000)
    cooldown_seconds: int = Field(default=300, ge=0, le=3600)
    schedules: tuple[Schedule, ...] = Field(default=(), max_length=20, strict=False)

    @property
    def bounds(self) -> tuple[Bounds, ...]:
        """The moments of all schedules."""
        return tuple(each for schedule in self.schedules for each in schedule.bounds(self))

    @property
    def fewest_tasks(self) -> int:
        """The lowest minimum that ever holds."""
        return min([self.min_tasks, *(each.min_tasks for each in self.schedules)])

    @property
    def most_tasks(self) -> int:
        """The highest maximum that ever holds."""
        return max([self.max_tasks, *(each.max_tasks for each in self.schedules)])

    @model_validator(mode="before")
    @classmethod
    def _less_for_fewer_tasks(cls, scaling: Any) -> Any:
        if not isinstance(scaling, dict) or "step_in_cpu_percent" in scaling:
            return scaling
        schedules = scaling.get("schedules", [])
        minimums = [each.get("min_tasks", 2) for each in (scaling, *schedules) if isinstance(each, dict)]
        target = scaling.get("target_cpu_percent", 50)
        if not all(isinstance(each, int) and each > 0 for each in (*minimums, target)):
            return scaling
        return {**scaling, "step_in_cpu_percent": min(30, _highest_step_in(target, min(minimums)))}

    @model_validator(mode="after")
    def _levels_in_order(self) -> Self:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks ({self.min_tasks}) must not be above max_tasks ({self.max_tasks})")
        if not self.step_in_cpu_percent < self.target_cpu_percent < self.step_out_cpu_percent:
            raise ValueError(
                "step_in_cpu_percent < target_cpu_percent < step_out_cpu_percent must hold, not "
                f"{self.step_in_cpu_percent}, {self.target_cpu_percent}, {self.step_out_cpu_percent}"
            )
        fewest = self.fewest_tasks
        highest = _highest_step_in(self.target_cpu_percent, fewest)
        if self.step_in_cpu_percent > highest:
            raise ValueError(
                f"step_in_cpu_percent ({self.step_in_cpu_percent}) must be at most {highest}: else one task "
                f"less than {fewest + 1} lifts the others above target_cpu_percent "
                f"({self.target_cpu_percent}), which brings it back"
            )
        return self

    @model_validator(mode="after")
    def _schedules_apart(self) -> Self:
        names = [each.name for each in self.schedules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"schedules: the name {name!r} is taken twice; give each one its own")
        weekly = [each for each in self.schedules if each.windows]
        zones = sorted({each.time_zone for each in weekly})
        if len(zones) > 1:
            raise ValueError(f"schedules: those with weekdays share one time_zone, not {', '.join(zones)}")
        windows = sorted((*window, each.name) for each in weekly for window in each.windows)
        following = windows[1:] + [(start + _MINUTES_PER_WEEK, end, name) for start, end, name in windows[:1]]
        for (_, end, name), (start, _, other) in zip(windows, following, strict=True):
            if start <= end:
                raise ValueError(
                    f"schedules: the hours of {name} and {other} overlap or touch; leave a minute between "
                    "them, or use cron for counts that follow each other"
                )
        return self


def _highest_step_in(target: int, fewest: int) -> int:
    """The highest level at which `fewest` tasks can do, within the target, what one more does now."""
    return target * fewest // (fewest + 1)


def _is_administration(pattern: str) -> bool:
    return re.match(r"/admin($|[/*?])", pattern) is not None


class Service(_Section):
    """One microservice: its manifest, with the overrides of the environment."""

    # As part of other names it ends in no hyphen: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
    name: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=16)
    enabled: bool = True
    path_patterns: Annotated[tuple[PathPattern, ...], EachOnce, AfterValidator(_within_a_rule)] = Field(
        min_length=1, max_length=4, strict=False
    )
    priority: int = Field(ge=1, le=49_000)
    access: Literal["public", "admin"]
    container_port: int = Field(default=8080, ge=1024, le=65535)
    cpu: int = 256
    memory_mib: int = 512
    architecture: Architecture = "arm64"
    # A weight of 0 would keep tasks off Fargate altogether, so a few stay:
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html
    spot_percent: int = Field(default=0, ge=0, le=95)
    health_check_path: str = Field(default="/", pattern=r"^/[!-~]{0,1023}$")
    release_check_paths: Annotated[tuple[CheckPath, ...], EachOnce] = Field(
        default=(), max_length=10, strict=False
    )
    health_check_grace_seconds: int = Field(default=300, ge=0, le=7200)
    database: Literal["none", "read", "write"] = "none"
    tables: Annotated[tuple[Table, ...], EachOnce] = Field(default=(), max_length=100, strict=False)
    migrations: bool = False
    scaling: Scaling = Scaling()

    @property
    def stack_id(self) -> str:
        """The construct id of its stack: `student-records` is `StudentRecords`."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    @property
    def check_paths(self) -> tuple[str, ...]:
        """What must answer 200 from new tasks before a release moves traffic to them, and after a deployment.

        The load balancer's health check asks a task itself; its path is among these only where the rules lead
        there too.
        """
        answered = self.answers(self.health_check_path)
        return self.release_check_paths or ((self.health_check_path,) if answered else ())

    def answers(self, path: str) -> bool:
        """Whether one of the service's patterns takes a path."""
        return any(fnmatchcase(path.partition("?")[0], pattern) for pattern in self.path_patterns)

    @model_validator(mode="before")
    @classmethod
    def _access_by_path(cls, manifest: dict[str, Any]) -> dict[str, Any]:
        patterns = manifest.get("path_patterns")
        restricted = isinstance(patterns, list) and any(_is_administration(str(each)) for each in patterns)
        return {"access": "admin" if restricted else "public", **manifest}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.cpu not in FARGATE_MEMORY_MIB:
            allowed = ", ".join(map(str, FARGATE_MEMORY_MIB))
            raise ValueError(f"cpu {self.cpu} is not offered by Fargate; allowed: {allowed}")
        if self.memory_mib not in FARGATE_MEMORY_MIB[self.cpu]:
            offered = FARGATE_MEMORY_MIB[self.cpu]
            allowed = ", ".join(map(str, offered)) if len(offered) < 9 else f"{offered[0]} to {offered[-1]}"
            raise ValueError(
                f"memory_mib {self.memory_mib} is not offered with cpu {self.cpu}; allowed: {allowed}"
            )
        if self.tables and self.database == "none":
            raise ValueError("tables needs database = 'read' or 'write'")
        if self.access == "public" and any(map(_is_administration, self.path_patterns)):
            raise ValueError("access: a path below /admin is never public; set access = 'admin'")
        if self.migrations and self.database != "write":
            raise ValueError("migrations = true needs database = 'write'")
        return self


class Compute(_Section):
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


class Observability(_Section):
    """What the Observability stack is made of."""

    environment: str
    controller: Controller
    alarms: Alarms
    canary: Canary | None
    waf: Waf | None
    edge_is_measured: bool


RUNBOOK = "docs/runbook.md"
# Domains that are nobody's (RFC 2606), and the hosted zone of AWS's own examples.
_EXAMPLE = re.compile(r"(^|[@.])example\.(com|net|org)$|\.(example|invalid|test)$|EXAMPLE$")


class Environment(_Section):
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
        return -(
            -len(self.test_admin_cidrs) // (limits.CONDITION_VALUES_PER_RULE - len(service.path_patterns))
        )


def environment_names(root: Path = ROOT) -> list[str]:
    """The environments that exist."""
    return sorted(path.stem for path in (root / "environments").glob("*.toml"))


def load(name: str, root: Path = ROOT) -> Environment:
    """The settings of environment `name`.

    Raises `SettingsError` with one line for each problem found.
    """
    if name not in environment_names(root):
        raise SettingsError(
            f"env: there is no environment {name!r}; allowed: {', '.join(environment_names(root))} "
            "(the files in environments/)"
        )
    file = root / "environments" / f"{name}.toml"
    document = _read(file, root)
    overrides = document.pop("services", {})
    problems: list[str] = []
    services = _load_services(overrides, file, root, problems)
    if "name" in document:
        problems.append(f"{file.relative_to(root)}: name: is the file's name; remove the key")
    try:
        environment = Environment.model_validate({**document, "name": name, "services": services})
    except ValidationError as error:
        raise SettingsError(*problems, *_lines(error, file, root, Environment)) from None
    found = [*_contradictions(environment), *_ambiguous_names(environment, environment_names(root))]
    problems += [f"{file.relative_to(root)}: {problem}" for problem in found]
    if problems:
        raise SettingsError(*problems)
    return environment


def _read(file: Path, root: Path) -> dict[str, Any]:
    where = file.relative_to(root)
    try:
        # What is no file, a pipe say, could keep its reader waiting.
        if not stat.S_ISREG(file.stat().st_mode):
            raise SettingsError(f"{where}: is no file")
        with file.open("rb") as opened:
            content = opened.read(_FILE_BYTES + 1)
        if len(content) > _FILE_BYTES:
            raise SettingsError(f"{where}: is larger than {_FILE_BYTES // 1024} KiB, which no settings are")
        if content.startswith(codecs.BOM_UTF8):
            raise SettingsError(f"{where}: begins with a byte order mark; save it as UTF-8 without one")
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{where}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except RecursionError:
        raise SettingsError(f"{where}: is not TOML: it nests too deeply") from None
    except ValueError as error:
        # Of the parser's own kind, or Python's of a number with thousands of digits.
        raise SettingsError(f"{where}: is not TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{where}: cannot be read: {error.strerror}") from None


def _load_services(overrides: Any, file: Path, root: Path, problems: list[str]) -> tuple[Service, ...]:
    where = file.relative_to(root)
    # With links that lead nowhere, so that a service is never left out in silence.
    manifests = [
        folder / "service.toml"
        for folder in sorted((root / "services").glob("*"))
        if os.path.lexists(folder / "service.toml")
    ]
    known = [manifest.parent.name for manifest in manifests]
    if not isinstance(overrides, dict):
        raise SettingsError(f"{where}: services: must be tables such as [services.customer]")
    problems += [
        f"{where}: services.{_key(name)}: there is no such service; allowed: {', '.join(known)}"
        for name in overrides
        if name not in known
    ]
    services = []
    for manifest in manifests:
        name = manifest.parent.name
        if not isinstance(overrides.get(name, {}), dict):
            problems.append(f"{where}: services.{name}: must be a table such as [services.{name}]")
            continue
        try:
            merged = _merge(_read(manifest, root), overrides.get(name, {}))
            if "name" in merged:
                raise SettingsError(
                    f"{manifest.relative_to(root)}: name: is the folder's name; remove the key"
                )
            service = Service.model_validate({**merged, "name": name})
        except SettingsError as error:
            problems += error.problems
        except ValidationError as error:
            source = file if name in overrides and _blames(error, overrides[name]) else manifest
            prefix = f"services.{name}." if source is file else ""
            problems += _lines(error, source, root, Service, prefix)
        else:
            if service.enabled and not (manifest.parent / "Dockerfile").is_file():
                problems.append(f"{manifest.parent.relative_to(root)}/Dockerfile: is missing")
            if service.enabled:
                services.append(service)
    if not problems and not services:
        raise SettingsError(f"{where}: services: none is enabled; at least one service.toml is needed")
    if problems:
        raise SettingsError(*problems)
    return tuple(services)


def _merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in override.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _blames(error: ValidationError, override: dict[str, Any]) -> bool:
    return any(not problem["loc"] or problem["loc"][0] in override for problem in error.errors())


def _lines(
    error: ValidationError, file: Path, root: Path, model: type[_Section], prefix: str = ""
) -> Iterator[str]:
    problems = error.errors()
    around = {problem["loc"][:end] for problem in problems for end in range(len(problem["loc"]))}
    for problem in problems:
        # What is wrong inside a list also makes the list wrong: said once.
        if problem["loc"] in around:
            continue
        key = ".".join(_key(part) for part in problem["loc"])
        where = f"{file.relative_to(root)}: {prefix}{key}".rstrip(".")
        yield f"{where}: {_explanation(problem, _fields_at(model, problem['loc'][:-1]))}"


def _explanation(problem: Any, siblings: list[str]) -> str:
    given = _shortened(problem.get("input"))
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key; allowed: {', '.join(siblings)}" if siblings else "unknown key"
        case "missing":
            return "is missing"
        case "value_error":
            return str(problem["ctx"]["error"])
        case "string_pattern_mismatch":
            return f"{given} does not have the form {problem['ctx']['pattern']}"
        case "too_short" | "too_long":
            return _lower(problem["msg"])
        case _:
            return f"{_lower(problem['msg'])}, not {given}"


def _lower(message: str) -> str:
    message = f"{message[0].lower()}{message[1:]}".replace(" after validation", "")
    return message.replace("tuple", "list").replace("valid dictionary", "table")


def _key(part: object) -> str:
    """A key as TOML writes it: in quotes where it is not bare."""
    text = str(part)
    return text if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", text) else _shortened(text)


def _shortened(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _fields_at(model: type[_Section], location: tuple[Any, ...]) -> list[str]:
    current: type[BaseModel] = model
    for part in location:
        if isinstance(part, int):
            continue
        field = current.model_fields.get(str(part))
        sections = [] if field is None else _sections_of(field.annotation)
        if not sections:
            return []
        current = sections[0]
    return [name for name in current.model_fields if name != "name"]


def _sections_of(annotation: Any) -> list[type[_Section]]:
    candidates = getattr(annotation, "__args__", (annotation,))
    return [each for each in candidates if isinstance(each, type) and issubclass(each, _Section)]


def _contradictions(environment: Environment) -> Iterator[str]:
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
    yield from limits.unnameable(environment)
    yield from limits.exceeded(environment)
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
            fit = limits.CONDITION_VALUES_PER_RULE - len(service.path_patterns)
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


def _ambiguous_names(environment: Environment, others: list[str]) -> Iterator[str]:
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


def _service_contradictions(environment: Environment) -> Iterator[str]:
    services = environment.services
    names = {service.name for service in services}
    for service in services:
        name = service.name
        prepares = name.endswith(_RESERVED_SUFFIX) and name.removesuffix(_RESERVED_SUFFIX) in names
        if name in SHARED_STACKS | _OTHER_USERS or name.startswith(_RESERVED_PREFIX) or prepares:
            yield f"services.{name}: the name is taken by the platform itself; rename the folder"
        yield from _unanswered_checks(service)
    for number, service in enumerate(services):
        for other in services[number + 1 :]:
            # Constructs are called by it without hyphens: a-1 and a1 by the same.
            if service.stack_id == other.stack_id:
                yield f"services.{other.name}: differs from {service.name} by a hyphen only; rename the folder"
            taken = set(environment.rule_priorities(service)) & set(environment.rule_priorities(other))
            if taken:
                yield (
                    f"services.{other.name}.priority: rule priority {min(taken)} is taken by "
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
