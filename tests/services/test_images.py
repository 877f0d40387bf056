"""The images that are deployed: small, unprivileged, read-only, quick to start and to stop."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.services.harness import PASSWORD, SERVICES, MySQLServer, Site, docker, eventually, free_port

NAMES = ("customer", "employee")
MEGABYTE = 1_000_000


def base_of(name: str) -> str:
    dockerfile = (SERVICES / name / "Dockerfile").read_text()
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.M)) == {"${PYTHON_IMAGE}"}
    (default,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)", dockerfile, re.M)
    return str(default)


@pytest.fixture(scope="module")
def images() -> Iterator[dict[str, str]]:
    tag = uuid.uuid4().hex[:12]
    made = {}
    try:
        for name in NAMES:
            made[name] = f"suppliers-test-{name}:{tag}"
            docker("build", "-q", "-t", made[name], "-f", str(SERVICES / name / "Dockerfile"), str(SERVICES))
        yield made
    finally:
        for image in made.values():
            docker("rmi", image, check=False)


@pytest.fixture
def address(mysql_only: Site, mysql: MySQLServer) -> str:
    return docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", mysql.container)


class Container:
    """A service as the platform runs it: read-only, without capabilities, as nobody in particular."""

    def __init__(self, image: str, name: str, address: str) -> None:
        self.port = free_port()
        self.health = f"http://127.0.0.1:{self.port}{'/admin/suppliers' if name == 'employee' else '/'}"
        self.id = docker(
            "run",
            "-d",
            "--read-only",
            "--tmpfs",
            "/tmp",
            "--user",
            "10001",
            "--cap-drop",
            "ALL",
            "--memory",
            "512m",
            "-e",
            f"DATABASE_URL=mysql://{name}:{PASSWORD}@{address}:3306/suppliers",
            "-p",
            f"127.0.0.1:{self.port}:8080",
            image,
        )

    def wait(self) -> None:
        eventually(
            lambda: httpx.get(self.health).status_code == 200, seconds=20, what=docker("logs", self.id)
        )

    def memory(self) -> float:
        """Megabytes that the processes of the container hold."""
        used = docker("exec", self.id, "sh", "-c", "grep -h VmRSS /proc/[0-9]*/status")
        return max(int(line.split()[1]) for line in used.splitlines()) / 1024


@pytest.fixture(params=NAMES)
def container(request: pytest.FixtureRequest, images: dict[str, str], address: str) -> Iterator[Container]:
    made = Container(images[request.param], request.param, address)
    try:
        made.wait()
        yield made
    finally:
        docker("rm", "-f", made.id)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_adds_at_most_a_hundred_megabytes_to_its_base(images: dict[str, str], name: str) -> None:
    size, base = (int(docker("inspect", "-f", "{{.Size}}", image)) for image in (images[name], base_of(name)))
    assert (size - base) / MEGABYTE <= 100


@pytest.mark.parametrize("name", NAMES)
def test_an_image_holds_no_compiler_no_installer_and_starts_without_a_shell(
    images: dict[str, str], name: str
) -> None:
    inside = docker(
        "run",
        "--rm",
        images[name],
        "sh",
        "-c",
        "id -u; command -v gcc cc strip || true; ls /opt/venv/bin; ls -a /root/.cache 2>/dev/null || true",
    ).split()
    assert inside[0] == "10001"
    assert not {"pip", "gcc", "/usr/bin/gcc", "/usr/bin/strip", "pip3"} & set(inside)
    described = json.loads(docker("inspect", images[name]))[0]["Config"]
    assert described["Cmd"] == ["python", "-m", name]
    assert described["User"] == "10001:10001"
    assert (
        docker("run", "--rm", images[name], "sh", "-c", "touch /app/x 2>/dev/null || echo refused")
        == "refused"
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_program_in_an_image_lends_the_rights_of_its_owner(images: dict[str, str], name: str) -> None:
    command = ("--user", "0", images[name], "find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    assert docker("run", "--rm", *command) == ""


@pytest.mark.parametrize("name", NAMES)
def test_an_image_starts_from_the_pinned_base(name: str) -> None:
    pinned = (SERVICES / "shared/base-image").read_text().strip()
    assert pinned.partition("@")[0] == base_of(name)


@pytest.mark.parametrize("name", ["students", "monolith"])
def test_other_images_are_made_in_the_same_way(name: str) -> None:
    """Line by line as the employees', so that what is measured there holds for them too."""
    own = (SERVICES / name / "Dockerfile").read_text().replace("employee/migrations", f"{name}/migrations")
    employee = (SERVICES / "employee" / "Dockerfile").read_text()
    assert own == employee.replace("employee", name)
    for part in ("requirements.in", "requirements.txt"):
        assert (SERVICES / name / part).read_bytes() == (SERVICES / "employee" / part).read_bytes()


def test_the_customers_image_holds_no_migrations(images: dict[str, str]) -> None:
    assert "migrations" not in docker("run", "--rm", images["customer"], "ls", "/app")
    assert "migrations" in docker("run", "--rm", images["employee"], "ls", "/app")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_compiled_again_at_each_start(images: dict[str, str], name: str) -> None:
    missing = docker(
        "run",
        "--rm",
        images[name],
        "sh",
        "-c",
        "for f in $(find /app -name '*.py' -not -path '*/migrations/*'); do "
        "ls $(dirname $f)/__pycache__/$(basename $f .py).cpython-*.pyc >/dev/null 2>&1 || echo $f; done",
    )
    assert missing == ""


def test_it_runs_read_only_and_unprivileged_and_stops_in_time_with_status_0(container: Container) -> None:
    assert httpx.get(container.health).status_code == 200
    started = time.monotonic()
    docker("stop", "-t", "25", container.id)
    assert time.monotonic() - started < 25
    assert docker("inspect", "-f", "{{.State.ExitCode}}", container.id) == "0"


def test_it_holds_at_most_150_megabytes_under_load(container: Container) -> None:
    def read(worker: int) -> None:
        with httpx.Client(timeout=20) as client:
            base = container.health
            for number in range(60):
                page = (
                    f"?q=word{worker * 100 + number}&sort=city" if "admin" in base else f"?x={worker}{number}"
                )
                assert client.get(base + page).status_code == 200

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(read, range(10)))
    assert container.memory() <= 150
