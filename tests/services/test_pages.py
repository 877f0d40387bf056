"""What customers and employees see."""

from __future__ import annotations

import html
import re
from pathlib import Path

import httpx
import pytest

from tests.services.harness import VALID, Site, eventually, form_fields, running

ADD, LIST = "/admin/supplier-add", "/admin/suppliers"


def message(answer: httpx.Response) -> str:
    return html.unescape(answer.text)


def test_a_supplier_added_by_an_employee_appears_to_customers_within_a_second(site: Site) -> None:
    site.customer.client.get("/suppliers")  # the cached page that must not outlive its second
    assert site.employee.submit(ADD, **VALID).status_code == 303
    shown = eventually(
        lambda: VALID["name"] in site.customer.client.get("/suppliers").text,
        seconds=1.1,
        what="the new supplier",
    )
    assert shown


def test_after_adding_the_list_says_so_once(site: Site) -> None:
    answer = site.employee.submit(ADD, **VALID)
    assert answer.headers["location"] == LIST
    assert "Emerald Street Roasters was added." in message(site.employee.client.get(LIST))
    assert "was added." not in message(site.employee.client.get(LIST))


def test_what_is_stored_is_trimmed_and_in_standard_form(site: Site) -> None:
    site.employee.submit(ADD, **{**VALID, "name": "  Emerald ", "email": "Orders@EmeraldStreet.Coffee "})
    (row,) = site.rows()
    assert row["name"] == "Emerald"
    assert row["email"] == "Orders@emeraldstreet.coffee"
    assert row["phone"] == "+12066241234"


def test_phones_are_shown_nationally_at_home_and_internationally_from_abroad(site: Site) -> None:
    home = site.add()
    abroad = site.add(phone="+33 1 42 68 53 00")
    assert "(206) 624-1234" in site.customer.client.get(f"/suppliers/{home}").text
    assert "+33 1 42 68 53 00" in site.customer.client.get(f"/suppliers/{abroad}").text


def test_wrong_fields_are_named_and_what_was_typed_is_kept(site: Site) -> None:
    answer = site.employee.submit(ADD, **{**VALID, "email": "nobody@", "phone": "12", "city": " "})
    assert answer.status_code == 422
    page = message(answer)
    assert "This is not a valid email address." in page
    assert "This is not a valid phone number." in page
    assert "City is required." in page
    fields = form_fields(answer.text)
    assert fields["name"] == VALID["name"]
    assert fields["email"] == "nobody@"
    assert fields["phone"] == "12"
    assert site.rows() == []


def test_text_that_looks_like_markup_is_shown_as_text(site: Site) -> None:
    number = site.add(name='<script>alert("x")</script>')
    for client, path in (
        (site.customer.client, f"/suppliers/{number}"),
        (site.employee.client, LIST),
        (site.employee.client, f"/admin/supplier-update/{number}"),
        (site.employee.client, f"/admin/supplier-remove/{number}"),
    ):
        page = client.get(path).text
        assert "<script" not in page
        assert "&lt;script&gt;" in page
    search = site.customer.client.get("/suppliers", params={"q": '"><script>x</script>'}).text
    assert "<script" not in search


def test_unicode_names_survive(site: Site) -> None:
    name = "Kaffeerösterei Ålesund – 咖啡 ☕ Ñandú"
    site.employee.submit(ADD, **{**VALID, "name": name})
    assert site.rows()[0]["name"] == name
    assert name in message(site.customer.client.get(f"/suppliers/{site.rows()[0]['id']}"))


def test_a_supplier_is_edited(site: Site) -> None:
    number = site.add()
    answer = site.employee.submit(f"/admin/supplier-update/{number}", "/admin/supplier-update", city="Tacoma")
    assert answer.status_code == 303
    assert "was saved." in message(site.employee.client.get(LIST))
    assert site.rows()[0]["city"] == "Tacoma"
    assert site.rows()[0]["version"] == 2


