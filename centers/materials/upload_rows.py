"""Documents of drafts as they are uploaded: parts, each where the one before ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import sqlalchemy as sa

from centers.materials.tables import upload_part
from mesh.storage import Store, Transaction

_c: Final = upload_part.c
_VERSION: Final = _c.version_id == sa.bindparam("of_version")
_OVERLAPPING: Final = (
    sa.select(_c.first, _c.data)
    .where(_VERSION, _c.first < sa.bindparam("before"), _c.stop > sa.bindparam("after"))
    .order_by(_c.first)
)
_FROM: Final = sa.select(_c.stop, _c.data).where(_VERSION, _c.first == sa.bindparam("at"))
_ADD: Final = sa.insert(upload_part)
_VERSIONS: Final = sa.select(_c.version_id).distinct()
_PLACES: Final = sa.select(_c.first).where(_VERSION)
_DROP: Final = sa.delete(upload_part).where(_VERSION, _c.first == sa.bindparam("at"))


class Uploads:
    """Rows of `upload_part`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, tx: Transaction, version_id: int, first: int, data: bytes) -> None:
        """A part that goes on where the document ends."""
        part = {"version_id": version_id, "first": first, "stop": first + len(data), "data": data}
        await tx.execute(_ADD, part)

    async def holds(self, version_id: int, first: int, data: bytes) -> bool:
        """Whether these very bytes are known at this place."""
        place = {"of_version": version_id, "before": first + len(data), "after": first}
        parts = await self._store.fetch_all(_OVERLAPPING, place)
        if not parts:
            return False
        at = first - parts[0].first
        return b"".join(part.data for part in parts)[at : at + len(data)] == data

    async def content(self, version_id: int) -> AsyncIterator[bytes]:
        """The parts in their order."""
        at = 0
        while parts := await self._store.fetch_all(_FROM, {"of_version": version_id, "at": at}):
            yield parts[0].data
            at = parts[0].stop

    async def versions(self) -> Sequence[int]:
        """The versions that something was uploaded for."""
        return [row.version_id for row in await self._store.fetch_all(_VERSIONS)]

    async def places(self, version_id: int) -> Sequence[int]:
        """Where the parts of a version begin."""
        rows = await self._store.fetch_all(_PLACES, {"of_version": version_id})
        return [row.first for row in rows]

    async def drop_part(self, tx: Transaction, version_id: int, first: int) -> None:
        """Forget a part."""
        await tx.execute(_DROP, {"of_version": version_id, "at": first})

    async def drop(self, tx: Transaction, version_id: int) -> None:
        """Forget a draft's document, a part at a time: all at once would hold up the loop."""
        for place in await tx.fetch_all(_PLACES, {"of_version": version_id}):
            await self.drop_part(tx, version_id, place.first)
            await asyncio.sleep(0)
