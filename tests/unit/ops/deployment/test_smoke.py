from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ops.aws.endpoint import Endpoint
from ops.deployment import smoke
from ops.errors import OpsError
from settings import Access, Environment, Oidc, load

Answers = dict[str, int]
# An answer of before, as the database is away.
OLD = 0


def _environment(access: Access) -> Environment:
    return load("local").model_copy(update={"access": access})


@pytest.fixture
def site() -> Iterator[tuple[Endpoint, Answers]]:
    """A site that answers as told, at first as a healthy one."""
    answers: Answers = {
        "/": 200,
        "/suppliers": 200,
        "/api/suppliers": 200,
        "/admin/suppliers": 403,
        "/admin/api/suppliers": 403,
        "/students": 403,
        "/students/api": 403,
    }

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = answers[self.path]
            headers = {"Cache-Status": "directory; hit; ttl=-9"} if status == OLD else {}
            status = 200 if status == OLD else status
            self.send_response(status if self.headers["Host"].startswith("suppliers.alb.localhost:") else 421)
            self.send_header("Content-Length", "0")
            for name, value in headers.items():
                self.send_header(name, value)
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
    monkeypatch.setattr(smoke, "_WRONG_SECONDS", 0)
    monkeypatch.setattr(smoke, "_POLL_SECONDS", 0)


def test_each_service_is_asked_for_the_paths_of_its_manifest(site: tuple[Endpoint, Answers]) -> None:
    seen: list[str] = []
    smoke.run(site[0], _environment(Access()), detail=seen.append)
    assert seen == [
        "/: 200 (customer)",
        "/suppliers: 200 (customer)",
        "/api/suppliers: 200 (customer)",
        "/admin/suppliers: 403 (employee)",
        "/admin/api/suppliers: 403 (employee)",
        "/students: 403 (students)",
        "/students/api: 403 (students)",
    ]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/", 503, r"smoke test: / \(customer\) gives 503, not 200"),
        ("/api/suppliers", 403, r"/api/suppliers \(customer\) gives 403, not 200"),
        ("/admin/suppliers", 200, r"/admin/suppliers \(employee\) gives 200, not 403"),
        (
            "/suppliers",
            OLD,
            r"/suppliers \(customer\) gives what was read 9 s ago, as the database is away, not 200",
        ),
        ("/students/api", 404, r"/students/api \(students\) gives 404, not 403"),
    ],
)
def test_a_wrong_answer_fails_with_what_was_wanted(
    site: tuple[Endpoint, Answers], path: str, status: int, said: str
) -> None:
    endpoint, answers = site
    answers[path] = status
    with pytest.raises(OpsError, match=said) as raised:
        smoke.run(endpoint, _environment(Access()), detail=lambda text: None)
    service = said.partition("\\(")[2].partition("\\)")[0]
    assert f"`suppliers rollback {service} --env local`" in str(raised.value).splitlines()[1]


def test_an_administration_with_named_networks_may_be_open_to_this_machine(
    site: tuple[Endpoint, Answers],
) -> None:
    endpoint, answers = site
    answers["/admin/suppliers"] = 200
    smoke.run(endpoint, _environment(Access(admin_cidrs=("127.0.0.0/8",))), detail=lambda text: None)


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
    access = _environment(Access(admin_cidrs=("127.0.0.0/8",), oidc=oidc))
    answers["/admin/suppliers"] = 302
    smoke.run(endpoint, access, detail=lambda text: None)
    answers["/admin/suppliers"] = 200
    with pytest.raises(OpsError, match="gives 200, not 302 or 403"):
        smoke.run(endpoint, access, detail=lambda text: None)


def test_a_site_that_is_not_there_is_said_so() -> None:
    with pytest.raises(OpsError, match="ConnectError"):
        smoke.run(
            Endpoint("http://nothing.alb.localhost:9"), _environment(Access()), detail=lambda text: None
        )


def test_what_is_waited_for_is_said_once(
    site: tuple[Endpoint, Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, answers = site
    answers["/suppliers"] = 500
    said: list[str] = []
    monkeypatch.setattr(smoke, "_WRONG_SECONDS", 0.5)
    with pytest.raises(OpsError, match="gives 500"):
        smoke.run(endpoint, _environment(Access()), detail=said.append)
    assert said == ["/: 200 (customer)", "/suppliers: 500 (customer), waiting at most 0 s"]
