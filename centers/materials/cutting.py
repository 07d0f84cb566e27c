"""Cuts pages out of a document, from the bytes that they need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

from centers.materials.document_rows import HEAD, PIECE_BYTES, DocumentRows
from centers.materials.excerpts import Wanted
from centers.materials.pdf.process import PdfProcess

TIMEOUT_S: Final = 8.0
"""Less than the deadline of the call, so that its caller hears why."""

Span = tuple[int, int]
"""First and last byte, inclusive."""


class Cutting:
    """A `Cutter` whose work is done by the child that parses documents."""

    def __init__(self, documents: DocumentRows, process: PdfProcess) -> None:
        self._documents = documents
        self._process = process

    async def cut(self, wanted: Wanted) -> bytes:
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
            return b"".join([piece async for piece in reply.pieces(PIECE_BYTES)])

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
