"""Where the JSON of a request comes from: the argument itself, '-' for standard input, '@file'."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Final

MAX_BYTES: Final = 64 << 20
"""Most that is read as one request: four times the largest message, since JSON is wordier."""

_CHUNK: Final = 1 << 16


class SourceError(Exception):
    """There is no such text, or too much of it."""


def whole(given: str) -> str:
    """The text as one piece.

    Raises:
        SourceError: it cannot be read, is no UTF-8 or is larger than 64 MiB.
    """
    if not _is_reference(given):
        return given
    parts, size = [], 0
    for part in _chunks(given):
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise SourceError(f"the request is larger than {MAX_BYTES >> 20} MiB")
    return _text(b"".join(parts))


def lines(given: str) -> Iterator[str]:
    """The text line by line, each as soon as it is there.

    Raises:
        SourceError: as for `whole`, by line.
    """
    if not _is_reference(given):
        yield from given.split("\n")
        return
    begun = b""
    for part in _chunks(given):
        *complete, begun = (begun + part).split(b"\n")
        yield from map(_text, complete)
        if len(begun) > MAX_BYTES:
            raise SourceError(f"a line is larger than {MAX_BYTES >> 20} MiB")
    yield _text(begun)


def _is_reference(given: str) -> bool:
    return given == "-" or given.startswith("@")


def _chunks(given: str) -> Iterator[bytes]:
    """Bytes as they come. No buffered reader: one left in a thread would hold up the exit."""
    try:
        handle = sys.stdin.fileno() if given == "-" else os.open(given[1:], os.O_RDONLY)
        try:
            while part := os.read(handle, _CHUNK):
                yield part
        finally:
            if given != "-":
                os.close(handle)
    except OSError as error:
        raise SourceError(f"the request cannot be read: {error}") from error


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise SourceError("the request is not UTF-8") from error
