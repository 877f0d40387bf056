"""The instance's own certificate authority.

Why: a service verifies the certificate of its database, and browsers that of an HTTPS listener. RDS and
ACM certificates are signed by Amazon; ministack gives MySQL a self-signed one and the listeners none.
Unnecessary when ministack signs the certificates of MySQL containers and of its ALB with an authority
whose certificate it hands out.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

import os
from pathlib import Path

from emulator.bridges import Context


def install(context: Context) -> None:
    """Make the authority if this instance has none yet."""
    folder = context.instance.certificate_authority.parent
    if context.instance.certificate_authority.exists():
        return
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
