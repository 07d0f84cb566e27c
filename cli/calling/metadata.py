"""Metadata from the command line: 'key=value', bytes in base64 for keys that end in '-bin'."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from cli.output import fail
from mesh import context as wire
from mesh.context import Metadata

_KEY = re.compile(r"[0-9a-z_.-]+")
_RESERVED = "grpc-"


def parse(given: Iterable[str]) -> Metadata:
    """The pairs in their order; ends the program when gRPC would not take one."""
    return tuple(map(_pair, given))


def with_purpose(purpose: str, metadata: Metadata) -> Metadata:
    """The metadata with a purpose before it, when one is stated."""
    return ((wire.PURPOSE, _text(wire.PURPOSE, purpose)), *metadata) if purpose else metadata


def _pair(text: str) -> tuple[str, str | bytes]:
    key, equals, value = text.partition("=")
    key = key.strip().lower()
    if not equals:
        fail(f"'{text}' is no metadata", "Write it as key=value.", code=2)
    if not _KEY.fullmatch(key) or key.startswith(_RESERVED):
        fail(
            f"'{key}' is no key of metadata",
            "A key has letters, digits, '-', '_' and '.', and does not begin with 'grpc-'.",
            code=2,
        )
    return key, _bytes(key, value) if key.endswith("-bin") else _text(key, value)


def _bytes(key: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        fail(f"the value of '{key}' is not base64", "Keys that end in '-bin' hold bytes.", code=2)


def _text(key: str, value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        fail(
            f"the value of '{key}' is not printable ASCII",
            "Send other text as bytes: a key that ends in '-bin', the value in base64.",
            code=2,
        )
    return value
