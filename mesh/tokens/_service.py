"""A calling service: the key that it proves itself with, and the file of those that are trusted."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OKPKey

from mesh.clock import Clock, SystemClock, posix
from mesh.tokens._claims import ALGORITHM

CALLER_AUDIENCE: Final = "engine-mesh"
CALLER_TTL_S: Final = 600
TRUST_FILE: Final = "trust.json"
"""In the folder of keys: the services trusted, with their keys and rights."""
WILDCARD: Final = "*"
"""A right of the gateway: any permission, but only on behalf of a user who holds it."""


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
