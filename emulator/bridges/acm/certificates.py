"""The instance's own certificate authority.

Why: a service verifies the certificate of its database, and browsers that of an HTTPS listener. RDS and
ACM certificates are signed by Amazon; ministack gives MySQL a self-signed one and the listeners none.
Programs inside the VPC ask a load balancer by the domain that its certificate is for, and trust Amazon;
here functions trust the instance's authority beside those that this machine does.
Unnecessary when ministack signs the certificates of MySQL containers and of its ALB with an authority
whose certificate it hands out.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from emulator.bridges import Context


def install(context: Context) -> None:
    """Make the authority if this instance has none yet; what this process starts trusts it."""
    folder = context.instance.certificate_authority.parent
    if not context.instance.certificate_authority.exists():
        _make(context, folder)
    known = ssl.get_default_verify_paths().cafile
    trusted = folder / "trusted.pem"
    others = Path(known).read_text(encoding="utf-8") if known else ""
    trusted.write_text(others + context.instance.certificate_authority.read_text(), encoding="utf-8")
    os.environ["SSL_CERT_FILE"] = str(trusted)


def _make(context: Context, folder: Path) -> None:
    from ministack.core import x509_utils

    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = x509_utils.generate_ca(
        org_name="Local emulator", common_name=f"Local emulator on port {context.instance.port}"
    )
    _write_private(folder / "ca.key", key)
    context.instance.certificate_authority.write_text(certificate)


def server_certificate(context: Context, names: list[str], addresses: list[str]) -> tuple[str, str]:
    """PEM of a certificate valid for these names and addresses, and of its key."""
    from ministack.core import x509_utils

    authority = context.instance.certificate_authority
    certificate, key, _ = x509_utils.sign_leaf_certificate(
        authority.read_text(),
        (authority.parent / "ca.key").read_text(),
        common_name=names[0],
        san_dns=names,
        san_ips=addresses,
    )
    return certificate, key


class Presented:
    """Chooses by the name that a client asks for: a domain has the certificate that ACM issued for it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made: dict[str, ssl.SSLContext] = {}

    def choose(self, connection: ssl.SSLObject, name: str | None, default: ssl.SSLContext) -> None:
        """As `ssl.SSLContext.sni_callback`; any other name sees the certificate of all listeners."""
        if name is None or not any(fnmatchcase(name, each) for each in _issued()):
            return
        if name not in self._made:
            self._made[name] = self._present(name)
        connection.context = self._made[name]

    def _present(self, name: str) -> ssl.SSLContext:
        folder = self._context.instance.certificate_authority.parent
        certificate, key = server_certificate(self._context, [name], [])
        certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
        certificate_file.write_text(certificate)
        _write_private(key_file, key)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate_file, key_file)
        made.set_alpn_protocols(["h2", "http/1.1"])
        return made


def _issued() -> set[str]:
    from ministack.services import acm

    certificates: list[Mapping[str, object]] = list(acm._certificates.all_values())
    return {str(each["DomainName"]) for each in certificates}


def listener_certificate(context: Context) -> tuple[Path, Path]:
    """Files of the certificate that every HTTPS listener presents, and of its key."""
    folder = context.instance.certificate_authority.parent
    certificate_file, key_file = folder / "listeners.pem", folder / "listeners.key"
    if not key_file.exists():
        certificate, key = server_certificate(
            context, ["*.alb.localhost", "localhost"], ["127.0.0.1", context.gateway_address]
        )
        certificate_file.write_text(certificate)
        _write_private(key_file, key)
    return certificate_file, key_file


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
