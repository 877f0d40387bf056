"""Whatever the settings' files hold, a person reads lines that say where, what and what is allowed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

import settings
from tests.conftest import ENVIRONMENTS, copy_settings, stacks_of
from tests.unit.settings.bad_input import cases, documents
from tests.unit.settings.bad_input.cases import CUSTOMER, DEV


def told(project: Path) -> list[str]:
    """The lines that loading the environment `dev` ends with, each of the form that is promised."""
    with pytest.raises(settings.SettingsError) as raised:
        settings.load("dev", project)
    lines = str(raised.value).split("\n")
    for line in lines:
        assert re.match(r"(environments|services)/\S+: \S|and \d+ more$", line), line
        assert line.isprintable()
        assert len(line) < 700
        assert "Traceback" not in line
        assert "pydantic" not in line
    assert len(lines) <= 51
    return lines


@pytest.mark.parametrize(
    ("path", "value", "message"),
    cases.ENVIRONMENT,
    ids=lambda each: repr(each)[:40] if each != "" else "none",
)
def test_a_wrong_environment_is_told_in_one_line(project: Path, path: str, value: Any, message: str) -> None:
    documents.change(project / DEV, path, value)
    (line,) = told(project)[:1] if path == "" else told(project)
    assert message in line
    assert line.startswith(DEV)


@pytest.mark.parametrize(
    ("path", "value", "message"), cases.MANIFEST, ids=lambda each: repr(each)[:40] if each != "" else "none"
)
def test_a_wrong_manifest_is_told_in_one_line(project: Path, path: str, value: Any, message: str) -> None:
    documents.change(project / CUSTOMER, path, value)
    (line,) = told(project)
    assert message in line
    assert line.startswith(CUSTOMER)


@pytest.mark.parametrize("file", [DEV, CUSTOMER])
@pytest.mark.parametrize("case", cases.FILES)
def test_what_is_no_file_of_settings_is_told(project: Path, file: str, case: str) -> None:
    spoil, message = cases.FILES[case]
    spoil(project / file)
    lines = told(project)
    assert any(message in line for line in lines)
    assert all(line.startswith((file, "and ")) for line in lines)


def test_there_are_two_hundred_cases() -> None:
    assert len(cases.ENVIRONMENT) + len(cases.MANIFEST) + 2 * len(cases.FILES) >= 200


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("Roasters", "'Roasters' does not have the form"),
        ("a_b", "'a_b' does not have the form"),
        ("a" * 17, "must have at most 16 characters"),
        ("two words", "'two words' does not have the form"),
        ("a\nb", r"'a\nb' does not have the form"),
        ("compute", "services.compute: the name is taken by the platform itself; rename the folder"),
        ("administrator", "services.administrator: the name is taken by the platform itself"),
        ("delivery-dates", "services.delivery-dates: the name is taken by the platform itself"),
        ("migrator", "services.migrator: the name is taken by the platform itself"),
        ("employee-prepare", "services.employee-prepare: the name is taken by the platform itself"),
    ],
)
def test_a_folder_whose_name_no_service_can_have_is_told(project: Path, folder: str, message: str) -> None:
    target = project / "services" / folder
    target.mkdir()
    (target / "Dockerfile").touch()
    documents.write(
        target / "service.toml", {"path_patterns": ["/r"], "priority": 90, "health_check_path": "/r"}
    )
    with pytest.raises(settings.SettingsError) as raised:
        settings.load("dev", project)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_service_can_have_the_name_of_another_stack(name: str) -> None:
    own = {service.stack_id for service in settings.load(name).services}
    shared = {stack.lower() for stack in stacks_of(name) if stack.removeprefix("Delivery") not in own}
    assert shared <= settings.SHARED_STACKS
    assert settings.SHARED_STACKS - shared <= {"delivery"}


def test_what_is_deployed_is_known_in_spite_of_a_manifest_that_is_wrong(project: Path) -> None:
    (project / CUSTOMER).write_text('path_patterns = ["/"]\npriority = 100\ncpu = 300\n')
    (project / "services/employee/service.toml").write_text("priority = ")
    environment, problems = settings.load_known("dev", project)
    assert [service.name for service in environment.services] == ["customer", "employee"]
    assert [problem.partition(":")[0] for problem in problems] == [CUSTOMER, "services/employee/service.toml"]
    with pytest.raises(settings.SettingsError) as raised:
        settings.load("dev", project)
    assert str(raised.value) == "\n".join(problems)
    # Not what is wrong with the environment itself.
    documents.change(project / DEV, "network.nat_gateways", 9)
    with pytest.raises(settings.SettingsError, match="nat_gateways"):
        settings.load_known("dev", project)


def test_several_mistakes_are_told_together(project: Path) -> None:
    documents.change(project / DEV, "network.nat_gateways", 9)
    documents.change(project / DEV, "region", REGION := "mars")
    assert [line.split(": ")[1] for line in told(project)] == ["region", "network.nat_gateways"]
    assert REGION in told(project)[0]


# Any value of TOML; texts with what breaks lines, terminals and parsers.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12) | st.sampled_from(
    [
        "",
        "\n",
        "a\r\nb",
        "\x1b[31m",
        "\u2028",
        "10.0.0.0/8",
        "us-east-1",
        "/*",
        "../..",
        "{{resolve:ssm:x}}",
        "%s",
    ]
)
VALUES = st.recursive(
    TEXTS
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
FILE = st.sampled_from([DEV, CUSTOMER, cases.EMPLOYEE])


@contextlib.contextmanager
def changed(file: Path) -> Any:
    before = file.read_bytes()
    try:
        yield
    finally:
        file.write_bytes(before)


def outcome(project: Path) -> None:
    """Valid, or told in lines; anything else fails."""
    try:
        settings.load("dev", project)
    except settings.SettingsError:
        told(project)


@pytest.fixture(scope="module")
def spoilable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_settings(tmp_path_factory.mktemp("spoilable"))


def paths(document: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path] if path else []
    if isinstance(document, dict):
        for name, value in document.items():
            found += paths(value, (*path, name))
    return found


@profile(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_a_valid_document_is_valid_or_told(spoilable: Path, data: st.DataObject) -> None:
    file = spoilable / data.draw(FILE)
    with changed(file):
        document = documents.document(file)
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(paths(document) or [("x",)]))
            current = document
            for name in path[:-1]:
                current = current[name]
            match data.draw(st.sampled_from(["set", "remove", "add"])):
                case "set":
                    current[path[-1]] = data.draw(VALUES)
                case "remove":
                    current.pop(path[-1], None)
                case "add":
                    current[data.draw(TEXTS)] = data.draw(VALUES)
        documents.write(file, document)
        outcome(spoilable)


@profile(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=FILE, position=st.integers(0, 10_000), removed=st.integers(0, 30), inserted=st.binary(max_size=12)
)
def test_any_spoilt_bytes_are_valid_or_told(
    spoilable: Path, file: str, position: int, removed: int, inserted: bytes
) -> None:
    with changed(spoilable / file):
        content = (spoilable / file).read_bytes()
        at = position % (len(content) + 1)
        (spoilable / file).write_bytes(content[:at] + inserted + content[at + removed :])
        outcome(spoilable)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "app.py"],
        [sys.executable, "-m", "ops", "deploy", "--env", "dev"],
        [sys.executable, "-m", "ops", "guard", "--env", "dev"],
    ],
    ids=["app.py", "ops deploy", "ops guard"],
)
def test_the_commands_end_with_that_line_and_status_1(spoilable: Path, command: list[str]) -> None:
    for name in ("settings", "stacks", "constructs", "ops", "emulator", "delivery"):
        with contextlib.suppress(FileExistsError):
            (spoilable / name).symlink_to(settings.ROOT / name)
    # Python looks for modules beside the file that a link leads to.
    for file in settings.ROOT.glob("*.py"):
        shutil.copy(file, spoilable)
    with changed(spoilable / DEV):
        documents.change(spoilable / DEV, "network.nat_gateways", 9)
        done = subprocess.run(
            command,
            cwd=spoilable,
            env={
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
                "PYTHONPATH": f"{spoilable}{os.pathsep}{spoilable / 'constructs'}",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"{DEV}: network.nat_gateways: must be at most 6, not 9\n")
