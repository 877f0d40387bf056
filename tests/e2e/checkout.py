"""A copy of the project that end-to-end tests deploy, edit and spoil."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import settings
from ops.aws.clients import Clients
from ops.aws.endpoint import Endpoint

# What a user's shell would not have: this run's own make and pytest among it.
_OF_THIS_RUN = ("AWS_", "PYTEST_", "MAKE", "MFLAGS")


@dataclass(frozen=True)
class Checkout:
    """A copy of the project in a folder of its own, with an emulator of its own."""

    folder: Path
    port: int

    def make(self, *arguments: str, port: int | None = None, check: bool = True) -> str:
        """What `make` prints; the test fails with it if make fails."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_RUN)}
        done = subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env={**variables, "EMULATOR_PORT": str(port or self.port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        if check:
            assert done.returncode == 0, done.stdout
        return done.stdout

    def ops(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What the operator's command line answers on the environment `local`."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_RUN)}
        return subprocess.run(
            [sys.executable, "-m", "ops", *arguments],
            cwd=self.folder,
            env={**variables, "EMULATOR_PORT": str(self.port), "COLUMNS": "200", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    def emulator(self, command: str) -> str:
        """What the emulator's own command line prints."""
        done = subprocess.run(
            [sys.executable, "-m", "emulator", command, "--port", str(self.port)],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answer(self, *arguments: str) -> Any:
        """What it answers in JSON; the test fails with what it says if it fails."""
        done = self.ops(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def done(self, *arguments: str) -> str:
        """What it prints; the test fails with what it says if it fails."""
        done = self.ops(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def docker(self, *arguments: str, port: int | None = None) -> list[str]:
        """What Docker lists of this checkout's emulator."""
        label = f"label=emulator.instance={self.folder}/.local/emulator-{port or self.port}"
        command = ["docker", *arguments, "--filter", label]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split(
            "\n"
        )[:-1]

    def tasks(self) -> dict[str, set[str]]:
        """Container ids by service."""
        found: dict[str, set[str]] = {}
        for line in self.docker("ps", "--format", "{{.ID}} {{.Names}}"):
            container, name = line.split()
            service = re.fullmatch(r"ministack-ecs-\w+-(\w+)", name)
            if service:
                found.setdefault(service[1], set()).add(container)
        return found

    def client(self) -> httpx.Client:
        """Of the environment `local`."""
        return Endpoint(f"http://suppliers-local.alb.localhost:{self.port}").client(timeout=10)

    def outputs(self) -> dict[str, dict[str, str]]:
        """The outputs of all stacks that are deployed."""
        pages = self.aws().client("cloudformation").get_paginator("describe_stacks").paginate()
        return {
            stack["StackName"]: {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
            for page in pages
            for stack in page["Stacks"]
        }

    def aws(self) -> Clients:
        return Clients(
            "us-east-1",
            {
                "AWS_ENDPOINT_URL": f"http://localhost:{self.port}",
                "AWS_ACCESS_KEY_ID": "000000000000",
                "AWS_SECRET_ACCESS_KEY": "emulator",
            },
        )


def free_port(start: int) -> int:
    """A port from `start` on that is free, with the one for TLS 10000 above it."""
    for port in range(start, start + 200):
        with socket.socket() as plain, socket.socket() as tls:
            try:
                plain.bind(("127.0.0.1", port))
                tls.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        # What a run that was killed has left may still have the port's name.
        network = ["docker", "network", "inspect", f"emulator-{port}"]
        if subprocess.run(network, capture_output=True, check=False, timeout=30).returncode:
            return port
    raise AssertionError(f"no free port from {start} on")


def copy_project(folder: Path) -> Checkout:
    """The working tree in an empty folder; only what `make setup` and Docker keep is shared with it."""
    # The copy finds the packages that its requirements name, so that it installs none over ours.
    subprocess.run(["make", "setup"], cwd=settings.ROOT, check=True, timeout=600, stdin=subprocess.DEVNULL)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=settings.ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.splitlines()
    for name in listed:
        source, target = settings.ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for name in (".venv", "node_modules"):
        (folder / name).symlink_to(settings.ROOT / name)
    return Checkout(folder, free_port(int(os.environ.get("EMULATOR_PORT") or 4666)))
