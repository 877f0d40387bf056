from pathlib import Path

import pytest

from emulator import engine
from emulator.errors import EmulatorError


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answers", lambda: False)
    monkeypatch.setattr("platform.system", lambda: "Linux")


@pytest.mark.usefixtures("silent")
def test_without_docker_and_without_debian_the_remedy_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_is_debian", lambda: False)
    with pytest.raises(EmulatorError) as error:
        engine.ensure()
    assert "install and start a Docker engine" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("silent")
def test_without_docker_and_without_root_the_remedy_names_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_is_debian", lambda: True)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(EmulatorError, match="not root"):
        engine.ensure()


def test_another_system_than_linux_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(EmulatorError, match="needs Linux"):
        engine.ensure()


@pytest.mark.usefixtures("silent")
def test_on_debian_as_root_docker_is_installed_if_missing_and_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr(engine, "_is_debian", lambda: True)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(engine, "install", lambda packages, say: done.append(f"install {packages[0]}"))
    monkeypatch.setattr(engine, "start", lambda: done.append("start"))
    engine.ensure(lambda text: None)
    assert done == ["install docker.io", "start"]


@pytest.mark.parametrize(("process", "removed"), [(None, True), ("systemd", True), ("dockerd", False)])
def test_a_pid_file_is_removed_unless_its_pid_is_a_docker_daemon(
    tmp_path: Path, process: str | None, removed: bool
) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text("42")
    if process:
        (tmp_path / "proc" / "42").mkdir(parents=True)
        (tmp_path / "proc" / "42" / "comm").write_text(f"{process}\n")
    assert engine.remove_stale_pid_file(pid_file, tmp_path / "proc") is removed
    assert pid_file.exists() is not removed


def test_a_client_without_a_way_to_use_buildkit_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = tmp_path / "docker"
    first.touch(mode=0o755)
    engine.client.cache_clear()
    monkeypatch.setattr("shutil.which", lambda name: str(first))
    monkeypatch.setattr("os.access", lambda path, mode: path in (str(first), "/usr/bin/docker"))
    monkeypatch.setattr(engine, "succeeds", lambda command, **more: False)
    monkeypatch.setattr(engine, "_major_version", lambda path: 28 if path == str(first) else 20)
    assert engine.client() == engine.Client("/usr/bin/docker", buildkit=True)
    engine.client.cache_clear()
    monkeypatch.setattr(engine, "_major_version", lambda path: 28)
    assert engine.client() == engine.Client(str(first), buildkit=False)
    engine.client.cache_clear()
