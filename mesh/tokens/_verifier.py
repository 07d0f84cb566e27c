"""Checks tokens locally: each once, then it is remembered until it expires or its right ends."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from mesh.clock import Clock, SystemClock, posix
from mesh.context import Principal
from mesh.errors import MeshError, MeshReason
from mesh.tokens._claims import (
    ISSUER,
    USER_AUDIENCE,
    claims_of,
    epoch_of,
    expiry_of,
    key_id_of,
    principal_of,
)
from mesh.tokens._pulse import Pulse
from mesh.tokens._service import CALLER_AUDIENCE, TRUST_FILE, Caller

MAX_REMEMBERED: Final = 20_000

_T = TypeVar("_T")


class TokenVerifier:
    """Checks tokens against known keys, trusted services, ended sessions and the epoch.

    It knows no user keys until `set_keys` was called (`mesh.trust.TrustFeed`
    does so); until then user tokens answer KEYS_UNAVAILABLE. Who remembers what it
    answered asks again once the proof has expired, by `now`, or `generation` is another:
    keys were replaced, a session ended or an epoch began. `pulse` tells whether all that
    ended is known.
    """

    def __init__(self, trust: Mapping[str, Any], clock: Clock | None = None) -> None:
        self.now = posix(clock or SystemClock())
        self.pulse = Pulse(clock)
        self.generation = 0
        self._epoch = 0
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

    def begin_epoch(self, epoch: int) -> None:
        """Refuse tokens of earlier epochs from now on; the present one again does nothing."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._users.clear()
            self.generation += 1

    def user(self, token: str) -> Principal:
        """The principal of a user's access token.

        Raises:
            MeshError: TOKEN_INVALID, TOKEN_EXPIRED, SESSION_ENDED, RIGHTS_CHANGED or
                KEYS_UNAVAILABLE.
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
        if principal.session_id in self._ended:
            raise MeshError(MeshReason.SESSION_ENDED)
        if expires <= self.now():
            self._users.pop(token, None)
            raise MeshError(MeshReason.TOKEN_EXPIRED)
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
        key = self._keys.get(key_id_of(token))
        if key is None:
            self.on_unknown_key()
            unknown = MeshReason.TOKEN_INVALID if self._keys else MeshReason.KEYS_UNAVAILABLE
            raise MeshError(unknown)
        claims = claims_of(token, key, ISSUER, USER_AUDIENCE)
        if epoch_of(claims) < self._epoch:
            raise MeshError(MeshReason.RIGHTS_CHANGED)
        return expiry_of(claims), principal_of(claims)

    def _verified_caller(self, token: str) -> tuple[float, Caller]:
        key_id = key_id_of(token)
        if key_id not in self._callers:
            raise MeshError(MeshReason.TOKEN_INVALID)
        key, caller = self._callers[key_id]
        claims = claims_of(token, key, caller.service, CALLER_AUDIENCE)
        return expiry_of(claims), caller


def _remember(table: OrderedDict[str, _T], token: str, found: _T) -> None:
    table[token] = found
    while len(table) > MAX_REMEMBERED:
        table.popitem(last=False)
