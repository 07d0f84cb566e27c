"""The keys that access tokens are signed with, in one file that only its owner may read."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from mesh.clock import Clock
from mesh.context import Principal
from mesh.tokens import ALGORITHM, sign_user

CURVE: Final = "Ed25519"
MAX_AGE: Final = timedelta(days=90)
KEPT: Final = timedelta(hours=2)
"""How long a retired public key is served: longer than any access token lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Retired:
    """A key that signs no more; its private half is gone."""

    public: dict[str, str]
    served_until: datetime


class Keyring:
    """One key that signs, and the public halves of those it replaced.

    A key is named by its RFC 7638 thumbprint. `epoch` is what tokens are signed to be of: once
    a later one is told, they are refused. Processes that share the file follow one
    another: who replaces it does so alone, and the others read it again.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self.epoch = 0
        self._read()

    @classmethod
    def open(cls, path: Path, clock: Clock) -> Self:
        """The keyring in the file at `path`, which is created (0600) when there is none.

        A signing key older than 90 days is replaced first.

        Raises:
            ValueError: the file is not a keyring.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(path.parent):
            if not path.exists():
                _replace(path, _content(_generate(), clock.now(), ()))
            keyring = cls(path, clock)
            if clock.now() - keyring.signing_since >= MAX_AGE:
                keyring._rotate()
            return keyring

    def sign(self, principal: Principal, *, issued: datetime, ttl_s: float) -> str:
        """An access token for `principal` that lives for `ttl_s` seconds."""
        self._refresh()
        return sign_user(
            principal,
            self._key,
            self._key.thumbprint(),
            issued=issued.timestamp(),
            ttl_s=ttl_s,
            epoch=self.epoch,
        )

    def public_keys(self) -> Sequence[dict[str, str]]:
        """The public keys as JWKs: the one that signs, then retired ones of valid tokens."""
        self._refresh()
        now = self._clock.now()
        retired = (key.public for key in self._retired if key.served_until > now)
        return [_public(self._key), *retired]

    def rotate(self) -> None:
        """Sign with a new key from now on; tokens of the old one stay valid until they expire."""
        with _alone(self._path.parent):
            self._refresh()
            self._rotate()

    def _rotate(self) -> None:
        now = self._clock.now()
        replaced = _Retired(public=_public(self._key), served_until=now + KEPT)
        retired = (replaced, *(key for key in self._retired if key.served_until > now))
        _replace(self._path, _content(_generate(), now, retired))
        self._read()

    def _refresh(self) -> None:
        """Read the file when another process has replaced it; without one what is known holds."""
        with suppress(FileNotFoundError):
            if _version(self._path) != self._version:
                self._read()

    def _read(self) -> None:
        self._version = _version(self._path)
        try:
            content = json.loads(self._path.read_text())
            self._key = OKPKey.import_key(content["signing"])
            self.signing_since = datetime.fromisoformat(content["since"])
            self._retired = tuple(
                _Retired(
                    public=entry["public"],
                    served_until=datetime.fromisoformat(entry["served_until"]),
                )
                for entry in content["retired"]
            )
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self._path} is not a keyring: restore it from a copy") from error


def _generate() -> OKPKey:
    return OKPKey.generate_key(CURVE)


def _public(key: OKPKey) -> dict[str, str]:
    parts = {name: str(value) for name, value in key.as_dict(private=False).items()}
    return {**parts, "kid": key.thumbprint(), "alg": ALGORITHM, "use": "sig"}


def _content(signing: OKPKey, since: datetime, retired: Sequence[_Retired]) -> dict[str, Any]:
    return {
        "signing": signing.as_dict(private=True),
        "since": since.isoformat(),
        "retired": [
            {"public": key.public, "served_until": key.served_until.isoformat()} for key in retired
        ],
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process changes the keyring in the folder within the block."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _version(path: Path) -> tuple[int, int]:
    """Tells a file from the one that replaces it."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _replace(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(descriptor)
    fresh.rename(path)
