"""Services made for a test or a measurement: folders such as an engineer adds, of every kind that there is."""

from __future__ import annotations

import shutil
from pathlib import Path

import settings

SAMPLE = settings.ROOT / "services/students"
# Access and use of the database, each with tables of its own where it migrates.
_KINDS = (
    ("public", "write", True),
    ("admin", "write", True),
    ("public", "read", False),
    ("public", "none", False),
    ("public", "write", True),
)


def add_services(root: Path, count: int, *, whole: bool = False, public: bool = False) -> list[str]:
    """Add folders to `services/` below `root` until `count` services are enabled; their names.

    `whole` services are copies of one that is there, to be built; others have what a synth reads. `public` ones need the
    fewest rules.
    """
    # The public service takes every path: it comes last.
    customer = root / "services/customer/service.toml"
    customer.write_text(customer.read_text().replace("priority = 200", "priority = 9000"))
    present = sum(
        "enabled = false" not in file.read_text() for file in (root / "services").glob("*/service.toml")
    )
    names = [f"service-{number:02}" for number in range(count - present)]
    for number, name in enumerate(names):
        folder = root / "services" / name
        if whole:
            _copy(folder, name)
        else:
            folder.mkdir()
            (folder / "Dockerfile").write_text("FROM scratch\n")
        (folder / "service.toml").write_text(manifest(number, public=public))
    return names


def manifest(number: int, *, public: bool = False) -> str:
    """The manifest of the service of this number; every fifth is of the same kind."""
    access, database, migrations = _KINDS[number % len(_KINDS)]
    access = "public" if public else access
    path = f"/s{number}"
    lines = [
        f'path_patterns = ["{path}", "{path}/*"]',
        f"priority = {300 + 60 * number}",
        f'access = "{access}"',
        f'health_check_path = "{path}"',
        f'database = "{database}"',
    ]
    if database != "none":
        # Who only reads does so where the one before it writes.
        lines.append(f'tables = ["entries_{number if migrations else number - 1}"]')
    if migrations:
        lines.append("migrations = true")
    return "\n".join(lines) + "\n"


def _copy(folder: Path, name: str) -> None:
    package = name.replace("-", "_")
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / SAMPLE.name).rename(folder / package)
    for file in (folder / "Dockerfile", *folder.rglob("*.py")):
        text = file.read_text()
        text = text.replace(f"{SAMPLE.name}/{SAMPLE.name} {SAMPLE.name}", f"{name}/{package} {package}")
        text = text.replace(f"{SAMPLE.name}/", f"{name}/").replace(
            f"SERVICE_NAME={SAMPLE.name}", f"SERVICE_NAME={name}"
        )
        file.write_text(text.replace(f'"{SAMPLE.name}"', f'"{package}"'))
