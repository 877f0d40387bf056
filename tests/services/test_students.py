"""The students' records: a directory of the same parts with its own table, addresses, words and rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from tests.services.harness import PASSWORD, VALID, MySQLServer, Service, eventually, migrate, running

ADA = {**VALID, "name": "Ada Okafor", "email": "ada@students.example"}


@pytest.fixture(scope="module", params=["sqlite", "mysql"])
def students(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("students")
    url = f"sqlite:///{folder}/students.db"
    if request.param == "mysql":
        server: MySQLServer = request.getfixturevalue("mysql")
        url = server.url("students", database="students")
        admin = server.url(database="students").replace("mysql://", "mysql+pymysql://")
        server.run("CREATE DATABASE students CHARACTER SET utf8mb4")
        migrate(admin, service="students")
        server.run(
            f"CREATE USER students@'%' IDENTIFIED BY '{PASSWORD}'",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON students.students TO students@'%'",
        )
    else:
        migrate(url, service="students")
    with running("students", folder / "log", environment={"DATABASE_URL": url}) as service:
        yield service


@pytest.fixture
def empty(students: Service) -> Service:
    for item in students.client.get("/students/api?size=100").json()["items"]:
        assert students.client.delete(f"/students/api/{item['id']}").status_code == 204
    students.client.cookies.clear()
    return students


def test_a_student_is_added_found_changed_and_deleted_on_the_pages(empty: Service) -> None:
    assert "There are no students yet." in empty.client.get("/students").text
    assert empty.submit("/students/add", **ADA).headers["location"] == "/students"
    page = empty.client.get("/students?q=okafor").text
    assert "Ada Okafor" in page
    number = empty.client.get("/students/api").json()["items"][0]["id"]
    assert f'href="/students/update/{number}?q=okafor"' in page
    changed = empty.submit(f"/students/update/{number}", "/students/update", city="Tacoma")
    assert changed.status_code == 303
    assert "Tacoma" in empty.client.get("/students").text
    assert empty.submit(f"/students/remove/{number}").status_code == 303
    assert "The student was deleted." in empty.client.get("/students").text
    assert empty.client.get("/students/api").json()["total"] == 0


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/students/", "/students"),
        ("/students/update/01", "/students/update/1"),
        ("/students/api/", "/students/api"),
    ],
)
def test_an_address_in_another_spelling_leads_to_the_one_there_is(
    empty: Service, path: str, leads_to: str
) -> None:
    answer = empty.client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (308, leads_to)


def test_its_pages_lead_nowhere_but_to_itself(empty: Service) -> None:
    empty.submit("/students/add", **ADA)
    number = empty.client.get("/students/api").json()["items"][0]["id"]
    for path in ("/students", "/students/add", f"/students/update/{number}", f"/students/remove/{number}"):
        page = empty.client.get(path).text
        assert "Student records" in page
        links = {part.split('"')[0] for part in page.split('href="')[1:]}
        local = {link for link in links if link.startswith("/")}
        assert local
        assert all(link == "/students" or link.startswith(("/students/", "/students?")) for link in local), (
            local
        )


@pytest.mark.parametrize(
    "path", ["/", "/suppliers", "/admin", "/admin/suppliers", "/admin/students", "/api/students"]
)
def test_it_has_no_other_addresses(students: Service, path: str) -> None:
    assert students.client.get(path).status_code == 404


def test_what_is_wrong_with_its_json_is_told_as_json(empty: Service) -> None:
    answer = empty.client.post("/students/api", json={**ADA, "email": "nobody"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert list(answer.json()["errors"]) == ["email"]
    assert empty.client.get("/students/api/99999").headers["content-type"] == "application/problem+json"


def test_its_interface_is_described_under_its_own_path(students: Service) -> None:
    document = students.client.get("/students/api/openapi.json").json()
    assert set(document["paths"]) == {"/students/api", "/students/api/{id}", "/students/api/openapi.json"}
    created = students.client.post("/students/api", json=ADA)
    assert created.status_code == 201
    assert students.client.get(created.headers["location"]).json()["name"] == "Ada Okafor"


def test_it_speaks_french(empty: Service) -> None:
    french = {"Accept-Language": "fr"}
    assert "Il n’y a pas encore d’étudiant." in empty.client.get("/students", headers=french).text
    assert "Ajouter un étudiant" in empty.client.get("/students/add", headers=french).text


def test_two_services_migrate_one_database_without_knowing_each_other(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('both')}/both.db"
    for service in ("employee", "students", "employee", "students"):
        migrate(url, service=service)
    engine = create_engine(url)
    with engine.connect() as connection:
        tables = {
            row[0] for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type='table'"))
        }
    engine.dispose()
    assert {"suppliers", "students", "suppliers_schema_version", "students_schema_version"} <= tables
    with running(
        "students", tmp_path_factory.mktemp("log") / "log", environment={"DATABASE_URL": url}
    ) as found:
        eventually(lambda: found.client.get("/students").status_code == 200)
