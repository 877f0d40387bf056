"""Typed, validated settings: one file an environment, one manifest a service.

Files are parsed strictly (an unknown key is an error) into frozen values. Whatever is wrong
raises `SettingsError`, whose text is one line a problem: file, key, what is wrong, what is allowed.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

ROOT = Path(__file__).parent

# Condition values a listener rule may hold, paths and addresses together:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
CONDITION_VALUES_PER_RULE = 5
# A restricted service keeps this many priorities: rules for its networks, and the last one for the 403.
RULES_PER_SERVICE = 50
# 100 target groups a load balancer (same page), two a service.
TARGET_GROUPS_PER_LOAD_BALANCER = 100
# 500 resources a template: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
# The Compute stack holds this many of its own and for each service; a test counts them in the templates.
RESOURCES_PER_STACK = 500
COMPUTE_RESOURCES_SHARED = 40
COMPUTE_RESOURCES_PER_SERVICE = 30
COMPUTE_RESOURCES_PER_MIGRATION = 4
# 200 outputs a template (same page). What the pipelines need to know of a service is an output of Compute.
OUTPUTS_PER_STACK = 200
COMPUTE_OUTPUTS_SHARED = 10
COMPUTE_OUTPUTS_PER_SERVICE = 14
COMPUTE_OUTPUTS_PER_MIGRATION = 4

# CloudFormation waits an hour for a custom resource; linear shifting takes 10 minutes, starting tasks some.
CODEDEPLOY_BAKE_MINUTES = 40

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


class SettingsError(Exception):
    """Wrong settings, said in one readable line a problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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


def _path_pattern(value: str) -> str:
    if len(value) > 128 or not re.fullmatch(r"/[A-Za-z0-9_\-.$/~\"'@:+&*?]*", value):
        raise ValueError(
            f"{value!r} is no path pattern; it starts with / and holds at most 128 letters, digits, "
            "wildcards (* and ?) and _-.$/~\"'@:+&"
        )
    return value


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise ValueError(f"{value!r} is no email address")
    return value


def _instance_class(value: str) -> str:
    if not re.fullmatch(r"db\.[a-z0-9]+\.[a-z0-9]+", value):
        raise ValueError(f"{value!r} is no database instance class; an example is db.t4g.small")
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
    if not re.fullmatch(r"(?!.*(\.\.|//|\.lock(/|$)))[A-Za-z0-9_][\w./-]{0,99}(?<![./])", value):
        raise ValueError(f"{value!r} is no branch name; an example is main")
    return value


def _connection_arn(value: str) -> str:
    service = "(codeconnections|codestar-connections)"
    if not re.fullmatch(rf"arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:connection/[0-9a-f-]{{36}}", value):
        raise ValueError(
            f"{value!r} is no ARN of a connection; an example is "
            "arn:aws:codeconnections:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
        )
    return value


