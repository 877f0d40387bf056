"""The authorities of Amazon RDS that services trust."""

from __future__ import annotations

import datetime
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.services.harness import SERVICES

BUNDLE = SERVICES / "shared" / "certs" / "rds-global-bundle.pem"
CERTIFICATES = x509.load_pem_x509_certificates(BUNDLE.read_bytes())
SOON = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365)


def test_every_authority_is_valid_for_another_year() -> None:
    ending = [c.subject.rfc4514_string() for c in CERTIFICATES if c.not_valid_after_utc < SOON]
    assert ending == [], "refresh the bundle: services/shared/certs/README.md"


def test_every_certificate_is_a_self_signed_authority_of_amazon_rds_and_there_once() -> None:
    for certificate in CERTIFICATES:
        certificate.verify_directly_issued_by(certificate)
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert str(name.value).startswith("Amazon RDS")
    assert len({c.fingerprint(hashes.SHA256()) for c in CERTIFICATES}) == len(CERTIFICATES)


def test_the_regions_we_run_in_are_covered_for_each_kind_of_key() -> None:
    names = {c.subject.rfc4514_string() for c in CERTIFICATES}
    for region in ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1"):
        for kind in ("RSA2048", "RSA4096", "ECC384"):
            assert any(f"{region} Root CA {kind} G1" in name for name in names), (region, kind)


def test_python_can_load_the_bundle() -> None:
    context = ssl.create_default_context(cafile=str(BUNDLE))
    assert len(context.get_ca_certs()) == len(CERTIFICATES)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
