"""TLS between hosts, for gRPC and for lanes: both ends show a certificate of the same authority.

Files that are replaced are used by new connections within a second; one that cannot be
used is refused, and what was there before stays in use.
"""

from __future__ import annotations

from mesh.spiffe import TRUST_DOMAIN, identity_of, service_in
from mesh.tls._certificate import Certificate, CertificateError
from mesh.tls._credentials import LOOK_S, Credentials
from mesh.tls._loaded import Loaded

__all__ = [
    "LOOK_S",
    "TRUST_DOMAIN",
    "Certificate",
    "CertificateError",
    "Credentials",
    "Loaded",
    "identity_of",
    "service_in",
]
