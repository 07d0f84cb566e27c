"""Use cases of readers of documents: where pages lie, and the bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from centers.materials import wire
from centers.materials.document_rows import HEAD, DocumentRows
from centers.materials.errors import MaterialReason
from centers.materials.excerpts import Excerpts, Wanted
from centers.materials.pdf.bounds import MAX_EXCERPT_PAGES
from centers.materials.reading import Reading
from centers.materials.wire import MaterialVersion
from engine.materials.v1 import materials_pb2
from mesh.errors import MeshError

DEFAULT_PAGES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A document to be delivered; `read(start, stop)` answers its bytes."""

    title: str
    sha256: str
    size_bytes: int
    read: Callable[[int, int], Awaitable[bytes]]

    @property
    def etag(self) -> str:
        """Its strong entity tag."""
        return f'"{self.sha256}"'


class Documents:
    """Reads documents. Whether one may still be read is asked for every piece of it."""

    def __init__(self, reading: Reading, rows: DocumentRows, excerpts: Excerpts) -> None:
        self._reading = reading
        self._rows = rows
        self._excerpts = excerpts

    async def manifest(
        self, request: materials_pb2.GetManifestRequest, *, review: bool
    ) -> materials_pb2.Manifest:
        """Where the head and the pages asked for lie.

        Raises:
            MeshError: NOT_A_DOCUMENT, PAGES_INVALID, or why it may not be used.
        """
        version = await self._document(request.material_id, request.version, review=review)
        document = version.body
        first = request.first_page or 1
        if first > document.pages:
            raise _no_such_pages(document)
        count = request.page_count or DEFAULT_PAGES
        (head,) = await self._rows.pages(document.sha256, HEAD, HEAD)
        return materials_pb2.Manifest(
            material_id=version.definition_id,
            version=version.version,
            size_bytes=document.size_bytes,
            pages=document.pages,
            etag=f'"{document.sha256}"',
            head=head.ranges,
            page_ranges=await self._rows.pages(document.sha256, first, first + count - 1),
        )

    async def content(self, request: materials_pb2.GetContentRequest, *, review: bool) -> Content:
        """The document, or one of the pages asked for alone.

        Raises:
            MeshError: NOT_A_DOCUMENT, PAGES_INVALID, DOCUMENTS_BUSY, or why it may not be used.
        """
        version = await self._document(request.material_id, request.version, review=review)
        document = version.body
        if request.pages:
            return await self._excerpt(document, request.pages)

        async def read(start: int, stop: int) -> bytes:
            return await self._rows.read(document.sha256, start, stop)

        return Content(
            title=document.title,
            sha256=document.sha256,
            size_bytes=document.size_bytes,
            read=read,
        )

    async def _excerpt(self, document: materials_pb2.Material, pages: str) -> Content:
        first, last = _span(document, pages)
        made = await self._excerpts.get(
            Wanted(sha256=document.sha256, size_bytes=document.size_bytes, first=first, last=last)
        )

        async def read(start: int, stop: int) -> bytes:
            return made.content[start:stop]

        return Content(
            title=f"{document.title} {pages}",
            sha256=made.sha256,
            size_bytes=len(made.content),
            read=read,
        )

    async def _document(self, material_id: int, version: int, *, review: bool) -> MaterialVersion:
        found = await self._reading.usable(material_id, version, review=review)
        if found.body.material_type != wire.PDF:
            raise MeshError(MaterialReason.NOT_A_DOCUMENT)
        return found


def _span(document: materials_pb2.Material, pages: str) -> tuple[int, int]:
    """First and last page of "3" or "3-7"."""
    first, _, last = pages.partition("-")
    span = int(first), int(last or first)
    if not 1 <= span[0] <= span[1] <= min(document.pages, span[0] + MAX_EXCERPT_PAGES - 1):
        raise _no_such_pages(document)
    return span


def _no_such_pages(document: materials_pb2.Material) -> MeshError:
    return MeshError(MaterialReason.PAGES_INVALID, metadata={"pages": str(document.pages)})
