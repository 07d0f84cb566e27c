"""Page tokens: where a list goes on (AIP-158). Opaque, and good for their own list alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from mesh.errors import MeshError, Violation
from sequencer.errors import SequencerReason

DEFAULT_SIZE: Final = 50
_CHECKSUM_BYTES: Final = 8
_MAX_NUMBER: Final = 2**63 - 1
_T = TypeVar("_T")


def cursor_of(listing: str, token: str) -> str:
    """The cursor in a token of this listing; empty for an empty token.

    Raises:
        MeshError: PAGE_TOKEN_INVALID.
    """
    if not token:
        return ""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        cursor = raw[_CHECKSUM_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise _invalid() from None
    if not cursor or token != _token(listing, cursor):
        raise _invalid()
    return cursor


def number_of(listing: str, token: str) -> int | None:
    """The cursor of a listing by number; None for an empty token.

    Raises:
        MeshError: PAGE_TOKEN_INVALID.
    """
    cursor = cursor_of(listing, token)
    if not cursor:
        return None
    if len(cursor) > len(str(_MAX_NUMBER)) or not (cursor.isascii() and cursor.isdigit()):
        raise _invalid()
    return min(int(cursor), _MAX_NUMBER)


def page(
    listing: str, rows: Sequence[_T], size: int, cursor: Callable[[_T], str]
) -> tuple[Sequence[_T], str]:
    """The first `size` of `rows`, and the token of the next page if there are more."""
    if len(rows) <= size:
        return rows, ""
    shown = rows[:size]
    return shown, _token(listing, cursor(shown[-1]))


def _token(listing: str, cursor: str) -> str:
    content = cursor.encode()
    name = f"{len(content)} {listing} ".encode()
    checksum = hashlib.blake2b(name + content, digest_size=_CHECKSUM_BYTES).digest()
    return base64.urlsafe_b64encode(checksum + content).decode().rstrip("=")


def _invalid() -> MeshError:
    violation = Violation("page_token", "is not a token of this list")
    return MeshError(SequencerReason.PAGE_TOKEN_INVALID, violations=[violation])
