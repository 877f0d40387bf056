"""Findings that people have accepted for a time: read from a file of the repository, told in every build."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delivery.errors import DeliveryError

FILE = Path("delivery/accepted_findings.toml")
SERVICES = Path("services")
_REQUIRED = ("id", "until", "reason")
_KEYS = (*_REQUIRED, "package", "services")


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """One entry: of every package and every service where it names none."""

    id: str
    until: datetime.date
    reason: str
    package: str | None = None
    services: tuple[str, ...] = ()

    def meets(self, service: str, finding: str, package: str) -> bool:
        """Whether it speaks of a finding, accepted still or not any more."""
        return (
            self.id == finding
            and self.package in (None, package)
            and (not self.services or service in self.services)
        )


def read(file: Path = FILE, services: Path = SERVICES) -> list[Accepted]:
    """The entries of the file; raises `DeliveryError` with a line for each that is wrong."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeliveryError(f"{file}: is missing; without entries it holds `accepted = []`") from None
    except ValueError as error:
        raise DeliveryError(f"{file}: is not TOML: {error}") from None
    problems = [f"{file}: {key}: unknown key; allowed: accepted" for key in document if key != "accepted"]
    entries = document.get("accepted", [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise DeliveryError(f"{file}: accepted: must be tables such as [[accepted]]")
    for number, entry in enumerate(entries, 1):
        problems += [f"{file}: entry {number}: {problem}" for problem in _problems(entry, services)]
    if problems:
        raise DeliveryError("\n".join(problems))
    return [Accepted(**{**each, "services": tuple(each.get("services", ()))}) for each in entries]


def _problems(entry: Mapping[str, Any], services: Path) -> Iterator[str]:
    for key in entry:
        if key not in _KEYS:
            yield f"{key}: unknown key; allowed: {', '.join(_KEYS)}"
    for key in _REQUIRED:
        if key not in entry:
            yield f"{key}: is missing"
    for key in ("id", "package"):
        if key in entry and not (isinstance(entry[key], str) and re.fullmatch(r"[!-~]{1,200}", entry[key])):
            yield f"{key}: {entry[key]!r} is no name; an example is {'CVE-2026-12345' if key == 'id' else 'zlib'}"
    if "until" in entry and type(entry["until"]) is not datetime.date:
        yield f"until: {entry['until']!r} is no date; an example is 2026-12-31, without quotes"
    if "reason" in entry and not (isinstance(entry["reason"], str) and entry["reason"].strip()):
        yield "reason: must say why, in a text"
    named = entry.get("services", [])
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named) or named == []:
        if "services" in entry:
            yield "services: must be a list of names such as ['customer']"
        return
    known = sorted(path.parent.name for path in services.glob("*/Dockerfile"))
    for name in named:
        if name not in known:
            yield f"services: there is no service {name!r}; allowed: {', '.join(known)}"
