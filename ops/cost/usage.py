"""The assumed usage of a month, from a file that another file may override key by key."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ops.errors import OpsError
from settings.error_lines import plain

DEFAULTS = Path(__file__).with_name("usage.toml")

Amount = Annotated[Decimal, Field(ge=0)]
Share = Annotated[Decimal, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Account(_Section):
    free_allowances: bool


class Traffic(_Section):
    requests_per_second: Amount
    response_kib: Amount
    new_connections_per_second: Amount
    connection_seconds: Amount


class Network(_Section):
    nat_gb: Amount
    endpoint_gb: Amount
    zone_gb: Amount


class Tasks(_Section):
    custom_metrics: Amount
    share_of_range: Share


class Database(_Section):
    used_gib: Amount
    changed_gib_per_day: Amount
    log_gb: Amount


class Backup(_Section):
    kept_copies: Amount


class Logs(_Section):
    group_gb: Amount
    flow_log_gb: Amount
    stored_share: Share


class Storage(_Section):
    bucket_gb: Amount
    bucket_puts: Amount
    bucket_gets: Amount
    repository_gb: Amount


class Secrets(_Section):
    calls: Amount


class Keys(_Section):
    requests: Amount


class Functions(_Section):
    invocations: Amount
    seconds: Amount


class Delivery(_Section):
    pushes: Amount
    releases: Amount
    source_minutes: Amount
    build_minutes: Amount
    deploy_minutes: Amount
    committers: Amount


class Messages(_Section):
    emails: Amount


class Queues(_Section):
    requests: Amount


class Tracing(_Section):
    sampled_share: Share


class Usage(_Section):
    """What usage.toml says, section by section; quantities are of one month."""

    account: Account
    traffic: Traffic
    network: Network
    tasks: Tasks
    database: Database
    backup: Backup
    logs: Logs
    storage: Storage
    secrets: Secrets
    keys: Keys
    functions: Functions
    delivery: Delivery
    messages: Messages
    queues: Queues
    tracing: Tracing


def load(overrides: Path | None = None) -> Usage:
    """The assumed usage; raises `OpsError` with a line for each key that is unknown or wrong."""
    found = _read(DEFAULTS)
    for section, values in (_read(overrides) if overrides else {}).items():
        known = found.get(section)
        found[section] = {**known, **values} if known and isinstance(values, dict) else values
    try:
        return Usage.model_validate(found)
    except ValidationError as error:
        lines = [_line(overrides or DEFAULTS, problem) for problem in error.errors()]
        raise OpsError("\n".join(lines)) from None


def _line(file: Path, problem: Any) -> str:
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"{file}: {key}: unknown key; {DEFAULTS.name} lists the known ones"
    given = problem["input"]
    return f"{file}: {key}: {plain(problem['msg'])}, not {str(given) if isinstance(given, Decimal) else repr(given)}"


def _read(file: Path) -> dict[str, Any]:
    try:
        # The decimals as they are written, so that cents come out exact.
        return tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise OpsError(f"{file}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OpsError(f"{file}: is not TOML: {error}") from None
