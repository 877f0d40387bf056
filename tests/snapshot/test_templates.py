"""The templates as reviewers read them. `make snapshots` writes them anew; CI never does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension
from syrupy.location import PyTestLocation
from syrupy.types import SnapshotIndex

import settings
from tests.conftest import ENVIRONMENTS, Synthesize, Template, stacks_of, synthesize


class TemplateFile(JSONSnapshotExtension):
    """One file a stack and environment: templates/dev/Network.json."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(Path(test_location.filepath).parent / "templates" / _parameters(test_location)[0])

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        return _parameters(test_location)[1]


def _parameters(location: PyTestLocation) -> list[str]:
    return location.snapshot_name.partition("[")[2].rstrip("]").split("-")


def readable(template: Template) -> Any:
    """The template without what changes with every line of service code, and without construct paths."""
    text = re.sub(r"[0-9a-f]{64}", "<asset>", json.dumps(template))
    document = json.loads(text)
    for resource in document["Resources"].values():
        resource.pop("Metadata", None)
    document.pop("Parameters", None)
    document.pop("Rules", None)
    return document


@pytest.mark.parametrize(
    ("name", "stack"), [(name, stack) for name in ENVIRONMENTS for stack in stacks_of(name)]
)
def test_templates_are_as_reviewed(
    templates: Synthesize, name: str, stack: str, snapshot: SnapshotAssertion
) -> None:
    assert readable(templates(name)[stack]) == snapshot(extension_class=TemplateFile)


@pytest.mark.slow
def test_a_changed_line_of_a_service_changes_its_image_and_no_snapshot(
    templates: Synthesize, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockerfile = project / "services/customer/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "# changed\n")
    (project / "services/shared").mkdir()
    monkeypatch.setattr("stacks.service.ROOT", project)
    changed = synthesize(settings.load("dev", project), tmp_path / "out")
    before = templates("dev")
    assert changed.platform != before.platform
    for stack in stacks_of("dev"):
        assert readable(changed[stack]) == readable(before[stack])


@pytest.mark.slow
def test_an_image_changes_with_its_own_folder_and_the_shared_one_only(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stacks.service.ROOT", project)
    (project / "services/shared").mkdir()

    def images(label: str) -> dict[str, str]:
        made = synthesize(settings.load("dev", project), tmp_path / label)
        return {
            stack: re.findall(r"[0-9a-f]{64}", json.dumps(image["Properties"]["Image"]))[0]
            for stack, template in made.items()
            for image in template["Resources"].values()
            if image["Type"] == "Custom::LiveImage"
        }

    first = images("first")
    (project / "services/customer/page.html").write_text("new")
    own = images("own")
    (project / "services/shared/base.html").write_text("new")
    shared = images("shared")
    (project / "services/notes.txt").write_text("new")
    elsewhere = images("elsewhere")
    assert (own["Customer"] != first["Customer"], own["Employee"] == first["Employee"]) == (True, True)
    assert (shared["Customer"] != own["Customer"], shared["Employee"] != own["Employee"]) == (True, True)
    assert elsewhere == shared
