"""Documents as this centre keeps them: rewritten, so that pages can be read by ranges.

Rewritten, not linearised: qpdf's plain order puts catalogue, page tree and the
dictionaries of all pages side by side at the beginning, and then what each page
needs, page by page. A reader gets the whole frame of the document by two ranges,
and a page by about as many as it has things of its own. A linearised file
scatters the dictionaries over the file: good for page 1, worse for page 300.
Object streams are undone, since what lies in one cannot be read alone. What was
deleted or hidden in the source by later additions is gone; resources that a page
does not use are no longer said to be its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import pikepdf
from pikepdf import ObjectStreamMode, Pdf

from centers.materials.pdf.bounds import MAX_NORMAL_BYTES, MAX_PAGES
from centers.materials.pdf.dangers import danger
from centers.materials.pdf.placement import Placement, Span
from centers.materials.pdf.refusal import Refusal, Refused

MAGIC: Final = b"%PDF-"
_TABLE_MARK: Final = b"startxref\n"

Range = tuple[int, int, str]
"""First and last byte, inclusive, and the SHA-256 of the bytes in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal:
    """A rewritten document: the same source always becomes the same bytes.

    `page_ranges` has for each page, from the first, what it needs beside `head`.
    """

    content: bytes
    sha256: str
    head: list[Range]
    page_ranges: list[list[Range]]

    def header(self) -> dict[str, Any]:
        """What is told of it in a frame."""
        return {
            "sha256": self.sha256,
            "size_bytes": len(self.content),
            "head": self.head,
            "page_ranges": self.page_ranges,
        }


def normal(source: bytes) -> Normal:
    """The document rewritten, with the places of its pages.

    Raises:
        Refused: NOT_A_PDF, ENCRYPTED, ACTIVE or TOO_COMPLEX.
    """
    content = _rewritten(source)
    if len(content) > MAX_NORMAL_BYTES:
        raise Refused(Refusal.TOO_COMPLEX, "size")
    with pikepdf.open(BytesIO(content), attempt_recovery=False) as pdf:
        found = danger(pdf.objects)
        if found:
            raise Refused(Refusal.ACTIVE, found)
        placement = Placement(pdf, len(content), _table(content))
        seals = _Seals(content)
        return Normal(
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            head=[seals(span) for span in placement.head()],
            page_ranges=[[seals(span) for span in spans] for spans in placement.pages()],
        )


def opened(source: BytesIO) -> Pdf:
    """The document, strictly: one whose end was lost is not mended, it would lack pages.

    Raises:
        Refused: NOT_A_PDF or ENCRYPTED.
    """
    try:
        pdf = pikepdf.open(source, attempt_recovery=False)
    except pikepdf.PasswordError as error:
        raise Refused(Refusal.ENCRYPTED) from error
    except pikepdf.PdfError as error:
        raise Refused(Refusal.NOT_A_PDF) from error
    if pdf.is_encrypted:
        raise Refused(Refusal.ENCRYPTED)
    return pdf


def saved(pdf: Pdf, mode: ObjectStreamMode) -> bytes:
    """The document's bytes; the same for the same document."""
    target = BytesIO()
    pdf.save(target, object_stream_mode=mode, deterministic_id=True, fix_metadata_version=False)
    return target.getvalue()


def _rewritten(source: bytes) -> bytes:
    if not source.startswith(MAGIC):
        raise Refused(Refusal.NOT_A_PDF)
    with opened(BytesIO(source)) as pdf:
        if not len(pdf.pages):
            raise Refused(Refusal.NOT_A_PDF, "no pages")
        if len(pdf.pages) > MAX_PAGES:
            raise Refused(Refusal.TOO_COMPLEX, "pages")
        pdf.remove_unreferenced_resources()
        return saved(pdf, ObjectStreamMode.disable)


def _table(content: bytes) -> int:
    """Where the cross references begin."""
    mark = content.rindex(_TABLE_MARK) + len(_TABLE_MARK)
    return int(content[mark : content.index(b"\n", mark)])


class _Seals:
    """Ranges with their digests; one that many pages share is digested once."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._known: dict[Span, Range] = {}

    def __call__(self, span: Span) -> Range:
        known = self._known.get(span)
        if known is None:
            first, last = span
            digest = hashlib.sha256(self._content[first : last + 1]).hexdigest()
            known = self._known[span] = (first, last, digest)
        return known
