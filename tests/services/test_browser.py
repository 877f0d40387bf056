"""A person's way through the pages in a real browser, and what axe finds on them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.services.harness import ROOT, VALID, Site

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(
        (
            found
            for name in ("chromium", "chromium-browser", "google-chrome")
            if (found := shutil.which(name))
        ),
        None,
    )
    assert executable, "a Chromium is needed: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def front(mysql_only: Site) -> Iterator[str]:
    """One address for both services, as the load balancer gives them."""

    class Router(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            service = mysql_only.employee if self.path.startswith("/admin") else mysql_only.customer
            length = int(self.headers.get("content-length") or 0)
            headers = [
                (k, v) for k, v in self.headers.items() if k.lower() not in ("connection", "accept-encoding")
            ]
            answer = httpx.request(
                self.command,
                service.url + self.path,
                headers=headers,
                content=self.rfile.read(length),
                timeout=20,
            )
            self.send_response(answer.status_code)
            for key, value in answer.headers.multi_items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = _forward

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Router)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def open_page(browser: Browser, front: str) -> Iterator[Any]:
    contexts = []
    problems: list[str] = []

    def opened(**options: Any) -> Page:
        context = browser.new_context(base_url=front, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((front, "data:")) else problems.append(request.url)
            ),
        )
        return page

    yield opened
    for context in contexts:
        context.close()
    # The browser reports an answer of 4xx as an error of the console; those are asked for here.
    unexpected = [problem for problem in problems if "the server responded with a status of 4" not in problem]
    assert unexpected == [], "nothing is refused by the content security policy or loaded from elsewhere"


def serious(page: Page) -> list[str]:
    """What axe finds, minor things aside. Run by the debugger, which the page's own policy does not bind."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {violation['help']} {[node['html'] for node in violation['nodes']][:2]}"
        for violation in found["violations"]
        if violation["impact"] in ("moderate", "serious", "critical")
    ]


def fill(page: Page, **fields: str) -> None:
    labels = {
        "name": "Name",
        "address": "Address",
        "city": "City",
        "state": "State",
        "email": "Email",
        "phone": "Phone",
    }
    for field, value in fields.items():
        page.get_by_label(labels[field], exact=True).fill(value)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_an_employee_adds_edits_and_deletes_a_supplier(
    open_page: Any, mysql_only: Site, scripts: bool
) -> None:
    page = open_page(java_script_enabled=scripts)
    page.goto("/admin/suppliers")
    page.get_by_role("link", name="Add a supplier").click()
    fill(page, **{**VALID, "email": "wrong"})
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not a valid email address.")
    expect(page.get_by_label("Name", exact=True)).to_have_value(VALID["name"])
    fill(page, email=VALID["email"])
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_contain_text("was added")
    page.reload()
    expect(page.get_by_role("status")).to_have_count(0)

    page.get_by_role("link", name=f"Edit {VALID['name']}").click()
    fill(page, city="Tacoma")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("was saved")
    assert mysql_only.rows()[0]["city"] == "Tacoma"

    page.get_by_role("link", name=f"Delete {VALID['name']}").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("was deleted")
    expect(page.get_by_text("There are no suppliers yet.")).to_be_visible()
    assert mysql_only.rows() == []


def test_two_employees_see_each_others_edits_before_one_wins(open_page: Any, mysql_only: Site) -> None:
    number = mysql_only.add()
    first, second = open_page(), open_page()
    for page in (first, second):
        page.goto(f"/admin/supplier-update/{number}")
    fill(first, city="Tacoma")
    first.get_by_role("button", name="Save").click()
    expect(first.get_by_role("status")).to_contain_text("was saved")
    fill(second, city="Portland")
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_role("alert")).to_contain_text("Somebody else changed this supplier")
    expect(second.get_by_text("Stored now: Tacoma")).to_be_visible()
    expect(second.get_by_label("City", exact=True)).to_have_value("Portland")
    assert serious(second) == []
    assert mysql_only.rows()[0]["city"] == "Tacoma"
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_role("status")).to_contain_text("was saved")
    assert mysql_only.rows()[0]["city"] == "Portland"


def test_a_customer_finds_a_supplier_with_the_keyboard_alone(open_page: Any, mysql_only: Site) -> None:
    for number in range(3):
        mysql_only.add(name=f"Roaster {number}", city="Austin" if number == 1 else "Seattle")
    page = open_page()
    page.goto("/suppliers?sort=-name")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("austin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Roaster 1")).to_be_visible()
    expect(page.get_by_role("link", name="Roaster 2")).to_have_count(0)
    page.get_by_role("link", name="Roaster 1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Roaster 1")).to_be_visible()


def test_a_french_browser_gets_french(open_page: Any, mysql_only: Site) -> None:
    mysql_only.add()
    page = open_page(locale="fr-FR")
    page.goto("/admin/suppliers")
    expect(page.get_by_role("heading", level=1)).to_have_text("Gérer les fournisseurs")
    page.get_by_role("link", name="Ajouter un fournisseur").click()
    page.get_by_role("button", name="Ajouter").click()
    expect(page.get_by_role("alert")).to_contain_text("Le champ Nom est obligatoire.")
    assert page.evaluate("document.documentElement.lang") == "fr"
    assert serious(page) == []


def paths(number: int) -> list[str]:
    return [
        "/",
        "/suppliers",
        f"/suppliers/{number}",
        "/suppliers?q=nothing",
        "/nowhere",
        "/admin/suppliers",
        "/admin/supplier-add",
        f"/admin/supplier-update/{number}",
        f"/admin/supplier-remove/{number}",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_on_any_page(open_page: Any, mysql_only: Site, scheme: Any, width: int) -> None:
    number = mysql_only.add()
    mysql_only.add(name="A name of " + "very " * 40 + "many words")
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    found = {}
    for path in paths(number):
        page.goto(path)
        found[path] = serious(page)
    page.goto("/admin/supplier-add")
    page.get_by_role("button", name="Add").click()
    found["errors"] = serious(page)
    assert {path: violations for path, violations in found.items() if violations} == {}


def test_nothing_is_wider_than_a_phone(open_page: Any, mysql_only: Site) -> None:
    number = mysql_only.add(name="Unbreakable" * 20, email=f"{'x' * 60}@{'y' * 60}.coffee")
    page = open_page(viewport=PHONE)
    for path in paths(number):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
    page.goto("/admin/suppliers")
    for link in page.get_by_role("link").all():
        box = link.bounding_box()
        assert box is not None
        assert box["height"] >= 24 or box["y"] < 0, "large enough for a finger"


def test_axe_would_find_a_missing_label(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    page.goto("/admin/supplier-add")
    page.evaluate("document.querySelector('label[for=city]').remove()")
    assert any(finding.startswith("label:") for finding in serious(page))
