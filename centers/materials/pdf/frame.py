"""What goes over the pipes to and from the child: a header in JSON, then bytes to the end."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from centers.materials.pdf.bounds import MAX_HEADER_BYTES

_LENGTH: Final = struct.Struct(">I")
LENGTH_BYTES: Final = _LENGTH.size


class FrameError(ValueError):
    """What came is no frame."""


def head(header: Mapping[str, Any]) -> bytes:
    """The beginning of a frame; its bytes follow."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return _LENGTH.pack(len(text)) + text


def header_bytes(prefix: bytes) -> int:
    """How long the header is, from the first `LENGTH_BYTES`.

    Raises:
        FrameError: longer than any header may be.
    """
    (length,) = _LENGTH.unpack(prefix)
    if length > MAX_HEADER_BYTES:
        raise FrameError(f"a header of {length} bytes")
    return int(length)


def header(text: bytes) -> dict[str, Any]:
    """The header from its bytes."""
    read: dict[str, Any] = json.loads(text)
    return read


def receive(pipe: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """A whole frame from a blocking pipe."""
    length = header_bytes(pipe.read(LENGTH_BYTES))
    return header(pipe.read(length)), pipe.read()
