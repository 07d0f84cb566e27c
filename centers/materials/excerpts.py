"""Documents of some pages alone, made when they are asked for and kept for a while."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

from centers.materials.document_rows import HEAD, PIECE_BYTES, DocumentRows
from centers.materials.pdf.process import PdfProcess

KEPT_BYTES: Final = 64 << 20
"""What excerpts may hold in memory; those that were read least lately go first."""

TIMEOUT_S: Final = 8.0
"""Less than the deadline of the call."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A document of some pages: the same pages of the same document are the same bytes."""

    content: bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The pages `first` to `last`, from 1, of the document of that hash and size."""

    sha256: str
    size_bytes: int
    first: int
    last: int


class Excerpts:
    """Has excerpts made, each once while it is kept, however many ask for it at a time."""

    def __init__(
        self, documents: DocumentRows, process: PdfProcess, *, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self._documents = documents
        self._process = process
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[Wanted, Excerpt] = OrderedDict()
        self._locks: WeakValueDictionary[Wanted, asyncio.Lock] = WeakValueDictionary()

    async def get(self, wanted: Wanted) -> Excerpt:
        """The excerpt.

        Raises:
            MeshError: DOCUMENTS_BUSY or PDF_TOO_COMPLEX.
        """
        lock = self._locks.setdefault(wanted, asyncio.Lock())
        async with lock:
            kept = self._kept.get(wanted)
            if kept is not None:
                self._kept.move_to_end(wanted)
                return kept
            made = await self._make(wanted)
            self._keep(wanted, made)
            return made

    def _keep(self, wanted: Wanted, made: Excerpt) -> None:
        self._kept[wanted] = made
        while sum(len(kept.content) for kept in self._kept.values()) > self._kept_bytes:
            self._kept.popitem(last=False)

    async def _make(self, wanted: Wanted) -> Excerpt:
        spans = await self._spans(wanted)
        task: dict[str, Any] = {
            "task": "excerpt",
            "size_bytes": wanted.size_bytes,
            "first": wanted.first,
            "last": wanted.last,
            "spans": spans,
        }
        content = self._content(wanted.sha256, spans)
        async with self._process.run(task, content, timeout_s=TIMEOUT_S) as reply:
            made = b"".join([piece async for piece in reply.pieces(PIECE_BYTES)])
        return Excerpt(content=made, sha256=hashlib.sha256(made).hexdigest())

    async def _spans(self, wanted: Wanted) -> Sequence[Span]:
        """All that the pages need of the document, and no more: it may be large."""
        head = await self._documents.pages(wanted.sha256, HEAD, HEAD)
        pages = await self._documents.pages(wanted.sha256, wanted.first, wanted.last)
        return merged((r.first, r.last) for entry in (*head, *pages) for r in entry.ranges)

    async def _content(self, sha256: str, spans: Sequence[Span]) -> AsyncIterator[bytes]:
        for first, last in spans:
            for start in range(first, last + 1, PIECE_BYTES):
                yield await self._documents.read(sha256, start, min(start + PIECE_BYTES, last + 1))


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in rising order, those that meet or overlap made one."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined
