"""Connections to the database are verified when an authority is given."""

from __future__ import annotations

import datetime
import ipaddress
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.services.harness import (
    MYSQL_IMAGE,
    PASSWORD,
    MySQLServer,
    docker,
    eventually,
    free_port,
    migrate,
    running,
)


def authority(folder: Path, name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def server_files(folder: Path, ca: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "database")]))
        .issuer_name(ca[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca[1].public_key()), critical=False)
        .sign(ca[1], hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


@dataclass
class TlsServer:
    server: MySQLServer
    folder: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    folder = tmp_path_factory.mktemp("tls")
    server_files(folder, authority(folder, "right"))
    authority(folder, "wrong")
    for path in folder.iterdir():
        path.chmod(0o644)
    folder.chmod(0o755)
    server = MySQLServer(f"suppliers-test-{uuid.uuid4().hex[:12]}", free_port())
    docker(
        "create",
        "--name",
        server.container,
        "-p",
        f"127.0.0.1:{server.port}:3306",
        "-e",
        f"MYSQL_ROOT_PASSWORD={PASSWORD}",
        "-e",
        "MYSQL_ROOT_HOST=%",
        MYSQL_IMAGE,
        "--ssl-ca=/etc/right.pem",
        "--ssl-cert=/etc/server.pem",
        "--ssl-key=/etc/server.key",
    )
    try:
        for name in ("right.pem", "server.pem", "server.key"):
            docker("cp", str(folder / name), f"{server.container}:/etc/{name}")
        server.start()
        server.wait(120)
        server.run("CREATE DATABASE suppliers")
        migrate(server.url().replace("mysql://", "mysql+pymysql://"))
        server.run(
            f"CREATE USER secure@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL",
            "GRANT SELECT ON suppliers.suppliers TO secure@'%'",
        )
        yield TlsServer(server, folder)
    finally:
        docker("rm", "-f", "-v", server.container, check=False)


def test_a_service_connects_over_verified_tls(tls: TlsServer, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": tls.server.url("secure"), "DB_TLS_CA": str(tls.folder / "right.pem")}
    with running("customer", tmp_path / "log", environment=environment) as service:
        assert service.client.get("/api/suppliers").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_service_does_not_talk_to_a_server_it_cannot_verify(
    tls: TlsServer, tmp_path: Path, host: str
) -> None:
    """Another authority; or the right one for a name that is not in the certificate."""
    ca = "wrong.pem" if host == "127.0.0.1" else "right.pem"
    environment = {
        "DATABASE_URL": tls.server.url("secure").replace("127.0.0.1", host),
        "DB_TLS_CA": str(tls.folder / ca),
    }
    with running("customer", tmp_path / "log", wait=False, environment=environment) as service:
        eventually(lambda: service.client.get("/health").status_code == 200)
        time.sleep(1.5)
        assert service.client.get("/").status_code == 503
        assert "CERTIFICATE_VERIFY_FAILED" in service.log.read_text()


def test_users_made_by_prepare_cannot_connect_without_tls(tls: TlsServer) -> None:
    import os
    import subprocess
    import sys

    from tests.services.harness import MIGRATIONS, SERVICES
    from tests.services.secrets_server import secrets_server

    with secrets_server() as secrets:
        secrets.put("admin", "root", PASSWORD)
        secrets.put("migrator", "tls_migrator", "m")
        secrets.put("customer", "tls_customer", "c")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SERVICES / "shared"),
            "MIGRATIONS": str(MIGRATIONS),
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(tls.server.port),
            "DB_NAME": "suppliers",
            "DB_TLS_CA": str(tls.folder / "right.pem"),
            "DB_ADMIN_SECRET_ARN": secrets.arn("admin"),
            "DB_MIGRATOR_SECRET_ARN": secrets.arn("migrator"),
            "DB_USERS": json.dumps(
                [
                    {
                        "service": "customer",
                        "secret_arn": secrets.arn("customer"),
                        "access": "read",
                        "tables": ["suppliers"],
                    }
                ]
            ),
            **secrets.environment,
        }
        done = subprocess.run(
            [sys.executable, "-m", "directory.prepare"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    with pytest.raises(pymysql.MySQLError):
        pymysql.connect(
            host="127.0.0.1", port=tls.server.port, user="tls_customer", password="c", ssl_disabled=True
        )
