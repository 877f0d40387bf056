"""The base images that the services' Dockerfiles and the database start from.

Pulled from the public registry where it is reachable. Where it is not, images of the same names are built
from Debian's packages, so that the Dockerfiles are the same on both kinds of machine. The one that stands
in for mysql:8.4 is MariaDB behind the official image's variables: good for tests of ours, no proof about
MySQL itself; it carries the label `emulator.stand-in`.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from emulator import engine
from emulator.errors import EmulatorError
from emulator.process import run, succeeds

PUBLIC = "public.ecr.aws/docker/library"
# Name in our Dockerfiles and in ministack -> recipe that stands in for it.
IMAGES = {
    "debian:trixie-slim": "debian",
    "python:3.13-slim-trixie": "python",
    "mysql:8.4": "mysql",
}
# Built when a stack or a test asks for it, in the same way everywhere.
CACHE_IMAGE = "emulator/valkey:8.1"
# Debian itself is only needed to build the others.
NEEDED = ("python:3.13-slim-trixie", "mysql:8.4")
RECIPES = Path(__file__).resolve().parent / "images"
REACHABLE_SECONDS = 3.0
STAND_IN_LABEL = "emulator.stand-in"

Say = Callable[[str], None]


def ensure(say: Say = print) -> None:
    """Return with every needed image present under its short and its public name."""
    missing = [name for name in NEEDED if not (exists(name) and exists(f"{PUBLIC}/{name}"))]
    if not missing:
        return
    if registry_is_reachable():
        for name in missing:
            say(f"pulling {PUBLIC}/{name}")
            pull(name)
        return
    say("no image registry is reachable: building base images from Debian's packages")
    build_all(say)


def ensure_cache(say: Say = print) -> None:
    """Return with the image of the cache present; 15 s the first time."""
    if exists(CACHE_IMAGE):
        return
    base = "debian:trixie-slim"
    if not exists(base):
        if registry_is_reachable():
            say(f"pulling {PUBLIC}/{base}")
            pull(base)
        else:
            _build_debian(say)
    say(f"building {CACHE_IMAGE}")
    client = engine.client()
    run(
        [client.path, "build", "-q", "-t", CACHE_IMAGE, RECIPES / "valkey"],
        env={**os.environ, **client.environment},
        seconds=300,
        doing=f"building {CACHE_IMAGE}",
    )


def exists(reference: str) -> bool:
    return succeeds(["docker", "image", "inspect", "--format", "{{.Id}}", reference])


def registry_is_reachable() -> bool:
    """Whether the public registry takes a connection in a short time."""
    try:
        with socket.create_connection((PUBLIC.split("/", 1)[0], 443), timeout=REACHABLE_SECONDS):
            return True
    except OSError:
        return False


def pull(name: str) -> None:
    run(["docker", "pull", "-q", f"{PUBLIC}/{name}"], seconds=900, doing=f"docker pull {PUBLIC}/{name}")
    _tag(f"{PUBLIC}/{name}", name)


def build_all(say: Say) -> None:
    """Build every image that is missing from the recipes under images/."""
    if not engine._is_debian() or os.geteuid() != 0:
        raise EmulatorError(
            f"no image registry is reachable, and base images are only built on Debian as root: "
            f"load {', '.join(NEEDED)} into Docker (docker load), then try again"
        )
    _build_debian(say)
    builds = []
    for name in NEEDED:
        if not exists(name):
            say(f"building {name}")
            builds.append((name, _start_build(name)))
    for name, build in builds:
        output, _ = build.communicate(timeout=900)
        if build.returncode:
            words = [line.strip() for line in output.splitlines() if line.strip()]
            raise EmulatorError(f"building {name}: {' | '.join(words[-2:])}")
    for name in NEEDED:
        _tag(name, f"{PUBLIC}/{name}")


def _start_build(name: str) -> subprocess.Popen[str]:
    client = engine.client()
    return subprocess.Popen(
        [client.path, "build", "-q", "-t", name, str(RECIPES / IMAGES[name])],
        env={**os.environ, **client.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def _build_debian(say: Say) -> None:
    name = "debian:trixie-slim"
    if not exists(name):
        if shutil.which("mmdebstrap") is None:
            engine.install(("mmdebstrap",), say)
        say(f"building {name}")
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "root.tar"
            run(
                ["bash", RECIPES / "debian" / "make-root.sh", "trixie", archive],
                seconds=600,
                doing=f"building {name}",
            )
            run(
                [
                    *("docker", "import"),
                    *("-c", 'CMD ["bash"]'),
                    *("-c", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                    *("-c", f"LABEL {STAND_IN_LABEL}=debian-packages"),
                    *("--platform", f"linux/{_architecture()}"),
                    archive,
                    name,
                ],
                seconds=300,
                doing=f"importing {name}",
            )
    _tag(name, f"{PUBLIC}/{name}")


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _tag(source: str, target: str) -> None:
    run(["docker", "tag", source, target], seconds=30, doing=f"docker tag {source} {target}")
