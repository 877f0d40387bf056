"""What a service's image is built from, and its version: the hash of exactly that."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

SHARED = "shared"
# What the Dockerfiles start from, as one line: an image's name with its digest.
_BASE_IMAGE = f"{SHARED}/base-image"
# Made by tools that ran over the sources, so no part of any commit.
LITTER = ("__pycache__", "*.py[co]", ".*_cache", "*.egg-info", ".DS_Store", "*.db")


def files(services: Path, service: str) -> list[Path]:
    """The files of the build context, relative to `services` and in a stable order: the service's and the shared.

    Raises `FileNotFoundError` where there is no Dockerfile.
    """
    if not (services / service / "Dockerfile").is_file():
        raise FileNotFoundError(f"{services}/{service}/Dockerfile: is missing")
    return sorted(
        (path for folder in (service, SHARED) for path in _files_below(services / folder, services)),
        key=lambda path: path.as_posix(),
    )


def version(services: Path, service: str, architecture: str) -> str:
    """A hash that changes with the content of the context and its architecture, and with nothing else.

    The permissions of files do not count: an archived source loses them.
    """
    digest = hashlib.sha256(f"{service}\0{architecture}".encode())
    for path in files(services, service):
        content = (services / path).read_bytes()
        digest.update(f"\0{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def base_image(services: Path) -> str | None:
    """The reference that the services' images start from; None where the Dockerfiles decide."""
    file = services / _BASE_IMAGE
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


def stage(services: Path, service: str, target: Path) -> None:
    """Copy the context to `target`, so that an image cannot hold a file that its version does not count."""
    for path in files(services, service):
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(services / path, copy)


def _files_below(folder: Path, services: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        relative = path.relative_to(services)
        litter = any(fnmatchcase(part, pattern) for part in relative.parts for pattern in LITTER)
        if path.is_file() and not litter:
            yield relative
