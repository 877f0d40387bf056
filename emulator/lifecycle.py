"""Starting, stopping and asking after an instance."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from emulator import base_images, engine, iam, releases, virtualenv
from emulator.errors import EmulatorError
from emulator.instance import LABEL, PROJECT_ROOT, Instance
from emulator.process import run, succeeds

READY_SECONDS = 30.0
READY_PATH = "/_emulator/ready"
# The answer is immediate; a port that takes a connection and stays silent is not ours.
READY_ANSWER_SECONDS = 1.0
STOP_SECONDS = 15.0
CDK_DOCKER = Path(__file__).resolve().parent / "cdk-docker"

Say = Callable[[str], None]


def environment(instance: Instance) -> dict[str, str]:
    """The variables with which the AWS CLI, boto3 and the CDK CLI work on the instance."""
    client = engine.client()
    return {
        "AWS_ENDPOINT_URL": instance.url,
        # The key names the account; none of the user's own credentials is used or sent.
        "AWS_ACCESS_KEY_ID": instance.account,
        "AWS_SECRET_ACCESS_KEY": "emulator",
        "AWS_REGION": instance.region,
        "AWS_DEFAULT_REGION": instance.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # The CDK CLI remembers which account a key belongs to: not in the cache of the user's real accounts.
        "CDK_HOME": str(instance.local / "cdk"),
        "CDK_DOCKER": str(CDK_DOCKER),
        "EMULATOR_DOCKER": client.path,
        "EMULATOR_PORT": str(instance.port),
        **client.environment,
    }


REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"
# Variables that would lead tools elsewhere in spite of `environment`.
FOREIGN_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


def child_environment(instance: Instance) -> dict[str, str]:
    """This process's variables, turned to the instance: for programs that work on it."""
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    return {**inherited, **environment(instance)}


def up(instance: Instance, say: Say = print) -> dict[str, Any]:
    """Make what is missing, start the instance if it does not run, return its status once it is ready."""
    with _locked(instance):
        engine.ensure(say)
        python = virtualenv.ensure(instance.venv, REQUIREMENTS, owner="emulator", say=say)
        base_images.ensure(say)
        running = ready(instance)
        if running is not None:
            _refuse_other_account(instance, running)
        else:
            _refuse_taken_port(instance)
            remove_leftovers(instance)
            _start(instance, python, say)
    return status(instance)


def down(instance: Instance, *, images: bool = False, say: Say = print) -> None:
    """Stop the instance and remove its containers, network, volumes and state; with `images`, what it built."""
    with _locked(instance):
        pid = running_pid(instance)
        if pid is not None:
            say(f"stopping the emulator on port {instance.port}")
            _stop(pid)
        if engine.answers():
            remove_leftovers(instance)
            if images:
                remove_images(instance)
        if instance.state.exists():
            for item in instance.state.iterdir():
                if item == instance.log:
                    continue
                shutil.rmtree(item) if item.is_dir() else item.unlink()


def status(instance: Instance) -> dict[str, Any]:
    """What runs, where it is reached, and what it is made of."""
    answer = ready(instance)
    found: dict[str, Any] = {
        "running": answer is not None,
        "port": instance.port,
        "url": instance.url,
        "account": instance.account,
        "region": instance.region,
        "log": str(instance.log),
    }
    if answer is not None:
        found["pid"] = answer["pid"]
        found["certificate_authority"] = str(instance.certificate_authority)
        found["listeners"] = listeners(instance)
        found["containers"] = _containers(instance)
        found["databases"] = ask(instance, "/_emulator/databases")
    return found


def ledger(instance: Instance) -> dict[str, Any]:
    """What the running instance made of the deployed stacks: see emulator.ledger."""
    answer: dict[str, Any] = ask(instance, "/_emulator/ledger")
    return answer


def listeners(instance: Instance) -> list[dict[str, Any]]:
    """The listeners of every load balancer, with the URL each is reached at on this machine."""
    answer: list[dict[str, Any]] = ask(instance, "/_emulator/listeners")
    return answer


