"""Proofs: the end user's access token and the calling service's own.

Both are JWTs signed with Ed25519. Users' tokens are signed by the identity
centre; a service signs its own, and its public key and rights stand in the
trust file that the platform's composition writes. Verification is local: a
token is checked once and remembered until it expires or its session ends.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact

from mesh.clock import Clock, SystemClock, posix
from mesh.context import Principal, Scope
from mesh.errors import MeshError, MeshReason

ALGORITHM: Final = "Ed25519"
ISSUER: Final = "engine-identity"
USER_AUDIENCE: Final = "engine"
CALLER_AUDIENCE: Final = "engine-mesh"
CALLER_TTL_S: Final = 600
LEEWAY_S: Final = 2
MAX_REMEMBERED: Final = 20_000
TRUST_FILE: Final = "trust.json"
"""In the folder of keys: the services trusted, with their keys and rights."""
WILDCARD: Final = "*"
"""A right of the gateway: any permission, but only on behalf of a user who holds it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Caller:
    """A calling service, proven, and the permissions it holds."""

    service: str
    rights: frozenset[str]


class ServiceKey:
    """The private key of one service; signs who it is."""

    def __init__(self, service: str, key: OKPKey, clock: Clock | None = None) -> None:
        self.service = service
        self._key = key
        self._now = posix(clock or SystemClock())
        private = json.dumps(key.as_dict(private=True), sort_keys=True)
        self._digest_key = hashlib.sha256(b"engine digest" + private.encode()).digest()
        self._token = ""
        self._renew_at = 0.0

    @classmethod
    def load(cls, folder: Path, service: str) -> ServiceKey:
        """The key that the composition wrote for `service` (`write_trust`)."""
        return cls(service, OKPKey.import_key(json.loads((folder / f"{service}.key").read_text())))

    def digest(self, data: bytes) -> bytes:
        """A digest of `data` (HMAC-SHA-256) that only this service can make."""
        return hmac.digest(self._digest_key, data, "sha256")

    def sign(self, data: bytes) -> tuple[str, bytes]:
        """This service's name, and its Ed25519 signature over `data`."""
        key = self._key.private_key
        assert isinstance(key, Ed25519PrivateKey)
        return self.service, key.sign(data)

    def token(self) -> str:
        """A caller token that is valid for at least five more minutes."""
        now = self._now()
        if now >= self._renew_at:
            claims = {"iss": self.service, "aud": CALLER_AUDIENCE, "exp": int(now) + CALLER_TTL_S}
            header = {"alg": ALGORITHM, "kid": self.service}
            self._token = jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])
            self._renew_at = now + CALLER_TTL_S / 2
        return self._token


