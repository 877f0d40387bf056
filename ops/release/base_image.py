"""Pinning the base image of the services: its digest is what a registry answers, so it is asked for and committed."""

from __future__ import annotations

import re
import subprocess

from ops.errors import OpsError
from settings import ROOT

FILE = ROOT / "services" / "shared" / "base-image"


def pin() -> str:
    """Write the digest that the base image's name has now, of all architectures, and return the reference."""
    name = FILE.read_text(encoding="utf-8").strip().partition("@")[0]
    pulled = _docker("pull", "-q", name)
    if pulled.returncode:
        reason = (pulled.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise OpsError(f"{name}: cannot be pulled, so nothing was pinned: {reason}")
    digests = _docker("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', name).stdout.split()
    repository = name.rpartition(":")[0]
    found = [each.partition("@")[2] for each in digests if each.startswith(f"{repository}@")]
    if len(found) != 1 or not re.fullmatch(r"sha256:[0-9a-f]{64}", found[0]):
        raise OpsError(f"{name}: Docker knows no digest of it, so nothing was pinned")
    reference = f"{name}@{found[0]}"
    FILE.write_text(f"{reference}\n", encoding="utf-8")
    return reference


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, check=False, timeout=600
        )
    except FileNotFoundError:
        raise OpsError("docker is missing: run `make images`") from None
