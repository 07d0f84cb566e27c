"""Page tokens: where a list goes on (AIP-158).

A token holds the cursor of the last entry shown and a checksum of that cursor
and of the list it belongs to. It grants nothing: what a caller may see is
decided anew for every page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from centers.customer.errors import CustomerReason
from mesh.errors import MeshError, Violation

DEFAULT_PAGE_SIZE: Final = 50
_CHECKSUM_BYTES: Final = 8
_KEY_BYTES: Final = 8

Cursor = tuple[int, ...]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """Some entries of a list; `next_token` is empty on the last page."""

    entries: Sequence[_T]
    next_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A page asked for.

    Args:
        listing: names the list: its kind, filter and order, as the caller wrote them.
        size: most entries to answer; 0 means 50.
        token: where to go on; empty at the start.
    """

    listing: str
    size: int
    token: str

    @property
    def limit(self) -> int:
        """How many rows to read: one more than fit shows whether there is a next page."""
        return (self.size or DEFAULT_PAGE_SIZE) + 1

    def after(self, keys: int) -> Cursor | None:
        """The cursor, of `keys` numbers, to go on after; None at the start.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        return decode(self.listing, self.token, keys) if self.token else None

    def page(self, rows: Sequence[_T], cursor: Callable[[_T], Cursor]) -> Page[_T]:
        """The page from at most `limit` rows."""
        if len(rows) < self.limit:
            return Page(rows, "")
        shown = rows[: self.limit - 1]
        return Page(shown, encode(self.listing, cursor(shown[-1])))


def encode(listing: str, cursor: Cursor) -> str:
    """The token for what follows `cursor` in the list."""
    keys = struct.pack(f">{len(cursor)}q", *cursor)
    return base64.urlsafe_b64encode(_checksum(listing, keys) + keys).decode().rstrip("=")


def decode(listing: str, token: str, keys: int) -> Cursor:
    """The cursor, of `keys` numbers, in a token that `encode` made for the same list.

    Raises:
        MeshError: PAGE_TOKEN_INVALID, when it did not.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
    checksum, packed = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if len(packed) != keys * _KEY_BYTES or checksum != _checksum(listing, packed):
        raise _invalid()
    return struct.unpack(f">{keys}q", packed)


def _invalid() -> MeshError:
    violation = Violation("page_token", "is not a token of this list")
    return MeshError(CustomerReason.PAGE_TOKEN_INVALID, violations=[violation])


def _checksum(listing: str, keys: bytes) -> bytes:
    content = len(keys).to_bytes(2, "big") + keys + listing.encode()
    return hashlib.blake2b(content, digest_size=_CHECKSUM_BYTES).digest()
