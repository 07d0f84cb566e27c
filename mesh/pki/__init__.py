"""A small certificate authority, for development and for banks that have none of their own.

Certificates live for days and are renewed by a timer; there is no revocation list. A
service is named by its SPIFFE id, hosts by their names and addresses.
"""

from __future__ import annotations

from mesh.pki._authority import CA, CA_DAYS, CA_KEY, DAYS, Authority
from mesh.pki._files import PkiError
from mesh.pki._issued import Issued, Names, issued_in

__all__ = [
    "CA",
    "CA_DAYS",
    "CA_KEY",
    "DAYS",
    "Authority",
    "Issued",
    "Names",
    "PkiError",
    "issued_in",
]
