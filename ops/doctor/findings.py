"""What a check finds, and running all checks at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from emulator.errors import EmulatorError
from ops.aws.clients import each
from ops.aws.refusals import explain
from ops.errors import OpsError


class State(StrEnum):
    """How it is: `MISSING` keeps something needed from working, `WARNING` something that is not always needed."""

    OK = "ok"
    MISSING = "missing"
    WARNING = "warning"
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class Finding:
    """One line: how something is, and where it is not well what mends it."""

    name: str
    state: State
    detail: str
    remedy: str | None = None


Check = Callable[[], Finding]


def ok(name: str, detail: str) -> Finding:
    return Finding(name, State.OK, detail)


def missing(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name, State.MISSING, detail, remedy)


def warning(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name, State.WARNING, detail, remedy)


def unchecked(name: str, detail: str) -> Finding:
    return Finding(name, State.UNCHECKED, detail)


def run(checks: Mapping[str, Check], environment: str) -> list[Finding]:
    """The findings of all checks, made at once; a check that is refused or fails has not checked anything."""

    def one(item: tuple[str, Check]) -> Finding:
        name, check = item
        try:
            return check()
        except (BotoCoreError, ClientError) as error:
            return unchecked(name, explain(error, environment).partition(": ")[2])
        except (EmulatorError, OpsError, OSError) as error:
            return unchecked(name, " ".join(str(error).split()))

    return each(one, checks.items())


def is_missing(findings: Iterable[Finding]) -> bool:
    """Whether something needed is missing."""
    return any(finding.state is State.MISSING for finding in findings)