def ask(instance: Instance, path: str, *, seconds: float = 10.0) -> Any:
    """What the running instance answers to a path of its own."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{instance.port}{path}", timeout=seconds) as response:
            return json.load(response)
    except (OSError, ValueError) as error:
        raise EmulatorError(f"no emulator answers on port {instance.port}: start it with `up`") from error


def ready(instance: Instance) -> dict[str, Any] | None:
    """What the instance says of itself, or None when it does not run; another clone's instance is not it."""
    try:
        answer = ask(instance, READY_PATH, seconds=READY_ANSWER_SECONDS)
    except EmulatorError:
        return None
    return answer if isinstance(answer, dict) and answer.get("state") == str(instance.state) else None


def running_pid(instance: Instance) -> int | None:
    """The pid of the instance's process, if the pid file's process is really it."""
    try:
        pid = int(instance.pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        variables = Path(f"/proc/{pid}/environ").read_bytes()
    except (OSError, ValueError):
        return None
    ours = b"emulator.gateway" in command and f"EMULATOR_STATE={instance.state}".encode() in variables.split(
        b"\0"
    )
    return pid if ours else None


def _start(instance: Instance, python: Path, say: Say) -> None:
    # Where a wrong value can still be told: the gateway only writes a log.
    releases.minute_seconds(os.environ)
    iam.is_enforced(os.environ)
    say(f"starting the emulator on port {instance.port}")
    subnet, gateway = _make_network(instance)
    instance.state.mkdir(parents=True, exist_ok=True)
    scratch = instance.state / "tmp"
    scratch.mkdir(exist_ok=True)
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        # What functions and others unpack goes with the instance.
        "TMPDIR": str(scratch),
        "EMULATOR_PORT": str(instance.port),
        "EMULATOR_ACCOUNT": instance.account,
        "EMULATOR_REGION": instance.region,
        "EMULATOR_STATE": str(instance.state),
        "EMULATOR_SUBNET": subnet,
        "EMULATOR_GATEWAY_ADDRESS": gateway,
    }
    with instance.log.open("w") as log:
        process = subprocess.Popen(
            [python, "-P", "-m", "emulator.gateway"],
            cwd=instance.state,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A session of its own: it outlives make and the terminal it was started from.
            start_new_session=True,
        )
    instance.pid_file.write_text(str(process.pid))
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if ready(instance) is not None:
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    words = [line.strip() for line in instance.log.read_text(errors="replace").splitlines() if line.strip()]
    if process.poll() is None:
        _stop(process.pid)
        raise EmulatorError(f"the emulator was not ready after {READY_SECONDS:.0f} s: see {instance.log}")
    raise EmulatorError(
        f"the emulator ended while it started: {words[-1] if words else 'no word'} ({instance.log})"
    )


