"""Random secrets: answered once, kept as a digest.

They have 256 bits of randomness, so a fast digest is enough; passwords are
another matter (`passwords`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_secret() -> str:
    """A secret of 256 random bits, safe in URLs."""
    return secrets.token_urlsafe(32)


def new_session_id() -> str:
    """An id of 128 random bits, safe in URLs."""
    return secrets.token_urlsafe(16)


def digest(secret: str) -> str:
    """What is kept of a secret: its SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, kept: str) -> bool:
    """Whether `secret` is the one whose digest was kept, in the same time either way."""
    return hmac.compare_digest(digest(secret), kept)
