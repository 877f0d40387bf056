"""The files of settings, read and put together."""

from __future__ import annotations

import codecs
import os
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from settings.contradictions import contradictions
from settings.environment import Environment
from settings.error_lines import key, lines
from settings.errors import SettingsError, UnknownEnvironment
from settings.names import ambiguous
from settings.service import Service

ROOT = Path(__file__).parents[1]
# No file of settings comes near; more is a mistake that would take long to be told.
_FILE_BYTES = 256 * 1024


def environment_names(root: Path = ROOT) -> list[str]:
    """The environments that exist."""
    return sorted(path.stem for path in (root / "environments").glob("*.toml"))


def load(name: str, root: Path = ROOT) -> Environment:
    """The settings of environment `name`.

    Raises `SettingsError` with one line for each problem found.
    """
    environment, problems = _load(name, root)
    if problems:
        raise SettingsError(*problems)
    return environment


def load_known(name: str, root: Path = ROOT) -> tuple[Environment, Sequence[str]]:
    """What of environment `name` is enough to look at what is deployed, and a line for each problem with manifests.

    A service whose manifest is wrong is known by its name alone. Raises `SettingsError` where the environment's own
    file is wrong.
    """
    return _load(name, root)


def _load(name: str, root: Path) -> tuple[Environment, Sequence[str]]:
    """The settings, and what is wrong with the services' manifests; raises `SettingsError` for anything else."""
    if name not in environment_names(root):
        raise UnknownEnvironment(
            f"env: there is no environment {name!r}; allowed: {', '.join(environment_names(root))} "
            "(the files in environments/)"
        )
    file = root / "environments" / f"{name}.toml"
    document = _read(file, root)
    overrides = document.pop("services", {})
    services, wrong = _load_services(overrides, file, root)
    problems: list[str] = []
    if "name" in document:
        problems.append(f"{file.relative_to(root)}: name: is the file's name; remove the key")
    try:
        environment = Environment.model_validate({**document, "name": name, "services": services})
    except ValidationError as error:
        raise SettingsError(*wrong, *problems, *lines(error, file, root, Environment)) from None
    # Of services that are not known nothing can be told to contradict.
    found = (
        [*contradictions(environment), *ambiguous(environment, environment_names(root))] if not wrong else []
    )
    problems += [f"{file.relative_to(root)}: {problem}" for problem in found]
    if problems:
        raise SettingsError(*wrong, *problems)
    return environment, wrong


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


def _load_services(overrides: Any, file: Path, root: Path) -> tuple[tuple[Service, ...], Sequence[str]]:
    """The enabled services, those with a wrong manifest by name alone, and what is wrong."""
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
    problems = [
        f"{where}: services.{key(name)}: there is no such service; allowed: {', '.join(known)}"
        for name in overrides
        if name not in known
    ]
    services = []
    for manifest in manifests:
        name, before = manifest.parent.name, len(problems)
        if not isinstance(overrides.get(name, {}), dict):
            problems.append(f"{where}: services.{name}: must be a table such as [services.{name}]")
            continue
        enabled: object = True
        try:
            merged = _merge(_read(manifest, root), overrides.get(name, {}))
            enabled = merged.get("enabled", True)
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
            problems += lines(error, source, root, Service, prefix)
        else:
            if service.enabled and not (manifest.parent / "Dockerfile").is_file():
                problems.append(f"{manifest.parent.relative_to(root)}/Dockerfile: is missing")
            if service.enabled:
                services.append(service)
        if len(problems) > before and enabled is not False and Service.is_name(name):
            services.append(_known_by_name(name, len(services)))
    if not problems and not services:
        raise SettingsError(f"{where}: services: none is enabled; at least one service.toml is needed")
    return tuple(services), problems


def _known_by_name(name: str, number: int) -> Service:
    return Service(name=name, path_patterns=("/",), priority=1 + number, access="public")


def _merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for part, value in override.items():
        known = merged.get(part)
        merged[part] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _blames(error: ValidationError, override: dict[str, Any]) -> bool:
    return any(not problem["loc"] or problem["loc"][0] in override for problem in error.errors())