def test_two_employees_editing_at_once_do_not_overwrite_each_other(site: Site) -> None:
    number = site.add()
    path = f"/admin/supplier-update/{number}"
    first, second = site.employee.form(path), site.employee.form(path)
    post = site.employee.client.post
    assert post("/admin/supplier-update", data={**first, "city": "Tacoma"}).status_code == 303
    refused = post("/admin/supplier-update", data={**second, "city": "Portland"})
    assert refused.status_code == 409
    page = message(refused)
    assert "Somebody else changed this supplier" in page
    assert "Stored now: <strong>Tacoma</strong>" in page
    assert form_fields(refused.text)["city"] == "Portland"
    assert site.rows()[0]["city"] == "Tacoma"
    # Having seen both, saving again keeps the second one's changes.
    assert post("/admin/supplier-update", data=form_fields(refused.text)).status_code == 303
    assert site.rows()[0]["city"] == "Portland"


def test_editing_what_somebody_else_deleted_is_said_and_saves_nothing(site: Site) -> None:
    number = site.add()
    form = site.employee.form(f"/admin/supplier-update/{number}")
    site.employee.client.delete(f"/admin/api/suppliers/{number}")
    answer = site.employee.client.post("/admin/supplier-update", data={**form, "city": "Tacoma"})
    assert answer.status_code == 404
    assert "Somebody else deleted this supplier." in message(answer)
    assert site.rows() == []


def test_deleting_asks_first_and_then_deletes(site: Site) -> None:
    number = site.add()
    path = f"/admin/supplier-remove/{number}"
    assert "Delete Emerald Street Roasters from the directory?" in message(site.employee.client.get(path))
    assert len(site.rows()) == 1
    assert site.employee.submit(path).status_code == 303
    assert site.rows() == []
    assert "The supplier was deleted." in message(site.employee.client.get(LIST))


def test_deleting_what_changed_meanwhile_asks_again(site: Site) -> None:
    number = site.add()
    form = site.employee.form(f"/admin/supplier-remove/{number}")
    site.employee.submit(f"/admin/supplier-update/{number}", "/admin/supplier-update", city="Tacoma")
    answer = site.employee.client.post(f"/admin/supplier-remove/{number}", data=form)
    assert answer.status_code == 409
    assert "Tacoma" in answer.text
    assert len(site.rows()) == 1


def test_sending_the_add_form_twice_makes_one_supplier(site: Site) -> None:
    form = {**site.employee.form(ADD), **VALID}
    assert [site.employee.client.post(ADD, data=form).status_code for _ in range(2)] == [303, 303]
    assert len(site.rows()) == 1


def test_an_empty_list_and_a_search_without_matches_say_so(site: Site) -> None:
    assert "There are no suppliers yet." in site.employee.client.get(LIST).text
    site.add()
    assert "No supplier matches “zebra”." in message(site.employee.client.get(LIST, params={"q": "zebra"}))
    assert "1 supplier<" in site.employee.client.get(LIST).text


def test_the_list_is_sorted_searched_and_divided_into_pages(site: Site) -> None:
    for number in range(7):
        site.add(name=f"Roaster {number}", city="Seattle" if number % 2 else "Austin")
    page = site.employee.client.get(LIST, params={"size": 3, "page": 2, "sort": "-name"}).text
    assert [f"Roaster {n}" in page for n in range(7)] == [False, True, True, True, False, False, False]
    assert 'rel="prev"' in page
    assert 'rel="next"' in page
    assert "Page 2 of 3" in page
    found = site.employee.client.get(LIST, params={"q": "seattle"}).text
    assert "3 suppliers" in found


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "size=99999", "sort=phone;drop", "page=99999999999"]
)
def test_a_query_that_makes_no_sense_still_gives_a_list(site: Site, query: str) -> None:
    site.add()
    assert site.customer.client.get(f"/suppliers?{query}").status_code == 200
    assert site.employee.client.get(f"{LIST}?{query}").status_code == 200


