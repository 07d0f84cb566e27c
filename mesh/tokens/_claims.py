"""What stands in a token: read, written, and checked against the key that signed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact

from mesh.context import Principal, Scope
from mesh.errors import MeshError, MeshReason

ALGORITHM: Final = "Ed25519"
ISSUER: Final = "engine-identity"
USER_AUDIENCE: Final = "engine"
LEEWAY_S: Final = 2


def user_claims(
    principal: Principal, *, issued: float, ttl_s: float, epoch: int = 0
) -> dict[str, Any]:
    """The claims of an access token for `principal`; `principal_of` reads them back.

    `epoch` is that of the rights in it: once it is over, the token is refused.
    """
    return {
        "iss": ISSUER,
        "aud": USER_AUDIENCE,
        "sub": principal.subject,
        "sid": principal.session_id,
        "iat": int(issued),
        "exp": int(issued + ttl_s),
        "epoch": epoch,
        "roles": list(principal.roles),
        "perms": sorted(principal.permissions),
        "scope_level": principal.data_scope,
        "staff_id": principal.staff_id,
        "branch_id": principal.branch_id,
    }


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """The principal that `claims` describe.

    Raises:
        MeshError: TOKEN_INVALID, when a claim is missing or of the wrong kind.
    """
    try:
        return Principal(
            subject=str(claims["sub"]),
            permissions=frozenset(map(str, claims["perms"])),
            data_scope=Scope(int(claims["scope_level"])),
            roles=tuple(map(str, claims["roles"])),
            staff_id=int(claims["staff_id"]),
            branch_id=int(claims["branch_id"]),
            session_id=str(claims["sid"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MeshError(MeshReason.TOKEN_INVALID) from error


def sign_user(
    principal: Principal,
    key: OKPKey,
    key_id: str,
    *,
    issued: float,
    ttl_s: float,
    epoch: int = 0,
) -> str:
    """An access token for `principal`."""
    claims = user_claims(principal, issued=issued, ttl_s=ttl_s, epoch=epoch)
    return jwt.encode({"alg": ALGORITHM, "kid": key_id}, claims, key, algorithms=[ALGORITHM])


def key_id_of(token: str) -> str:
    """Which key a token says that it was signed with.

    Raises:
        MeshError: TOKEN_INVALID.
    """
    try:
        header = extract_compact(token.encode()).headers()
    except (JoseError, ValueError, UnicodeError) as error:
        raise MeshError(MeshReason.TOKEN_INVALID) from error
    return str(header.get("kid", ""))


def claims_of(token: str, key: OKPKey, issuer: str, audience: str) -> dict[str, Any]:
    """The claims of a token that `key` has signed, by this issuer for this audience.

    Raises:
        MeshError: TOKEN_INVALID.
    """
    try:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError) as error:
        raise MeshError(MeshReason.TOKEN_INVALID) from error
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise MeshError(MeshReason.TOKEN_INVALID)
    return claims


def expiry_of(claims: Mapping[str, Any]) -> float:
    """From when on the token is refused, in POSIX seconds.

    Raises:
        MeshError: TOKEN_INVALID.
    """
    expires = claims.get("exp")
    if not isinstance(expires, int):
        raise MeshError(MeshReason.TOKEN_INVALID)
    return expires + LEEWAY_S


def epoch_of(claims: Mapping[str, Any]) -> int:
    """The epoch that the token's rights are of; 0 when it names none.

    Raises:
        MeshError: TOKEN_INVALID.
    """
    epoch = claims.get("epoch", 0)
    if not isinstance(epoch, int):
        raise MeshError(MeshReason.TOKEN_INVALID)
    return epoch