def _stop(pid: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        while time.monotonic() < deadline:
            if not _alive(pid):
                return
            time.sleep(0.05)
        deadline += 5.0


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _make_network(instance: Instance) -> tuple[str, str]:
    """A network of the instance: (subnet, address of this machine in it).

    Docker chooses a free subnet; the network is then made again with that subnet named, because a container
    may have a fixed address only in a subnet that was asked for.
    """
    create = ["docker", "network", "create", "--label", instance.label]
    inspect = [
        "docker",
        "network",
        "inspect",
        "--format",
        "{{(index .IPAM.Config 0).Subnet}}",
        instance.network,
    ]
    doing = "making the emulator's Docker network"
    owner = network_owner(instance)
    if owner is not None:
        remedy = f"run `docker network rm {instance.network}`, or choose another port"
        raise EmulatorError(f"the Docker network {instance.network} belongs to {owner}: {remedy}")
    run([*create, instance.network], seconds=30, doing=doing)
    subnet = run(inspect, seconds=30, doing=doing).strip()
    run(["docker", "network", "rm", instance.network], seconds=30, doing=doing)
    network = ipaddress.ip_network(subnet)
    gateway = str(network.network_address + 1)
    run([*create, "--subnet", subnet, "--gateway", gateway, instance.network], seconds=30, doing=doing)
    return subnet, gateway


def remove_leftovers(instance: Instance) -> None:
    """Remove the containers, network and volumes that carry the instance's label or name."""
    ids = _listed(["docker", "ps", "-aq", "--filter", f"label={instance.label}"])
    if ids:
        run(["docker", "rm", "-fv", *ids], seconds=120, doing="removing containers")
    owner = network_owner(instance)
    if owner == str(instance.state):
        run(["docker", "network", "rm", instance.network], seconds=30, doing="removing the network")
    volumes = [
        name
        for name in _listed(["docker", "volume", "ls", "-q", "--filter", f"name={instance.volume_prefix}"])
        if name.startswith(instance.volume_prefix)
    ]
    if volumes:
        run(["docker", "volume", "rm", "-f", *volumes], seconds=60, doing="removing volumes")


def network_owner(instance: Instance) -> str | None:
    """The state folder of the instance that made the network of this one's name, or None if there is none."""
    template = f'{{{{index .Labels "{LABEL}"}}}}'
    command = ["docker", "network", "inspect", "--format", template, instance.network]
    if not succeeds(command):
        return None
    return run(command, seconds=30, doing="docker network inspect").strip()


def remove_images(instance: Instance) -> None:
    """Remove the images built for the emulator, except those that containers of another instance run.

    Built are those under its account's registry name, and the CDK's own tags of the same assets.
    """
    registry = f"{instance.account}.dkr.ecr."
    names = _listed(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"])
    in_use = set(_listed(["docker", "ps", "-a", "--format", "{{.Image}}"]))
    published = [name for name in names if name.startswith(registry) and name not in in_use]
    hashes = {name.rsplit(":", 1)[1] for name in published}
    assets = [name for name in names if name.startswith("cdkasset-") and name[9:].split(":", 1)[0] in hashes]
    if published or assets:
        run(["docker", "rmi", "-f", *published, *assets], seconds=120, doing="removing images")


def _containers(instance: Instance) -> list[dict[str, str]]:
    text = run(
        [
            "docker",
            "ps",
            "--filter",
            f"label={instance.label}",
            "--format",
            "{{.Names}}\t{{.Image}}\t{{.Status}}",
        ],
        seconds=30,
        doing="docker ps",
    )
    return [
        dict(zip(("name", "image", "status"), line.split("\t"), strict=True))
        for line in sorted(text.splitlines())
    ]


def _listed(command: list[str]) -> list[str]:
    return run(command, seconds=30, doing=" ".join(command[:3])).split()


def _refuse_other_account(instance: Instance, running: dict[str, Any]) -> None:
    for name, wanted in (("account", instance.account), ("region", instance.region)):
        if running.get(name, wanted) != wanted:
            raise EmulatorError(
                f"the emulator on port {instance.port} runs with {name} {running[name]}, not {wanted}: "
                f"run `down` first, or choose another port"
            )


def _refuse_taken_port(instance: Instance) -> None:
    for port in (instance.port, instance.tls_port):
        holder = port_holder(port)
        if holder:
            # Raises where something else than an emulator listens.
            with suppress(EmulatorError, KeyError, TypeError):
                state = ask(instance, READY_PATH, seconds=READY_ANSWER_SECONDS)["state"]
                holder = f"the emulator of {state}, {holder}"
            raise EmulatorError(
                f"port {port} is taken by {holder}: stop it, or choose another port (EMULATOR_PORT or --port)"
            )


def port_holder(port: int, processes: Path = Path("/proc")) -> str | None:
    """Who listens on a TCP port of this machine, or None."""
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (processes / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for process in processes.iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(str(item.readlink()) in inodes for item in (process / "fd").iterdir()):
                command = (
                    (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                )
                return f"pid {process.name} ({command[:80]})"
        except OSError:
            continue
    return "a process of another user"


@contextmanager
def _locked(instance: Instance) -> Iterator[None]:
    """One start or stop at a time: two would install and build the same things over each other."""
    instance.local.mkdir(parents=True, exist_ok=True)
    with (instance.local / "emulator.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
