"""A service's manifest, `services/<name>/service.toml`."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from settings.facts.fargate import FARGATE_MEMORY_MIB
from settings.facts.quotas import CONDITION_WILDCARDS_PER_RULE
from settings.scaling import Scaling
from settings.values import EachOnce, Section


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
    if wildcards > CONDITION_WILDCARDS_PER_RULE:
        raise ValueError(
            f"{wildcards} wildcards (* and ?) are more than a rule of a load balancer may have, which is "
            f"{CONDITION_WILDCARDS_PER_RULE}"
        )
    return patterns


CheckPath = Annotated[str, Field(pattern=r"^/[!-~]{0,1023}$")]
Table = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
PathPattern = Annotated[str, AfterValidator(_path_pattern)]
Architecture = Literal["arm64", "x86_64"]


def _is_administration(pattern: str) -> bool:
    return re.match(r"/admin($|[/*?])", pattern) is not None


_NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
_NAME_CHARACTERS = 16


class Service(Section):
    """One microservice: its manifest, with the overrides of the environment."""

    # As part of other names it ends in no hyphen: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
    name: str = Field(pattern=_NAME, max_length=_NAME_CHARACTERS)
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

    @classmethod
    def is_name(cls, name: str) -> bool:
        """Whether a service can be called so."""
        return len(name) <= _NAME_CHARACTERS and re.fullmatch(_NAME, name) is not None

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
