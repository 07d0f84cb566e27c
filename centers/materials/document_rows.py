"""Documents by the hash of their bytes: pieces, and where their pages lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from centers.materials.tables import document_page, document_piece
from engine.materials.v1 import materials_pb2
from mesh.storage import Statement, Store

PIECE_BYTES: Final = 256 << 10
"""Bytes of a row: a range is read with less than two of them too much. Rows of 1 MiB cost six
times as much to read: the store and the allocator treat them as exceptions."""

PAGES_AT_ONCE: Final = 500
HEAD: Final = 0
"""The page number under which the head's ranges lie."""

_p: Final = document_piece.c
_g: Final = document_page.c
_OF: Final[sa.BindParameter[str]] = sa.bindparam("of_sha256")
_PIECES: Final = (
    sa.select(_p.data)
    .where(_p.sha256 == _OF, _p.number.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(_p.number)
)
_KNOWN_PIECE: Final = sa.select(_p.number).where(
    _p.sha256 == _OF, _p.number == sa.bindparam("of_number")
)
_PAGES: Final = (
    sa.select(_g.ranges)
    .where(_g.sha256 == _OF, _g.page.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(_g.page)
)
_ADD_PIECE: Final = sa.insert(document_piece)
_ADD_PAGES: Final = sa.insert(document_page)


class DocumentRows:
    """Rows of `document_piece` and `document_page`. What is there already is kept as it is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add_piece(self, sha256: str, number: int, data: bytes) -> None:
        """A piece of `PIECE_BYTES`, the last one shorter; in a transaction of its own."""
        row = {"sha256": sha256, "number": number, "data": data}
        place = {"of_sha256": sha256, "of_number": number}
        await self._add(_KNOWN_PIECE, place, _ADD_PIECE, [row])

    async def add_pages(self, sha256: str, pages: Iterable[materials_pb2.PageRanges]) -> None:
        """Where pages lie, in transactions of `PAGES_AT_ONCE`."""
        rising = iter(pages)
        while block := list(islice(rising, PAGES_AT_ONCE)):
            rows = [
                {"sha256": sha256, "page": entry.page, "ranges": entry.SerializeToString()}
                for entry in block
            ]
            first = block[0].page
            place = {"of_sha256": sha256, "first": first, "last": first}
            await self._add(_PAGES, place, _ADD_PAGES, rows)

    async def read(self, sha256: str, start: int, stop: int) -> bytes:
        """The bytes from `start` to before `stop`."""
        if start >= stop:
            return b""
        first, last = start // PIECE_BYTES, (stop - 1) // PIECE_BYTES
        place = {"of_sha256": sha256, "first": first, "last": last}
        pieces = [row.data for row in await self._store.fetch_all(_PIECES, place)]
        offset = first * PIECE_BYTES
        return b"".join(pieces)[start - offset : stop - offset]

    async def pages(self, sha256: str, first: int, last: int) -> Sequence[materials_pb2.PageRanges]:
        """Where the pages `first` to `last` lie; page 0 is the head."""
        place = {"of_sha256": sha256, "first": first, "last": last}
        rows = await self._store.fetch_all(_PAGES, place)
        return [materials_pb2.PageRanges.FromString(row.ranges) for row in rows]

    async def _add(
        self,
        known: Statement,
        place: dict[str, Any],
        add: Statement,
        rows: Sequence[dict[str, Any]],
    ) -> None:
        async with self._store.transaction() as tx:
            if not await tx.fetch_all(known, place):
                await tx.execute(add, rows)
