"""The base images that the services' Dockerfiles and the database start from.

Pulled from the public registry where it is reachable. Where it is not, images of the same names are built
from Debian's packages, so that the Dockerfiles are the same on both kinds of machine. The one that stands
in for mysql:8.4 is Oracle's MySQL of the long-term release after 8.4, behind the official image's variables;
it carries the label `emulator.stand-in`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    # Built when a stack or a test asks for it, in the same way everywhere.
    "emulator/valkey:8.1": "valkey",
}
# Only Debian's unstable suite has it: https://tracker.debian.org/pkg/mysql-9.7
MYSQL_ROOT = "emulator/mysql-root"
_MYSQL_PACKAGES = ("mysql-server-core", "mysql-client-core", "mysql-common", "passwd", "openssl")
CACHE_IMAGE = "emulator/valkey:8.1"
# Debian itself is only needed to build the others.
NEEDED = ("python:3.13-slim-trixie", "mysql:8.4")
RECIPES = Path(__file__).resolve().parent / "images"
REACHABLE_SECONDS = 3.0
STAND_IN_LABEL = "emulator.stand-in"
# What a stand-in was built from: it is built anew when that has changed since.
RECIPE_LABEL = "emulator.recipe"

Say = Callable[[str], None]


def ensure(say: Say = print) -> None:
    """Return with every needed image present under its short and its public name."""
    missing = [name for name in NEEDED if not (is_current(name) and exists(f"{PUBLIC}/{name}"))]
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
    if is_current(CACHE_IMAGE):
        return
    base = "debian:trixie-slim"
    if not exists(base):
        if registry_is_reachable():
            say(f"pulling {PUBLIC}/{base}")
            pull(base)
        else:
            _build_debian(say)
    _build(CACHE_IMAGE, say)


def is_current(name: str) -> bool:
    """Whether an image is present: the official one, or a stand-in of today's recipe."""
    labels = f'{{{{index .Config.Labels "{STAND_IN_LABEL}"}}}} {{{{index .Config.Labels "{RECIPE_LABEL}"}}}}'
    try:
        found = run(["docker", "image", "inspect", "--format", labels, name], seconds=20, doing=name)
    except EmulatorError:
        return False
    stand_in, _, recipe = found.rstrip("\n").rpartition(" ")
    return recipe == _recipe(name) if stand_in or recipe else True


def _recipe(name: str) -> str:
    content = hashlib.sha256()
    for folder in ("debian", IMAGES[name]):
        for file in sorted((RECIPES / folder).iterdir()):
            content.update(file.read_bytes())
    return content.hexdigest()[:12]


def exists(reference: str) -> bool:
    """Whether Docker has an image."""
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
    if shutil.which("mmdebstrap") is None:
        engine.install(("mmdebstrap",), say)
    with ThreadPoolExecutor() as builders:
        builds = [builders.submit(build, say) for build in (_build_python, _build_mysql)]
    for build in builds:
        build.result()
    for name in NEEDED:
        _tag(name, f"{PUBLIC}/{name}")


def _build_python(say: Say) -> None:
    _build_debian(say)
    _build("python:3.13-slim-trixie", say)


def _build_mysql(say: Say) -> None:
    if not is_current("mysql:8.4"):
        say(f"building {MYSQL_ROOT}")
        _import_root("sid", MYSQL_ROOT, packages=_MYSQL_PACKAGES)
    _build("mysql:8.4", say)


def _build(name: str, say: Say) -> None:
    if is_current(name):
        return
    say(f"building {name}")
    client = engine.client()
    run(
        [
            *(client.path, "build", "-q", "-t", name),
            *("--label", f"{RECIPE_LABEL}={_recipe(name)}"),
            RECIPES / IMAGES[name],
        ],
        env={**os.environ, **client.environment},
        seconds=900,
        doing=f"building {name}",
    )


def _build_debian(say: Say) -> None:
    name = "debian:trixie-slim"
    if not exists(name):
        if shutil.which("mmdebstrap") is None:
            engine.install(("mmdebstrap",), say)
        say(f"building {name}")
        _import_root("trixie", name)
    _tag(name, f"{PUBLIC}/{name}")


def _import_root(suite: str, name: str, *, packages: Sequence[str] = ()) -> None:
    """Make an image of nothing but Debian's packages."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "root.tar"
        run(
            ["bash", RECIPES / "debian" / "make-root.sh", suite, archive, *packages],
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


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _tag(source: str, target: str) -> None:
    run(["docker", "tag", source, target], seconds=30, doing=f"docker tag {source} {target}")
