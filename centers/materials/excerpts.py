"""Documents of some pages alone, kept for a while after somebody asked for them."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakValueDictionary

KEPT_BYTES: Final = 64 << 20
"""What excerpts may hold in memory; those that were read least lately go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The pages `first` to `last`, from 1, of the document of that hash and size."""

    sha256: str
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A document of some pages: the same pages of the same document are the same bytes."""

    content: bytes
    sha256: str


class Cutter(Protocol):
    """What makes excerpts."""

    async def cut(self, wanted: Wanted) -> bytes:
        """A PDF of the pages alone; the same each time.

        Raises:
            MeshError: DOCUMENTS_BUSY or PDF_TOO_COMPLEX.
        """


class Excerpts:
    """Has excerpts made, each once while it is kept, however many ask for it at a time."""

    def __init__(self, cutter: Cutter, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._cutter = cutter
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[Wanted, Excerpt] = OrderedDict()
        self._locks: WeakValueDictionary[Wanted, asyncio.Lock] = WeakValueDictionary()

    async def get(self, wanted: Wanted) -> Excerpt:
        """The excerpt.

        Who is cancelled while it is made leaves that to the next one who waits for it.

        Raises:
            MeshError: DOCUMENTS_BUSY or PDF_TOO_COMPLEX.
        """
        lock = self._locks.setdefault(wanted, asyncio.Lock())
        async with lock:
            kept = self._kept.get(wanted)
            if kept is not None:
                self._kept.move_to_end(wanted)
                return kept
            content = await self._cutter.cut(wanted)
            made = Excerpt(content=content, sha256=hashlib.sha256(content).hexdigest())
            self._keep(wanted, made)
            return made

    def _keep(self, wanted: Wanted, made: Excerpt) -> None:
        self._kept[wanted] = made
        while sum(len(kept.content) for kept in self._kept.values()) > self._kept_bytes:
            self._kept.popitem(last=False)
