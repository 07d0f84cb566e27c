"""The authority: its own key and certificate, and what it signs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.clock import Clock, SystemClock
from mesh.pki._files import PkiError, read_certificate, read_key, write_certificate, write_key
from mesh.pki._issued import Issued, Names

CA: Final = "ca.pem"
CA_KEY: Final = "ca.key"
CA_DAYS: Final = 730
"""Life of an authority."""
DAYS: Final = 7
"""Life of a certificate: short, because none is ever called back."""
MAX_DAYS: Final = 397
LATE_CLOCKS: Final = timedelta(minutes=5)
"""By how much the clocks of hosts may be behind ours."""

_BOTH_ENDS: Final = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; its files are in one folder (0700), the key readable to its owner.

    EC P-256 throughout: gRPC and Python's ssl take it alike.
    """

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    clock: Clock

    @classmethod
    def create(cls, folder: Path, *, days: int = CA_DAYS, clock: Clock | None = None) -> Self:
        """Make an authority in a folder that has none.

        Raises:
            PkiError: there is one already.
        """
        clock = clock or SystemClock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for path in (folder / CA, folder / CA_KEY):
            if path.exists():
                raise PkiError(
                    f"{path} is there already, and what it signed would be worth nothing: "
                    "use it ('engine pki issue'), or give another folder (--folder)"
                )
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"Engine development CA {secrets.token_hex(4)}")
        certificate = _authority(name, key, clock.now(), timedelta(days=days))
        write_key(folder / CA_KEY, key)
        write_certificate(folder / CA, certificate)
        return cls(folder, certificate, key, clock)

    @classmethod
    def open(cls, folder: Path, *, clock: Clock | None = None) -> Self:
        """The authority in a folder.

        Raises:
            PkiError: there is none, or its key is open to others.
        """
        if not (folder / CA).exists():
            raise PkiError(f"there is no authority in {folder}: make one with 'engine pki init'")
        certificate, key = read_certificate(folder / CA), read_key(folder / CA_KEY)
        if certificate.public_key() != key.public_key():
            raise PkiError(f"{folder / CA_KEY} is not the key of {folder / CA}: restore both")
        return cls(folder, certificate, key, clock or SystemClock())

    def issue(self, names: Names, *, days: float = DAYS) -> Issued:
        """A certificate with a key of its own, as NAME.pem and NAME.key in the folder.

        Raises:
            PkiError: the names cannot be, there is one already, or it would outlive the authority.
        """
        names.check()
        path = self.folder / f"{names.name}.pem"
        if path.exists() or names.name == Path(CA).stem:
            raise PkiError(
                f"{path} is there already: 'engine pki renew {names.name}' replaces it, with the "
                "same names"
            )
        return self._write(names, path, timedelta(days=days))

    def renew(self, issued: Issued) -> Issued:
        """Replace a certificate and its key by new ones for the same names and as long a life.

        Raises:
            PkiError: it would outlive the authority.
        """
        return self._write(issued.names, issued.path, issued.life - LATE_CLOCKS)

    def _write(self, names: Names, path: Path, life: timedelta) -> Issued:
        if not timedelta(0) < life <= timedelta(days=MAX_DAYS):
            raise PkiError(f"a certificate lives for more than 0 and at most {MAX_DAYS} days")
        now = self.clock.now()
        if now + life > self.certificate.not_valid_after_utc:
            raise PkiError(
                f"the authority itself ends on {self.certificate.not_valid_after_utc:%Y-%m-%d}: "
                "make another one in a new folder, and let hosts believe both (docs/howto/trust.md)"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(names, key.public_key(), now, life)
        write_key(path.with_suffix(".key"), key)
        write_certificate(path, certificate)
        ends = certificate.not_valid_after_utc
        return Issued(names=names, path=path, begins=certificate.not_valid_before_utc, ends=ends)

    def _signed(
        self, names: Names, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
    ) -> x509.Certificate:
        issuer = self.certificate.subject
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            _begun(_name(names.name), issuer, key, now, life)
            .add_extension(names.alternative(), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_BOTH_ENDS), critical=False)
            .add_extension(identifier, critical=False)
            .sign(self.key, hashes.SHA256())
        )


def _authority(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _begun(name, name, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LATE_CLOCKS)
        .not_valid_after(now + life)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
