import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulator import base_images, engine, lifecycle, virtualenv
from emulator.__main__ import main
from emulator.errors import EmulatorError
from emulator.instance import Instance, from_environment


@contextmanager
def listening() -> Iterator[int]:
    """A port that this process listens on, in the range that an instance may have."""
    with socket.socket() as listener:
        for port in range(21_000, 22_000):
            try:
                listener.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        listener.listen()
        yield listener.getsockname()[1]


def test_everything_of_an_instance_follows_from_its_port(tmp_path: Path) -> None:
    one, other = Instance(port=4566, root=tmp_path), Instance(port=4577, root=tmp_path)
    for name in ("state", "network", "label", "tls_port", "url", "volume_prefix"):
        assert getattr(one, name) != getattr(other, name)
    assert one.state == tmp_path / ".local" / "emulator-4566"


@pytest.mark.parametrize("port", [80, 60_000])
def test_a_port_that_leaves_no_room_is_refused_with_the_range(port: int) -> None:
    with pytest.raises(EmulatorError, match="choose one from 1024 to 55535"):
        Instance(port=port)


def test_the_port_comes_from_the_environment_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATOR_PORT", "4570")
    assert from_environment().port == 4570
    assert from_environment(port=4580).port == 4580
    monkeypatch.setenv("EMULATOR_PORT", "http")
    with pytest.raises(EmulatorError, match="EMULATOR_PORT=http"):
        from_environment()


def test_the_holder_of_a_port_is_named_with_its_pid_and_command() -> None:
    with listening() as port:
        holder = lifecycle.port_holder(port)
        assert holder is not None
        assert f"pid {os.getpid()} (" in holder
    assert lifecycle.port_holder(port) is None


def test_a_taken_port_is_one_line_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "ensure", lambda say: None)
    monkeypatch.setattr(virtualenv, "ensure", lambda folder, requirements, owner, say: Path("python"))
    monkeypatch.setattr(base_images, "ensure", lambda say: None)
    monkeypatch.setattr(lifecycle, "ready", lambda instance: None)
    with listening() as port:
        assert main(["up", "--port", str(port)]) == 1
    words = capsys.readouterr().err
    assert re.fullmatch(rf"emulator: port {port} is taken by pid \d+ \(.*\): stop it, or .*--port\)\n", words)


def test_a_report_without_an_emulator_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--port", "1025"]) == 1
    assert capsys.readouterr().err == "emulator: no emulator answers on port 1025: start it with `up`\n"


def test_the_pid_of_another_program_is_not_taken_for_the_emulator(tmp_path: Path) -> None:
    instance = Instance(root=tmp_path)
    instance.state.mkdir(parents=True)
    instance.pid_file.write_text(str(os.getpid()))
    assert lifecycle.running_pid(instance) is None
    instance.pid_file.write_text("no number")
    assert lifecycle.running_pid(instance) is None


def test_tools_are_turned_to_the_emulator_and_away_from_real_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "real")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setattr(engine, "client", lambda: engine.Client("/usr/bin/docker", buildkit=True))
    variables = lifecycle.child_environment(Instance(port=4570, root=tmp_path))
    assert variables["AWS_ENDPOINT_URL"] == "http://localhost:4570"
    assert variables["AWS_ACCESS_KEY_ID"] == "000000000000"
    assert variables["CDK_DOCKER"].endswith("emulator/cdk-docker")
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & variables.keys()


def docker(*arguments: str) -> str:
    done = subprocess.run(
        [lifecycle.CDK_DOCKER, *arguments],
        env={**os.environ, "EMULATOR_DOCKER": "echo"},
        input="a password",
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.strip()


def test_the_cdks_docker_neither_logs_in_nor_pushes() -> None:
    assert docker("login", "--username", "AWS", "--password-stdin", "registry") == ""
    assert docker("push", "registry/image:tag") == ""


def test_the_cdks_docker_builds_for_this_machine() -> None:
    assert docker("build", "--tag", "a b", "--platform", "linux/arm64", ".") == "build --tag a b ."
    assert docker("build", "--platform=linux/arm64", "--file", "x/Dockerfile", ".") == (
        "build --file x/Dockerfile ."
    )


def test_the_cdks_docker_passes_everything_else_on() -> None:
    assert docker("inspect", "image") == "inspect image"


def test_images_of_this_account_are_removed_unless_another_instance_runs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = "000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-assets:abc"
    theirs = "111111111111.dkr.ecr.us-east-1.amazonaws.com/cdk-assets:def"
    used = "000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-assets:123"
    images = [
        ours,
        theirs,
        used,
        "cdkasset-123:latest",
        "cdkasset-abc:latest",
        "cdkasset-def:latest",
        "mysql:8.4",
    ]
    commands: list[list[str]] = []
    monkeypatch.setattr(lifecycle, "_listed", lambda command: [used] if "ps" in command else images)
    monkeypatch.setattr(lifecycle, "run", lambda command, **more: commands.append(command))
    lifecycle.remove_images(Instance(root=tmp_path))
    assert commands == [["docker", "rmi", "-f", ours, "cdkasset-abc:latest"]]