def test_french_readers_get_french(site: Site) -> None:
    french = {"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.5"}
    answer = site.customer.client.get("/", headers=french)
    assert 'lang="fr"' in answer.text
    assert answer.headers["content-language"] == "fr"
    assert "Il n’y a pas encore de fournisseur." in message(site.employee.client.get(LIST, headers=french))
    site.employee.client.headers["Accept-Language"] = "fr"
    try:
        answer = site.employee.submit(ADD, **{**VALID, "email": "x"})
    finally:
        del site.employee.client.headers["Accept-Language"]
    assert "Cette adresse e-mail n’est pas valide." in message(answer)
    assert 'lang="en"' in site.customer.client.get("/", headers={"Accept-Language": "de"}).text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/suppliers/999999", 404), ("/suppliers/99999999999", 404), ("/suppliers/x", 404)],
)
def test_pages_that_do_not_exist_look_like_the_rest(site: Site, path: str, status: int) -> None:
    answer = site.customer.client.get(path)
    assert answer.status_code == status
    assert "Page not found" in answer.text
    assert 'href="/suppliers"' in answer.text


def test_a_method_that_an_address_does_not_take_is_405_with_the_ones_it_takes(site: Site) -> None:
    answer = site.employee.client.delete(ADD)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_the_customer_service_has_no_route_that_writes(site: Site) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/", "/suppliers", "/suppliers/1", "/api/suppliers", "/api/suppliers/1", "/health"):
            assert site.customer.client.request(method, path).status_code == 405
    assert site.customer.client.get(LIST).status_code == 404


def test_admin_without_more_leads_to_the_list(site: Site) -> None:
    answer = site.employee.client.get("/admin")
    assert (answer.status_code, answer.headers["location"]) == (303, LIST)


def test_head_answers_like_get_without_a_body(site: Site) -> None:
    answer = site.customer.client.head("/suppliers")
    assert answer.status_code == 200
    assert answer.content == b""


def test_pages_work_without_scripts_and_load_nothing_from_elsewhere(site: Site) -> None:
    number = site.add()
    for client, path in (
        (site.customer.client, "/"),
        (site.customer.client, "/suppliers"),
        (site.customer.client, f"/suppliers/{number}"),
        (site.employee.client, LIST),
        (site.employee.client, ADD),
    ):
        page = client.get(path).text
        assert "<script" not in page
        assert " src=" not in page
        assert "http://" not in page.replace("http://127.0.0.1", "")
        assert "https://" not in page


def test_a_second_click_on_save_saves_and_accuses_nobody(site: Site) -> None:
    number = site.add()
    form = {**site.employee.form(f"/admin/supplier-update/{number}"), "city": "Tacoma"}
    for _ in range(2):
        assert site.employee.client.post("/admin/supplier-update", data=form).status_code == 303
    assert "was saved." in message(site.employee.client.get(LIST))
    assert site.rows()[0]["version"] == 2


BEGUN_ANEW = "Your session was over or has begun anew"


def begin_anew(site: Site, how: str) -> None:
    """An address opened from a mail: no strict cookie is sent, so the answer sets one. Or the browser was restarted."""
    if how == "restarted":
        site.employee.client.cookies.clear()
        return
    cookie = httpx.get(site.employee.url + ADD).headers["set-cookie"]
    name, _, value = cookie.partition(";")[0].partition("=")
    site.employee.client.cookies.clear()
    site.employee.client.cookies.set(name, value)


