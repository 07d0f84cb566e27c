"""Certificates for tests of lanes over TLS."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mesh.lane.socket import ALPN
from mesh.tls import Certificate


class Authority:
    """An authority with one host's certificate, in files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.files = Certificate(*(str(folder / name) for name in ("host", "key", "ca")))
        key, host_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        name = _name("test authority")
        usage = x509.BasicConstraints(ca=True, path_length=None)
        root = _certificate(name, name, key.public_key()).add_extension(usage, critical=True)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        host = _certificate(_name("host"), name, host_key.public_key())
        host = host.add_extension(names, critical=False)
        _write(self.files.ca, root.sign(key, hashes.SHA256()))
        _write(self.files.certificate, host.sign(key, hashes.SHA256()))
        Path(self.files.key).write_bytes(
            host_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def server(self) -> ssl.SSLContext:
        """For the end that listens."""
        return self.files.load().server

    def client(self, shows: Authority | None = None) -> Shown:
        """For the end that connects; it may show what another authority has signed."""
        return Shown(self.files, (shows or self).files)


class Shown:
    """A certificate that is shown, whether it fits the authority that is believed or not."""

    version = 0

    def __init__(self, believed: Certificate, shown: Certificate) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.set_alpn_protocols([ALPN])
        self._context.load_cert_chain(shown.certificate, shown.key)
        self._context.load_verify_locations(believed.ca)
        self._parts = [Path(path).read_bytes() for path in (believed.ca, shown.key)]
        self._parts.append(Path(shown.certificate).read_bytes())

    def client_context(self) -> ssl.SSLContext:
        return self._context

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(*self._parts)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )


def _write(path: str, certificate: x509.Certificate) -> None:
    Path(path).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
