"""The files of an authority: written whole or not at all, keys for their owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


class PkiError(Exception):
    """What was asked for cannot be done; the text says what to do instead."""


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    """Put a certificate in place, in PEM; everybody may read it."""
    _replace(path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Put a private key in place, in PEM; its owner alone may read it."""
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _replace(path, text, 0o600)


def read_certificate(path: Path) -> x509.Certificate:
    """The certificate in a file.

    Raises:
        PkiError: there is none.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PkiError(f"{path} is no certificate: {error}") from error


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in a file, which nobody but its owner may read.

    Raises:
        PkiError: there is none, or others may read it.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise PkiError(f"others can read {path}: run 'chmod 600 {path}'")
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise PkiError(f"{path} is no private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError(f"{path} is no key of an elliptic curve: 'engine pki init' makes one")
    return key


def _replace(path: Path, content: bytes, mode: int) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        fresh.rename(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
