"""The authorities that services trust for the database: those of Amazon RDS, and those that sign for proxies."""

from __future__ import annotations

import datetime
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.services.harness import SERVICES

BUNDLE = SERVICES / "shared" / "certs" / "rds-global-bundle.pem"
CERTIFICATES = x509.load_pem_x509_certificates(BUNDLE.read_bytes())
TRUST_SERVICES = SERVICES / "shared" / "certs" / "amazon-trust-services.pem"
# As https://www.amazontrust.com/repository/ publishes them.
ROOTS = {
    "Amazon Root CA 1": "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
    "Amazon Root CA 2": "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
    "Amazon Root CA 3": "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
    "Amazon Root CA 4": "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
}
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


def test_proxies_are_verified_by_the_roots_of_amazon_trust_services_and_no_other() -> None:
    found = {
        str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value): certificate
        for certificate in x509.load_pem_x509_certificates(TRUST_SERVICES.read_bytes())
    }
    assert {name: each.fingerprint(hashes.SHA256()).hex() for name, each in found.items()} == ROOTS
    assert not [name for name, each in found.items() if each.not_valid_after_utc < SOON]
    # What the images put together.
    context = ssl.create_default_context(cadata=BUNDLE.read_text() + TRUST_SERVICES.read_text())
    assert len(context.get_ca_certs()) == len(CERTIFICATES) + len(ROOTS)
