"""The same parts as other services: a second directory, and everything in one process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.services.harness import VALID, Service, eventually, migrate, running

STUDENTS = """
[en]
site = "Students"
directory = "Students"
list_title = "Students"
list_title_admin = "Manage students"
add = "Add a student"
empty = "There are no students yet."

[fr]
site = "Étudiants"
empty = "Il n’y a pas encore d’étudiant."
"""
MONOLITH = """
from pathlib import Path
from sqlalchemy import MetaData
from directory.model import Directory, directory_table
from directory.server import main
from directory.services import Part, directory_service
from directory.suppliers import SUPPLIERS

STUDENTS = Directory(
    singular="student", plural="students", table=directory_table("students", MetaData()),
    texts=Path(__file__).with_name("students.toml"),
)

def create_app(settings):
    return directory_service(settings, [
        Part(directory=SUPPLIERS, public=True, admin=True),
        Part(directory=STUDENTS, public=True, admin=True, owns_root=False),
    ])

if __name__ == "__main__":
    main("monolith", create_app)
"""


@pytest.fixture(scope="module")
def monolith(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    from sqlalchemy import MetaData

    from directory.model import directory_table

    folder: Path = tmp_path_factory.mktemp("monolith")
    (folder / "monolith.py").write_text(MONOLITH)
    (folder / "students.toml").write_text(STUDENTS)
    url = f"sqlite:///{folder}/all.db"
    migrate(url)
    engine = create_engine(url)
    directory_table("students", metadata := MetaData())
    metadata.create_all(engine)
    engine.dispose()
    with running(
        "monolith",
        folder / "log",
        environment={"DATABASE_URL": url},
        command=[sys.executable, str(folder / "monolith.py")],
    ) as service:
        eventually(lambda: service.client.get("/").status_code == 200)
        yield service


def test_one_process_serves_customers_and_employees(monolith: Service) -> None:
    assert monolith.submit("/admin/supplier-add", **VALID).status_code == 303
    eventually(lambda: VALID["name"] in monolith.client.get("/suppliers").text, seconds=2)
    assert monolith.client.get("/admin/api/openapi.json").status_code == 200


def test_another_directory_has_its_own_table_addresses_and_words(monolith: Service) -> None:
    before = monolith.client.get("/api/suppliers").json()["total"]
    assert "There are no students yet." in monolith.client.get("/admin/students").text
    assert monolith.submit("/admin/student-add", **{**VALID, "name": "Ada"}).status_code == 303
    eventually(lambda: "Ada" in monolith.client.get("/students").text, seconds=2)
    number = monolith.client.get("/api/students").json()["items"][0]["id"]
    assert "Ada" in monolith.client.get(f"/students/{number}").text
    assert monolith.client.get("/api/suppliers").json()["total"] == before
    assert "Ada" not in monolith.client.get("/suppliers").text
    assert "/api/students/{id}" in monolith.client.get("/api/students-openapi.json").json()["paths"]


def test_pages_of_another_directory_lead_to_itself(monolith: Service) -> None:
    page = monolith.client.get("/students/99999").text
    assert "<title>Page not found – Students</title>" in page
    assert 'href="/students"' in page
