"""Checks of this machine."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from emulator import base_images, engine, lifecycle
from emulator.instance import Instance
from ops.doctor.findings import Check, Finding, missing, ok, unchecked, warning
from ops.doctor.runtimes import runtimes
from settings import ROOT, Environment

OLDEST_PYTHON = (3, 11)
# An image, its layers while it is built, and the database of the emulator.
GB_NEEDED, GB_COMFORTABLE = 2, 10
_GB = 10**9
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
# As uname and as the kernel's emulation name what the settings call arm64 and x86_64.
_MACHINES = {"arm64": ("aarch64", "arm64"), "x86_64": ("x86_64", "amd64")}
_EMULATIONS = {"arm64": "qemu-aarch64", "x86_64": "qemu-x86_64"}
_PLUGIN = "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"


@dataclass(frozen=True)
class Machine:
    """What the checks look at; `instance` is the emulator where the environment runs on it."""

    environment: Environment
    instance: Instance | None
    root: Path = ROOT
    binfmt: Path = _BINFMT

    def checks(self) -> dict[str, Check]:
        """All checks of the machine, by name."""
        checks: dict[str, Check] = {
            "Python": python,
            "Python packages": partial(packages, self.root),
            "Node packages": partial(node_packages, self.root),
            "git": partial(tool, "git", "install your system's package git"),
            "Docker engine": docker,
            "disk space": partial(disk, self.root),
            "session-manager-plugin": session_manager,
            "browser": browser,
            "njs": edge_runtime,
            "runtimes": runtimes,
        }
        if self.instance is None:
            checks["image architectures"] = partial(architectures, self.environment, self.binfmt)
        else:
            checks["base images"] = images
            checks["ports"] = partial(ports, self.instance)
        return checks


def python() -> Finding:
    """Whether this Python is new enough."""
    found, oldest = platform.python_version(), ".".join(map(str, OLDEST_PYTHON))
    if sys.version_info >= OLDEST_PYTHON:
        return ok("Python", found)
    return missing(
        "Python", f"{found}, {oldest} is needed", "make clean && make setup PYTHON=/path/to/python3"
    )


def packages(root: Path) -> Finding:
    """Whether the packages of the virtual environment are those that are pinned."""
    wrong = sorted(
        f"{name} {_installed(name) or 'is not installed'}, {pinned} is pinned"
        for name, pinned in _pins(root)
        if _installed(name) != pinned
    )
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return missing("Python packages", f"{wrong[0]}{more}", "make setup")
    return ok("Python packages", "as pinned in requirements.txt and requirements-dev.txt")


def _pins(root: Path) -> Iterator[tuple[str, str]]:
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (root / file).read_text(encoding="utf-8").splitlines():
            found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", line)
            if found:
                yield found[1], found[2]


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def node_packages(root: Path) -> Finding:
    """Whether the CDK CLI and the other packages of node_modules are those that are locked."""
    locked = json.loads((root / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for folder, package in sorted(locked.items()):
        if not folder or package.get("optional"):
            continue
        name = folder.removeprefix("node_modules/")
        found = _node_version(root / folder / "package.json")
        if found != package["version"]:
            return missing(
                "Node packages",
                f"{name} {found or 'is not installed'}, {package['version']} is locked",
                "make setup",
            )
    cli = locked.get("node_modules/aws-cdk", {}).get("version", "?")
    return ok("Node packages", f"as locked; CDK CLI {cli}")


def _node_version(file: Path) -> str | None:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        return None


def tool(name: str, remedy: str) -> Finding:
    """Whether a command is there."""
    found = shutil.which(name)
    return ok(name, found) if found else missing(name, "is not installed", remedy)


def docker() -> Finding:
    """Whether a Docker engine answers, which builds the images for AWS and runs the emulator's."""
    if engine.answers():
        return ok("Docker engine", "answers")
    detail = "does not answer" if shutil.which("docker") else "is not installed"
    return missing(
        "Docker engine", detail, "make images (Debian, as root), or install and start your system's Docker"
    )


def images() -> Finding:
    """Whether the images that the emulator starts from are there."""
    if not engine.answers():
        return unchecked("base images", "no Docker engine answers")
    absent = [name for name in base_images.NEEDED if not base_images.is_current(name)]
    if absent:
        return warning(
            "base images",
            f"{', '.join(absent)} not there yet: the first deployment takes longer",
            "make images",
        )
    return ok("base images", ", ".join(base_images.NEEDED))


def architectures(environment: Environment, binfmt: Path) -> Finding:
    """Whether this machine can build the images of every service."""
    name, machine = "image architectures", platform.machine().lower()
    for wanted in sorted({service.architecture for service in environment.services}):
        if machine in _MACHINES[wanted] or (binfmt / _EMULATIONS[wanted]).exists():
            continue
        if platform.system() != "Linux":
            return unchecked(name, f"{wanted} on {machine}: Docker Desktop brings the emulation of its own")
        return missing(
            name,
            f"this is {machine}, and images of {wanted} need its emulation",
            f"docker run --privileged --rm tonistiigi/binfmt --install {wanted.replace('x86_64', 'amd64')}",
        )
    return ok(name, f"can be built on {machine}")


def disk(root: Path) -> Finding:
    """Whether there is room for images and build output."""
    free = shutil.disk_usage(root).free / _GB
    detail, remedy = (
        f"{free:.0f} GB free",
        "docker system df shows what takes it; make destroy removes the emulator's",
    )
    if free < GB_NEEDED:
        return missing("disk space", f"{detail}, {GB_NEEDED} are needed", remedy)
    if free < GB_COMFORTABLE:
        return warning("disk space", f"{detail}, images fill that soon", remedy)
    return ok("disk space", detail)


def ports(instance: Instance) -> Finding:
    """Whether the emulator's ports are free, or taken by this checkout's emulator itself."""
    wanted = _ports(instance, instance.port)
    if lifecycle.ready(instance) is not None:
        return ok("ports", f"{wanted[0]} and {wanted[1]}: this checkout's emulator answers")
    taken = [port for port in wanted if not _is_free(port)]
    if taken:
        free = next(
            (port for port in range(4600, 9600, 10) if all(map(_is_free, _ports(instance, port)))), None
        )
        return missing(
            "ports",
            f"{' and '.join(map(str, taken))} taken by another program",
            f"EMULATOR_PORT={free} make deploy" if free else "stop the other program",
        )
    return ok("ports", f"{wanted[0]} and {wanted[1]} are free")


def _ports(instance: Instance, port: int) -> tuple[int, int]:
    """The ports of an instance that is moved to another one."""
    return port, replace(instance, port=port).tls_port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the emulator does: an address that is only waiting to be forgotten is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def session_manager() -> Finding:
    """Whether a shell in a task can be opened."""
    name = "session-manager-plugin"
    found = shutil.which(name)
    return (
        ok(name, found)
        if found
        else warning(name, "is not installed; only `suppliers exec` needs it", _PLUGIN)
    )


def browser() -> Finding:
    """Whether the tests of the pages find a Chromium."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return (
        ok("browser", found)
        if found
        else warning("browser", "no Chromium; only `make test` needs it", "make browser")
    )


def edge_runtime() -> Finding:
    """Whether the tests of CloudFront's function find its engine."""
    found = shutil.which("njs")
    return (
        ok("njs", found)
        if found
        else warning("njs", "is not installed; only `make test` needs it", "make njs")
    )