def write_trust(folder: Path, rights: Mapping[str, Iterable[str]]) -> None:
    """Write the keys of services that have none yet, and the trust file of all in `rights`.

    Keys are readable by their owner alone (0600) and stay the same at the next call.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    services = {}
    for service, permissions in rights.items():
        key = _own_key(folder / f"{service}.key")
        services[service] = {
            "key": key.as_dict(private=False),
            "rights": sorted(permissions),
        }
    fresh = folder / f"{TRUST_FILE}.new"
    fresh.write_text(json.dumps({"services": services}, indent=1))
    fresh.rename(folder / TRUST_FILE)


def _own_key(path: Path) -> OKPKey:
    if path.exists():
        return OKPKey.import_key(json.loads(path.read_text()))
    key = OKPKey.generate_key("Ed25519")
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(key.as_dict(private=True), file)
    fresh.rename(path)
    return key


class TokenVerifier:
    """Checks tokens against known keys, trusted services and ended sessions.

    It knows no user keys until `set_keys` was called (`mesh.trust.TrustFeed`
    does so); until then user tokens answer KEYS_UNAVAILABLE. Who remembers what it
    answered asks again once the proof has expired, by `now`, or `generation` is another:
    keys were replaced or a session ended.
    """

    def __init__(self, trust: Mapping[str, Any], clock: Clock | None = None) -> None:
        self.now = posix(clock or SystemClock())
        self.generation = 0
        self._callers = {
            name: (OKPKey.import_key(entry["key"]), Caller(name, frozenset(entry["rights"])))
            for name, entry in trust["services"].items()
        }
        self._keys: dict[str, OKPKey] = {}
        self._ended: dict[str, float] = {}
        self._users: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._services: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        self.on_unknown_key: Callable[[], None] = lambda: None

    @classmethod
    def load(cls, folder: Path, clock: Clock | None = None) -> TokenVerifier:
        """The verifier for the trust file in `folder`."""
        return cls(json.loads((folder / TRUST_FILE).read_text()), clock)

    @property
    def services(self) -> frozenset[str]:
        """Names of the services that the trust file knows."""
        return frozenset(self._callers)

    @property
    def has_keys(self) -> bool:
        """Whether users' tokens can be checked."""
        return bool(self._keys)

    def set_keys(self, keys: Iterable[Mapping[str, str]]) -> None:
        """Replace the identity centre's public keys (JWKs); tokens of dropped keys end.

        Raises:
            ValueError: one is no Ed25519 JWK; the keys stay as they were.
        """
        try:
            self._keys = {key["kid"]: OKPKey.import_key(dict(key)) for key in keys}
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise ValueError("the key set has a key that is no Ed25519 JWK") from error
        self._users.clear()
        self.generation += 1

    def end_session(self, session_id: str, expires: float) -> None:
        """Refuse the session's tokens; the entry is dropped after `expires` (POSIX seconds)."""
        now = self.now()
        self._ended = {sid: at for sid, at in self._ended.items() if at > now}
        self._ended[session_id] = expires
        self.generation += 1

    def user(self, token: str) -> Principal:
        """The principal of a user's access token.

        Raises:
            MeshError: TOKEN_INVALID, TOKEN_EXPIRED, SESSION_ENDED or KEYS_UNAVAILABLE.
        """
        return self.user_until(token)[1]

    def user_until(self, token: str) -> tuple[float, Principal]:
        """When a user's access token expires (POSIX seconds), and its principal.

        Raises:
            MeshError: as `user`.
        """
        found = self._users.get(token)
        if found is None:
            found = self._verified_user(token)
            _remember(self._users, token, found)
        expires, principal = found
        if expires <= self.now():
            self._users.pop(token, None)
            raise MeshError(MeshReason.TOKEN_EXPIRED)
        if principal.session_id in self._ended:
            raise MeshError(MeshReason.SESSION_ENDED)
        return found

    def caller(self, token: str) -> Caller:
        """The service that signed a caller token.

        Raises:
            MeshError: CALLER_REFUSED.
        """
        return self.caller_until(token)[1]

    def caller_until(self, token: str) -> tuple[float, Caller]:
        """When a caller token expires (POSIX seconds), and the service that signed it.

        Raises:
            MeshError: CALLER_REFUSED.
        """
        found = self._services.get(token)
        if found is None:
            try:
                found = self._verified_caller(token)
            except MeshError as error:
                raise MeshError(MeshReason.CALLER_REFUSED) from error
            _remember(self._services, token, found)
        if found[0] <= self.now():
            self._services.pop(token, None)
            raise MeshError(MeshReason.CALLER_REFUSED)
        return found

    def has_signed(self, service: str, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is that of a trusted service over `data` (`ServiceKey.sign`)."""
        if service not in self._callers:
            return False
        key = self._callers[service][0].public_key
        assert isinstance(key, Ed25519PublicKey)
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def _verified_user(self, token: str) -> tuple[float, Principal]:
        key = self._keys.get(_key_id(token))
        if key is None:
            self.on_unknown_key()
            unknown = MeshReason.TOKEN_INVALID if self._keys else MeshReason.KEYS_UNAVAILABLE
            raise MeshError(unknown)
        claims = _claims(token, key, ISSUER, USER_AUDIENCE)
        return _expiry(claims), principal_of(claims)

    def _verified_caller(self, token: str) -> tuple[float, Caller]:
        key_id = _key_id(token)
        if key_id not in self._callers:
            raise MeshError(MeshReason.TOKEN_INVALID)
        key, caller = self._callers[key_id]
        claims = _claims(token, key, caller.service, CALLER_AUDIENCE)
        return _expiry(claims), caller


def user_claims(principal: Principal, *, issued: float, ttl_s: float) -> dict[str, Any]:
    """The claims of an access token for `principal`; `principal_of` reads them back."""
    return {
        "iss": ISSUER,
        "aud": USER_AUDIENCE,
        "sub": principal.subject,
        "sid": principal.session_id,
        "iat": int(issued),
        "exp": int(issued + ttl_s),
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
    principal: Principal, key: OKPKey, key_id: str, *, issued: float, ttl_s: float
) -> str:
    """An access token for `principal`."""
    claims = user_claims(principal, issued=issued, ttl_s=ttl_s)
    return jwt.encode({"alg": ALGORITHM, "kid": key_id}, claims, key, algorithms=[ALGORITHM])


def _key_id(token: str) -> str:
    try:
        header = extract_compact(token.encode()).headers()
    except (JoseError, ValueError, UnicodeError) as error:
        raise MeshError(MeshReason.TOKEN_INVALID) from error
    return str(header.get("kid", ""))


def _claims(token: str, key: OKPKey, issuer: str, audience: str) -> dict[str, Any]:
    try:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError) as error:
        raise MeshError(MeshReason.TOKEN_INVALID) from error
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise MeshError(MeshReason.TOKEN_INVALID)
    return claims


def _expiry(claims: Mapping[str, Any]) -> float:
    expires = claims.get("exp")
    if not isinstance(expires, int):
        raise MeshError(MeshReason.TOKEN_INVALID)
    return expires + LEEWAY_S


def _remember(table: OrderedDict[str, _T], token: str, found: _T) -> None:
    table[token] = found
    while len(table) > MAX_REMEMBERED:
        table.popitem(last=False)
