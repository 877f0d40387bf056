"""The Docker engine of this machine: found, or installed and started where that is ours to do."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import EmulatorError
from emulator.process import run, succeeds

PID_FILE = Path("/var/run/docker.pid")
LOG = Path("/var/log/docker.log")
START_SECONDS = 60.0
PACKAGES = ("docker.io", "iptables")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Client:
    """A docker command that can build images here, and whether it does so with BuildKit."""

    path: str
    buildkit: bool

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_BUILDKIT": "1" if self.buildkit else "0"}


def ensure(say: Say = print) -> None:
    """Return with a Docker engine that answers; install and start Debian's on a Debian machine, as root."""
    if platform.system() != "Linux":
        # Containers are reached by their own addresses, which Docker Desktop keeps inside its virtual machine.
        raise EmulatorError(
            "the emulator needs Linux (WSL2 will do): containers are reached by their addresses"
        )
    if answers():
        return
    remedy = "install and start a Docker engine (Debian, Ubuntu: apt-get install docker.io), then try again"
    if not _is_debian():
        raise EmulatorError(f"no Docker engine answers: {remedy}")
    if os.geteuid() != 0:
        raise EmulatorError(
            f"no Docker engine answers and this is not root: {remedy}, or join the group docker"
        )
    if shutil.which("dockerd") is None:
        install(PACKAGES, say)
    say("starting the Docker engine")
    start()


def answers() -> bool:
    """Whether a Docker engine answers."""
    return shutil.which("docker") is not None and succeeds(["docker", "info", "--format", "{{.ID}}"])


def install(packages: tuple[str, ...], say: Say) -> None:
    """Install Debian packages."""
    say(f"installing {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], seconds=300, doing="apt-get update", env=env)
    run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        seconds=900,
        doing=f"apt-get install {' '.join(packages)}",
        env=env,
    )


def start() -> None:
    """Start the machine's own Docker service and wait until it answers."""
    remove_stale_pid_file()
    try:
        run(["service", "docker", "start"], seconds=60, doing="service docker start")
    except EmulatorError:
        # The service's script raises resource limits, which root of a container may not.
        _start_daemon()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if answers():
            return
        time.sleep(0.3)
    raise EmulatorError(f"the Docker service was started but does not answer: see {LOG}")


def _start_daemon() -> None:
    """Start the daemon with the pid files and the log that its service has, so that `service` can stop it."""
    run(
        [
            *("start-stop-daemon", "--start", "--background", "--oknodo", "--no-close"),
            *("--exec", shutil.which("dockerd") or "/usr/sbin/dockerd"),
            *("--pidfile", "/var/run/docker-ssd.pid", "--make-pidfile", "--output", str(LOG)),
            *("--", "-p", str(PID_FILE)),
        ],
        seconds=30,
        doing="starting dockerd",
    )


def remove_stale_pid_file(pid_file: Path = PID_FILE, processes: Path = Path("/proc")) -> bool:
    """Remove Docker's pid file when its pid belongs to nobody or to another program; True if removed.

    A daemon that died with its machine leaves the file behind, and its successor refuses to start once that
    pid is somebody else's.
    """
    if not pid_file.exists():
        return False
    pid = pid_file.read_text().strip()
    name = processes / pid / "comm"
    if pid.isdigit() and name.exists() and name.read_text().strip() == "dockerd":
        return False
    pid_file.unlink()
    return True


@functools.cache
def client() -> Client:
    """The docker command to build with.

    The first one on PATH need not be able to: a client of 23 or later builds with the plugin buildx, which
    may be missing, while an older one beside it has BuildKit built in.
    """
    candidates = list(
        dict.fromkeys(filter(None, (shutil.which("docker"), "/usr/bin/docker", "/usr/local/bin/docker")))
    )
    usable = [path for path in candidates if os.access(path, os.X_OK)]
    for path in usable:
        if succeeds([path, "buildx", "version"]) or _major_version(path) < 23:
            return Client(path, buildkit=True)
    if not usable:
        raise EmulatorError("no docker command on PATH: install docker.io or Docker's own packages")
    return Client(usable[0], buildkit=False)


def _major_version(path: str) -> int:
    try:
        text = run([path, "version", "--format", "{{.Client.Version}}"], seconds=20, doing="docker version")
        return int(text.strip().split(".", 1)[0])
    except (EmulatorError, ValueError):
        return 99


def _is_debian() -> bool:
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None
