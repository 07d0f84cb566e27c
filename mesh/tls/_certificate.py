"""The files of a certificate, and what makes them fit for use."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from mesh.lane.socket import ALPN
from mesh.settings import Settings, SettingsError
from mesh.spiffe import service_named
from mesh.tls._loaded import Loaded

SERVICE: Final = "{service}"
"""Stands in the path of a file for the name of the service, where each has its own."""
MAX_BYTES: Final = 1 << 20
"""Of a file; none that is longer is read."""
MAX_DEPTH: Final = 8
"""Certificates between ours and the authority's."""

_NAMES: Final = "ENGINE_TLS_CERTIFICATE, ENGINE_TLS_KEY, ENGINE_TLS_CA"


class CertificateError(SettingsError):
    """The files of a certificate cannot be used; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files, in PEM: a certificate with what it was signed by, its private key, the authorities."""

    certificate: str
    key: str
    ca: str

    @classmethod
    def of(cls, settings: Settings, service: str = "") -> Self | None:
        """The certificate of a service that the settings name; None when they name none."""
        if not settings.tls_certificate:
            return None
        paths = (settings.tls_certificate, settings.tls_key, settings.tls_ca)
        return cls(*(path.replace(SERVICE, service) for path in paths))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the three are."""
        return tuple(map(Path, (self.certificate, self.key, self.ca)))

    def load(self, now: datetime | None = None) -> Loaded:
        """Read the files, and see that they belong together and are in force.

        Raises:
            CertificateError: they cannot be used.
        """
        try:
            before = self._read()
            loaded = self._loaded(before, now or datetime.now(UTC))
            is_whole = self._read() == before  # the contexts have read them once more
        except (OSError, ValueError, InvalidSignature) as error:
            raise CertificateError(f"{_NAMES}: {error or type(error).__name__}") from error
        if not is_whole:
            raise CertificateError(f"{_NAMES}: the files change while they are read")
        return loaded

    def _read(self) -> Sequence[bytes]:
        return [_content(path) for path in self.paths]

    def _loaded(self, content: Sequence[bytes], now: datetime) -> Loaded:
        certificate, key, ca = content
        chain = x509.load_pem_x509_certificates(certificate)
        _check_dates(chain, now, self.certificate)
        _check_issuer(chain, x509.load_pem_x509_certificates(ca), self.ca)
        return Loaded(
            key=key,
            chain=certificate,
            ca=ca,
            server=self._context(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),
            client=self._context(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
            expires=min(one.not_valid_after_utc for one in chain),
            service=service_named(_uris(chain[0])),
        )

    def _context(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols([ALPN])
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.ca)
        if context.protocol is ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0  # a session that is resumed shows no certificate
        return context


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path} is too long for a certificate or a key")
    return content


def _check_dates(chain: Sequence[x509.Certificate], now: datetime, path: str) -> None:
    for one in chain:
        if one.not_valid_after_utc <= now:
            raise ValueError(
                f"{path} expired on {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: "
                "put a new one there ('engine pki renew')"
            )
        if one.not_valid_before_utc > now:
            raise ValueError(
                f"{path} is not in force before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC: "
                "compare the clocks of this host and of the one that issued it"
            )


def _check_issuer(
    chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate], path: str
) -> None:
    """See that our own certificate leads to an authority that is believed."""
    links = [*chain[1:], *authorities]
    one: x509.Certificate | None = chain[0]
    for _ in range(MAX_DEPTH):
        if one in authorities:
            return
        one = next((issuer for issuer in links if _has_issued(issuer, one)), None)
        if one is None:
            break
    raise ValueError(f"the certificate is of no authority in {path}: every host must have the same")


def _has_issued(issuer: x509.Certificate, one: x509.Certificate | None) -> bool:
    try:
        assert one is not None
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
