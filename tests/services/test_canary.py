"""The canary's visit, made for real: to both services behind one address, as the load balancer puts them."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto import mock_aws

from platform_constructs.handlers.canary.python import directory_canary
from platform_constructs.handlers.canary.python.directory_canary import ENTRY, VisitFailed, visit
from tests.services.harness import VALID, Service
from tests.services.harness import Site as Services

NAME = "suppliers.example.com"


@contextmanager
def entrance(services: Services, context: ssl.SSLContext | None = None) -> Iterator[directory_canary.Site]:
    """One address for both services: /admin is the employees', the rest the public's."""

    class Forwards(BaseHTTPRequestHandler):
        def forward(self) -> None:
            chosen: Service = services.employee if self.path.startswith("/admin") else services.customer
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {"Content-Type": self.headers.get("Content-Type", "")}
            try:
                answer = httpx.request(
                    self.command, chosen.url + self.path, content=body, headers=headers, timeout=10
                )
            except httpx.TransportError:
                self.send_error(502)
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_DELETE = forward

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forwards)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield directory_canary.Site(
            scheme="https" if context else "http",
            host=NAME,
            port=server.server_port,
            addresses=["127.0.0.1"],
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_visit_adds_an_entry_that_the_public_sees_and_leaves_none_behind(
    site: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add()
    with entrance(site) as way_in:
        visit(way_in)
    assert [row["name"] for row in site.rows()] == [VALID["name"]]
    asked = capsys.readouterr().out
    assert '"POST", "path": "/admin/api/suppliers", "status": 201' in asked


def test_a_visit_clears_what_a_broken_one_left_and_nothing_else(sqlite_site: Services) -> None:
    sqlite_site.clear()
    sqlite_site.add(**ENTRY)
    kept = sqlite_site.add(**{**ENTRY, "email": "somebody@example.com"})
    with entrance(sqlite_site) as way_in:
        visit(way_in)
    assert [row["id"] for row in sqlite_site.rows()] == [kept]


def test_a_visit_fails_with_what_it_asked_and_what_came_back(
    sqlite_site: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_site.employee, "url", "http://127.0.0.1:9")
    with (
        entrance(sqlite_site) as way_in,
        pytest.raises(VisitFailed, match=r"GET /admin/api/suppliers\?.* by 127.0.0.1: 502, not 200"),
    ):
        visit(way_in)


def test_behind_an_edge_a_visit_comes_as_everybody_first_and_administers_from_inside(
    site: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str, str | None]] = []
    original = directory_canary._ask

    def ask(asked: directory_canary.Site, address: str, method: str, path: str, *others: Any) -> bytes:
        seen.append((asked.host, path, asked.headers.get("x-viewer-network")))
        # The edge is elsewhere: what it is asked goes to the same entrance.
        return original(
            way_in if asked.host == "edge.example.com" else asked, way_in.addresses[0], method, path, *others
        )

    site.add()
    with entrance(site) as way_in:
        monkeypatch.setattr(directory_canary, "_ask", ask)
        visit(replace(way_in, edge="edge.example.com", headers={"x-viewer-network": "admin"}))
    assert seen[:2] == [("edge.example.com", "/", None), ("edge.example.com", "/suppliers", None)]
    administering = [each for each in seen if each[1].startswith("/admin")]
    assert administering
    assert {(host, said) for host, _, said in administering} == {(NAME, "admin")}


def test_an_edge_that_nobody_answers_at_fails_the_visit(sqlite_site: Services) -> None:
    with entrance(sqlite_site) as way_in, pytest.raises(VisitFailed, match=r"GET / by 127\.0\.0\.9: "):
        visit(replace(way_in, edge="127.0.0.9"))


def test_a_zone_that_nobody_answers_in_fails_the_visit(sqlite_site: Services) -> None:
    with entrance(sqlite_site) as way_in:
        both = directory_canary.Site(
            scheme=way_in.scheme,
            host=way_in.host,
            port=way_in.port,
            addresses=["127.0.0.1", "127.0.0.2"],
        )
        with pytest.raises(VisitFailed, match=r"GET / by 127.0.0.2: ConnectionRefusedError"):
            visit(both)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Certificate and key of the site's name, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "site.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return file


@pytest.mark.parametrize(("name", "welcome"), [(NAME, True), ("other.example.com", False)])
def test_over_tls_the_certificate_must_be_for_the_name_of_the_site(
    sqlite_site: Services, certificate: Path, monkeypatch: pytest.MonkeyPatch, name: str, welcome: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with entrance(sqlite_site, context) as way_in:
        asked = directory_canary.Site(way_in.scheme, name, way_in.port, way_in.addresses)
        if welcome:
            visit(asked)
        else:
            with pytest.raises(VisitFailed, match=r"CERTIFICATE_VERIFY_FAILED.*Hostname mismatch"):
                visit(asked)


def test_the_canary_finds_the_private_addresses_of_the_load_balancer(
    sqlite_site: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited: list[directory_canary.Site] = []
    monkeypatch.setattr(directory_canary, "visit", visited.append)
    for key, value in {
        "SCHEME": "https",
        "HOST": NAME,
        "PORT": "443",
        "LOAD_BALANCER": "app/suppliers/0123",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(key, value)
    with mock_aws():
        client = boto3.client("ec2")
        vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        with pytest.raises(VisitFailed, match="no network interface"):
            directory_canary.handler({}, None)
        for description in ("ELB app/suppliers/0123", "ELB app/other/4567"):
            client.create_network_interface(SubnetId=subnet, Description=description)
        directory_canary.handler({}, None)
    (found,) = visited
    (address,) = found.addresses
    assert ipaddress.ip_address(address) in ipaddress.ip_network("10.0.0.0/24")
    assert (found.scheme, found.host, found.port) == ("https", NAME, 443)
