"""What pydantic found wrong, as lines that name file and key and say what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from settings.values import Section


def lines(
    error: ValidationError, file: Path, root: Path, model: type[Section], prefix: str = ""
) -> Iterator[str]:
    """A line for each thing that is wrong in a file, whose keys stand below `prefix` there."""
    problems = error.errors()
    around = {problem["loc"][:end] for problem in problems for end in range(len(problem["loc"]))}
    for problem in problems:
        # What is wrong inside a list also makes the list wrong: said once.
        if problem["loc"] in around:
            continue
        path = ".".join(key(part) for part in problem["loc"])
        where = f"{file.relative_to(root)}: {prefix}{path}".rstrip(".")
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
            return plain(problem["msg"])
        case _:
            return f"{plain(problem['msg'])}, not {given}"


# How pydantic says it, and how the files' readers do.
_WORDS = {
    " after validation": "",
    "input should": "must",
    "should": "must",
    "be a valid string": "be text",
    "be a valid boolean": "be true or false",
    "be a valid integer": "be a whole number",
    "be a valid number": "be a number",
    "be a valid tuple": "be a list",
    "be a valid list": "be a list",
    "be a valid dictionary": "be a table",
    "tuple": "list",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}


def plain(message: str) -> str:
    """A message of pydantic in plain words, to follow the key that it is about."""
    message = f"{message[0].lower()}{message[1:]}"
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    return message


def key(part: object) -> str:
    """A key as TOML writes it: in quotes where it is not bare."""
    text = str(part)
    return text if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", text) else _shortened(text)


def _shortened(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _fields_at(model: type[Section], location: tuple[Any, ...]) -> list[str]:
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


def _sections_of(annotation: Any) -> list[type[Section]]:
    candidates = getattr(annotation, "__args__", (annotation,))
    return [each for each in candidates if isinstance(each, type) and issubclass(each, Section)]
