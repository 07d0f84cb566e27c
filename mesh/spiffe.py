"""Which service a certificate is of: its SPIFFE id, `spiffe://engine/NAME`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

TRUST_DOMAIN: Final = "spiffe://engine/"
SPIFFE_ID: Final = "peer_spiffe_id"
"""Where gRPC's authentication context has it; absent where there is none, or several."""


def identity_of(service: str) -> str:
    """The SPIFFE id of a service."""
    return TRUST_DOMAIN + service


def service_in(auth_context: Mapping[str, Iterable[bytes]]) -> str:
    """The service that a connection's certificate names; empty when it names none."""
    for name in auth_context.get(SPIFFE_ID, ()):
        return service_named((name.decode("utf-8", "replace"),))
    return ""


def service_named(names: Iterable[str]) -> str:
    """The service among a certificate's URIs; empty without one, or when there are several."""
    found = [name.removeprefix(TRUST_DOMAIN) for name in names if name.startswith(TRUST_DOMAIN)]
    return found[0] if len(found) == 1 and "/" not in found[0] else ""
