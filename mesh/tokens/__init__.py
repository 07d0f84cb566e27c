"""Proofs: the end user's access token and the calling service's own.

Both are JWTs signed with Ed25519. Users' tokens are signed by the identity
centre; a service signs its own, and its public key and rights stand in the
trust file that the platform's composition writes. Verification is local: a
token is checked once and remembered until it expires or its session ends.
"""

from __future__ import annotations

from mesh.tokens._claims import (
    ALGORITHM,
    ISSUER,
    LEEWAY_S,
    USER_AUDIENCE,
    principal_of,
    sign_user,
    user_claims,
)
from mesh.tokens._pulse import SILENCE_S, Pulse
from mesh.tokens._service import (
    CALLER_AUDIENCE,
    CALLER_TTL_S,
    TRUST_FILE,
    WILDCARD,
    Caller,
    ServiceKey,
    write_trust,
)
from mesh.tokens._verifier import MAX_REMEMBERED, TokenVerifier

__all__ = [
    "ALGORITHM",
    "CALLER_AUDIENCE",
    "CALLER_TTL_S",
    "ISSUER",
    "LEEWAY_S",
    "MAX_REMEMBERED",
    "SILENCE_S",
    "TRUST_FILE",
    "USER_AUDIENCE",
    "WILDCARD",
    "Caller",
    "Pulse",
    "ServiceKey",
    "TokenVerifier",
    "principal_of",
    "sign_user",
    "user_claims",
    "write_trust",
]
