from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ops import smoke
from ops.endpoint import Endpoint
from ops.errors import OpsError
from settings import Access, Oidc

Answers = dict[str, tuple[int, str]]


@pytest.fixture
def site() -> Iterator[tuple[Endpoint, Answers]]:
    """A site that answers as told, at first as a healthy one."""
    answers: Answers = {
        "/": (200, "text/html"),
        "/suppliers": (200, "text/html"),
        "/api/suppliers": (200, "application/json"),
        "/suppliers/999999999": (404, "text/html"),
        "/admin/suppliers": (403, "text/plain"),
        "/admin/api/suppliers": (403, "text/plain"),
    }

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind = answers[self.path]
            self.send_response(status if self.headers["Host"].startswith("suppliers.alb.localhost:") else 421)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    Thread(target=server.serve_forever, daemon=True).start()
    yield Endpoint(f"http://suppliers.alb.localhost:{server.server_port}"), answers
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_WAIT_SECONDS", 0)
    monkeypatch.setattr(smoke, "_POLL_SECONDS", 0)


def test_a_healthy_site_passes_and_each_probe_is_shown(site: tuple[Endpoint, Answers]) -> None:
    seen: list[str] = []
    smoke.run(site[0], Access(), detail=seen.append)
    assert len(seen) == 6
    assert seen[0] == "/: 200 (home page)"


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/", (503, "text/html"), r"/ \(home page\) gives 503 text/html, not 200"),
        ("/api/suppliers", (200, "text/html"), r"gives 200 text/html, not 200"),
        ("/suppliers/999999999", (500, "text/html"), r"gives 500 text/html, not 404"),
        (
            "/admin/suppliers",
            (200, "text/html"),
            r"/admin/suppliers \(administration\) gives 200 text/html, not 403",
        ),
    ],
)
def test_a_wrong_answer_fails_with_what_was_wanted(
    site: tuple[Endpoint, Answers], path: str, answer: tuple[int, str], said: str
) -> None:
    endpoint, answers = site
    answers[path] = answer
    with pytest.raises(OpsError, match=said):
        smoke.run(endpoint, Access(), detail=lambda text: None)


def test_an_administration_with_named_networks_may_be_open_to_this_machine(
    site: tuple[Endpoint, Answers],
) -> None:
    endpoint, answers = site
    answers["/admin/suppliers"] = (200, "text/html")
    smoke.run(endpoint, Access(admin_cidrs=("127.0.0.0/8",)), detail=lambda text: None)


def test_an_administration_with_a_sign_in_sends_to_it_and_is_never_open(
    site: tuple[Endpoint, Answers],
) -> None:
    endpoint, answers = site
    login = "https://login.example.com/"
    oidc = Oidc(
        issuer=login,
        authorization_endpoint=login,
        token_endpoint=login,
        user_info_endpoint=login,
        client_id="directory",
        client_secret_name="login",
    )
    access = Access(admin_cidrs=("127.0.0.0/8",), oidc=oidc)
    answers["/admin/suppliers"] = (302, "text/html")
    smoke.run(endpoint, access, detail=lambda text: None)
    answers["/admin/suppliers"] = (200, "text/html")
    with pytest.raises(OpsError, match="gives 200 text/html, not 302 or 403"):
        smoke.run(endpoint, access, detail=lambda text: None)


def test_a_site_that_is_not_there_is_said_so() -> None:
    with pytest.raises(OpsError, match="ConnectError"):
        smoke.run(Endpoint("http://nothing.alb.localhost:9"), Access(), detail=lambda text: None)
