"""What stood in the files of a certificate at one moment, ready for both kinds of connections."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime

import grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A certificate that was found fit; it never changes.

    Args:
        key: private key in PEM.
        chain: certificates in PEM, our own first.
        ca: the authorities that are believed, in PEM.
        server: for TLS sockets that listen; takes clients with a certificate alone.
        client: for TLS sockets that connect; the server's name must be in its certificate.
        expires: when the first of our chain does.
        service: whose it is; empty for a host's.
    """

    key: bytes
    chain: bytes
    ca: bytes
    server: ssl.SSLContext
    client: ssl.SSLContext
    expires: datetime
    service: str

    @property
    def version(self) -> int:
        """Tells one certificate from the next; this one stays."""
        return 0

    def client_context(self) -> ssl.SSLContext:
        """For a lane over a TLS socket."""
        return self.client

    def server_context(self) -> ssl.SSLContext:
        """For a socket that takes lanes over TLS."""
        return self.server

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For an ordinary channel of gRPC."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.chain)

    def server_configuration(self) -> grpc.ServerCertificateConfiguration:
        """For the connections that a server of gRPC takes."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.chain)], self.ca)
