"""Pages of a list, and the tokens that lead from one to the next (AIP-158).

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

from mesh.errors import MeshError, MeshReason, Violation

DEFAULT_PAGE_SIZE: Final = 50
_CHECKSUM_BYTES: Final = 8
_NUMBER_BYTES: Final = 8

Cursor = tuple[int, ...] | str
"""The place of an entry in its list: 64-bit numbers, or a text that is not empty."""

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
        listing: names the list: its kind, filter and order. A token serves no other list.
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

    def after_numbers(self, count: int) -> tuple[int, ...] | None:
        """The cursor, of `count` numbers, to go on after; None at the start.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        if not self.token:
            return None
        content = self._content()
        if len(content) != count * _NUMBER_BYTES:
            raise _invalid()
        return struct.unpack(f">{count}q", content)

    def after_text(self) -> str:
        """The cursor to go on after; empty at the start.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        if not self.token:
            return ""
        try:
            text = self._content().decode()
        except UnicodeDecodeError:
            raise _invalid() from None
        if not text:
            raise _invalid()
        return text

    def page(self, rows: Sequence[_T], cursor: Callable[[_T], Cursor]) -> Page[_T]:
        """The page from at most `limit` rows."""
        if len(rows) < self.limit:
            return Page(rows, "")
        shown = rows[: self.limit - 1]
        return Page(shown, _token(self.listing, _packed(cursor(shown[-1]))))

    def _content(self) -> bytes:
        """The packed cursor of the token, which must be one of this list, as it was given."""
        padding = "=" * (-len(self.token) % 4)
        try:
            raw = base64.b64decode(self.token + padding, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        content = raw[_CHECKSUM_BYTES:]
        if self.token != _token(self.listing, content):
            raise _invalid()
        return content


def _packed(cursor: Cursor) -> bytes:
    if isinstance(cursor, str):
        return cursor.encode()
    return struct.pack(f">{len(cursor)}q", *cursor)


def _token(listing: str, content: bytes) -> str:
    sealed = len(content).to_bytes(4, "big") + content + listing.encode()
    checksum = hashlib.blake2b(sealed, digest_size=_CHECKSUM_BYTES).digest()
    return base64.urlsafe_b64encode(checksum + content).decode().rstrip("=")


def _invalid() -> MeshError:
    violation = Violation("page_token", "is not a token of this list")
    return MeshError(MeshReason.PAGE_TOKEN_INVALID, violations=[violation])