@pytest.mark.parametrize("how", ["from a mail", "restarted"])
def test_what_was_typed_before_the_session_began_anew_is_shown_again_and_can_be_sent(
    site: Site, how: str
) -> None:
    post = site.employee.client.post
    form = {**site.employee.form(ADD), **VALID, "name": "Typed before"}
    begin_anew(site, how)
    refused = post(ADD, data=form)
    assert refused.status_code == 403
    assert BEGUN_ANEW in message(refused)
    assert site.rows() == []
    again = form_fields(refused.text)
    assert again["name"] == "Typed before"
    assert again["csrf"] != form["csrf"]
    assert again["request"] == form["request"]
    assert post(ADD, data=again).status_code == 303
    (row,) = site.rows()

    form = {**site.employee.form(f"/admin/supplier-update/{row['id']}"), "city": "Lyon"}
    begin_anew(site, how)
    refused = post("/admin/supplier-update", data=form)
    assert refused.status_code == 403
    again = form_fields(refused.text)
    assert again["city"] == "Lyon"
    assert post("/admin/supplier-update", data=again).status_code == 303
    assert site.rows()[0]["city"] == "Lyon"

    remove = f"/admin/supplier-remove/{row['id']}"
    form = site.employee.form(remove)
    begin_anew(site, how)
    refused = post(remove, data=form)
    assert refused.status_code == 403
    assert BEGUN_ANEW in message(refused)
    assert len(site.rows()) == 1
    assert post(remove, data=form_fields(refused.text)).status_code == 303
    assert site.rows() == []


def test_another_site_gets_no_form_back(site: Site) -> None:
    answer = site.employee.client.post(ADD, data=VALID, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "<form" not in answer.text
    assert VALID["name"] not in answer.text


def links(page: str) -> list[str]:
    return [html.unescape(target) for target in re.findall(r'(?:href|action)="([^"]*)"', page)]


def test_what_is_done_from_a_page_of_the_list_leads_back_to_it(site: Site) -> None:
    """With its search, its order, its page and its size."""
    numbers = [site.add(name=f"Bohne & Söhne {number}") for number in range(3)]
    where = "?q=S%C3%B6hne+%26&sort=-city&size=1&page=2"
    client = site.employee.client
    listed = links(client.get(LIST + where).text)
    assert f"{ADD}{where}" in listed
    edit = next(target for target in listed if target.startswith("/admin/supplier-update/"))
    remove = next(target for target in listed if target.startswith("/admin/supplier-remove/"))
    assert edit == f"/admin/supplier-update/{numbers[1]}{where}"
    for path in (edit, remove, f"{ADD}{where}"):
        assert f"{LIST}{where}" in links(client.get(path).text), "cancel"
    assert remove in links(client.get(edit).text)

    update = f"/admin/supplier-update{where}"
    assert update in links(client.get(edit).text)
    wrong = client.post(update, data={**site.employee.form(edit), "email": "x"})
    assert wrong.status_code == 422
    assert update in links(wrong.text)
    saved = client.post(update, data={**form_fields(wrong.text), "email": "a@b.co"})
    assert saved.headers["location"] == f"{LIST}{where}"
    assert "was saved." in message(client.get(saved.headers["location"]))
    assert site.employee.submit(f"{ADD}{where}", **VALID).headers["location"] == f"{LIST}{where}"
    assert site.employee.submit(remove).headers["location"] == f"{LIST}{where}"


@pytest.mark.parametrize(
    "query", ["?q=%22%3E%3Cscript%3E", "?page=x&sort=//evil.example&next=//evil.example", "?//evil.example"]
)
def test_the_way_back_is_to_a_page_of_the_list_and_nowhere_else(site: Site, query: str) -> None:
    page = site.employee.client.get(ADD + query).text
    assert "<script" not in page
    assert "evil" not in page
    location = site.employee.submit(ADD + query, **VALID).headers["location"]
    assert location in (LIST, LIST + "?q=%22%3E%3Cscript%3E")


def test_numbers_of_the_region_that_is_set_are_typed_and_shown_without_its_code(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/a.db", "PHONE_REGION": "DE"}
    with running("employee", tmp_path / "log", environment=environment) as service:
        assert service.submit(ADD, **{**VALID, "phone": "030 23125 000"}).status_code == 303
        (entry,) = service.client.get("/admin/api/suppliers").json()["items"]
        assert entry["phone"] == "+493023125000"
        assert "030 23125000" in service.client.get(LIST).text
        refused = service.submit(ADD, **{**VALID, "phone": "12"})
        assert "For numbers outside DE start with +" in message(refused)
