"""The JSON interfaces."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.harness import VALID, Site

API = "/admin/api/suppliers"
STORED = {**VALID, "phone": "+12066241234"}


def test_a_supplier_is_created_read_changed_and_deleted(site: Site) -> None:
    client = site.employee.client
    made = client.post(API, json=VALID)
    assert made.status_code == 201
    place = made.headers["location"]
    assert made.json() == {"id": made.json()["id"], **STORED}
    read = client.get(place)
    assert read.json() == made.json()
    assert read.headers["etag"] == made.headers["etag"] == '"1"'
    changed = client.put(place, json={**VALID, "city": "Tacoma"}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert changed.json()["city"] == "Tacoma"
    assert changed.headers["etag"] == '"2"'
    assert site.customer.client.get(f"/api/suppliers/{made.json()['id']}").json() == changed.json()
    assert client.delete(place).status_code == 204
    assert client.get(place).status_code == 404


def test_both_versions_come_back_when_somebody_else_changed_it(site: Site) -> None:
    number = site.add()
    client = site.employee.client
    client.put(f"{API}/{number}", json={**VALID, "city": "Tacoma"}, headers={"If-Match": '"1"'})
    answer = client.put(f"{API}/{number}", json={**VALID, "city": "Portland"}, headers={"If-Match": '"1"'})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["etag"] == '"2"'
    assert answer.json()["current"]["city"] == "Tacoma"
    assert answer.json()["submitted"]["city"] == "Portland"
    assert site.rows()[0]["city"] == "Tacoma"
    assert client.delete(f"{API}/{number}", headers={"If-Match": '"1"'}).status_code == 409
    assert client.delete(f"{API}/{number}", headers={"If-Match": '"2"'}).status_code == 204


def test_a_change_has_to_say_which_version_it_changes(site: Site) -> None:
    number = site.add()
    assert site.employee.client.put(f"{API}/{number}", json=VALID).status_code == 428
    everything = site.employee.client.put(f"{API}/{number}", json=VALID, headers={"If-Match": "*"})
    assert everything.status_code == 200
    for unknown in ('"x"', '"0"', '"99"'):
        answer = site.employee.client.put(f"{API}/{number}", json=VALID, headers={"If-Match": unknown})
        assert answer.status_code == 409
    assert site.employee.client.put(f"{API}/9", json=VALID, headers={"If-Match": "*"}).status_code == 404


def test_an_unchanged_supplier_is_not_sent_again(site: Site) -> None:
    number = site.add()
    answer = site.customer.client.get(f"/api/suppliers/{number}", headers={"If-None-Match": '"1"'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')


def test_a_retried_create_makes_one_supplier(site: Site) -> None:
    headers = {"Idempotency-Key": "order-17"}
    answers = [site.employee.client.post(API, json=VALID, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(site.rows()) == 1


def test_an_idempotency_key_is_not_good_for_something_else(site: Site) -> None:
    headers = {"Idempotency-Key": "order-18"}
    site.employee.client.post(API, json=VALID, headers=headers)
    answer = site.employee.client.post(API, json={**VALID, "city": "Tacoma"}, headers=headers)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["errors"]
    assert len(site.rows()) == 1


def test_form_and_json_refuse_the_same_with_the_same_words(site: Site) -> None:
    wrong = {**VALID, "email": "x@", "phone": "1", "name": "n" * 300}
    answer = site.employee.client.post(API, json=wrong)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["status"] == 422
    assert set(problem["errors"]) == {"email", "phone", "name"}
    page = site.employee.submit("/admin/supplier-add", **wrong).text
    for text in problem["errors"].values():
        assert text in page


def test_problems_speak_the_readers_language(site: Site) -> None:
    answer = site.employee.client.post(API, json={**VALID, "city": ""}, headers={"Accept-Language": "fr"})
    assert answer.json()["errors"]["city"] == "Le champ Ville est obligatoire."


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"name": 3}', "application/json", 422),
        (b'{"name": "\xff"}', "application/json", 400),
        (b"{}", "text/plain", 415),
        (b" " * 70_000, "application/json", 413),
    ],
)
def test_a_body_that_is_no_supplier_is_a_problem(site: Site, content: bytes, kind: str, status: int) -> None:
    answer = site.employee.client.post(API, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert site.rows() == []


def test_unknown_fields_are_named(site: Site) -> None:
    answer = site.employee.client.post(API, json={**VALID, "fax": "1"})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["fax"])


def pages(site: Site, **query: Any) -> list[str]:
    names: list[str] = []
    page = 1
    while True:
        answer = site.customer.client.get("/api/suppliers", params={**query, "page": page}).json()
        names += [item["name"] for item in answer["items"]]
        if not answer["more"]:
            return names
        page += 1


@pytest.mark.parametrize("size", [1, 3, 4, 10])
@pytest.mark.parametrize("sort", ["name", "-name", "city", "-city"])
def test_the_pages_together_are_the_whole_list_in_order(site: Site, size: int, sort: str) -> None:
    for number in range(10):
        site.add(name=f"Roaster {number}", city=f"City {9 - number}")
    expected = [f"Roaster {number}" for number in range(10)]
    if sort in ("-name", "city"):
        expected.reverse()
    assert pages(site, size=size, sort=sort) == expected


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("roast", {"Emerald Roasters", "Café Roast"}),
        ("ROAST emer", {"Emerald Roasters"}),
        ("café", {"Café Roast"}),
        ("austin", {"Lone Star"}),
        ("tx", {"Lone Star"}),
        ("example.org", {"Lone Star"}),
        ("st", {"Lone Star"}),
        ("oast", set()),
        ("100%", set()),
        ("_", set()),
        ('+-*"()~<>@', set()),
        ("' OR 1=1 --", set()),
        ("the com", set()),
    ],
)
def test_search_finds_beginnings_of_words_in_name_city_state_and_email(
    site: Site, q: str, found: set[str]
) -> None:
    site.add(name="Emerald Roasters")
    site.add(name="Café Roast", city="Boise", state="Idaho", email="a@b.co")
    site.add(name="Lone Star", city="Austin", state="TX", email="sales@example.org")
    answer = site.customer.client.get("/api/suppliers", params={"q": q})
    assert answer.status_code == 200
    assert {item["name"] for item in answer.json()["items"]} == found
    assert answer.json()["total"] == len(found)


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "size=201", "size=0", "sort=phone", "x=1", "page=1&page=2"]
)
def test_the_api_refuses_a_query_that_makes_no_sense(site: Site, query: str) -> None:
    answer = site.customer.client.get(f"/api/suppliers?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_each_service_describes_its_own_interface(site: Site) -> None:
    readers = site.customer.client.get("/api/openapi.json").json()
    employees = site.employee.client.get("/admin/api/openapi.json").json()
    assert set(readers["paths"]["/api/suppliers"]) == {"get"}
    assert set(employees["paths"]["/admin/api/suppliers/{id}"]) == {"get", "put", "delete"}


def test_an_unknown_path_of_the_api_is_a_problem_document(site: Site) -> None:
    answer = site.customer.client.get("/api/nothing")
    assert answer.status_code == 404
    assert answer.json()["title"] == "Page not found"


def test_the_number_of_suppliers_follows_every_change_at_once(site: Site) -> None:
    for number in range(1, 4):
        site.add()
        for client, path in ((site.customer.client, "/api/suppliers"), (site.employee.client, API)):
            answer = client.get(path).json()
            assert answer["total"] == len(answer["items"]) == number


def test_a_change_that_is_sent_again_is_done_and_accuses_nobody(site: Site) -> None:
    """The first try arrived, its answer did not."""
    number = site.add()
    changed, headers = {**VALID, "city": "Tacoma"}, {"If-Match": '"1"'}
    first, second = (
        site.employee.client.put(f"{API}/{number}", json=changed, headers=headers) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json() == first.json()
    assert second.headers["etag"] == first.headers["etag"] == '"2"'
    other = site.employee.client.put(f"{API}/{number}", json={**VALID, "city": "Portland"}, headers=headers)
    assert other.status_code == 409
    # Somebody changed it once more: the first change is not what is stored any longer.
    site.employee.client.put(f"{API}/{number}", json=VALID, headers={"If-Match": '"2"'})
    assert site.employee.client.put(f"{API}/{number}", json=changed, headers=headers).status_code == 409
    assert site.rows()[0]["version"] == 3


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/suppliers/", "/suppliers"),
        ("/suppliers/?q=b%C3%A9&page=2", "/suppliers?q=b%C3%A9&page=2"),
        ("/api/suppliers/", "/api/suppliers"),
        ("/suppliers/1/", "/suppliers/1"),
        ("/suppliers/01", "/suppliers/1"),
        ("/suppliers/0000000001", "/suppliers/1"),
        ("/suppliers/01/", "/suppliers/1"),
        ("/suppliers/00", "/suppliers/0"),
        ("/api/suppliers/01?x=y", "/api/suppliers/1?x=y"),
    ],
)
def test_a_readers_address_in_another_spelling_leads_to_the_one_there_is(
    site: Site, path: str, leads_to: str
) -> None:
    answer = site.customer.client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (308, leads_to)
    assert site.customer.client.head(path).status_code == 308


@pytest.mark.parametrize(
    ("method", "path", "leads_to"),
    [
        ("GET", "/admin/suppliers/", "/admin/suppliers"),
        ("GET", "/admin/supplier-add/", "/admin/supplier-add"),
        ("POST", "/admin/supplier-add/?page=2", "/admin/supplier-add?page=2"),
        ("GET", "/admin/supplier-update/01", "/admin/supplier-update/1"),
        ("POST", "/admin/supplier-remove/01/", "/admin/supplier-remove/1"),
        ("PUT", "/admin/api/suppliers/01", "/admin/api/suppliers/1"),
        ("DELETE", "/admin/api/suppliers/1/", "/admin/api/suppliers/1"),
    ],
)
def test_an_editors_address_in_another_spelling_leads_to_the_one_there_is_with_its_method_and_body(
    site: Site, method: str, path: str, leads_to: str
) -> None:
    answer = site.employee.client.request(method, path)
    assert (answer.status_code, answer.headers["location"]) == (308, leads_to)
    assert site.employee.client.get("/admin/", follow_redirects=True).url.path == "/admin/suppliers"


@pytest.mark.parametrize(
    "path", ["/suppliers//", "//", "///", "//suppliers", "/nothing/", "//evil.example/", "/" * 3000]
)
def test_an_address_that_there_is_not_leads_nowhere(site: Site, path: str) -> None:
    assert site.customer.client.get(site.customer.url + path).status_code == 404
