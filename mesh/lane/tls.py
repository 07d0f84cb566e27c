"""TLS for lanes between hosts: both ends show a certificate of the same authority."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Self

from mesh.lane.socket import ALPN
from mesh.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files, in PEM: a host's certificate, its private key, the authority of all hosts."""

    certificate: str
    key: str
    ca: str

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The certificate that the settings name; None when they name none."""
        if not settings.lane_certificate:
            return None
        return cls(settings.lane_certificate, settings.lane_key, settings.lane_ca)

    def server_context(self) -> ssl.SSLContext:
        """For the end that listens; it takes clients with a certificate alone.

        Raises:
            SettingsError: a file cannot be used.
        """
        return self._loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def client_context(self) -> ssl.SSLContext:
        """For the end that connects; the server's name must be in its certificate.

        Raises:
            SettingsError: a file cannot be used.
        """
        return self._loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols([ALPN])
        try:
            context.load_cert_chain(self.certificate, self.key)
            context.load_verify_locations(self.ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"ENGINE_LANE_CERTIFICATE, ENGINE_LANE_KEY, ENGINE_LANE_CA: {error}"
            ) from error
        return context
