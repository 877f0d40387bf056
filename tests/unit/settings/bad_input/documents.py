"""Reading, changing and writing the settings' files of a copy of the project."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Bare(str):
    """A value as it is written in the file, for what a TOML parser would refuse to give."""


REMOVED = object()


def written(value: Any) -> str:
    """A value in TOML, tables inline."""
    if isinstance(value, Bare):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key(name)} = {written(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str):
        return key(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def key(text: str) -> str:
    """A quoted string, which is a key of TOML as well: as in JSON, but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def document(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text("".join(f"{key(name)} = {written(each)}\n" for name, each in content.items()), "utf-8")


def change(file: Path, path: str, value: Any) -> None:
    """Set the value at a path with dots, or remove it."""
    content = document(file)
    *sections, name = path.split(".")
    current = content
    for section in sections:
        current = current.setdefault(section, {})
    if value is REMOVED:
        del current[name]
    else:
        current[name] = value
    write(file, content)
