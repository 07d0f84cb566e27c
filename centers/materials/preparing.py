"""Documents on their way from an upload to what readers get."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from centers.materials.document_rows import HEAD, PIECE_BYTES, DocumentRows
from centers.materials.pdf.process import PdfProcess, Reply
from centers.materials.upload_rows import Uploads
from engine.materials.v1 import materials_pb2

TIMEOUT_S: Final = 25.0
"""Less than the deadline of the call, so that its caller hears why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document that can be read by page."""

    sha256: str
    size_bytes: int
    pages: int


class Preparing:
    """Has uploads checked and rewritten, and keeps what comes of it.

    A document is kept piece by piece, in transactions of a few milliseconds: one
    for all would hold up every other call of the centre. They lie outside the
    call that they serve, whose one effect is the step of the life cycle. What is
    kept of a submission that then fails is used by the next attempt, since the
    same upload becomes the same bytes.
    """

    def __init__(self, uploads: Uploads, documents: DocumentRows, process: PdfProcess) -> None:
        self._uploads = uploads
        self._documents = documents
        self._process = process

    async def prepare(self, version_id: int) -> Prepared:
        """The uploaded document of a draft, ready to be read.

        Raises:
            MeshError: NOT_A_PDF, PDF_ENCRYPTED, PDF_ACTIVE, PDF_TOO_COMPLEX or DOCUMENTS_BUSY.
        """
        outside = contextvars.Context()
        return await asyncio.create_task(self._prepare(version_id), context=outside)

    async def _prepare(self, version_id: int) -> Prepared:
        upload = self._uploads.content(version_id)
        async with self._process.run({"task": "normal"}, upload, timeout_s=TIMEOUT_S) as reply:
            await self._keep(reply)
            return Prepared(
                sha256=reply.header["sha256"],
                size_bytes=reply.header["size_bytes"],
                pages=len(reply.header["page_ranges"]),
            )

    async def _keep(self, reply: Reply) -> None:
        sha256, number = reply.header["sha256"], 0
        async for piece in reply.pieces(PIECE_BYTES):
            await self._documents.add_piece(sha256, number, piece)
            number += 1
        await self._documents.add_pages(sha256, _pages(reply.header))


def _pages(header: Mapping[str, Any]) -> Iterator[materials_pb2.PageRanges]:
    for page, ranges in enumerate([header["head"], *header["page_ranges"]], start=HEAD):
        yield materials_pb2.PageRanges(page=page, ranges=_ranges(ranges))


def _ranges(ranges: Sequence[tuple[int, int, str]]) -> Iterator[materials_pb2.ByteRange]:
    for first, last, sha256 in ranges:
        yield materials_pb2.ByteRange(first=first, last=last, sha256=sha256)
