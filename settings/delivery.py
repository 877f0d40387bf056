"""`[delivery]`: where a push comes from."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from settings.values import Section


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


class Delivery(Section):
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
