"""Metadata as programs give them, refused where gRPC would refuse them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from mesh.lane.frames import Pair

_KEY: Final = re.compile(r"[0-9a-z_.-]+")
_CARRIERS: Final = frozenset(
    {"te", "content-type", "user-agent", "grpc-status", "grpc-message", "grpc-timeout"}
)
"""Of what carries the call: gRPC drops them when a program gives them, and so do lanes."""


class Repeated(dict[str, str | bytes]):
    """The metadata of many calls of one connection, as a mapping; nobody changes it.

    `proves` is a note of who has looked at its proofs once, for the next time.
    """

    __slots__ = ("proves",)
    proves: Any

    def __init__(self, pairs: Sequence[Pair]) -> None:
        super().__init__(pairs)
        self.proves = None


def checked(metadata: Any) -> tuple[Pair, ...]:
    """Metadata that a program gives, once it is sure that they can be sent.

    Raises:
        TypeError: they are not pairs of a text with a text or bytes.
        ValueError: a key or a value is not one of gRPC metadata.
    """
    pairs = map(_pair, metadata)
    return tuple(pair for pair in pairs if pair[0] not in _CARRIERS)


def _pair(given: Any) -> Pair:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise TypeError(f"metadata was invalid: {given!r} is no pair of a key and a value")
    key, value = given
    if not isinstance(key, str) or not isinstance(value, str | bytes):
        raise TypeError(f"metadata was invalid: {key!r} must be text, its value text or bytes")
    if not _KEY.fullmatch(key):
        raise ValueError(f"metadata was invalid: {key!r} is no key of lower-case ASCII")
    if key.endswith("-bin"):
        if isinstance(value, str):
            raise TypeError(f"metadata was invalid: the value of {key!r} must be bytes")
        return key, value
    text = value if isinstance(value, str) else value.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"metadata was invalid: the value of {key!r} must be printable ASCII")
    return key, text
