"""Certificates from files: what is usable, and what is said of what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from simulator.fleet.claiming import CertificateError, KeyPair, keep, read_folder, read_pair


def make_pair(ends: datetime) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw-000")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ends - timedelta(days=30))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


def test_what_was_kept_is_read_again_and_the_key_is_the_owners_alone(tmp_path: Path) -> None:
    pair = make_pair(datetime.now(UTC) + timedelta(days=1))
    keep(tmp_path / "certs", "gw-001", pair)
    assert read_folder(tmp_path / "certs", ["gw-000", "gw-001"]) == {"gw-001": pair}
    assert (tmp_path / "certs" / "gw-001.key").stat().st_mode & 0o777 == 0o600
    assert read_folder(tmp_path / "none", ["gw-000"]) == {}


def test_expired_certificate_is_named_with_its_last_day(tmp_path: Path) -> None:
    keep(tmp_path, "gw-000", make_pair(datetime(2025, 3, 1, tzinfo=UTC)))
    with pytest.raises(CertificateError, match=r"gw-000\.pem has expired on 2025-03-01: make a new one"):
        read_folder(tmp_path, ["gw-000"])


def test_missing_key_and_nonsense_are_named(tmp_path: Path) -> None:
    keep(tmp_path, "gw-000", make_pair(datetime.now(UTC) + timedelta(days=1)))
    (tmp_path / "gw-000.key").unlink()
    with pytest.raises(CertificateError, match=r"gw-000\.key cannot be read \(No such file"):
        read_folder(tmp_path, ["gw-000"])
    (tmp_path / "nonsense").write_text("hello")
    with pytest.raises(CertificateError, match="nonsense is no certificate in PEM"):
        read_pair(tmp_path / "nonsense", tmp_path / "nonsense")
