"""A certificate for lanes over TLS on this machine; both ends show it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc.experimental import insecure_channel_credentials

from mesh.tls import Certificate

LOCALHOST: Final = "127.0.0.1"
FILE: Final = "certificate.pem"
VALID: Final = timedelta(days=1)


class LanesAlone:
    """Shows a certificate where lanes are opened, to a server whose plain port has no TLS."""

    version = 0

    def __init__(self, certificate: Certificate) -> None:
        self._context = certificate.load().client

    def client_context(self) -> ssl.SSLContext:
        """For a lane."""
        return self._context

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For an ordinary channel: none."""
        credentials: grpc.ChannelCredentials = insecure_channel_credentials()  # type: ignore[no-untyped-call]
        return credentials


def certificate_in(folder: Path) -> Certificate:
    """The certificate that `write_certificate` left."""
    path = str(folder / FILE)
    return Certificate(path, path, path)


def write_certificate(folder: Path) -> None:
    """A new key and a certificate that it signed for 127.0.0.1, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOCALHOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOCALHOST))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / FILE
    path.touch(mode=0o600)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
