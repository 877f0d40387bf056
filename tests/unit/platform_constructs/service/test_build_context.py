from __future__ import annotations

from pathlib import Path

import pytest

from platform_constructs.service import build_context

NAMES = {"customer/Dockerfile", "customer/customer/app.py", "shared/directory/web/application.py"}


@pytest.fixture
def services(tmp_path: Path) -> Path:
    for name in (*NAMES, "employee/Dockerfile"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def version(services: Path) -> str:
    return build_context.version(services, "customer", "arm64")


def test_the_context_is_the_services_own_folder_and_the_shared_one(services: Path) -> None:
    assert {path.as_posix() for path in build_context.files(services, "customer")} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_file_of_the_context_counts(services: Path, name: str) -> None:
    before = version(services)
    (services / name).write_text("changed")
    assert version(services) != before


def test_a_renamed_and_a_new_file_count(services: Path) -> None:
    seen = {version(services)}
    (services / "customer/customer/app.py").rename(services / "customer/customer/main.py")
    seen.add(version(services))
    (services / "customer/empty").touch()
    seen.add(version(services))
    assert len(seen) == 3


def test_content_cannot_pass_for_another_file(services: Path) -> None:
    (services / "customer/a").write_bytes(b"1")
    (services / "customer/b").write_bytes(b"2")
    before = version(services)
    (services / "customer/b").unlink()
    for separator in (b"\0", b"\0\0"):
        (services / "customer/a").write_bytes(b"1\0customer/b" + separator + b"2")
        assert version(services) != before


def test_the_architecture_counts(services: Path) -> None:
    assert version(services) != build_context.version(services, "customer", "x86_64")


@pytest.mark.parametrize(
    "name", ["employee/Dockerfile", "notes.txt", "customer/__pycache__/app.pyc", "shared/directory/x.pyc"]
)
def test_other_services_and_litter_do_not_count(services: Path, name: str) -> None:
    before = version(services)
    (services / name).parent.mkdir(exist_ok=True)
    (services / name).write_text("changed")
    assert version(services) == before


def test_permissions_do_not_count_as_an_archived_source_loses_them(services: Path) -> None:
    before = version(services)
    (services / "customer/Dockerfile").chmod(0o755)
    assert version(services) == before


def test_what_is_built_from_is_exactly_what_counts(services: Path, tmp_path: Path) -> None:
    (services / "shared/leftover.db").touch()
    copy = tmp_path / "copy"
    build_context.stage(services, "customer", copy)
    found = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert found == NAMES
    assert version(copy) == version(services)


def test_a_service_without_a_dockerfile_is_said_so(services: Path) -> None:
    with pytest.raises(FileNotFoundError, match="roasters/Dockerfile: is missing"):
        build_context.version(services, "roasters", "arm64")
