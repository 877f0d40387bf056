"""`env`: the environments there are, and every setting of one, with those that its files leave out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import BaseModel

import settings
from ops.terminal.options import AsJson, Env
from ops.terminal.text import Listing, answers


@dataclass(frozen=True)
class Setting:
    """A setting by its key, below `services.<name>` for one of a service; `is_set`: some file says so."""

    key: str
    value: Any
    is_set: bool


def shown(
    env: Env = "local",
    is_set: Annotated[bool, typer.Option("--set", help="Only what the files say, not the defaults.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting of an environment and of its services, defaults too; an option that is off has no value.

    Examples:

    \b
    suppliers env show --env prod
    suppliers env show --env prod --set | grep database
    """
    found = [each for each in read(settings.load(env)) if each.is_set or not is_set]
    if as_json:
        print(json.dumps({each.key: each.value for each in found}, indent=2))
        return
    made = Listing("setting", "value", "from", wraps=["value"])
    for each in found:
        made.add_row(each.key, _written(each.value), "its files" if each.is_set else "default")
    answers().print(made)


def listed(as_json: AsJson = False) -> None:
    """List the environments: where they run, whether they are protected, and what releases them.

    Example: suppliers env list
    """
    found = [settings.load(name) for name in settings.environment_names()]
    if as_json:
        print(json.dumps([_document(each) for each in found], indent=2))
        return
    made = Listing(
        "environment", "region", "account", "protected", "released by", "services", wraps=["services"]
    )
    for each in found:
        row = _document(each)
        made.add_row(
            each.name,
            each.region,
            row["account"] or "of the credentials",
            "yes" if each.protected else "no",
            each.release.controller,
            ", ".join(row["services"]),
        )
    answers().print(made)


def _document(environment: settings.Environment) -> dict[str, Any]:
    return {
        "name": environment.name,
        "region": environment.region,
        "account": "the emulator" if environment.emulator else environment.account,
        "protected": environment.protected,
        "controller": environment.release.controller,
        "services": [service.name for service in environment.services],
    }


def read(environment: settings.Environment) -> list[Setting]:
    """Every setting, in the order of the sections."""
    return list(_below(environment, ""))


def _below(model: BaseModel, prefix: str) -> Iterator[Setting]:
    for name in type(model).model_fields:
        value, is_set = getattr(model, name), name in model.model_fields_set
        if isinstance(value, BaseModel):
            yield from _below(value, f"{prefix}{name}.")
        elif isinstance(value, tuple) and value and all(isinstance(each, settings.Service) for each in value):
            for each in value:
                yield from _below(each, f"{prefix}{name}.{each.name}.")
        elif not (name == "name" and prefix.count(".") != 0):
            yield Setting(f"{prefix}{name}", _plain(value), is_set)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _written(value: Any) -> str:
    return (
        "-"
        if value is None
        else json.dumps(value, ensure_ascii=False)
        if not isinstance(value, str)
        else value
    )