Cidr = Annotated[str, AfterValidator(_cidr)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
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
    """The MySQL instance; sizes in GiB, times in days."""

    instance_class: Annotated[str, AfterValidator(_instance_class)] = "db.t4g.small"
    multi_az: bool = True
    storage_gib: int = Field(default=20, ge=20, le=65536)
    backup_days: int = Field(default=7, ge=1, le=35)
    deletion_protection: bool = False
    sample_data: bool = False


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


class Access(_Section):
    """Who may reach what; an empty list means: only from inside the VPC.

    With `exec`, whoever may call ecs:ExecuteCommand gets a shell inside the tasks.
    """

    admin_cidrs: tuple[Cidr, ...] = Field(default=(), max_length=20, strict=False)
    test_traffic_cidrs: tuple[Cidr, ...] = Field(default=(), max_length=20, strict=False)
    oidc: Oidc | None = None
    exec: bool = False


class Tls(_Section):
    """The domain to serve over HTTPS, with its public hosted zone; absent means HTTP."""

    domain: Annotated[str, AfterValidator(_domain)]
    hosted_zone_id: str = Field(pattern=r"^Z[A-Z0-9]{1,31}$")


class Waf(_Section):
    """A web ACL that blocks in front of the load balancer; the limit counts requests a source in 5 minutes."""

    rate_limit: int = Field(default=2000, ge=10, le=2_000_000_000)


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
            if not re.fullmatch(r"[A-Za-z0-9-]{1,39}/[\w.-]{1,100}", self.repository):
                raise ValueError(
                    f"repository {self.repository!r} is no GitHub repository such as 'owner/name'"
                )
            if "create_repository" in self.model_fields_set:
                raise ValueError("create_repository is for source = 'codecommit'; remove the key")
        else:
            if self.connection_arn is not None:
                raise ValueError("connection_arn is for source = 'github'; remove the key or set the source")
            if not re.fullmatch(r"[\w.-]{1,100}(?<!\.git)", self.repository):
                raise ValueError(
                    f"repository {self.repository!r} is no CodeCommit name; it has at most 100 letters, digits "
                    "and _.- and does not end in .git"
                )
        return self


class Alarms(_Section):
    """Who is told."""

    emails: tuple[Annotated[str, AfterValidator(_email)], ...] = Field(
        default=(), max_length=20, strict=False
    )


class Scaling(_Section):
    """Task counts and the CPU levels (percent of the reservation) that change them."""

    min_tasks: int = Field(default=2, ge=1, le=1000)
    max_tasks: int = Field(default=4, ge=1, le=1000)
    target_cpu_percent: int = Field(default=50, ge=10, le=90)
    step_out_cpu_percent: int = Field(default=70, ge=20, le=95)
    step_in_cpu_percent: int = Field(default=30, ge=5, le=80)
    cooldown_seconds: int = Field(default=300, ge=0, le=3600)

    @model_validator(mode="after")
    def _levels_in_order(self) -> Self:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks ({self.min_tasks}) must not be above max_tasks ({self.max_tasks})")
        if not self.step_in_cpu_percent < self.target_cpu_percent < self.step_out_cpu_percent:
            raise ValueError(
                "step_in_cpu_percent < target_cpu_percent < step_out_cpu_percent must hold, not "
                f"{self.step_in_cpu_percent}, {self.target_cpu_percent}, {self.step_out_cpu_percent}"
            )
        return self


def _is_administration(pattern: str) -> bool:
    return re.match(r"/admin($|[/*?])", pattern) is not None


class Service(_Section):
    """One microservice: its manifest, with the overrides of the environment."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,15}$")
    enabled: bool = True
    path_patterns: tuple[PathPattern, ...] = Field(min_length=1, max_length=4, strict=False)
    priority: int = Field(ge=1, le=49_000)
    access: Literal["public", "admin"]
    container_port: int = Field(default=8080, ge=1024, le=65535)
    cpu: int = 256
    memory_mib: int = 512
    architecture: Architecture = "arm64"
    health_check_path: str = Field(default="/", pattern=r"^/[!-~]{0,1023}$")
    release_check_paths: tuple[Annotated[str, Field(pattern=r"^/[!-~]{0,1023}$")], ...] = Field(
        default=(), max_length=10, strict=False
    )
    health_check_grace_seconds: int = Field(default=300, ge=0, le=7200)
    database: Literal["none", "read", "write"] = "none"
    tables: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], ...] = Field(
        default=(), strict=False
    )
    migrations: bool = False
    scaling: Scaling = Scaling()

    @property
    def check_paths(self) -> tuple[str, ...]:
        """What must answer 200 from new tasks before a release moves traffic to them."""
        return self.release_check_paths or (self.health_check_path,)

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
    services: tuple[Service, ...]
    release: Release
    tls: Tls | None
    oidc: Oidc | None
    waf: Waf | None
    admin_cidrs: tuple[str, ...]
    test_admin_cidrs: tuple[str, ...]
    test_traffic_cidrs: tuple[str, ...]
    sample_data: bool
    exec: bool


class Environment(_Section):
    """Everything one environment is made of."""

    name: str
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    account: str | None = Field(default=None, pattern=r"^\d{12}$")
    availability_zones: tuple[str, ...] = Field(min_length=2, max_length=6, strict=False)
    emulator: bool = False
    protected: bool = False
    network: Network = Network()
    database: Database = Database()
    backup: Backup | None = None
    access: Access = Access()
    tls: Tls | None = None
    waf: Waf | None = None
    release: Release = Release()
    delivery: Delivery | None = None
    alarms: Alarms = Alarms()
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
    def compute(self) -> Compute:
        """The part that the Compute stack reads."""
        return Compute(
            environment=self.name,
            services=self.services,
            release=self.release,
            tls=self.tls,
            oidc=self.access.oidc,
            waf=self.waf,
            admin_cidrs=self.admin_cidrs,
            test_admin_cidrs=self.test_admin_cidrs,
            test_traffic_cidrs=self.test_traffic_cidrs,
            sample_data=self.database.sample_data,
            exec=self.access.exec,
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
    problems += [f"{file.relative_to(root)}: {problem}" for problem in _contradictions(environment)]
    if problems:
        raise SettingsError(*problems)
    return environment


def _read(file: Path, root: Path) -> dict[str, Any]:
    where = file.relative_to(root)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{where}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: is not TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{where}: cannot be read: {error.strerror}") from None


def _load_services(overrides: Any, file: Path, root: Path, problems: list[str]) -> tuple[Service, ...]:
    where = file.relative_to(root)
    manifests = sorted((root / "services").glob("*/service.toml"))
    known = [manifest.parent.name for manifest in manifests]
    if not isinstance(overrides, dict):
        raise SettingsError(f"{where}: services: must be tables such as [services.customer]")
    problems += [
        f"{where}: services.{name}: there is no such service; allowed: {', '.join(known)}"
        for name in overrides
        if name not in known
    ]
    services = []
    for manifest in manifests:
        name = manifest.parent.name
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


def _merge(base: dict[str, Any], override: Any) -> dict[str, Any]:
    if not isinstance(override, dict):
        return base | {"override": override}
    merged = dict(base)
    for key, value in override.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _blames(error: ValidationError, override: Any) -> bool:
    if not isinstance(override, dict):
        return True
    return any(not problem["loc"] or problem["loc"][0] in override for problem in error.errors())


def _lines(
    error: ValidationError, file: Path, root: Path, model: type[_Section], prefix: str = ""
) -> Iterator[str]:
    problems = error.errors()
    inner = [problem["loc"] for problem in problems]
    for problem in problems:
        # What is wrong inside a list also makes the list wrong: said once.
        if any(loc != problem["loc"] and loc[: len(problem["loc"])] == problem["loc"] for loc in inner):
            continue
        key = ".".join(str(part) for part in problem["loc"])
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
        case _:
            message = problem["msg"].replace("tuple", "list").replace(" after validation", "")
            return f"{message[0].lower()}{message[1:]}, not {given}"


def _shortened(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _fields_at(model: type[_Section], location: tuple[Any, ...]) -> list[str]:
    current: type[BaseModel] = model
    for part in location:
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
    if environment.release.approval and environment.delivery is None:
        yield "release.approval: is asked for by a pipeline; add [delivery] or remove the key"
    yield from _access_contradictions(environment)
    yield from _release_contradictions(environment)
    yield from _service_contradictions(environment)


def _access_contradictions(environment: Environment) -> Iterator[str]:
    if environment.access.oidc is None:
        return
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


def _release_contradictions(environment: Environment) -> Iterator[str]:
    release = environment.release
    if release.controller == "codedeploy" and release.bake_minutes > CODEDEPLOY_BAKE_MINUTES:
        yield (
            f"release.bake_minutes: with controller 'codedeploy' at most {CODEDEPLOY_BAKE_MINUTES}, not "
            f"{release.bake_minutes}: a deployment must end within the hour that CloudFormation waits"
        )
    for service in environment.services:
        # Native releases move one rule of each listener.
        if release.controller == "ecs" and environment.forward_rules(service) > 1:
            fit = CONDITION_VALUES_PER_RULE - len(service.path_patterns)
            yield (
                f"access.admin_cidrs: with controller 'ecs' the paths of {service.name} leave room for {fit} "
                f"networks including the VPC's, not {len(environment.test_admin_cidrs)}"
            )


def _service_contradictions(environment: Environment) -> Iterator[str]:
    services = environment.services
    if 2 * len(services) > TARGET_GROUPS_PER_LOAD_BALANCER:
        yield (
            f"services: {len(services)} services need {2 * len(services)} target groups, a load balancer "
            f"holds {TARGET_GROUPS_PER_LOAD_BALANCER}; split them over several environments"
        )
    migrating = sum(service.migrations for service in services)
    available = RESOURCES_PER_STACK - COMPUTE_RESOURCES_SHARED - COMPUTE_RESOURCES_PER_MIGRATION * migrating
    resources = RESOURCES_PER_STACK - available + COMPUTE_RESOURCES_PER_SERVICE * len(services)
    if resources > RESOURCES_PER_STACK:
        fit = available // COMPUTE_RESOURCES_PER_SERVICE
        yield (
            f"services: {len(services)} services need about {resources} resources in the Compute stack, "
            f"CloudFormation allows {RESOURCES_PER_STACK}; at most {fit} services an environment"
        )
    outputs = (
        COMPUTE_OUTPUTS_SHARED
        + COMPUTE_OUTPUTS_PER_SERVICE * len(services)
        + COMPUTE_OUTPUTS_PER_MIGRATION * migrating
    )
    if environment.delivery is not None and outputs > OUTPUTS_PER_STACK:
        yield (
            f"services: {len(services)} services with pipelines need about {outputs} outputs of the Compute "
            f"stack, CloudFormation allows {OUTPUTS_PER_STACK}; remove [delivery] or split the services over "
            "several environments"
        )
    for number, service in enumerate(services):
        for other in services[number + 1 :]:
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
